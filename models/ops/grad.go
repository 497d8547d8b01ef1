package ops

import (
	"fmt"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Grad adds to the graph the gradients of a scalar loss with respect to the nodes wrt and returns them in that order.
//
// It differs from gorgonia.Grad in three ways: only gradients that lead to one of wrt are made, gradients that meet are
// summed by [Add], and nothing is bound to the nodes. Stock ops are differentiated by their SymDiff, ours by Backward.
// It is an error if the loss does not depend on one of wrt, or depends on it only through an op without a gradient. The error
// lists all such nodes.
func Grad(loss *G.Node, wrt ...*G.Node) (G.Nodes, error) {
	c := checker{op: "grad"}
	c.shape("loss", loss, "the loss is a scalar")
	if c.err != nil {
		return nil, c.err
	}
	// The name keeps it apart from constants of another type: the graph merges constants by name.
	one := loss.Graph().AddNode(G.NewConstant(float32(1), G.WithName("splice/one")))
	return VJP(loss, one, wrt...)
}

// VJP adds to the graph the product of the gradient dy with the Jacobian of y, Σ_i dy_i · ∂y_i/∂w, for each node w of
// wrt. It does what [Grad] does, for a y of any shape and a dy of the same shape.
func VJP(y, dy *G.Node, wrt ...*G.Node) (G.Nodes, error) {
	c := checker{op: "grad"}
	s := c.any("y", y)
	if c.err == nil {
		c.shape("dy", dy, "y and its gradient have one shape", s...)
	}
	for _, w := range wrt {
		c.any("wrt", w)
	}
	if c.err != nil {
		return nil, c.err
	}
	g := &walk{wrt: map[*G.Node]bool{}, leads: map[*G.Node]bool{}, in: map[*G.Node]G.Nodes{}, grads: map[*G.Node]G.Nodes{}}
	for _, w := range wrt {
		g.wrt[w] = true
	}
	g.visit(y)
	g.grads[y] = G.Nodes{dy}
	for i := len(g.order) - 1; i >= 0; i-- {
		if err := g.back(g.order[i]); err != nil {
			return nil, err
		}
	}
	out := make(G.Nodes, len(wrt))
	var lost []string
	for i, w := range wrt {
		if d := g.grads[w]; len(d) == 1 {
			out[i] = d[0]
		} else {
			lost = append(lost, w.Name())
		}
	}
	if len(lost) > 0 {
		return nil, fmt.Errorf("ops: grad: %s does not depend on %s", y.Name(), strings.Join(lost, ", "))
	}
	return out, nil
}

// walk is the state of one reverse pass.
type walk struct {
	wrt   map[*G.Node]bool
	leads map[*G.Node]bool    // whether a node's gradient leads to one of wrt
	in    map[*G.Node]G.Nodes // inputs of a node, in order, duplicates kept
	order G.Nodes             // inputs before the nodes that use them
	grads map[*G.Node]G.Nodes // gradients that have reached a node
}

// visit appends n, after all that it depends on, to the order.
func (g *walk) visit(n *G.Node) bool {
	if lead, ok := g.leads[n]; ok {
		return lead
	}
	lead := g.wrt[n]
	var in G.Nodes
	for it := n.Graph().From(n.ID()); it != nil && it.Next(); {
		in = append(in, it.Node().(*G.Node))
	}
	g.in[n] = in
	if len(in) > 0 {
		op, ok := n.Op().(G.SDOp)
		var diff []bool
		if ok {
			diff = op.DiffWRT(len(in))
		}
		for i, c := range in {
			if g.visit(c) && i < len(diff) && diff[i] {
				lead = true
			}
		}
	}
	g.leads[n] = lead
	g.order = append(g.order, n)
	return lead
}

// back sums the gradients that have reached n and sends its inputs theirs.
func (g *walk) back(n *G.Node) error {
	if len(g.grads[n]) == 0 || !g.leads[n] {
		return nil
	}
	dy, err := Add(g.grads[n]...)
	if err != nil {
		return fmt.Errorf("ops: grad: of %s: %w", n.Name(), err)
	}
	g.grads[n] = G.Nodes{dy}
	in := g.in[n]
	op, ok := n.Op().(G.SDOp)
	if len(in) == 0 || !ok {
		return nil
	}
	need, some := op.DiffWRT(len(in)), false
	for i, c := range in {
		need[i] = need[i] && g.leads[c]
		some = some || need[i]
	}
	if !some {
		return nil
	}
	var d G.Nodes
	if ours, ok := op.(interface {
		Backward(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error)
	}); ok {
		d, err = ours.Backward(in, n, dy, need)
	} else {
		d, err = op.SymDiff(in, n, dy)
	}
	if err != nil {
		return fmt.Errorf("ops: grad: of %s: %w", n.Name(), err)
	}
	for i, c := range in {
		if !need[i] {
			continue
		}
		if i >= len(d) || d[i] == nil {
			return fmt.Errorf("ops: grad: of %s: no gradient for input %d", n.Name(), i)
		}
		di, err := fit(d[i], c.Shape())
		if err != nil {
			return fmt.Errorf("ops: grad: of %s: gradient of input %d: %w", n.Name(), i, err)
		}
		g.grads[c] = append(g.grads[c], di)
	}
	return nil
}

// fit returns the gradient d in the given shape: some stock ops drop dimensions of size 1.
func fit(d *G.Node, shape tensor.Shape) (*G.Node, error) {
	if same(d.Shape(), shape) {
		return d, nil
	}
	if size(d.Shape()) != size(shape) {
		return nil, fmt.Errorf("have %v, want %v", d.Shape(), shape)
	}
	o := newOp("reshape", shape, d)
	o.run = func() error {
		copy(o.out, o.in[0])
		return nil
	}
	return o.apply(d)
}
