package models

import (
	"errors"
	"fmt"
	"sync"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// blocks score a batch in blocks of rows: each thread takes a block through the whole model, while what it computes is in its caches and without
// waiting for the others after each layer. All share one copy of the weights as products read them. A row has the bits that it has
// in the program of the whole batch.
type blocks struct {
	batch, rows int // of a batch, and of a block
	schema      *data.Schema
	compile     func() (*Program, error)
	fixed       ops.Constants
	of          int         // logits of a row
	logits      []float32   // [batch, of]
	whole       *data.Batch // that is scored
	step        int64       // of the run
	fail        []error     // by block
	task        func(i int) // scores a block; made once
	all         []*blockOf  // made so far
	mu          sync.Mutex  // guards free
	free        []*blockOf
}

// blockOf is a program for a block and the rows of a batch that it runs over.
type blockOf struct {
	prog *Program
	rows data.Batch
}

const (
	leastBlock = 140 // rows from which on packing rows of weights again and again is not seen
	mostBlock  = 300 // rows whose activations still are in the second-level cache for towers of usual widths
)

// blockRows returns the rows of the blocks of a batch: a multiple of what kernels take at once, with which the threads, each
// taking as many blocks, compute the fewest rows. It is 0 for a batch that is about a block.
func blockRows(batch, threads int) int {
	step := 14 // rows of the widest micro-kernel
	if kernel.Path() == "amx" {
		step = 32
	}
	if batch <= mostBlock {
		return 0
	}
	best, least := 0, 0
	for rows := (leastBlock + step - 1) / step * step; rows <= mostBlock; rows += step {
		n := (batch + rows - 1) / rows
		cost := (n + threads - 1) / threads * threads * rows
		if best == 0 || cost <= least {
			best, least = rows, cost
		}
	}
	return best
}

// inBlocks reports whether a model over rows of the schema can be scored in blocks: where a graph takes rows one by one, and its weights
// are leaves, which are prepared once.
func (o *CompileOptions) inBlocks(sc *data.Schema) bool {
	if !o.Blocks || o.Train || o.Loss != nil || o.Tape || o.Capture != nil || o.Reparam != nil || o.Derive != nil || sc.Text != nil {
		return false
	}
	for _, f := range sc.Features {
		if f.Kind == data.Sequence {
			return false
		}
	}
	return true
}

// newBlocks returns blocks for the program of a model, or nil if its batches are too small.
func newBlocks(m Model, p *nn.Params, sc *data.Schema, o CompileOptions) (*blocks, error) {
	rows := blockRows(o.Batch, kernel.Threads())
	if rows == 0 {
		return nil, nil
	}
	b := &blocks{batch: o.Batch, rows: rows, schema: sc, fail: make([]error, (o.Batch+rows-1)/rows)}
	o.Batch, o.Blocks, o.Fixed = rows, false, &b.fixed
	b.compile = func() (*Program, error) { return Compile(m, p, sc, o) }
	if err := b.grow(1); err != nil {
		return nil, err
	}
	b.of = len(b.all[0].prog.Logits()) / rows
	b.logits = make([]float32, b.batch*b.of)
	b.task = func(i int) { b.fail[i] = b.score(i) }
	return b, nil
}

// grow makes programs until there are n.
func (b *blocks) grow(n int) error {
	for len(b.all) < n {
		prog, err := b.compile()
		if err != nil {
			return err
		}
		w := &blockOf{prog: prog, rows: data.Batch{IDs: map[string][]int32{}}}
		b.all, b.free = append(b.all, w), append(b.free, w)
	}
	return nil
}

// run scores a batch.
func (b *blocks) run(whole *data.Batch, step int64) error {
	if whole.N < 1 || whole.N > b.batch {
		return fmt.Errorf("models: batch of %d rows, want 1 to %d", whole.N, b.batch)
	}
	if err := b.room(whole); err != nil {
		return err
	}
	n := (whole.N + b.rows - 1) / b.rows
	if err := b.grow(min(n, kernel.Threads())); err != nil {
		return err
	}
	b.whole, b.step = whole, step
	kernel.Parallel(n, b.task)
	b.whole = nil
	for _, err := range b.fail[:n] {
		if err != nil {
			return err
		}
	}
	return nil
}

// score scores block i. The last one begins earlier, so as to be as long as the others; what it computes again is left out.
func (b *blocks) score(i int) error {
	w, err := b.take()
	if err != nil {
		return err
	}
	defer b.give(w)
	from := i * b.rows
	first := min(from, b.batch-b.rows)
	b.view(&w.rows, first)
	if _, err := w.prog.Run(&w.rows, b.step); err != nil {
		var row *embed.RowError
		if errors.As(err, &row) {
			row.Row += first
		}
		return err
	}
	copy(b.logits[from*b.of:min(from+b.rows, b.batch)*b.of], w.prog.Logits()[(from-first)*b.of:])
	return nil
}

// room checks that the batch's slices have as many rows as the program.
func (b *blocks) room(whole *data.Batch) error {
	if len(whole.Dense) < b.batch*b.schema.NumDense {
		return fmt.Errorf("models: batch has %d numeric values, want %d", len(whole.Dense), b.batch*b.schema.NumDense)
	}
	for i := range b.schema.Features {
		f := &b.schema.Features[i]
		if want := b.batch * width(f); f.Kind != data.Numeric && len(whole.IDs[f.Name]) < want {
			return fmt.Errorf("models: feature %s: batch has %d ids, want %d", f.Name, len(whole.IDs[f.Name]), want)
		}
	}
	return nil
}

// view makes to the rows of a block, those from first on.
func (b *blocks) view(to *data.Batch, first int) {
	from := b.whole
	to.Size = b.rows
	to.N = min(b.rows, max(1, from.N-first))
	for i := range b.schema.Features {
		f := &b.schema.Features[i]
		if f.Kind != data.Numeric {
			n := width(f)
			to.IDs[f.Name] = from.IDs[f.Name][first*n : (first+b.rows)*n]
		}
	}
	n := b.schema.NumDense
	to.Dense = from.Dense[first*n : (first+b.rows)*n]
}

// width returns the ids of a row of a feature.
func width(f *data.Feature) int {
	if f.Kind.Lists() {
		return f.MaxLen
	}
	return 1
}

// take returns a program that no other block uses.
func (b *blocks) take() (*blockOf, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.free)
	if n == 0 {
		return nil, fmt.Errorf("models: more blocks at once than threads")
	}
	w := b.free[n-1]
	b.free = b.free[:n-1]
	return w, nil
}

func (b *blocks) give(w *blockOf) {
	b.mu.Lock()
	b.free = append(b.free, w)
	b.mu.Unlock()
}

// close frees the programs.
func (b *blocks) close() error {
	var errs []error
	for _, w := range b.all {
		errs = append(errs, w.prog.Close())
	}
	return bound.Join(errs...)
}
