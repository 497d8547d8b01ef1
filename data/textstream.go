package data

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/splice-ml/splice/data/rng"
)

// textStream is the Source of texts of Scorer.Stream: the rows of a file in its order, in batches whose sequences have the length
// of the smallest bucket that holds them all.
type textStream struct {
	ctx     context.Context
	builder *builder
	path    string
	m       *FeatureMap
	schema  *Schema
	labels  bool
	err     error // in the options
}

// streamText returns the rows of a file.
func (b *builder) streamText(ctx context.Context, path string, m *FeatureMap, o StreamOptions) Source {
	s := &textStream{ctx: ctx, builder: b, path: path, m: m, labels: o.Labels, schema: &Schema{}}
	b.o.Threads = o.Threads
	if s.err = b.checkMap(m); s.err == nil {
		s.schema = m.Schema(false)
	}
	return s
}

// Schema returns the schema, which has text.
func (s *textStream) Schema() *Schema { return s.schema }

// Rows returns -1: the rows are not counted before they are read.
func (s *textStream) Rows() int64 { return -1 }

// textSender is the sink that sends the records of a chunk to whoever makes batches of them.
type textSender struct {
	*textEncoder
	ctx context.Context
	out chan [][]byte
}

func (w *textSender) emit(c *chunk) error {
	var list [][]byte
	err := w.rows(c, func(_ int, rec []byte) error {
		list = append(list, slices.Clone(rec))
		return nil
	})
	if err != nil {
		return err
	}
	return w.send(list)
}

func (w *textSender) send(list [][]byte) error {
	select {
	case w.out <- list:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// run reads the file and closes w.out.
func (s *textStream) run(w *textSender, format *textFormat) error {
	defer close(w.out)
	p := textPlan(s.builder.MaxLine)
	p.unlabelled = !s.labels
	sc := &scan{format: format, plan: p, threads: s.builder.o.Threads}
	if err := sc.run(w.ctx, []string{s.path}, w); err != nil {
		return err
	}
	var last [][]byte
	err := w.finish(func(_ int, rec []byte) error {
		last = append(last, rec)
		return nil
	})
	if err != nil || last == nil {
		return err
	}
	return w.send(last)
}

// Batches returns the rows in the order of the file, whatever the epoch.
func (s *textStream) Batches(_, size int) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		err := s.err
		if err == nil && size <= 0 {
			err = fmt.Errorf("data: batches of %d rows, want a positive size", size)
		}
		var format *textFormat
		if err == nil {
			format, err = s.builder.text.format([]string{s.path})
		}
		var enc *textEncoder
		if err == nil {
			enc, err = newTextEncoder(s.builder.text, s.m.Text)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		ctx, cancel := context.WithCancel(s.ctx)
		w := &textSender{textEncoder: enc, ctx: ctx, out: make(chan [][]byte, 2)}
		done := make(chan error, 1)
		go func() { done <- s.run(w, format.withLabels(s.m.Text)) }()
		defer func() {
			cancel()
			for range w.out {
			}
		}()
		b := newStreamBatch(s, size)
		for list := range w.out {
			for _, rec := range list {
				if b.rows = append(b.rows, rec); len(b.rows) == size && !b.send(yield) {
					return
				}
			}
		}
		if err := <-done; err != nil {
			yield(nil, err)
			return
		}
		if len(b.rows) > 0 {
			b.send(yield)
		}
	}
}

// streamBatch gathers the records of a batch.
type streamBatch struct {
	*Batch
	schema *Text
	mask   *masker
	rows   [][]byte
	width  int
	ids    []int32
	next   int64 // row of the file
}

func newStreamBatch(s *textStream, size int) *streamBatch {
	b := &streamBatch{Batch: NewTokenBatch(s.schema, size, s.schema.Text.MaxLen()), schema: s.schema.Text, width: idWidth(s.m.Text.Vocab)}
	if s.m.Text.MaskRate > 0 {
		b.mask = newMasker(s.m.Text)
	}
	return b
}

// send yields the rows as a batch.
func (b *streamBatch) send(yield func(*Batch, error) bool) bool {
	longest := 0
	for _, rec := range b.rows {
		longest = max(longest, (len(rec)-textHead)/b.width)
	}
	b.resize(b.schema, longest)
	for i, rec := range b.rows {
		b.ids = appendIDs(b.ids[:0], rec, b.width)
		if err := b.setText(b.schema, i, rec, b.ids); err != nil {
			yield(nil, fmt.Errorf("data: row %d: %w", b.next, err))
			return false
		}
		if b.mask != nil {
			b.mask.row(b.Batch, i, rng.Key(0, "mask", b.next))
		}
		b.Row[i] = b.next
		b.next++
	}
	b.N = len(b.rows)
	clear(b.Label[b.N:])
	clear(b.Row[b.N:])
	b.ClearText(b.schema, b.N)
	b.rows = b.rows[:0]
	return yield(b.Batch, nil)
}
