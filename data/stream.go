package data

import (
	"context"
	"fmt"
	"iter"
)

// Scorer is a Dataset that can read a file once, in order and without a cache, as to predict.
type Scorer interface {
	Dataset
	// Stream returns the rows of a file in its order, turned into ids and numbers by m. Unless the options want them,
	// labels may be missing: Batch.Label is 0 then. A row that cannot be read is an error whatever bad_rows says, since the n-th prediction
	// must be that of the n-th row. Rows is -1, and the source can be read any number of times.
	Stream(ctx context.Context, path string, m *FeatureMap, o StreamOptions) Source
}

// StreamOptions are what a command decides about a stream.
type StreamOptions struct {
	Threads int  // goroutines that parse; GOMAXPROCS if 0
	Labels  bool // every row must have a label, and a group if the data set has them: to evaluate, not to predict
}

// stream is the Source of Scorer.Stream.
type stream struct {
	ctx     context.Context
	builder *builder
	path    string
	m       *FeatureMap
	schema  *Schema
	labels  bool
	err     error // in the options
}

func (b *builder) stream(ctx context.Context, path string, m *FeatureMap, o StreamOptions) Source {
	s := &stream{ctx: ctx, builder: b, path: path, m: m, labels: o.Labels, err: m.check()}
	if s.err != nil {
		s.err = fmt.Errorf("data: feature map: %w", s.err)
		s.schema = &Schema{}
		return s
	}
	b.time, b.o.Threads = "", o.Threads
	if !o.Labels {
		b.group = ""
	}
	s.schema = m.Schema(b.group != "")
	return s
}

// Schema returns the features of the rows.
func (s *stream) Schema() *Schema { return s.schema }

// Rows returns -1: the rows are not counted before they are read.
func (s *stream) Rows() int64 { return -1 }

// rowStream is the sink that sends encoded rows to whoever makes batches of them.
type rowStream struct {
	*encoder
	ctx  context.Context
	out  chan []byte
	free chan []byte
}

func (w *rowStream) emit(c *chunk) error {
	var buf []byte
	select {
	case buf = <-w.free:
	default:
	}
	buf = append(buf[:0], c.enc[0]...)
	select {
	case w.out <- buf:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// Batches returns the rows in the order of the file, whatever the epoch.
func (s *stream) Batches(_, size int) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		err := s.err
		if err == nil && size <= 0 {
			err = fmt.Errorf("data: batches of %d rows, want a positive size", size)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		ctx, cancel := context.WithCancel(s.ctx)
		p := s.builder.plan(s.m.Features)
		p.unlabelled = !s.labels
		w := &rowStream{encoder: newEncoder(s.m, p), ctx: ctx, out: make(chan []byte, 2), free: make(chan []byte, 4)}
		go func() {
			defer close(w.out)
			sc := &scan{format: s.builder.format, plan: p, threads: s.builder.o.Threads}
			err = sc.run(ctx, []string{s.path}, w)
		}()
		defer func() {
			cancel()
			for range w.out {
			}
		}()
		b, n := NewBatch(s.schema, size), 0
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
		if n > 0 {
			b.N = n
			rec.pad(b, n)
			yield(b, nil)
		}
	}
}
