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
	"github.com/splice-ml/splice/models/ops/kernel"
)

// size is a batch size of a Predictor's programs, used for more rows than above: smaller batches score fewer rows sooner.
type size struct{ rows, above int }

// rowSizes are multiples of the 14 rows that the widest micro-kernel takes at once; two rows in a batch of 14 take about as long as alone. The
// sizes for text are small since a text is many rows of a matrix over tokens.
var (
	rowSizes  = []size{{1, 0}, {14, 1}, {28, 14}, {252, 126}}
	textSizes = []size{{1, 0}, {8, 4}}
)

// Predictor is a pool of programs that computes the logits of rows, for any number of goroutines at once. All programs share one
// set of weights, which must not change any more. A program is made when it is first needed, and kept. As many programs run at
// once as there are processors; other calls wait for their turn. The logits of a row have the same bits whatever the number of
// rows in a call, and the bits of a [Program] over the same weights.
type Predictor struct {
	model     Model
	params    *nn.Params
	schema    *data.Schema
	fixed     ops.Constants
	sizes     []size
	width     int
	precision kernel.Precision
	turns     chan struct{} // holds one for each call that runs

	compiling sync.Mutex  // graphs are built one after the other
	mu        sync.Mutex  // guards free
	free      [][]*worker // by size
}

// worker is a program and the batch that it runs over. One goroutine uses it at a time.
type worker struct {
	prog  *Program
	batch *data.Batch // for text it is made for the longest sequences
}

// NewPredictor returns a Predictor of m over the parameters p for rows of the schema sc. A parameter that p lacks is an error, and
// so is a model that predicts masked tokens. Products have the precision pr. Close frees the Predictor.
func NewPredictor(m Model, p *nn.Params, sc *data.Schema, pr kernel.Precision) (*Predictor, error) {
	r := &Predictor{model: m, params: p, schema: sc, precision: pr, sizes: rowSizes, turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
	if sc.Text != nil {
		r.sizes = textSizes
		if sc.Text.MaskRate > 0 {
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
		err := fmt.Errorf("models: predictor: %d parameters of the model are missing, the first is %s", len(all)-have, all[have].Name)
		return nil, errors.Join(err, r.Close())
	}
	r.width = w.prog.last.logits.Shape().TotalSize()
	return r, nil
}

// Width returns the number of logits of a row.
func (p *Predictor) Width() int { return p.width }

// Logits appends the logits of n rows to dst, [n, Width] row-major. encode writes n rows of the call, those from row i on, into a
// batch that has room for them, as a [data.RowEncoder] does: with padding behind them, and for text with the length that they need.
// An error of encode, and the end of ctx, end the call. Logits allocates nothing but what dst needs to grow, and what the first
// call of its size compiles.
func (p *Predictor) Logits(ctx context.Context, dst []float32, n int, encode func(b *data.Batch, i, n int) error) ([]float32, error) {
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
			if n-i > size.above {
				kind = k
			}
		}
		w, err := p.take(kind)
		if err != nil {
			return dst, err
		}
		rows := min(n-i, w.batch.Size)
		z, err := p.run(w, i, rows, encode)
		dst = append(dst, z...)
		p.put(kind, w)
		if err != nil {
			return dst, err
		}
		i += rows
	}
	return dst, nil
}

// run returns the logits of n rows of a call, those from row i on, valid until the worker's next run.
func (p *Predictor) run(w *worker, i, n int, encode func(b *data.Batch, i, n int) error) ([]float32, error) {
	if err := encode(w.batch, i, n); err != nil {
		return nil, err
	}
	if w.batch.N != n {
		return nil, fmt.Errorf("models: predictor: %d rows were encoded, want %d", w.batch.N, n)
	}
	if !w.prog.compiled(w.batch) {
		if err := p.compile(w); err != nil {
			return nil, err
		}
	}
	if _, err := w.prog.Run(w.batch, 0); err != nil {
		return nil, err
	}
	return w.prog.Logits()[:n*p.width], nil
}

// compile compiles the worker's program for its batch.
func (p *Predictor) compile(w *worker) error {
	p.compiling.Lock()
	defer p.compiling.Unlock()
	_, err := w.prog.pick(w.batch)
	return err
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
	size := p.sizes[kind].rows
	prog, err := Compile(p.model, p.params, p.schema, CompileOptions{Batch: size, Fixed: &p.fixed, Precision: p.precision})
	if err != nil {
		return nil, err
	}
	if p.schema.Text != nil {
		return &worker{prog, data.NewTokenBatch(p.schema, size, p.schema.Text.MaxLen())}, nil
	}
	return &worker{prog, data.NewBatch(p.schema, size)}, nil
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
