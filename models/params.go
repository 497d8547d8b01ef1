package models

import (
	"cmp"
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// NewParams returns m's parameters with fresh values of a seed. They are those that [Compile] makes in an empty store of that
// seed. NewParams builds m's graph for one row, of the longest text if the data has text, but makes no program to run it.
func NewParams(m Model, sc *data.Schema, seed uint64) (*nn.Params, error) {
	return fill(nn.NewParams(seed), m, sc)
}

// BlankParams is [NewParams] with all values 0, for weights that are read from a file: nothing is drawn.
func BlankParams(m Model, sc *data.Schema) (*nn.Params, error) {
	return fill(nn.BlankParams(), m, sc)
}

// fill adds m's parameters to p.
func fill(p *nn.Params, m Model, sc *data.Schema) (*nn.Params, error) {
	lengths, err := lengthsOf(sc, 1, 0)
	if err != nil {
		return nil, fmt.Errorf("models: parameters: %w", err)
	}
	s := nn.NewScope(&nn.Graph{Params: p, Graph: G.NewGraph(), Batch: 1, Rows: &ops.Rows{N: 1}, Step: &ops.Step{}})
	build(m, s, &Inputs{Schema: sc, plan: embed.NewPlan(sc, 1), length: lengths[len(lengths)-1]})
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("models: parameters: %w", err)
	}
	return p, nil
}

// Need is what a program needs of memory, in bytes.
type Need struct {
	Graphs  float64     // values and gradients of all its graphs
	Trained []*nn.Param // what takes a gradient, without values
	Tables  []TableUse  // the tables among them
	// Inside are the parameters that the graph reads as a whole: all but those that are only looked up beside it.
	Inside map[*nn.Param]bool
	Tokens []string // names of those, among them, that are looked up by the tokens of texts
}

// Measure returns what a program that [Compile] makes needs, beside its parameters. It allocates nothing for values: p is a store of
// shapes, see [nn.NewShapes], to which the model's parameters are added.
func Measure(m Model, p *nn.Params, sc *data.Schema, o CompileOptions) (*Need, error) {
	if o.Batch < 1 {
		return nil, fmt.Errorf("models: measure: batch of %d rows", o.Batch)
	}
	lengths, err := lengthsOf(sc, o.Batch, o.Length)
	if err != nil {
		return nil, fmt.Errorf("models: measure: %w", err)
	}
	whole := o.Batch
	if o.inBlocks(sc) {
		o.Batch = cmp.Or(blockRows(o.Batch, kernel.Threads()), o.Batch)
	}
	plan, longest := &ops.Plan{}, lengths[len(lengths)-1]
	r := &Program{model: m, params: p, schema: sc, options: o, lengths: lengths, arena: ops.Arena{Plan: plan, Lean: o.lean()}}
	g, err := r.compile(longest)
	if err != nil {
		return nil, fmt.Errorf("models: measure: %w", err)
	}
	each := 1.0
	if g.in.seq != nil || len(g.in.histories) > 0 {
		each = 0
		for _, l := range lengths {
			each += float64(l) / float64(longest)
		}
	}
	n := &Need{Graphs: plan.Shared() + each*plan.Own(), Trained: g.trained, Tables: g.plan.Tables(), Inside: g.built.Inside}
	if g.in.seq != nil {
		n.Tokens = g.in.seq.tables
	}
	if o.Batch < whole { // blocks, one a thread, their logits together, and the weights once more as products read them
		n.Graphs = n.Graphs*float64(kernel.Threads()) + 4*float64(g.logits.Shape().TotalSize())*float64(whole)/float64(o.Batch)
		for _, q := range p.All() {
			if q.Kind == nn.Weight {
				n.Graphs += q.Bytes()
			}
		}
	}
	return n, nil
}

// lengthsOf returns the lengths that sequences of text are padded to, ascending: the given one, if there is one, else those of the data. Of
// histories it returns the rows of matrices over the positions of a batch. Without text and histories there is a single length of 0.
func lengthsOf(sc *data.Schema, batch, given int) ([]int, error) {
	history := 0
	for _, f := range sc.Features {
		if f.Kind == data.Sequence {
			history = max(history, f.MaxLen)
		}
	}
	switch {
	case sc.Text == nil && history == 0:
		return []int{0}, nil
	case given > 0 && sc.Text == nil:
		return []int{batch * given}, nil
	case given > 0:
		return []int{given}, nil
	case sc.Text == nil:
		return historyRows(batch, history), nil
	case len(sc.Text.Lengths) == 0:
		return nil, fmt.Errorf("the data has text, but no lengths of it")
	}
	return sc.Text.Lengths, nil
}

// Longest returns the length that the longest sequences of the data are padded to, or 0 without text and histories. A program of
// that [CompileOptions].Length has one graph for all batches, so that its nodes can be looked at.
func Longest(sc *data.Schema) int {
	lengths, err := lengthsOf(sc, 1, 0)
	if err != nil {
		return 0
	}
	return lengths[len(lengths)-1]
}

// build builds m's graph and returns its logits, nil after a mistake that is recorded in s.
func build(m Model, s *nn.Scope, in *Inputs) *G.Node {
	logits := m.Build(s, in)
	if s.Err() != nil {
		return nil
	}
	if logits == nil {
		s.Fail(fmt.Errorf("the model returned no logits"))
	}
	return logits
}
