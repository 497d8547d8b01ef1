package table

import (
	"context"
	"iter"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/data/internal/scan"
)

// passSink is the sink that sends the cells of rows to whoever asks for them.
type passSink struct {
	ctx  context.Context
	out  chan passed
	free chan passed
}

// passed is the cells of some rows, one after the other.
type passed struct {
	text []byte
	ends []int
}

// Work does nothing.
func (*passSink) Work(*scan.Chunk) {}

// Emit sends the cells of a chunk.
func (s *passSink) Emit(c *scan.Chunk) error {
	var p passed
	select {
	case p = <-s.free:
	default:
	}
	p.text, p.ends = p.text[:0], p.ends[:0]
	for r := range c.N {
		for i := range c.Plan.Columns {
			p.text = append(p.text, c.Cell(r, c.Plan.Columns[i].At)...)
			p.ends = append(p.ends, len(p.text))
		}
	}
	select {
	case s.out <- p:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// Pass returns the cells of columns of a file, as texts.
func (t *Data) Pass(ctx context.Context, path string, columns []string, o data.StreamOptions) iter.Seq2[[][]byte, error] {
	return func(yield func([][]byte, error) bool) {
		p := &scan.Plan{MaxLine: t.MaxLine, Unlabelled: true, Left: func(string, []string) {}}
		for _, name := range columns {
			p.Add(scan.PlanColumn{Name: name})
		}
		ctx, cancel := context.WithCancel(ctx)
		s := &passSink{ctx: ctx, out: make(chan passed, 2), free: make(chan passed, 4)}
		var err error
		go func() {
			defer close(s.out)
			sc := &scan.Pass{Format: t.Format, Plan: p, Threads: o.Threads, Unsummed: true}
			err = crash.Guard(func() error { return sc.Run(ctx, []string{path}, s) })
		}()
		defer func() {
			cancel()
			for range s.out {
			}
		}()
		row := make([][]byte, len(columns))
		for p := range s.out {
			lo := 0
			for ends := range slices.Chunk(p.ends, len(columns)) {
				for i, hi := range ends {
					row[i], lo = p.text[lo:hi:hi], hi
				}
				if !yield(row, nil) {
					return
				}
			}
			select {
			case s.free <- p:
			default:
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}
