package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Linear is a fully connected layer with its activation, act(x·wᵀ + b): x [B, I], w [O, I], b [O] or nil → [B, O].
//
// Its backward pass is dz = dy·act′(y), dx = dz·w, dw = dzᵀ·x and db = Σ_rows dz.
//
// A row of x has the same bits in y whatever the number of rows.
func Linear(x, w, b *G.Node, act kernel.Act) (*G.Node, error) { return linear(x, w, b, act, newLayer) }

// LinearMap is [Linear] without an activation for rows that are not rows of data, such as those of a weight. A single row takes a
// quicker way, whose last bits may differ.
func LinearMap(x, w, b *G.Node) (*G.Node, error) { return linear(x, w, b, kernel.None, newMap) }

// LinearBack is the transposed map of a fully connected layer, x·w: x [B, O], w [O, I] → [B, I]. As in [Linear], a row of x has the same bits
// in y whatever the number of rows. Its backward pass is dx = dy·wᵀ and dw = xᵀ·dy.
func LinearBack(x, w *G.Node) (*G.Node, error) {
	c := checker{op: "linearback"}
	B, O := c.mat("x", x)
	_, I := c.mat("w", w)
	c.shape("w", w, "x is as wide as w has rows", O, I)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("linearback", tensor.Shape{B, I}, x, w)
	p := newProduct([]*G.Node{w}, false, false, B, I, O, nil)
	p.layer = true
	o.run = func() error {
		p.run(o.out, o.in[0], o.in[1])
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		d := make(G.Nodes, 2)
		var err error
		if need[0] {
			if d[0], err = matmul("linearback/dx", false, true, dy, in[1], nil); err != nil {
				return nil, err
			}
		}
		if need[1] {
			d[1], err = matmul("linearback/dw", true, false, in[0], dy, nil)
		}
		return d, err
	}
	return o.apply(x, w)
}

func linear(x, w, b *G.Node, act kernel.Act, mul func(rows, out, in int, w *G.Node, epi func(r0, r1 int)) *product) (*G.Node, error) {
	c := checker{op: "linear"}
	B, I := c.mat("x", x)
	O, _ := c.mat("w", w)
	c.shape("w", w, "x and w need the same inner width", O, I)
	in := G.Nodes{x, w}
	if b != nil {
		c.shape("b", b, "the bias has one value per output", O)
		in = append(in, b)
	}
	c.act(act)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("linear", tensor.Shape{B, O}, in...)
	o.form = act
	var epi func(r0, r1 int)
	switch {
	case b != nil:
		epi = func(r0, r1 int) { kernel.BiasAct(o.out[r0*O:r1*O], o.in[2], act) }
		if O == 1 {
			epi = func(r0, r1 int) {
				bias := o.in[2][0]
				for r := r0; r < r1; r++ {
					o.out[r] += bias
				}
				kernel.Activate(o.out[r0:r1], o.out[r0:r1], act)
			}
		}
	case act != kernel.None:
		epi = func(r0, r1 int) { kernel.Activate(o.out[r0*O:r1*O], o.out[r0*O:r1*O], act) }
	}
	p := mul(B, O, I, w, epi)
	o.run = func() error {
		p.run(o.out, o.in[0], o.in[1])
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
		return linearGrad(in, out, dy, need, act)
	}
	return o.apply(in...)
}

func linearGrad(in G.Nodes, out, dy *G.Node, need []bool, act kernel.Act) (G.Nodes, error) {
	var err error
	d := make(G.Nodes, len(in))
	bias := len(in) == 3 && need[2]
	dz := dy
	if act != kernel.None {
		var sums *partial
		if bias {
			sums = newPartial(in, out.Shape()[0], out.Shape()[1], out.Shape()[1])
		}
		if dz, err = actGrad(out, dy, act, sums); err != nil {
			return nil, err
		}
		if bias {
			if d[2], err = totals("linear/db", sums, 0, dz.Shape()[1:], dz); err != nil {
				return nil, err
			}
		}
	} else if bias {
		if d[2], err = colSum("linear/db", dy); err != nil {
			return nil, err
		}
	}
	if need[0] {
		if d[0], err = matmul("linear/dx", false, false, dz, in[1], nil); err != nil {
			return nil, err
		}
	}
	if need[1] {
		if d[1], err = matmul("linear/dw", true, false, dz, in[0], nil); err != nil {
			return nil, err
		}
	}
	return d, nil
}
