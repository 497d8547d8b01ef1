//go:build mpi && linux

package mpi

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ebitengine/purego"
)

// handles are the values of the predefined objects, which are addresses or numbers by implementation.
type handles struct {
	abi                               string
	world, bytes, errReturn, funneled uintptr
}

// standard is the interface of MPI 5.0, chapter 20 and annex A: small numbers in pointers.
var standard = handles{"standard", 0x101, 0x247, 0x143, 1024}

// mpich is the interface of MPICH since 3.1, and of Intel MPI, MVAPICH and Cray MPICH: numbers of 32 bits.
var mpich = handles{"mpich", 0x44000000, 0x4c00010d, 0x54000001, 1}

// openMPI returns Open MPI's handles, which are addresses of variables of the library.
func openMPI(lib uintptr) (handles, error) {
	h := handles{abi: "openmpi", funneled: 1}
	for _, v := range []struct {
		name string
		to   *uintptr
	}{{"ompi_mpi_comm_world", &h.world}, {"ompi_mpi_byte", &h.bytes}, {"ompi_mpi_errors_return", &h.errReturn}} {
		var err error
		if *v.to, err = purego.Dlsym(lib, v.name); err != nil {
			return h, err
		}
	}
	return h, nil
}

// candidates are the files to try, in order, of a process that a launcher started.
func candidates(launcher string) []string {
	openmpi := []string{"libmpi.so.40"}
	abi := []string{"libmpi_abi.so.1", "libmpi_abi.so.0"}
	family := []string{"libmpich.so.12", "libmpi.so.12"}
	switch launcher {
	case "openmpi":
		return append(openmpi, abi...)
	case "hydra":
		return append(abi, family...)
	}
	return append(append(abi, openmpi...), family...)
}

// library is a loaded MPI library and its functions.
type library struct {
	path string
	handles
	initThread, finalize, abort, rank, size, setErrhandler, errorString, version, barrier, bcast, allgatherv, alltoallv uintptr
}

// load loads the first of the files that is there.
func load(names []string) (*library, error) {
	var tried []string
	for _, n := range names {
		lib, err := purego.Dlopen(n, purego.RTLD_NOW|purego.RTLD_GLOBAL) // global: plugins of Open MPI 4 look for its symbols there
		if err != nil {
			tried = append(tried, err.Error())
			continue
		}
		l := &library{path: n}
		if err := l.bind(lib); err != nil {
			return nil, fmt.Errorf("mpi: %s: %w", n, err)
		}
		return l, nil
	}
	return nil, fmt.Errorf("mpi: no MPI library: %s; install one (Debian: apt-get install openmpi-bin, or mpich), or name its file in %s",
		strings.Join(tried, "; "), pathVariable)
}

// bind finds out which interface the library has, and where its functions are.
func (l *library) bind(lib uintptr) error {
	has := func(name string) bool { _, err := purego.Dlsym(lib, name); return err == nil }
	switch {
	case strings.Contains(l.path, "libmpi_abi") && has("MPI_Abi_get_version"):
		l.handles = standard
	case has("ompi_mpi_comm_world"):
		h, err := openMPI(lib)
		if err != nil {
			return err
		}
		l.handles = h
	case has("MPIR_Err_create_code") || strings.Contains(l.path, "mpich") || strings.HasSuffix(l.path, ".so.12"):
		l.handles = mpich
	default:
		return errors.New("it is neither Open MPI nor of the MPICH family, and lacks the standard's binary interface")
	}
	for _, f := range []struct {
		name string
		to   *uintptr
	}{
		{"Init_thread", &l.initThread},
		{"Finalize", &l.finalize},
		{"Abort", &l.abort},
		{"Comm_rank", &l.rank},
		{"Comm_size", &l.size},
		{"Comm_set_errhandler", &l.setErrhandler},
		{"Error_string", &l.errorString},
		{"Get_library_version", &l.version},
		{"Barrier", &l.barrier},
		{"Bcast", &l.bcast},
		{"Allgatherv", &l.allgatherv},
		{"Alltoallv", &l.alltoallv},
	} {
		var err error
		if *f.to, err = purego.Dlsym(lib, "MPI_"+f.name); err != nil {
			return err
		}
	}
	return nil
}
