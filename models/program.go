package models

import (
	"fmt"
	"runtime"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// LossFunc returns the scalar loss of a batch's logits: the mean over its live rows. A model may add to it in training, by [Inputs.AddLoss].
type LossFunc func(s *nn.Scope, logits *G.Node, in *Inputs) *G.Node

// CompileOptions says what a Program is for. All functions and pointers may be nil.
type CompileOptions struct {
	Batch   int               // rows of a batch; smaller batches are padded
	Train   bool              // build for training; with a Loss, compute its gradients
	Seed    uint64            // seed of dropout's masks
	Loss    LossFunc          // without one, the program computes logits alone
	Reparam nn.Reparam        // replaces weights
	Derive  nn.Derive         // computes parameters of lookups
	Freeze  func(string) bool // reports whether a parameter, by its full name, takes no gradient
	Capture nn.Capture        // receives the inputs of linear maps
	// Tape runs the graph on Gorgonia's tape machine, as a graph with ops from elsewhere is run anyway. That is slower, and gives
	// the same bits.
	Tape bool
	// Precision is that of matrix products, forwards and backwards.
	Precision kernel.Precision
	// Lean has the program keep nothing of a run but the logits, the loss and the gradients: the memory of other values is used again in the
	// run. It has no nodes to look at, and no effect with Tape or Capture.
	Lean bool
	// Blocks has the program score a batch in blocks of rows, which is faster for large batches: the same bits. Weights that have changed
	// need a [Program.Refresh]. It is for scoring alone, and makes the program Lean.
	Blocks bool
	// Fixed is what programs over the same weights share once the weights do not change any more. Without it they may change.
	Fixed *ops.Constants
	// Length is the number of positions to which sequences of text, or histories, are padded. If it is 0, there is a graph for each
	// of several lengths. [Longest] returns one that is enough for all batches.
	Length int
	// WholeCatalogue makes the tables of histories weights of the graph, with dense gradients, for a loss over all items.
	WholeCatalogue bool
	// OwnStats has each run in training leave the statistics of its batch: see [ops.BatchStats.Own].
	OwnStats bool
}

// Program runs a model over batches of up to a fixed number of rows. Over text it has a graph for each length of sequences, made
// when the first batch of that length comes. Several programs may share one nn.Params. One goroutine at a time may use a Program.
// Close frees it.
type Program struct {
	model   Model
	params  *nn.Params
	schema  *data.Schema
	options CompileOptions
	lengths []int // of sequences, ascending; a single 0 for a model that reads neither text nor histories
	graphs  []*graph
	last    *graph    // the one that ran last
	arena   ops.Arena // the graphs' buffers
	blocks  *blocks   // score in the place of the graphs; nil if these do
}

// graph is one graph of a program and what runs it.
type graph struct {
	batch           int
	seq             *ops.Sequence // runs the graph, or is nil
	vm              G.VM          // runs it if seq is nil
	plan            *embed.Plan
	in              *Inputs
	logits          *G.Node
	loss            *G.Node
	rows            ops.Rows
	step            ops.Step
	grads           []Grad      // of the graph's leaves, then of the lookups' dense parameters
	gradNodes       G.Nodes     // of the gradients of the graph's leaves
	lookupGradNodes G.Nodes     // of the gradients of the lookups' leaves; nil where all of a lookup is frozen
	lookupGrads     [][]float32 // of the last run, by lookup
	rowGrads        []RowGrad
	trained         []*nn.Param
	stats           []*ops.BatchStats
	built           *nn.Graph // knows what the layers have declared
}

// Grad is the gradient of a whole parameter, valid until the next Run.
type Grad = embed.Grad

// RowGrad is the gradient of the rows of a table that a batch touched, valid until the next Run. Its IDs are distinct and
// ascending.
type RowGrad = embed.RowGrad

// TableUse is a trained table and the features that look its rows up.
type TableUse = embed.TableUse

// Compile builds m's graph over the parameters of p, and returns a Program that runs it. Parameters that p lacks are made. A
// parameter that is there with another shape is an error that names it.
func Compile(m Model, p *nn.Params, sc *data.Schema, o CompileOptions) (*Program, error) {
	if o.Batch < 1 {
		return nil, fmt.Errorf("models: compile: batch of %d rows", o.Batch)
	}
	lengths, err := lengthsOf(sc, o.Batch, o.Length)
	if err != nil {
		return nil, fmt.Errorf("models: compile: %w", err)
	}
	r := &Program{model: m, params: p, schema: sc, options: o, lengths: lengths, arena: ops.Arena{Constants: o.Fixed, Precision: o.Precision, Lean: o.lean()}}
	if o.inBlocks(sc) {
		if r.blocks, err = newBlocks(m, p, sc, o); err != nil {
			return nil, err
		}
		if r.blocks != nil {
			r.last = r.blocks.all[0].prog.last
			return r, nil
		}
	}
	r.graphs = make([]*graph, len(r.lengths))
	longest := len(r.lengths) - 1 // it comes first: the others borrow its buffers
	g, err := r.compile(r.lengths[longest])
	if err != nil {
		return nil, fmt.Errorf("models: compile: %w", err)
	}
	if g.in.seq == nil && len(g.in.histories) == 0 {
		r.lengths, r.graphs, longest = []int{0}, r.graphs[:1], 0
	}
	r.graphs[longest], r.last = g, g
	return r, nil
}

// lean reports whether values are not kept.
func (o *CompileOptions) lean() bool { return (o.Lean || o.Blocks) && !o.Tape && o.Capture == nil }

// compile builds the graph for sequences of length positions.
func (p *Program) compile(length int) (*graph, error) {
	o := p.options
	r := &graph{batch: o.Batch, plan: embed.NewPlan(p.schema, o.Batch)}
	r.step.Seed = o.Seed
	g := &nn.Graph{
		Params: p.params, Graph: G.NewGraph(), Train: o.Train, Batch: o.Batch, Rows: &r.rows, Step: &r.step,
		Reparam: o.Reparam, Derive: o.Derive, Frozen: o.Freeze, Capture: o.Capture, Plan: p.arena.Plan,
	}
	r.plan.Needs = p.arena.Plan
	defer ops.Share(g.Graph, &p.arena)()
	s := nn.NewScope(g)
	r.in = &Inputs{Schema: p.schema, plan: r.plan, length: length, whole: o.WholeCatalogue}
	r.in.build = func(s *nn.Scope) *G.Node { return build(p.model, s, r.in) }
	r.logits = r.in.build(s)
	if o.Loss != nil && s.Err() == nil {
		r.in.target(s)
		r.loss = o.Loss(s, r.logits, r.in)
		if more := r.in.losses; len(more) > 0 && s.Err() == nil {
			r.loss = s.Check(ops.Add(append(G.Nodes{r.loss}, more...)...))
		}
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	r.stats, r.built = g.Stats, g
	for _, st := range r.stats {
		st.Own = o.OwnStats
	}
	if o.Train && o.Loss != nil {
		if err := r.differentiate(g); err != nil {
			return nil, err
		}
	}
	keep := append(append(G.Nodes{r.logits}, r.gradNodes...), r.lookupGradNodes...)
	if p.arena.Plan != nil {
		return r, ops.PlaceResults(g.Graph, keep...)
	}
	if !o.Tape {
		seq, ok, err := ops.NewSequence(g.Graph, keep...)
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
	if p.lengths[0] > 0 {
		at, _ = slices.BinarySearch(p.lengths, p.positions(b))
	}
	return at < len(p.graphs) && p.graphs[at] != nil
}

// positions returns the number of positions that each sequence of a batch of text needs, or all histories of a batch together.
func (p *Program) positions(b *data.Batch) int {
	if b.Tokens != nil {
		return b.Tokens.L
	}
	return positions(p.graphs[len(p.graphs)-1].in.histories, b)
}

// pick returns the graph for a batch.
func (p *Program) pick(b *data.Batch) (*graph, error) {
	i := 0
	if p.lengths[0] > 0 {
		if b.Tokens == nil && p.schema.Text != nil {
			return nil, fmt.Errorf("models: the batch has no tokens")
		}
		n := p.positions(b)
		if i, _ = slices.BinarySearch(p.lengths, n); i == len(p.lengths) {
			return nil, fmt.Errorf("models: batch of sequences of %d positions, the longest are %d", n, p.lengths[i-1])
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
	r.lookupGradNodes, r.lookupGrads = make(G.Nodes, len(lookups)), make([][]float32, len(lookups))
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
	r.gradNodes, nodes = nodes[:len(g.Leaves)], nodes[len(g.Leaves):]
	for i, l := range lookups {
		if l.Trains() {
			r.lookupGradNodes[i], nodes = nodes[0], nodes[1:]
		}
	}
	for _, l := range g.Leaves {
		r.trained = append(r.trained, l.Param)
	}
	r.trained = append(r.trained, r.plan.Trained()...)
	return nil
}

// Run runs the program over a batch and returns the loss, or 0 without one. The batch's slices must have room for the program's
// number of rows. step selects dropout's masks: the same step gives the same masks.
func (p *Program) Run(b *data.Batch, step int64) (float64, error) {
	if p.blocks != nil {
		return 0, p.blocks.run(b, step)
	}
	r, err := p.pick(b)
	if err != nil {
		return 0, err
	}
	p.last = r
	if b.N < 1 || b.N > r.batch {
		return 0, fmt.Errorf("models: batch of %d rows, want 1 to %d", b.N, r.batch)
	}
	r.rows.N, r.step.N = b.N, step
	for i := range r.in.passes {
		r.in.passes[i].step.N = step
	}
	if err := r.in.fill(b, r.batch); err != nil {
		return 0, err
	}
	for _, c := range [...]*Catalogue{r.in.catalogue, r.in.within} {
		if c != nil && c.drawer != nil {
			c.drawer.draw(&r.step)
		}
	}
	if err := r.plan.Gather(b); err != nil {
		return 0, err
	}
	if err := r.run(); err != nil {
		return 0, fmt.Errorf("models: run: %w", err)
	}
	if r.gradNodes != nil {
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
	for i, n := range r.gradNodes {
		r.grads[i].Grad = values(n)
	}
	for i, n := range r.lookupGradNodes {
		if n != nil {
			r.lookupGrads[i] = values(n)
		}
	}
	rows, dense := r.plan.Scatter(b, r.lookupGrads)
	r.rowGrads = rows
	r.grads = append(r.grads[:len(r.gradNodes)], dense...)
}

func values(n *G.Node) []float32 { return n.Value().(*tensor.Dense).Float32s() }

// Logits returns the last run's logits, [rows, outputs] row-major, valid until the next Run. They have a row for each row of the
// batch, or for each token that a masked language model predicts. Those of rows from the batch's N on are undefined.
func (p *Program) Logits() []float32 {
	if p.blocks != nil {
		return p.blocks.logits
	}
	return values(p.last.logits)
}

// Refresh tells a program that scores in blocks, or that has Fixed, that weights have changed.
func (p *Program) Refresh() {
	if p.blocks != nil {
		p.blocks.fixed.Renew()
	}
	if p.options.Fixed != nil {
		p.options.Fixed.Renew()
	}
}

// Grads returns the last run's gradients of whole parameters.
func (p *Program) Grads() []Grad { return p.last.grads }

// RowGrads returns the last run's gradients of embedding tables.
func (p *Program) RowGrads() []RowGrad { return p.last.rowGrads }

// Layout returns the parameters that Grads and RowGrads of any run are of, in their order.
func (p *Program) Layout() (weights, tables []*nn.Param) {
	r := p.last
	for _, l := range r.built.Leaves {
		weights = append(weights, l.Param)
	}
	rows, dense := r.plan.Layout()
	for _, g := range dense {
		weights = append(weights, g.Param)
	}
	for _, t := range rows {
		tables = append(tables, t.Param)
	}
	return weights, tables
}

// Trained returns the parameters that take a gradient.
func (p *Program) Trained() []*nn.Param { return p.last.trained }

// Tables returns the embedding tables that take a gradient, those inside of the graph too.
func (p *Program) Tables() []TableUse {
	in := p.last.in
	out := append(p.last.plan.Tables(), in.inside...)
	for i := range out {
		out[i].Next = in.catalogue != nil && in.catalogue.table == out[i].Param.Name
	}
	return out
}

// BatchStats returns the running statistics of the model's batch norms and of Dice, in the order of its layers. A program in training
// mode moves them at each Run.
func (p *Program) BatchStats() []*ops.BatchStats { return p.last.stats }

// Symmetry returns what can be exchanged in the parameters without changing the logits. The groups' views are nodes of this
// program, which after a run hold the batch's values; those of padding are undefined. Over text they are nodes of the graph that
// ran last.
func (p *Program) Symmetry() nn.Symmetry { return p.last.built.Symmetry(p.last.logits) }

// Batch returns the number of rows that the program runs at once.
func (p *Program) Batch() int { return p.options.Batch }

// Close frees the program's machines. The program must not be used after it.
func (p *Program) Close() error {
	var errs []error
	if p.blocks != nil {
		errs = append(errs, p.blocks.close())
	}
	for i, r := range p.graphs {
		if r != nil && r.vm != nil {
			errs = append(errs, r.vm.Close())
			// The machine is part of a cycle, since its ops know the program: a finalizer would keep it alive for ever.
			runtime.SetFinalizer(r.vm, nil)
		}
		p.graphs[i] = nil
	}
	return bound.Join(errs...)
}
