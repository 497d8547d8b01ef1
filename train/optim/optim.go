// Package optim holds optimizers with PyTorch's formulas and defaults. An optimizer is one file, which registers its name. It has
// three forms: over a dense gradient; over the rows of a table that a batch touched, which is called lazy; and over the whole table
// with the gradient of those rows only, which is what a dense optimizer does to an embedding.
package optim

import (
	"fmt"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Options is a `train.optimizer` section, whose keys are the fields of its type. The learning rate is not among them: it is
// train.learning_rate, as the schedule changes it.
type Options interface {
	New() *Optimizer
}

// Types holds the optimizers by their `type`.
var Types = registry.New[Options]("optimizer")

// rule is an optimizer's element-wise update.
type rule interface {
	// slots names the state tensors of a parameter, at most maxSlots, and the value each starts with.
	slots() ([]string, float32)
	// step prepares the constants of step t >= 1 at rate lr, for the lazy form or the dense ones.
	step(t int64, lr float64, lazy bool)
	// update changes w and the state s by the gradient g; decay is the decoupled weight decay, or 0.
	update(w, g []float32, s *slots, decay float64)
}

const (
	maxSlots = 3
	// block elements are updated at once; it is also the size of the scratch. 4 arrays of 16 KB fit the L1/L2 cache.
	block = 4096
	// chunks is the number of parts the work is split into: fixed, so that the bits do not depend on the threads.
	chunks = 64
	// gatherBelow is the row width under which rows are copied together for the update. A call per row costs more: at a width
	// of 16 about twice, as the copies wait for memory together and a call waits for its own row.
	gatherBelow = 64
)

// slots are the state arrays of a parameter, as long as it, or the parts of them an update works on.
type slots [maxSlots][]float32

// param is what an optimizer keeps for a parameter.
type param struct {
	s         slots
	l2, decay float64   // coupled and decoupled weight decay
	clipL2    float64   // the term of SetL2, which is scaled with the gradient
	rows      []float32 // factors of clipL2 by row; nil: 1
}

// Optimizer updates parameters in place. The state of a parameter is made at its first step, and nothing is allocated after it. One
// goroutine at a time may use an Optimizer. A call uses kernel.Threads threads, and its result does not depend on their number.
type Optimizer struct {
	kind      string // the registered name
	rule      rule
	names     []string // of the state tensors
	initial   float32
	l2, decay float64
	t         int64
	params    map[string]*param
	decays    func(name string) bool
	l2Of      func(name string) float64
	rowsOf    func(name string) []float32
	scale     float64 // of the gradients, clipL2 included

	job                  // what the closures below work on
	dense, sparse, table func(i int)
	scratch              [chunks]*scratch
	cur                  [chunks]slots // what each chunk\'s update works on: a local one would be allocated
}

// job is one call's work.
type job struct {
	p    *param
	w, g []float32
	ids  []int32
	dim  int
	n    int // parts: blocks of elements, or groups of rows
	per  int // rows of a group
}

// scratch is one chunk's workspace.
type scratch struct {
	g, w [block]float32
	s    [maxSlots][block]float32
}

// newOptimizer returns an optimizer with the weight decays l2 (added to the gradient) and decay (decoupled).
func newOptimizer(kind string, r rule, l2, decay float64) *Optimizer {
	o := &Optimizer{kind: kind, rule: r, l2: l2, decay: decay, params: map[string]*param{}, scale: 1}
	o.names, o.initial = r.slots()
	o.dense, o.sparse, o.table = o.denseChunk, o.sparseChunk, o.tableChunk
	return o
}

// SetDecay limits weight decay to the parameters for which f is true, for example to those that are not biases and norms. It must
// be called before the first step.
func (o *Optimizer) SetDecay(f func(name string) bool) { o.decays = f }

// SetL2 adds f(name)·w to the gradient of each parameter, besides the weight decay of the options. A lazy step adds it to its rows
// only. SetL2 must be called before the first step.
func (o *Optimizer) SetL2(f func(name string) float64) { o.l2Of = f }

// SetRowL2 makes the term of SetL2 of row i of a table f(name)[i] times as large, where f does not return nil. Such a table is updated
// by StepRows or StepTable alone. SetRowL2 must be called before the first step.
func (o *Optimizer) SetRowL2(f func(name string) []float32) { o.rowsOf = f }

// SetScale sets the factor of the gradients, the term of SetL2 included, in the steps that follow. Clipping by a global norm needs
// it. The factor is 1 at the start.
func (o *Optimizer) SetScale(factor float64) { o.scale = factor }

// Begin starts the next step: the step t, on which bias corrections depend, becomes t+1. It must be called once before the updates
// of a step.
func (o *Optimizer) Begin() { o.t++ }

// States returns how many values of state there are for each value of a parameter.
func (o *Optimizer) States() int { return len(o.names) }

// Steps returns the number of steps that have begun.
func (o *Optimizer) Steps() int64 { return o.t }

// Step updates w by its gradient grad, of the same length, at the learning rate lr.
func (o *Optimizer) Step(name string, w, grad []float32, lr float64) {
	if len(w) != len(grad) {
		panic(fmt.Sprintf("optim: step %s: %d weights, %d gradients", name, len(w), len(grad)))
	}
	o.start(name, w, lr, false)
	o.g = grad
	o.n = (len(w) + block - 1) / block
	kernel.Parallel(min(o.n, chunks), o.dense)
	o.count(len(w), len(grad))
	o.job = job{}
}

// StepRows updates the rows ids of the table w [rows, dim] by grad [len(ids), dim], and leaves the other rows and their state as
// they are. This is the lazy form of PyTorch's SparseAdam, whose bias correction goes by the steps of the whole run. The ids must be
// unique and ascending.
func (o *Optimizer) StepRows(name string, w []float32, dim int, ids []int32, grad []float32, lr float64) {
	o.startRows(name, w, dim, ids, grad, lr, true)
	o.per = max(1, block/dim)
	o.n = (len(ids) + o.per - 1) / o.per
	kernel.Parallel(min(o.n, chunks), o.sparse)
	o.count(len(grad), len(grad))
	o.job = job{}
}

// StepTable updates the whole table w [rows, dim] by a gradient that is grad [len(ids), dim] in the rows ids and zero in the others.
// The result has the same bits as that of Step with the gradient written out. The ids must be unique and ascending.
func (o *Optimizer) StepTable(name string, w []float32, dim int, ids []int32, grad []float32, lr float64) {
	o.startRows(name, w, dim, ids, grad, lr, false)
	o.n = (len(w) + block - 1) / block
	kernel.Parallel(min(o.n, chunks), o.table)
	o.count(len(w), len(grad))
	o.job = job{}
}

// count counts the bytes of an update: so many values and their state, read and written, and gradients, read.
func (o *Optimizer) count(values, grads int) {
	kernel.CountBytes(4 * (2*values*(1+len(o.names)) + grads))
}

func (o *Optimizer) startRows(name string, w []float32, dim int, ids []int32, grad []float32, lr float64, lazy bool) {
	if dim <= 0 || len(w)%dim != 0 || len(grad) != len(ids)*dim {
		panic(fmt.Sprintf("optim: step %s: %d weights and %d gradients are not rows of %d and %d of them",
			name, len(w), len(grad), dim, len(ids)))
	}
	last := int32(-1)
	for _, id := range ids {
		if id <= last || int(id) >= len(w)/dim {
			panic(fmt.Sprintf("optim: step %s: row %d after row %d of %d: not unique, ascending and in range",
				name, id, last, len(w)/dim))
		}
		last = id
	}
	o.start(name, w, lr, lazy)
	o.g, o.ids, o.dim = grad, ids, dim
}

// start finds or makes the parameter's state and sets the job.
func (o *Optimizer) start(name string, w []float32, lr float64, lazy bool) {
	if o.t == 0 {
		panic("optim: step " + name + ": before Begin")
	}
	p := o.params[name]
	if p == nil {
		p = o.add(name, len(w))
	}
	if len(o.names) > 0 && len(p.s[0]) != len(w) {
		panic(fmt.Sprintf("optim: step %s: %d weights, %d before", name, len(w), len(p.s[0])))
	}
	o.rule.step(o.t, lr, lazy)
	o.job = job{p: p, w: w}
}

// add makes the state of a parameter of n elements.
func (o *Optimizer) add(name string, n int) *param {
	p := &param{}
	for k := range o.names {
		p.s[k] = make([]float32, n)
		if o.initial != 0 {
			kernel.Fill(p.s[k], o.initial)
		}
	}
	o.decayOf(name, p)
	o.params[name] = p
	return p
}

// decayOf sets the weight decays of a parameter.
func (o *Optimizer) decayOf(name string, p *param) {
	if o.decays == nil || o.decays(name) {
		p.l2, p.decay = o.l2, o.decay
	}
	if o.l2Of != nil {
		p.clipL2 = o.l2Of(name)
	}
	if o.rowsOf != nil {
		p.rows = o.rowsOf(name)
	}
}

// part returns the parts [lo, hi) of chunk i.
func (o *Optimizer) part(i int) (lo, hi int) {
	c := min(o.n, chunks)
	return o.n * i / c, o.n * (i + 1) / c
}

// work returns the workspace of chunk i, which no other chunk uses.
func (o *Optimizer) work(i int) *scratch {
	if o.scratch[i] == nil {
		o.scratch[i] = new(scratch)
	}
	return o.scratch[i]
}

func (o *Optimizer) denseChunk(i int) {
	from, to := o.part(i)
	for b := from; b < to; b++ {
		lo, hi := b*block, min(len(o.w), (b+1)*block)
		o.cut(i, lo, hi)
		o.update(i, o.w[lo:hi], o.g[lo:hi])
	}
}

// cut makes the elements [lo, hi) of the state what chunk i's update works on.
func (o *Optimizer) cut(i, lo, hi int) {
	for k := range o.names {
		o.cur[i][k] = o.p.s[k][lo:hi]
	}
}

// l2Term is the factor of the weights in the gradient of the parameter in work.
func (o *Optimizer) l2Term() float64 { return o.p.l2 + o.scale*o.p.clipL2 }

// addRow scales the gradient g of a row, or of a part of it, into dst, and adds the coupled weight decay of the row.
func (o *Optimizer) addRow(dst, g, w []float32, row int) {
	kernel.Scale(dst, g, float32(o.scale))
	kernel.Axpy(dst, float32(o.p.l2+o.scale*o.p.clipL2*float64(o.p.rows[row])), w)
}

// update scales the gradient and adds the coupled weight decay, in the chunk's scratch so that the caller's gradient stays
// what it is, and calls the rule. There are at most block elements.
func (o *Optimizer) update(i int, w, g []float32) {
	if l2 := o.l2Term(); l2 != 0 || o.scale != 1 {
		t := o.work(i).g[:len(g)]
		kernel.Scale(t, g, float32(o.scale))
		if l2 != 0 {
			kernel.Axpy(t, float32(l2), w)
		}
		g = t
	}
	o.rule.update(w, g, &o.cur[i], o.p.decay)
}
