package ops

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// Sequence runs a graph that is made of this package's ops alone. It sorts them once, in the order in which Gorgonia's tape
// machine runs them, and they read their inputs where those lie. So a run allocates nothing and starts no goroutine. The results
// are the tape machine's, bit by bit. One goroutine at a time may use a Sequence.
type Sequence struct {
	ops   []*op
	bytes int // that a run reads and writes
}

// NewSequence returns the sequence of a graph whose leaves have their values. ok is false if the op of a node is not of this
// package, and then the graph needs a tape machine. Of the nodes of a lean graph (see [Arena]) those to keep have values after a run.
func NewSequence(g *G.ExprGraph, keep ...*G.Node) (s *Sequence, ok bool, err error) {
	nodes, ok, err := inOrder(g)
	if err != nil {
		return nil, false, err
	}
	a, _ := arenas.Load(g)
	if a, _ := a.(*Arena); a != nil && a.Lean {
		p := placeAll(g, nodes, keep, !ok)
		if len(a.slab) < p.size {
			a.slab = make([]float32, p.size)
		}
		p.fill(a.slab)
	}
	if !ok {
		return nil, false, nil
	}
	s = &Sequence{}
	for _, n := range nodes {
		o := n.Op().(*op)
		if err := o.bind(g, n); err != nil {
			return nil, false, fmt.Errorf("ops: sequence: %s: %w", o.name, err)
		}
		s.ops = append(s.ops, o)
		s.bytes += 4 * len(o.out)
		for _, x := range o.in {
			s.bytes += 4 * len(x)
		}
	}
	return s, true, nil
}

// inOrder returns the nodes of a graph but its leaves in the order in which they run. ours is false if the op of one is not of this package.
func inOrder(g *G.ExprGraph) (nodes G.Nodes, ours bool, err error) {
	sorted, err := G.Sort(g)
	if err != nil {
		return nil, false, fmt.Errorf("ops: sequence: %w", err)
	}
	ours = true
	for i := len(sorted) - 1; i >= 0; i-- { // Gorgonia's edges run from a result to its inputs
		if n := sorted[i]; g.From(n.ID()).Len() > 0 { // the others are leaves
			_, ok := n.Op().(*op)
			ours = ours && ok
			nodes = append(nodes, n)
		}
	}
	return nodes, ours, nil
}

// bind sets the op's inputs to the values of its node's inputs, which are bound before, and the node's value to the op's result.
func (o *op) bind(g *G.ExprGraph, n *G.Node) error {
	i := 0
	for it := g.From(n.ID()); it.Next(); i++ {
		in := it.Node().(*G.Node)
		if source, ok := in.Op().(*op); ok {
			o.in[i] = source.out
			continue
		}
		switch v := in.Value().(type) {
		case *tensor.Dense:
			o.in[i] = v.Float32s()
		case *G.F32:
			o.scal[i] = float32(*v)
			o.in[i] = o.scal[i : i+1]
		default:
			return fmt.Errorf("leaf %s holds a %T, want float32 values", in.Name(), v)
		}
	}
	for i, x := range o.in {
		if len(x) != o.size[i] {
			return fmt.Errorf("input %d has %d values, want %d", i, len(x), o.size[i])
		}
	}
	G.WithValue(o.val)(n)
	return nil
}

// Run computes the values of all nodes.
func (s *Sequence) Run() error {
	kernel.CountBytes(s.bytes)
	for _, o := range s.ops {
		if err := o.run(); err != nil {
			return fmt.Errorf("ops: %s: %w", o.name, err)
		}
		if o.scalar != nil {
			*o.scalar = G.F32(o.out[0])
		}
		if len(o.spent) > 0 && Spoil.Load() {
			o.spoil()
		}
	}
	return nil
}
