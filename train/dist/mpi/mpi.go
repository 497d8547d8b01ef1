//go:build mpi && linux

package mpi

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/splice-ml/splice/train/dist"
)

// Variables of the environment.
const (
	pathVariable = "SPLICE_MPI"      // the library's file
	waitVariable = "SPLICE_MPI_WAIT" // how long a call may wait for other ranks, such as 30m
)

// wait is how long a call may wait for other ranks, unless the environment says another time.
const wait = 10 * time.Minute

// most is how many bytes one call moves: counts are of 32 bits, and their sums too.
const most = 1 << 30

// world is all processes of the job.
type world struct {
	*library
	rank, size int
	version    string
	bound      time.Duration
	arenas     arenas
	in, out    staging

	calls chan func() error // run by the thread of MPI
	done  chan error
	stuck atomic.Bool // a call has not come back in time

	// What C reads and writes lies on the heap, since a stack may move while its address is a uintptr.
	result                               [4]int32
	text                                 [8192]byte
	sendCount, sendAt, recvCount, recvAt []int32
}

// Open loads the MPI library of the launcher that started this process, and joins the others. It must be called before files are opened: a
// launcher of one implementation with the library of another starts processes that each think that they are alone, which is an error.
func Open() (dist.Group, error) {
	started := dist.Launched()
	names := candidates(started.By)
	if path := os.Getenv(pathVariable); path != "" {
		names = []string{path}
	}
	w := &world{bound: wait, calls: make(chan func() error), done: make(chan error, 1)}
	if s := os.Getenv(waitVariable); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return nil, fmt.Errorf("mpi: %s is %q: want a time such as 30m", waitVariable, s)
		}
		w.bound = d
	}
	for k, v := range map[string]string{"UCX_ERROR_SIGNALS": "", "UCX_HANDLE_ERRORS": "none"} {
		if _, ok := os.LookupEnv(k); !ok {
			os.Setenv(k, v)
		}
	}
	old := new(signals)
	old.each(false)
	defer old.each(true)
	var err error
	if w.library, err = load(names); err != nil {
		return nil, err
	}
	w.in.a, w.out.a = &w.arenas, &w.arenas
	go w.serve()
	if err := w.call(w.init); err != nil {
		return nil, err
	}
	if started.Size != w.size {
		err := fmt.Errorf("mpi: %s started %d processes, and %s (%s) says %d: the launcher and the library are of different implementations; "+
			"start by the library's own mpirun, or name its library in %s", started.By, started.Size, w.path, w.version, w.size, pathVariable)
		_ = w.Close()
		return nil, err
	}
	return w, nil
}

// serve runs all calls in one thread, as MPI_THREAD_FUNNELED wants.
func (w *world) serve() {
	runtime.LockOSThread()
	for f := range w.calls {
		w.done <- f()
	}
}

// call has the thread of MPI run f, and waits for the bound at most.
func (w *world) call(f func() error) error {
	if w.stuck.Load() {
		return dist.ErrLost
	}
	w.calls <- f
	timer := time.NewTimer(w.bound)
	defer timer.Stop()
	select {
	case err := <-w.done:
		return err
	case <-timer.C:
		w.stuck.Store(true)
		return fmt.Errorf("%w: the others have not come within %v: a rank has ended, hangs, or needs longer (set %s to wait longer)", dist.ErrLost, w.bound,
			waitVariable)
	}
}

func (w *world) init() error {
	if err := w.raw(w.library.version, ptr(&w.text[0]), ptr(&w.result[0])); err != nil {
		return err
	}
	w.version, _, _ = strings.Cut(string(w.text[:min(max(0, int(w.result[0])), len(w.text))]), "\n")
	w.version = strings.TrimRight(w.version, "\x00 ")
	if err := w.raw(w.initThread, 0, 0, w.funneled, ptr(&w.result[1])); err != nil {
		return err
	}
	if uintptr(w.result[1]) < w.funneled {
		return fmt.Errorf("mpi: %s: its level of threads is %d, want MPI_THREAD_FUNNELED", w.version, w.result[1])
	}
	if err := w.raw(w.setErrhandler, w.world, w.errReturn); err != nil {
		return err
	}
	if err := w.raw(w.library.rank, w.world, ptr(&w.result[2])); err != nil {
		return err
	}
	if err := w.raw(w.library.size, w.world, ptr(&w.result[3])); err != nil {
		return err
	}
	w.rank, w.size = int(w.result[2]), int(w.result[3])
	for _, s := range []*[]int32{&w.sendCount, &w.sendAt, &w.recvCount, &w.recvAt} {
		*s = make([]int32, w.size)
	}
	return nil
}

// raw calls a function in the current thread. What args point to must lie on the heap.
func (w *world) raw(fn uintptr, args ...uintptr) error {
	r, _, _ := purego.SyscallN(fn, args...)
	code := int32(r)
	if code == 0 {
		return nil
	}
	w.result[0] = 0
	purego.SyscallN(w.errorString, uintptr(code), ptr(&w.text[0]), ptr(&w.result[0]))
	return fmt.Errorf("mpi: error %d: %s", code, w.text[:min(max(0, int(w.result[0])), len(w.text))])
}

func ptr[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

func addr[T any](s []T) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }

// Rank returns this process's number.
func (w *world) Rank() int { return w.rank }

// Size returns the number of processes.
func (w *world) Size() int { return w.size }

// String describes the library.
func (w *world) String() string { return fmt.Sprintf("%s (%s)", w.version, w.path) }

// Alloc returns memory of an arena, or of the heap if there is none left: calls copy that.
func (w *world) Alloc(n int) []byte {
	b, err := w.arenas.alloc(n)
	if err != nil {
		return make([]byte, n)
	}
	return b
}

// Barrier waits for all.
func (w *world) Barrier() error {
	return w.call(func() error { return w.raw(w.barrier, w.world) })
}

// Bcast copies root's b to all, in pieces.
func (w *world) Bcast(b []byte, root int) error {
	for len(b) > 0 {
		part := b[:min(len(b), most/16)]
		b = b[len(part):]
		at, err := w.in.of(part)
		if err != nil {
			return err
		}
		if w.rank == root {
			copied(at, part)
		}
		err = w.call(func() error { return w.raw(w.bcast, addr(at), uintptr(len(at)), w.bytes, uintptr(root), w.world) })
		if err != nil {
			return err
		}
		copied(part, at)
	}
	return nil
}

// Allgatherv puts the parts of all ranks behind each other. If they are more than one call moves, each rank's part travels by itself.
func (w *world) Allgatherv(in, out []byte, counts []int) error {
	total := offsets(counts, w.recvCount, w.recvAt)
	if len(counts) != w.size || counts[w.rank] != len(in) || total > len(out) {
		return fmt.Errorf("mpi: allgatherv of %d bytes, counts %v, into %d", len(in), counts, len(out))
	}
	if total > most {
		at := 0
		for r, n := range counts {
			part := out[at : at+n]
			if at += n; r == w.rank {
				copy(part, in)
			}
			if err := w.Bcast(part, r); err != nil {
				return err
			}
		}
		return nil
	}
	from, err := w.in.of(in)
	if err != nil {
		return err
	}
	to, err := w.out.of(out[:total])
	if err != nil {
		return err
	}
	copied(from, in)
	err = w.call(func() error {
		return w.raw(w.allgatherv, addr(from), uintptr(len(from)), w.bytes, addr(to), addr(w.recvCount), addr(w.recvAt), w.bytes, w.world)
	})
	copied(out, to)
	return err
}

// Alltoallv sends each rank its part.
func (w *world) Alltoallv(in []byte, send []int, out []byte, recv []int) error {
	sends, recvs := offsets(send, w.sendCount, w.sendAt), offsets(recv, w.recvCount, w.recvAt)
	if len(send) != w.size || len(recv) != w.size || sends > len(in) || recvs > len(out) || sends > most || recvs > most {
		return fmt.Errorf("mpi: alltoallv of %d bytes of %d, into %d of %d, at most %d", sends, len(in), recvs, len(out), most)
	}
	from, err := w.in.of(in[:sends])
	if err != nil {
		return err
	}
	to, err := w.out.of(out[:recvs])
	if err != nil {
		return err
	}
	copied(from, in)
	err = w.call(func() error {
		return w.raw(w.alltoallv, addr(from), addr(w.sendCount), addr(w.sendAt), w.bytes, addr(to), addr(w.recvCount), addr(w.recvAt), w.bytes, w.world)
	})
	copied(out, to)
	return err
}

// offsets writes counts, and where each part begins, as MPI wants them, and returns their sum.
func offsets(counts []int, n, at []int32) (total int) {
	for i, c := range counts[:min(len(counts), len(n))] {
		n[i], at[i] = int32(c), int32(total)
		total += c
	}
	return total
}

// Abort ends all processes of the job.
func (w *world) Abort(code int) {
	if !w.stuck.Load() {
		_ = w.call(func() error { return w.raw(w.abort, w.world, uintptr(code)) })
	}
	os.Exit(code) // of a rank that has not left, which mpirun ends the others for
}

// Close leaves the job.
func (w *world) Close() error {
	err := w.call(func() error { return w.raw(w.finalize) })
	close(w.calls)
	return err
}

// Exit ends the process by the C library's exit. MPICH 5 takes leave of mpirun in a handler of it, which os.Exit does not run, and mpirun
// would then kill the other ranks.
func Exit(code int) {
	if f, err := purego.Dlsym(purego.RTLD_DEFAULT, "exit"); err == nil {
		purego.SyscallN(f, uintptr(code))
	}
	os.Exit(code)
}
