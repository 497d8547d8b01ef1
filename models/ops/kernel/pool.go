package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/splice-ml/splice/data/crash"
)

// threads is the number of goroutines, the caller among them, that a Parallel call uses.
var threads atomic.Int32

func init() { SetThreads(0) }

// SetThreads sets the number of threads that [Parallel] uses from the next call on. An n below 1 means GOMAXPROCS. Results do
// not depend on it.
func SetThreads(n int) {
	if n < 1 {
		n = runtime.GOMAXPROCS(0)
	}
	threads.Store(int32(min(n, 1024)))
}

// Threads returns the number of threads that [Parallel] uses.
func Threads() int { return int(threads.Load()) }

// Parallel runs f(0) … f(n-1), each once and in no fixed order, on the caller and the workers of the pool, and returns
// when all have ended. It allocates nothing if f is made beforehand.
//
// The pool serves one call at a time: calls from inside f, and calls from other goroutines while the pool is busy, run on
// their own goroutine, so that Parallel never waits for a worker. A panic in f ends the call (some of the f(i) may not
// be run) and is raised again in the caller, as a [crash.Error] that knows where it happened.
func Parallel(n int, f func(i int)) {
	want := min(int(threads.Load()), n) - 1
	if want < 1 || !workers.busy.CompareAndSwap(false, true) {
		for i := range n {
			f(i)
		}
		return
	}
	workers.run(n, want, f)
}

// Span returns the i-th of chunks pieces of the range [0, n). The pieces cover the range in order and start at multiples
// of 16 elements; the last ones may be empty. The split depends on n and chunks alone.
func Span(n, chunks, i int) (lo, hi int) {
	const align = 16
	units := (n + align - 1) / align
	lo = min(units*i/chunks*align, n)
	hi = min(units*(i+1)/chunks*align, n)
	return lo, hi
}

// pool is a set of goroutines that wait for the one job in flight.
type pool struct {
	busy atomic.Bool // held by the Parallel call in flight: it guards all below
	list []*worker
	job  job
}

var workers pool

// job is the work of one Parallel call. A worker may read it between taking the job (worker.state taken) and idle.
type job struct {
	n    int64
	f    func(i int)
	next atomic.Int64
	live atomic.Int64   // workers that were offered the job and have neither ended nor been called back
	wait sync.WaitGroup // counts the same
	mu   sync.Mutex
	fail error // the first panic
}

// worker states
const (
	idle    = iota // spinning, or parked
	offered        // the caller offers the job, and may call it back
	taken          // the worker works on it
)

type worker struct {
	state  atomic.Int32
	parked atomic.Bool
	wake   chan struct{} // one token for each parked that somebody else has cleared
	_      [64]byte      // keeps two workers' states off one cache line
}

// spinTime is for how long an idle worker, or a caller that waits for the last tasks, polls before it parks: longer than
// the gaps between the calls of a training step, short enough to cost nothing when training pauses.
const spinTime = 40 * time.Microsecond

func (p *pool) run(n, want int, f func(i int)) {
	for len(p.list) < want {
		w := &worker{wake: make(chan struct{}, 1)}
		p.list = append(p.list, w)
		go w.loop(&p.job)
	}
	j := &p.job
	j.n, j.f, j.fail = int64(n), f, nil
	j.next.Store(0)
	j.live.Store(int64(want))
	j.wait.Add(want)
	for _, w := range p.list[:want] {
		w.state.Store(offered)
		if w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
	j.work()
	for _, w := range p.list[:want] { // those that have not begun need not
		if w.state.CompareAndSwap(offered, idle) {
			j.done()
		}
	}
	spin(func() bool { return j.live.Load() == 0 })
	j.wait.Wait()
	fail := j.fail
	j.f, j.fail = nil, nil
	p.busy.Store(false)
	if fail != nil {
		panic(fail)
	}
}

// work runs tasks until there are none left.
func (j *job) work() {
	defer func() {
		if err := crash.Of(recover()); err != nil {
			j.next.Store(j.n)
			j.mu.Lock()
			if j.fail == nil {
				j.fail = err
			}
			j.mu.Unlock()
		}
	}()
	for {
		i := j.next.Add(1) - 1
		if i >= j.n {
			return
		}
		j.f(int(i))
	}
}

func (j *job) done() {
	j.live.Add(-1)
	j.wait.Done()
}

func (w *worker) loop(j *job) {
	ready := func() bool { return w.state.Load() == offered }
	for {
		if !spin(ready) {
			w.parked.Store(true)
			if !ready() || !w.parked.CompareAndSwap(true, false) {
				<-w.wake
			}
		}
		if !w.state.CompareAndSwap(offered, taken) {
			continue // called back
		}
		j.work()
		w.state.Store(idle)
		j.done()
	}
}

// spin polls ok for spinTime and returns its last answer.
func spin(ok func() bool) bool {
	for range 200 {
		if ok() {
			return true
		}
	}
	start := time.Now()
	for {
		for range 50 {
			if ok() {
				return true
			}
		}
		runtime.Gosched()
		if time.Since(start) > spinTime {
			return ok()
		}
	}
}
