package dist

import (
	"fmt"
	"sync"
	"time"
)

// Inproc is a group whose ranks are goroutines of one process, which tests use.
type Inproc struct {
	size   int
	bound  time.Duration
	mu     sync.Mutex
	calls  []*call              // of the ranks that have come
	done   *meeting             // of the call in flight
	lost   error                // why no call can succeed any more
	Fault  func(r, n int) error // called before a rank's n-th call, from 0; its error is that of a rank that ends. May be nil
	counts []int                // calls of each rank
}

// meeting is a call that all ranks wait for.
type meeting struct {
	ended chan struct{}
	err   error
}

// call is what a rank passes to a call.
type call struct {
	what       string
	in, out    []byte
	send, recv []int
	root       int
}

// NewInproc returns a group of so many ranks, each of which waits for the others for so long at most.
func NewInproc(size int, bound time.Duration) *Inproc {
	return &Inproc{size: size, bound: bound, calls: make([]*call, size), counts: make([]int, size)}
}

// Group returns a rank's view.
func (w *Inproc) Group(rank int) Group { return &member{w, rank} }

// lose makes all calls fail.
func (w *Inproc) lose(err error) {
	if w.lost == nil {
		w.lost = err
	}
	if w.done != nil {
		w.done.err = w.lost
		close(w.done.ended)
		w.done = nil
	}
}

type member struct {
	w    *Inproc
	rank int
}

func (m *member) Rank() int          { return m.rank }
func (m *member) Size() int          { return m.w.size }
func (m *member) Alloc(n int) []byte { return make([]byte, n) }
func (m *member) Close() error       { return nil }

func (m *member) Abort(code int) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.w.lose(fmt.Errorf("%w: %s ended with code %d", ErrLost, Of(m), code))
}

func (m *member) Barrier() error { return m.meet(&call{what: "Barrier"}) }

func (m *member) Bcast(b []byte, root int) error {
	return m.meet(&call{what: "Bcast", in: b, out: b, root: root})
}

func (m *member) Allgatherv(in, out []byte, counts []int) error {
	return m.meet(&call{what: "Allgatherv", in: in, out: out, recv: counts})
}

func (m *member) Alltoallv(in []byte, send []int, out []byte, recv []int) error {
	return m.meet(&call{what: "Alltoallv", in: in, out: out, send: send, recv: recv})
}

// meet waits until all ranks have come with the same call. The last one moves the bytes of all.
func (m *member) meet(c *call) error {
	w := m.w
	w.mu.Lock()
	n := w.counts[m.rank]
	w.counts[m.rank]++
	if w.Fault != nil {
		if err := w.Fault(m.rank, n); err != nil {
			w.lose(fmt.Errorf("%w: %s ended", ErrLost, Of(m)))
			w.mu.Unlock()
			return err
		}
	}
	if w.lost != nil {
		defer w.mu.Unlock()
		return w.lost
	}
	if w.done == nil {
		w.done = &meeting{ended: make(chan struct{})}
	}
	done := w.done
	w.calls[m.rank] = c
	for _, other := range w.calls {
		if other == nil {
			w.mu.Unlock()
			return m.wait(done, c)
		}
	}
	err := w.move()
	if err != nil {
		w.lose(err)
	} else {
		w.done = nil
		close(done.ended)
	}
	clear(w.calls)
	w.mu.Unlock()
	return err
}

// wait waits for the end of a call, for the bound at most.
func (m *member) wait(done *meeting, c *call) error {
	timer := time.NewTimer(m.w.bound)
	defer timer.Stop()
	select {
	case <-done.ended:
	case <-timer.C:
		m.w.mu.Lock()
		if m.w.done == done {
			m.w.lose(fmt.Errorf("%w: rank %v has not come to %s within %v", ErrLost, m.w.absent(), c.what, m.w.bound))
		}
		m.w.mu.Unlock()
		<-done.ended
	}
	return done.err
}

// absent returns the ranks that have not come.
func (w *Inproc) absent() (list []int) {
	for r, c := range w.calls {
		if c == nil {
			list = append(list, r)
		}
	}
	return list
}

// move moves the bytes of a call.
func (w *Inproc) move() error {
	first := w.calls[0]
	for r, c := range w.calls {
		if c.what != first.what || c.root != first.root || len(c.recv) > 0 && c.what == "Allgatherv" && c.recv[r] != len(c.in) {
			return fmt.Errorf("dist: rank %d calls %s with %d bytes, rank 0 %s with %d", r, c.what, len(c.in), first.what, len(first.in))
		}
	}
	for r, c := range w.calls {
		switch c.what {
		case "Bcast":
			if len(c.out) != len(w.calls[c.root].in) {
				return fmt.Errorf("dist: rank %d takes %d bytes of Bcast, rank %d has %d", r, len(c.out), c.root, len(w.calls[c.root].in))
			}
			if r != c.root {
				copy(c.out, w.calls[c.root].in)
			}
		case "Allgatherv":
			at := 0
			for k, from := range w.calls {
				if len(from.in) != c.recv[k] {
					return fmt.Errorf("dist: rank %d expects %d bytes of rank %d, which has %d", r, c.recv[k], k, len(from.in))
				}
				at += copy(c.out[at:], from.in)
			}
		case "Alltoallv":
			at := 0
			for k, from := range w.calls {
				lo := 0
				for _, n := range from.send[:r] {
					lo += n
				}
				if from.send[r] != c.recv[k] {
					return fmt.Errorf("dist: rank %d expects %d bytes of rank %d, which sends %d", r, c.recv[k], k, from.send[r])
				}
				at += copy(c.out[at:at+c.recv[k]], from.in[lo:lo+from.send[r]])
			}
		}
	}
	return nil
}
