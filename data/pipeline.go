package data

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// sink does something with the rows of a scan.
type sink interface {
	// work is called on many goroutines at once.
	work(c *chunk)
	// emit is called for one chunk after the other, in the order of the files.
	emit(c *chunk) error
}

// scan parses files and hands their rows to a sink.
type scan struct {
	format  format
	plan    *plan
	split   *splitter // nil: all rows are of part 0
	bad     badRows
	threads int
	more    int // see scanner

	rows int64 // good rows
	sums []fileSum
}

// turns lets goroutines do something in the order of a sequence.
type turns struct {
	mu   sync.Mutex
	cond *sync.Cond
	next int64
	err  error
}

func newTurns() *turns {
	t := &turns{}
	t.cond = sync.NewCond(&t.mu)
	return t
}

// do waits for the turn of seq and runs f, unless an earlier turn or stop has set an error.
func (t *turns) do(seq int64, f func() error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.next != seq && t.err == nil {
		t.cond.Wait()
	}
	if t.err == nil {
		t.err = f()
	}
	t.next++
	t.cond.Broadcast()
	return t.err == nil
}

// stop makes every turn fail.
func (t *turns) stop(err error) {
	t.mu.Lock()
	if t.err == nil {
		t.err = err
	}
	t.cond.Broadcast()
	t.mu.Unlock()
}

// run scans files. Parsing and work are parallel; rows are numbered and emitted in order, so the result does not
// depend on the number of threads.
func (s *scan) run(ctx context.Context, files []string, to sink) error {
	threads := s.threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg      sync.WaitGroup
		blocks  = make(chan *block, threads)
		number  = newTurns()
		emit    = newTurns()
		reader  = &scanner{format: s.format, plan: s.plan, maxLine: s.plan.maxLine, more: s.more, free: make(chan []byte, 2*threads+2)}
		readErr error
	)
	wg.Go(func() {
		defer close(blocks)
		readErr = reader.run(ctx, files, func(b *block) error {
			select {
			case blocks <- b:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	for range threads {
		wg.Go(func() {
			c := &chunk{plan: s.plan}
			for b := range blocks {
				c.reset(b)
				s.parse(c)
				ok := number.do(b.seq, func() error { return s.number(c) })
				if ok {
					to.work(c)
					ok = emit.do(b.seq, func() error { return to.emit(c) })
				}
				if !ok {
					emit.stop(errStopped)
					number.stop(errStopped)
					cancel()
					return
				}
				if b.buf != nil {
					reader.recycle(b.buf)
				}
			}
		})
	}
	wg.Wait()
	s.sums = reader.sums
	for _, err := range []error{number.err, emit.err, readErr} {
		if err != nil && err != errStopped {
			return err
		}
	}
	return nil
}

// errStopped is what ends the other goroutines after an error.
var errStopped = errors.New("data: stopped")

// parse turns a block into rows.
func (s *scan) parse(c *chunk) {
	if c.tooLong {
		c.reject(c.line, "", "the row is longer than %d bytes (max_line); is a line end or a closing quote missing?", s.plan.maxLine)
		return
	}
	c.src.parser.parse(c)
}

// number gives the rows of c their numbers and parts.
func (s *scan) number(c *chunk) error {
	c.first = s.rows
	s.rows += int64(c.n)
	c.src.rows += int64(c.n)
	c.src.bad += c.nbad
	if err := s.bad.add(c.nbad, c.bad); err != nil {
		return err
	}
	c.part = grow(c.part, c.n)
	if s.split == nil {
		clear(c.part)
	} else if err := s.split.assign(c); err != nil {
		return err
	}
	if c.last && c.src.rows == 0 {
		if c.src.bad > 0 {
			return fmt.Errorf("data: %s: none of its %d rows can be read; the first: %s", c.src.path, c.src.bad, s.bad.first[0])
		}
		return fmt.Errorf("data: %s: has a header but no rows", c.src.path)
	}
	return nil
}
