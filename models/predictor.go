package models

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// rowSizes and textSizes are the batch sizes of a Predictor's programs. A batch is used for rows that fill more than half of it:
// fewer of them are scored sooner by smaller ones. A text is many rows of its own.
var (
	rowSizes  = []int{1, 32, 256}
	textSizes = []int{1, 8}
)

// Predictor gives logits to rows, from any number of goroutines at once: a pool of programs over one set of weights, which must not
// change any more. Programs are made when they are first needed and used again; as many of them run at once as there are processors,
// and other calls wait for their turn. The logits of a row have the same bits whatever the number of rows in a call, and are those
// of a [Program] over the same weights.
type Predictor struct {
	model  Model
	params *nn.Params
	schema *data.Schema
	fixed  ops.Constants
	sizes  []int
	width  int
	turns  chan struct{} // holds one for each call that runs

	compiling sync.Mutex  // graphs are built one after the other
	mu        sync.Mutex  // guards free
	free      [][]*worker // by size
}

// worker is a program and the batches that it runs over, one for each length of text. One goroutine uses it at a time.
type worker struct {
	prog    *Program
	size    int
	batches []*data.Batch // by the program's lengths
}

// NewPredictor returns a Predictor of m over the parameters p, all of which must be there, for rows of the schema sc. Close frees it.
func NewPredictor(m Model, p *nn.Params, sc *data.Schema) (*Predictor, error) {
	r := &Predictor{model: m, params: p, schema: sc, sizes: rowSizes, turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
	if sc.Text != nil {
		if r.sizes = textSizes; sc.Text.MaskRate > 0 {
			return nil, fmt.Errorf("models: predictor: the model predicts masked tokens, not something of a row")
		}
	}
	r.free = make([][]*worker, len(r.sizes))
	have := len(p.All())
	w, err := r.take(0)
	if err != nil {
		return nil, err
	}
	r.put(0, w)
	if all := p.All(); len(all) > have {
		return nil, errors.Join(fmt.Errorf("models: predictor: %d parameters of the model are missing, the first is %s", len(all)-have, all[have].Name), r.Close())
	}
	r.width = w.prog.cur.logits.Shape().TotalSize()
	return r, nil
}

// Width returns the number of logits of a row.
func (p *Predictor) Width() int { return p.width }

// Logits appends the logits of n rows to dst, [n, Width] row-major. encode writes row i of the call into row at of a batch, whose
// other rows it leaves alone and which is all padding before. Of text, length returns the number of tokens of row i; it is nil
// without text. Logits allocates nothing but what dst needs to grow, and what a first call of its size compiles.
func (p *Predictor) Logits(ctx context.Context, dst []float32, n int, length func(i int) int, encode func(b *data.Batch, at, i int) error) ([]float32, error) {
	select {
	case p.turns <- struct{}{}:
	default:
		select {
		case p.turns <- struct{}{}:
		case <-ctx.Done():
			return dst, ctx.Err()
		}
	}
	defer func() { <-p.turns }()
	dst = slices.Grow(dst, n*p.width)
	for i := 0; i < n; {
		if err := ctx.Err(); err != nil {
			return dst, err
		}
		kind := 0
		for k, size := range p.sizes {
			if n-i > size/2 {
				kind = k
			}
		}
		w, err := p.take(kind)
		if err != nil {
			return dst, err
		}
		rows := min(n-i, w.size)
		z, err := p.run(w, i, rows, length, encode)
		if err != nil {
			p.put(kind, w)
			return dst, err
		}
		dst = append(dst, z...)
		p.put(kind, w)
		i += rows
	}
	return dst, nil
}

// run returns the logits of rows i..i+n of a call, valid until the worker's next run.
func (p *Predictor) run(w *worker, i, n int, length func(i int) int, encode func(b *data.Batch, at, i int) error) ([]float32, error) {
	at := 0
	if w.prog.lengths[0] > 0 {
		longest := 0
		for k := range n {
			longest = max(longest, length(i+k))
		}
		if at, _ = slices.BinarySearch(w.prog.lengths, longest); at == len(w.prog.lengths) {
			return nil, fmt.Errorf("models: a text of %d tokens, the longest may have %d", longest, w.prog.lengths[at-1])
		}
	}
	b := w.batches[at]
	if b == nil {
		if b = data.NewBatch(p.schema, w.size); w.prog.lengths[at] > 0 {
			b = data.NewTokenBatch(p.schema, w.size, w.prog.lengths[at])
		}
		w.batches[at] = b
	}
	b.N = n
	defer p.clear(b, n)
	for k := range n {
		if err := encode(b, k, i+k); err != nil {
			return nil, err
		}
	}
	if w.prog.graphs[at] == nil {
		p.compiling.Lock()
		_, err := w.prog.pick(b)
		p.compiling.Unlock()
		if err != nil {
			return nil, err
		}
	}
	if _, err := w.prog.Run(b, 0); err != nil {
		return nil, err
	}
	return w.prog.Logits()[:n*p.width], nil
}

// clear makes the first n rows of a batch padding again.
func (p *Predictor) clear(b *data.Batch, n int) {
	for _, ids := range b.IDs {
		clear(ids[:n*(len(ids)/b.Size)])
	}
	clear(b.Dense[:n*p.schema.NumDense])
	if b.Tokens != nil {
		b.ClearText(p.schema.Text, 0)
	}
}

// take returns a worker of that kind that nobody uses, made if there is none.
func (p *Predictor) take(kind int) (*worker, error) {
	p.mu.Lock()
	if free := p.free[kind]; len(free) > 0 {
		w := free[len(free)-1]
		p.free[kind] = free[:len(free)-1]
		p.mu.Unlock()
		return w, nil
	}
	p.mu.Unlock()
	p.compiling.Lock()
	defer p.compiling.Unlock()
	size := p.sizes[kind]
	prog, err := Compile(p.model, p.params, p.schema, CompileOptions{Batch: size, Fixed: &p.fixed})
	if err != nil {
		return nil, err
	}
	return &worker{prog: prog, size: size, batches: make([]*data.Batch, len(prog.lengths))}, nil
}

func (p *Predictor) put(kind int, w *worker) {
	p.mu.Lock()
	p.free[kind] = append(p.free[kind], w)
	p.mu.Unlock()
}

// Close frees the programs, after the last call has returned. The Predictor must not be used any more.
func (p *Predictor) Close() error {
	var errs []error
	for kind, free := range p.free {
		for _, w := range free {
			errs = append(errs, w.prog.Close())
		}
		p.free[kind] = nil
	}
	return errors.Join(errs...)
}
