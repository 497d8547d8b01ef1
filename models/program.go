package models

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// LossFunc returns the scalar loss of a batch's logits, the mean over its live rows.
type LossFunc func(s *nn.Scope, logits *G.Node, in *Inputs) *G.Node

// CompileOptions say what a Program is for.
type CompileOptions struct {
	Batch   int               // rows of a batch; smaller batches are padded
	Train   bool              // training mode; with a Loss also its gradients
	Seed    uint64            // of dropout's masks
	Loss    LossFunc          // nil: logits alone
	Reparam nn.Reparam        // nil: none
	Derive  nn.Derive         // nil: none
	Freeze  func(string) bool // parameters that take no gradient, by full name; nil: none
	Capture nn.Capture        // sees the inputs of linear maps; nil: none
	Tape    bool              // run on Gorgonia's tape machine, as graphs with ops of others are: slower, the same bits
	Fixed   *ops.Constants    // what programs over the same weights share, which do not change any more once one has run; nil: they may change
	Length  int               // positions of a sequence of text, to which shorter batches are padded; 0: a graph for each bucket of the data
}

// Program runs a model over batches of one number of rows. Over text it has a graph for each length of sequences, made when
// the first batch of that length comes. Several programs may share one nn.Params; a Program is not safe for concurrent use.
// Close frees it.
type Program struct {
	model   Model
	params  *nn.Params
	schema  *data.Schema
	o       CompileOptions
	lengths []int // of sequences, ascending; one 0 if it does not matter
	graphs  []*graph
	cur     *graph    // of the last run
	arena   ops.Arena // the graphs' buffers
}

// graph is one graph of a program and what runs it.
type graph struct {
	batch   int
	seq     *ops.Sequence // nil: the tape machine runs it
	vm      G.VM          // nil: the sequence does
	plan    *embed.Plan
	in      *Inputs
	logits  *G.Node
	loss    *G.Node
	rows    ops.Rows
	step    ops.Step
	grads   []Grad  // of the graph's leaves, then of the lookups' dense parameters
	nodes   G.Nodes // gradient nodes of the graph's leaves
	eNodes  G.Nodes // gradient nodes of the lookups' leaves; nil where all of a lookup is frozen
	eGrads  [][]float32
	rGrads  []RowGrad
	trained []*nn.Param
	stats   []*ops.BatchStats
	nn      *nn.Graph
}

// Grad is the gradient of a whole parameter, valid until the next Run.
type Grad = embed.Grad

// RowGrad is the gradient of the rows of a table that the batch touched, valid until the next Run. IDs are distinct and
// ascending.
type RowGrad = embed.RowGrad

// TableUse is a trained table and the features that look its rows up.
type TableUse = embed.TableUse

// Compile builds m's graph over the parameters of p, which are made if they are not there. A parameter that is there with
// another shape is an error that names it.
func Compile(m Model, p *nn.Params, sc *data.Schema, o CompileOptions) (*Program, error) {
	if o.Batch < 1 {
		return nil, fmt.Errorf("models: compile: batch of %d rows", o.Batch)
	}
	lengths, err := lengthsOf(sc, o.Length)
	if err != nil {
		return nil, fmt.Errorf("models: compile: %w", err)
	}
	r := &Program{model: m, params: p, schema: sc, o: o, lengths: lengths, arena: ops.Arena{Constants: o.Fixed}}
	r.graphs = make([]*graph, len(r.lengths))
	last := len(r.lengths) - 1 // the longest one first: the others borrow its buffers
	g, err := r.compile(r.lengths[last])
	if err != nil {
		return nil, fmt.Errorf("models: compile: %w", err)
	}
	if g.in.seq == nil {
		r.lengths, r.graphs, last = []int{0}, r.graphs[:1], 0
	}
	r.graphs[last], r.cur = g, g
	return r, nil
}

// compile builds the graph for sequences of length positions.
func (p *Program) compile(length int) (*graph, error) {
	o := p.o
	r := &graph{batch: o.Batch, plan: embed.NewPlan(p.schema, o.Batch)}
	r.step.Seed = o.Seed
	g := &nn.Graph{
		Params: p.params, Graph: G.NewGraph(), Train: o.Train, Batch: o.Batch, Rows: &r.rows, Step: &r.step, Reparam: o.Reparam, Derive: o.Derive, Frozen: o.Freeze, Capture: o.Capture,
	}
	defer ops.Share(g.Graph, &p.arena)()
	s := nn.NewScope(g)
	r.in = &Inputs{Schema: p.schema, plan: r.plan, length: length}
	r.logits = build(p.model, s, r.in)
	if o.Loss != nil && s.Err() == nil {
		r.in.Label, r.in.label = s.Input("label", r.in.targets(o.Batch), 1)
		r.loss = o.Loss(s, r.logits, r.in)
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	r.stats, r.nn = g.Stats, g
	if o.Train && o.Loss != nil {
		if err := r.differentiate(g); err != nil {
			return nil, err
		}
	}
	if !o.Tape {
		seq, ok, err := ops.NewSequence(g.Graph)
		if err != nil {
			return nil, err
		}
		if ok {
			r.seq = seq
			return r, nil
		}
	}
	r.vm = G.NewTapeMachine(g.Graph)
	return r, nil
}

// compiled reports whether the graph for a batch is there already.
func (p *Program) compiled(b *data.Batch) bool {
	at := 0
	if p.lengths[0] > 0 && b.Tokens != nil {
		at, _ = slices.BinarySearch(p.lengths, b.Tokens.L)
	}
	return at < len(p.graphs) && p.graphs[at] != nil
}

// pick returns the graph for a batch.
func (p *Program) pick(b *data.Batch) (*graph, error) {
	i := 0
	if p.lengths[0] > 0 {
		if b.Tokens == nil {
			return nil, fmt.Errorf("models: the batch has no tokens")
		}
		if i, _ = slices.BinarySearch(p.lengths, b.Tokens.L); i == len(p.lengths) {
			return nil, fmt.Errorf("models: batch of sequences of %d positions, the longest are %d", b.Tokens.L, p.lengths[i-1])
		}
	}
	if p.graphs[i] == nil {
		var err error
		if p.graphs[i], err = p.compile(p.lengths[i]); err != nil {
			return nil, fmt.Errorf("models: compile for %d positions: %w", p.lengths[i], err)
		}
	}
	return p.graphs[i], nil
}

func (r *graph) differentiate(g *nn.Graph) error {
	var wrt G.Nodes
	for _, l := range g.Leaves {
		wrt = append(wrt, l.Node)
		r.grads = append(r.grads, Grad{Param: l.Param})
	}
	lookups := r.plan.Lookups()
	r.eNodes, r.eGrads = make(G.Nodes, len(lookups)), make([][]float32, len(lookups))
	for _, l := range lookups {
		if l.Trains() {
			wrt = append(wrt, l.Node)
		}
	}
	if len(wrt) == 0 {
		return nil
	}
	nodes, err := ops.Grad(r.loss, wrt...)
	if err != nil {
		return err
	}
	r.nodes, nodes = nodes[:len(g.Leaves)], nodes[len(g.Leaves):]
	for i, l := range lookups {
		if l.Trains() {
			r.eNodes[i], nodes = nodes[0], nodes[1:]
		}
	}
	for _, l := range g.Leaves {
		r.trained = append(r.trained, l.Param)
	}
	r.trained = append(r.trained, r.plan.Trained()...)
	return nil
}

// Run runs the program over a batch, whose slices must hold the program's batch size, and returns the loss (0 without one).
// step selects dropout's masks: the same step gives the same masks.
func (p *Program) Run(b *data.Batch, step int64) (float64, error) {
	r, err := p.pick(b)
	if err != nil {
		return 0, err
	}
	p.cur = r
	if b.N < 1 || b.N > r.batch {
		return 0, fmt.Errorf("models: batch of %d rows, want 1 to %d", b.N, r.batch)
	}
	r.rows.N, r.step.N = b.N, step
	if err := r.in.fill(b, r.batch); err != nil {
		return 0, err
	}
	if err := r.plan.Gather(b); err != nil {
		return 0, err
	}
	if err := r.run(); err != nil {
		return 0, fmt.Errorf("models: run: %w", err)
	}
	if r.nodes != nil {
		r.backward(b)
	}
	if r.loss == nil {
		return 0, nil
	}
	v, ok := r.loss.Value().(*G.F32)
	if !ok {
		return 0, fmt.Errorf("models: the loss is a %T, want a float32 scalar", r.loss.Value())
	}
	return float64(*v), nil
}

// run computes the values of the graph's nodes.
func (r *graph) run() error {
	if r.seq != nil {
		return r.seq.Run()
	}
	r.vm.Reset()
	return r.vm.RunAll()
}

func (r *graph) backward(b *data.Batch) {
	for i, n := range r.nodes {
		r.grads[i].Grad = values(n)
	}
	for i, n := range r.eNodes {
		if n != nil {
			r.eGrads[i] = values(n)
		}
	}
	rows, dense := r.plan.Scatter(b, r.eGrads)
	r.rGrads = rows
	r.grads = append(r.grads[:len(r.nodes)], dense...)
}

func values(n *G.Node) []float32 { return n.Value().(*tensor.Dense).Float32s() }

// Logits returns the last run's logits, [rows, outputs] row-major, valid until the next Run: a row for each of the batch's, or
// for each token that a masked language model predicts. Those of rows from N on are undefined.
func (p *Program) Logits() []float32 { return values(p.cur.logits) }

// Grads returns the last run's gradients of whole parameters.
func (p *Program) Grads() []Grad { return p.cur.grads }

// RowGrads returns the last run's gradients of embedding tables.
func (p *Program) RowGrads() []RowGrad { return p.cur.rGrads }

// Trained returns the parameters that take a gradient.
func (p *Program) Trained() []*nn.Param { return p.cur.trained }

// Tables returns the embedding tables that take a gradient.
func (p *Program) Tables() []TableUse { return p.cur.plan.Tables() }

// BatchStats returns the running statistics of the model's batch norms, in the order of its layers. A program in training
// mode moves them at each Run.
func (p *Program) BatchStats() []*ops.BatchStats { return p.cur.stats }

// Symmetry returns what can be exchanged in the parameters without changing the logits. The groups' views are nodes of this
// program: after a run they hold the batch's values, of which those of padding are undefined. Over text they are those of the
// last run's length.
func (p *Program) Symmetry() nn.Symmetry { return p.cur.nn.Symmetry(p.cur.logits) }

// Batch returns the number of rows that the program runs at once.
func (p *Program) Batch() int { return p.o.Batch }

// Close frees the program's machines. The program must not be used any more.
func (p *Program) Close() error {
	var errs []error
	for i, r := range p.graphs {
		if r != nil && r.vm != nil {
			errs = append(errs, r.vm.Close())
			runtime.SetFinalizer(r.vm, nil) // the machine is part of a cycle (its ops know the program), which a finalizer keeps alive for ever
		}
		p.graphs[i] = nil
	}
	return errors.Join(errs...)
}
