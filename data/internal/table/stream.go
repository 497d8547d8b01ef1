package table

import (
	"context"
	"fmt"
	"iter"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/data/internal/parts"
	"github.com/splice-ml/splice/data/internal/scan"
)

// stream is the Source of Dataset.Stream.
type stream struct {
	ctx     context.Context
	table   Data
	path    string
	m       *data.FeatureMap
	schema  *data.Schema
	options data.StreamOptions
	err     error // in the options
}

// Stream returns the rows of a file.
func (t *Data) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	s := &stream{ctx: ctx, table: *t, path: path, m: m, options: o, err: m.Check()}
	if s.err != nil {
		s.err = fmt.Errorf("data: feature map: %w", s.err)
		s.schema = &data.Schema{}
		return s
	}
	s.options.Log = parts.Logger(o.Log)
	s.table.Time = ""
	if !o.Labels {
		s.table.Group, s.table.Weight = "", ""
	}
	s.schema = s.table.Schema(m)
	return s
}

// Schema returns the features of the rows.
func (s *stream) Schema() *data.Schema { return s.schema }

// Rows returns -1: the rows are not counted before they are read.
func (s *stream) Rows() int64 { return -1 }

// rowStream is the sink that sends encoded rows to whoever makes batches of them.
type rowStream struct {
	*encoder
	ctx  context.Context
	out  chan []byte
	free chan []byte
}

// Emit sends the rows of a chunk.
func (w *rowStream) Emit(c *scan.Chunk) error {
	var buf []byte
	select {
	case buf = <-w.free:
	default:
	}
	buf = append(buf[:0], c.Enc[0]...)
	select {
	case w.out <- buf:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// Batches returns the rows in the order of the file, whatever the epoch.
func (s *stream) Batches(_, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		err := s.err
		if err == nil && size <= 0 {
			err = fmt.Errorf("data: batches of %d rows, want a positive size", size)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		ctx, cancel := context.WithCancel(s.ctx)
		p := s.table.plan(s.m.Features)
		p.Unlabelled = !s.options.Labels
		p.Left = func(file string, columns []string) {
			s.options.Log.Warn("data: columns that the data section does not declare are left out", "columns", bound.Names(columns), "in", file)
		}
		w := &rowStream{encoder: newEncoder(s.m, p, s.table.Labels), ctx: ctx, out: make(chan []byte, 2), free: make(chan []byte, 4)}
		go func() {
			defer close(w.out)
			sc := &scan.Pass{Format: s.table.Format, Plan: p, Threads: s.options.Threads, Unsummed: true}
			err = crash.Guard(func() error { return sc.Run(ctx, []string{s.path}, w) })
		}()
		defer func() {
			cancel()
			for range w.out {
			}
		}()
		b, n := data.NewBatch(s.schema, size), 0
		rec := w.rec
		for buf := range w.out {
			for rows := buf; len(rows) > 0; {
				k := min(size-n, len(rows)/rec.size)
				rec.decode(b, n, rows[:k*rec.size])
				rows = rows[k*rec.size:]
				if n += k; n == size {
					b.N, n = n, 0
					if !yield(b, nil) {
						return
					}
				}
			}
			select {
			case w.free <- buf:
			default:
			}
		}
		if err != nil {
			yield(nil, err)
			return
		}
		warnUnknown(s.options.Log, s.path, w.unknown(data.TrainPart))
		if n > 0 {
			b.N = n
			rec.pad(b, n)
			yield(b, nil)
		}
	}
}
