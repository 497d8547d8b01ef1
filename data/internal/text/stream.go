package text

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/rng"
)

// stream is the Source of texts of Dataset.Stream: the rows of a file in its order, in batches whose sequences have the length
// of the smallest bucket that holds them all.
type stream struct {
	ctx     context.Context
	texts   *Data
	path    string
	m       *data.FeatureMap
	schema  *data.Schema
	options data.StreamOptions
	err     error // in the options
}

// Stream returns the rows of a file.
func (t *Data) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	s := &stream{ctx: ctx, texts: t, path: path, m: m, options: o, schema: &data.Schema{}}
	if s.err = t.CheckMap(m); s.err == nil {
		s.schema = t.Schema(m)
	}
	return s
}

// Schema returns the schema, which has text.
func (s *stream) Schema() *data.Schema { return s.schema }

// Rows returns -1: the rows are not counted before they are read.
func (s *stream) Rows() int64 { return -1 }

// sender is the sink that sends the records of a chunk to whoever makes batches of them.
type sender struct {
	*encoder
	ctx context.Context
	out chan [][]byte
}

// Emit sends the records of a chunk.
func (w *sender) Emit(c *scan.Chunk) error {
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

func (w *sender) send(list [][]byte) error {
	select {
	case w.out <- list:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// run reads the file and closes w.out.
func (s *stream) run(w *sender, format *format) error {
	defer close(w.out)
	p := newPlan(s.texts.MaxLine)
	p.Unlabelled = !s.options.Labels
	sc := &scan.Pass{Format: format, Plan: p, Threads: s.options.Threads}
	if err := sc.Run(w.ctx, []string{s.path}, w); err != nil {
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
func (s *stream) Batches(_, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		err := s.err
		if err == nil && size <= 0 {
			err = fmt.Errorf("data: batches of %d rows, want a positive size", size)
		}
		var format *format
		if err == nil {
			format, err = s.texts.spec.format([]string{s.path})
		}
		var enc *encoder
		if err == nil {
			enc, err = newEncoder(s.texts.spec, s.m.Text)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		ctx, cancel := context.WithCancel(s.ctx)
		w := &sender{encoder: enc, ctx: ctx, out: make(chan [][]byte, 2)}
		done := make(chan error, 1)
		go func() {
			done <- crash.Guard(func() error { return s.run(w, format.withLabels(s.m.Text)) })
		}()
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
	*data.Batch
	schema *data.Text
	mask   *masker
	rows   [][]byte
	width  int
	ids    []int32
	next   int64 // row of the file
}

func newStreamBatch(s *stream, size int) *streamBatch {
	b := &streamBatch{Batch: data.NewTokenBatch(s.schema, size, s.schema.Text.MaxLen()), schema: s.schema.Text, width: idWidth(s.m.Text.Vocab)}
	if s.m.Text.MaskRate > 0 {
		b.mask = newMasker(s.m.Text)
	}
	return b
}

// send yields the rows as a batch.
func (b *streamBatch) send(yield func(*data.Batch, error) bool) bool {
	longest := 0
	for _, rec := range b.rows {
		longest = max(longest, (len(rec)-recordHead)/b.width)
	}
	b.Resize(b.schema, longest)
	for i, rec := range b.rows {
		b.ids = appendIDs(b.ids[:0], rec, b.width)
		if err := setText(b.Batch, b.schema, i, rec, b.ids); err != nil {
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
