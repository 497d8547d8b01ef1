package scan

import (
	"sync/atomic"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/crash"
)

// Prefetched is how many batches are made ahead of the one in use.
const Prefetched = 4

// Prefetch fills batches on a goroutine of its own, ahead of their use, and yields them in order; it returns when the
// goroutine has ended. fill returns false after the last batch.
func Prefetch(batches []*data.Batch, fill func(*data.Batch) (bool, error), yield func(*data.Batch, error) bool) {
	type made struct {
		b   *data.Batch
		err error
	}
	free, full := make(chan *data.Batch, len(batches)), make(chan made, len(batches))
	for _, b := range batches {
		free <- b
	}
	var stop atomic.Bool
	defer func() { // also if the consumer stops early or panics
		stop.Store(true)
		close(free)
		for range full {
		}
	}()
	go func() {
		defer close(full)
		for b := range free {
			if stop.Load() {
				return
			}
			more := false
			err := crash.Guard(func() (err error) {
				more, err = fill(b)
				return err
			})
			if !more && err == nil {
				return
			}
			full <- made{b, err}
			if err != nil {
				return
			}
		}
	}()
	for m := range full {
		if m.err != nil {
			yield(nil, m.err)
			return
		}
		if !yield(m.b, nil) {
			return
		}
		free <- m.b
	}
}
