package scan

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/crash"
)

// Sink does something with the rows of a scan.
type Sink interface {
	// Work is called on many goroutines at once.
	Work(c *Chunk)
	// Emit is called for one chunk after the other, in the order of the files.
	Emit(c *Chunk) error
}

// Pass parses files and hands their rows to a sink.
type Pass struct {
	Format  Format
	Plan    *Plan
	split   *splitter // nil if all rows are of part 0
	Bad     BadRows
	Threads int
	MaxRows int64       // rows after the first so many are left out; 0: none are
	full    atomic.Bool // the rows are so many: what follows need not be parsed
	more    int         // see scanner
	// Unsummed leaves out the checksums of files whose columns lie apart, so that columns that nobody needs are not read.
	Unsummed bool

	word Sighting // the label that is not the positive word

	Rows int64 // good rows
	Sums []FileSum
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

// Run scans files. Parsing and work are parallel; rows are numbered and emitted in order, so the result does not
// depend on the number of threads.
func (s *Pass) Run(ctx context.Context, files []string, to Sink) error {
	threads := s.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg      sync.WaitGroup
		blocks  = make(chan *Block, threads)
		number  = newTurns()
		emit    = newTurns()
		reader  = &Scanner{Format: s.Format, Plan: s.Plan, MaxLine: s.Plan.MaxLine, More: s.more, Free: make(chan []byte, 2*threads+2), unsummed: s.Unsummed}
		readErr error
	)
	wg.Go(func() {
		defer close(blocks)
		readErr = crash.Guard(func() error {
			return reader.run(ctx, files, func(b *Block) error {
				select {
				case blocks <- b:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		})
	})
	for range threads {
		wg.Go(func() {
			c := &Chunk{Plan: s.Plan}
			for b := range blocks {
				err := crash.Guard(func() error {
					c.Reset(b)
					s.Parse(c)
					if !number.do(b.Seq, func() error { return s.Number(c) }) {
						return errStopped
					}
					to.Work(c)
					if !emit.do(b.Seq, func() error { return to.Emit(c) }) {
						return errStopped
					}
					return nil
				})
				if err != nil {
					emit.stop(err)
					number.stop(err)
					cancel()
					return
				}
				if b.Buf != nil {
					reader.Recycle(b.Buf)
				}
			}
		})
	}
	wg.Wait()
	reader.closeAll()
	s.Sums = reader.sums
	for _, err := range []error{number.err, emit.err, readErr} {
		if err != nil && err != errStopped {
			return err
		}
	}
	return nil
}

// errStopped is what ends the other goroutines after an error.
var errStopped = errors.New("data: stopped")

// Parse turns a block into rows.
func (s *Pass) Parse(c *Chunk) {
	if c.tooLong {
		c.Reject(c.Line, "", "the row is longer than %d bytes (max_line); is a line end or a closing quote missing?", s.Plan.MaxLine)
		return
	}
	if !s.full.Load() || c.Block.Rows.Rows > 0 { // of files whose columns lie apart, blocks are read in turn
		c.Src.Parser.Parse(c)
	}
	if err := c.Src.release(); err != nil && c.Fault == nil {
		c.Fault = fmt.Errorf("data: %w", err)
	}
}

// Number gives the rows of c their numbers and parts.
func (s *Pass) Number(c *Chunk) error {
	if c.Fault != nil {
		return c.Fault
	}
	if s.MaxRows > 0 && s.Rows+int64(c.N) >= s.MaxRows {
		if s.full.Load() { // by how far the threads were, c may have been parsed
			c.Reset(c.Block)
		}
		c.keep(int(s.MaxRows - s.Rows))
		s.full.Store(true)
	}
	c.first = s.Rows
	s.Rows += int64(c.N)
	c.Src.rows += int64(c.N)
	c.Src.bad += c.Nbad
	if err := s.Bad.Add(c.Nbad, c.Bad); err != nil {
		return err
	}
	if w := s.word.another(c.Words); w != nil {
		return &data.RowError{File: w.File, Line: w.Line, InRows: w.rows, Msg: fmt.Sprintf(
			"label %s, but %s (%s) is not the positive one either; want two words, one of them that of positive, or 0 and 1 without positive",
			w.Cell, s.word.Cell, s.word.where())}
	}
	c.Part = Grow(c.Part, c.N)
	if s.split == nil {
		clear(c.Part)
	} else if err := s.split.assign(c); err != nil {
		return err
	}
	if c.last && c.Src.rows == 0 && !(s.full.Load() && c.Src.bad == 0) {
		if c.Src.bad > 0 {
			return fmt.Errorf("data: %s: none of its %d rows can be read; the first: %s", c.Src.Path, c.Src.bad, s.Bad.First[0])
		}
		return fmt.Errorf("data: %s: has a header but no rows", c.Src.Path)
	}
	return nil
}

// InOrder calls work for each of n things, on several goroutines, each of which a worker makes the two functions for. After work, then
// is called for one thing after the other, in order.
func InOrder(ctx context.Context, threads, n int, worker func() (work func(i int) error, then func() error)) error {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	var (
		wg   sync.WaitGroup
		next atomic.Int64
		turn = newTurns()
	)
	for range min(threads, n) {
		wg.Go(func() {
			work, then := worker()
			for {
				i := next.Add(1) - 1
				if i >= int64(n) {
					return
				}
				err := crash.Guard(func() error {
					if err := ctx.Err(); err != nil {
						return err
					}
					if err := work(int(i)); err != nil {
						return err
					}
					if !turn.do(i, then) {
						return errStopped
					}
					return nil
				})
				if err != nil {
					turn.stop(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return turn.err
}
