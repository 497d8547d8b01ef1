package serve

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// fake is a queue whose calls wait until they are let go. It scores a row by its number.
type fake struct {
	queue
	calls chan int      // rows of each call
	free  chan struct{} // one for each call that may end
	ended sync.WaitGroup
}

func newFake(workers, batch, most int) *fake {
	f := &fake{calls: make(chan int, 1000), free: make(chan struct{}, 1000)}
	f.queue = queue{
		workers: workers, limits: Limits{Batch: batch, Queue: most, Wait: time.Minute}, observe: func(int, int) {},
		begin: func() func() { f.ended.Add(1); return f.ended.Done },
		predict: func(ctx context.Context, rows []splice.Row, k int) (a answer, err error) {
			f.calls <- len(rows)
			select {
			case <-f.free:
			case <-ctx.Done():
				return a, ctx.Err()
			}
			for i, r := range rows {
				n, ok := r["n"].(int)
				if !ok {
					return a, &data.ValueError{Row: i, Column: "n", Msg: "is bad"}
				}
				if n < 0 {
					panic("negative")
				}
				a.scores = append(a.scores, float64(n))
				var items []splice.Item
				for j := range k {
					items = append(items, splice.Item{Name: fmt.Sprint(n), Score: float64(j)})
				}
				a.items = append(a.items, items)
			}
			return a, nil
		},
	}
	return f
}

// outcome is what a request came to.
type outcome struct {
	answer
	err error
}

// send makes a request of rows of these numbers.
func (f *fake) send(ctx context.Context, k int, numbers ...any) chan outcome {
	var rows []splice.Row
	for _, n := range numbers {
		rows = append(rows, splice.Row{"n": n})
	}
	out := make(chan outcome, 1)
	go func() {
		a, err := f.do(ctx, rows, k)
		out <- outcome{a, err}
	}()
	return out
}

// waits waits until so many rows wait.
func (f *fake) waits(t *testing.T, rows int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); f.length() != rows; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d rows wait, want %d", f.length(), rows)
		}
	}
}

func (f *fake) want(t *testing.T, got chan outcome, k int, numbers ...float64) {
	t.Helper()
	o := <-got
	if o.err != nil || fmt.Sprint(o.scores) != fmt.Sprint(numbers) {
		t.Errorf("got %v, %v, want %v", o.scores, o.err, numbers)
		return
	}
	for i, list := range o.items {
		if len(list) != k || k > 0 && list[0].Name != fmt.Sprint(numbers[i]) {
			t.Errorf("items %v of row %v, want %d of it", list, numbers[i], k)
		}
	}
}

func TestQueue(t *testing.T) {
	ctx := t.Context()
	t.Run("joins what waits and mixes nothing", func(t *testing.T) {
		f := newFake(1, 5, 100)
		first := f.send(ctx, 0, 1) // goes at once, alone
		if n := <-f.calls; n != 1 {
			t.Fatalf("a call of %d rows", n)
		}
		var others []chan outcome
		for i := range 4 {
			others = append(others, f.send(ctx, i, 10*i, 10*i+1))
			f.waits(t, 2*i+2)
		}
		f.free <- struct{}{}
		f.want(t, first, 0, 1)
		for range 2 { // two rows each, at most five together
			if n := <-f.calls; n != 4 {
				t.Errorf("a call of %d rows, want 4", n)
			}
			f.free <- struct{}{}
		}
		for i, got := range others {
			f.want(t, got, i, float64(10*i), float64(10*i+1))
		}
		f.ended.Wait()
		if f.running != 0 || f.waiting != nil || f.rows != 0 {
			t.Errorf("%d workers run, %d rows wait", f.running, f.rows)
		}
	})
	t.Run("as many at once as there are workers", func(t *testing.T) {
		f := newFake(2, 5, 100)
		a, b := f.send(ctx, 0, 1), f.send(ctx, 0, 2)
		<-f.calls
		<-f.calls // without either being let go
		c := f.send(ctx, 0, 3)
		f.waits(t, 1)
		for range 3 {
			f.free <- struct{}{}
		}
		f.want(t, a, 0, 1)
		f.want(t, b, 0, 2)
		f.want(t, c, 0, 3)
	})
	t.Run("an error is that of its request", func(t *testing.T) {
		f := newFake(1, 100, 100)
		first := f.send(ctx, 0, 1)
		<-f.calls
		good := f.send(ctx, 2, 2, 3)
		f.waits(t, 2)
		bad := f.send(ctx, 0, 4, "x")
		f.waits(t, 4)
		crashing := f.send(ctx, 0, -1)
		f.waits(t, 5)
		for range 10 {
			f.free <- struct{}{}
		}
		f.want(t, first, 0, 1)
		f.want(t, good, 2, 2, 3)
		var value *data.ValueError
		if o := <-bad; !errors.As(o.err, &value) || value.Row != 1 {
			t.Errorf("error %v, want one of row 1", o.err)
		}
		if o := <-crashing; !errors.As(o.err, new(*crash.Error)) {
			t.Errorf("error %v, want the panic", o.err)
		}
		f.want(t, f.send(ctx, 0, 7), 0, 7) // it still works
	})
	t.Run("is bounded", func(t *testing.T) {
		f := newFake(1, 5, 3)
		first := f.send(ctx, 0, 1)
		<-f.calls
		large := f.send(ctx, 0, 2, 3, 4, 5) // more than may wait, but nothing else does
		f.waits(t, 4)
		if o := <-f.send(ctx, 0, 6); !errors.Is(o.err, errFull) {
			t.Errorf("error %v, want that it is full", o.err)
		}
		for range 2 {
			f.free <- struct{}{}
		}
		f.want(t, first, 0, 1)
		f.want(t, large, 0, 2, 3, 4, 5)
	})
	t.Run("who leaves is not scored", func(t *testing.T) {
		f := newFake(1, 5, 100)
		first := f.send(ctx, 0, 1)
		<-f.calls
		leaving, cancel := context.WithCancel(ctx)
		gone := f.send(leaving, 0, 2)
		f.waits(t, 1)
		last := f.send(ctx, 0, 3)
		f.waits(t, 2)
		cancel()
		if o := <-gone; !errors.Is(o.err, context.Canceled) {
			t.Errorf("error %v", o.err)
		}
		f.free <- struct{}{}
		f.free <- struct{}{}
		f.want(t, first, 0, 1)
		f.want(t, last, 0, 3)
		if n := <-f.calls; n != 1 {
			t.Errorf("a call of %d rows, want 1", n)
		}
	})
}

// TestShare holds that a worker alone has all processors, and each of several one.
func TestShare(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	for i, tc := range []struct {
		change int64
		want   int
	}{{1, 3}, {1, 1}, {1, 1}, {-1, 1}, {-1, 3}, {-1, 3}} {
		if share(tc.change); kernel.Threads() != tc.want {
			t.Errorf("step %d: %d threads, want %d", i, kernel.Threads(), tc.want)
		}
	}
}
