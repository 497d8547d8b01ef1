#!/bin/bash
#SBATCH --job-name=splice
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
# Trains on the nodes of a Slurm job, a rank a node:  sbatch -N 4 scripts/slurm.sh --config X.yaml --run runs/x
# Five minutes before the job's time is over, all ranks write a checkpoint; the job then goes into the queue again, and goes on from it.
# TRAIN is the program (default: bin/train-mpi of make build-mpi); MPI is srun's plugin: pmix for Open MPI, pmi2 for MPICH.
set -u
code=0
srun --mpi="${MPI:-pmix}" --cpus-per-task="$SLURM_CPUS_ON_NODE" --cpu-bind=none --kill-on-bad-exit=1 \
	"${TRAIN:-bin/train-mpi}" "$@" --resume || code=$?
if [ "$code" = 130 ]; then # stopped, with a checkpoint
	scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
