package dist

import (
	"os"
	"strconv"
)

// Launch says what started this process as one of several.
type Launch struct {
	By    string // openmpi, hydra (MPICH and its family), or slurm; "" if none did
	Rank  int    // of the process
	Local int    // among those of its host
	Size  int    // number of processes; 1 if none
}

// Launched returns what started this process, by the variables that launchers set.
func Launched() Launch {
	for _, v := range []struct{ by, size, rank, local string }{
		{"openmpi", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"},
		{"hydra", "PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID"},
		{"slurm", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID"},
	} {
		size, err := strconv.Atoi(os.Getenv(v.size))
		if err != nil || size < 1 {
			continue
		}
		rank, err := strconv.Atoi(os.Getenv(v.rank))
		if err != nil {
			continue
		}
		local, err := strconv.Atoi(os.Getenv(v.local))
		if err != nil {
			local = rank
		}
		return Launch{v.by, rank, local, size}
	}
	return Launch{Size: 1}
}
