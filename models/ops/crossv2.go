package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// CrossV2 is a layer of the second deep & cross network (Wang et al. 2021, equation 1), x + x0 ⊙ z with z = x·wᵀ + b:
// x0, x [B, D], w [D, D], b [D] → [B, D].
//
// Its backward pass is dz = dy ⊙ x0, dx0 = dy ⊙ z, dx = dz·w + dy, dw = dzᵀ·x and db = Σ_rows dz.
func CrossV2(x0, x, w, b *G.Node) (*G.Node, error) {
	c := checker{op: "crossv2"}
	B, D := c.mat("x", x)
	c.shape("x0", x0, "x0 and x have one shape", B, D)
	c.shape("w", w, "x is as wide on both sides of w", D, D)
	c.row("b", b, D)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("crossv2", x.Shape(), x0, x, w, b)
	z := room[float32]([]*G.Node{x}, B, D)
	p := newLayer(B, D, D, w, crossEpilogue(o, z, D))
	o.run = func() error {
		p.run(z, o.in[1], o.in[2])
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
		dz, d, err := crossGate(in[0], out, dy, z, [2]bool{need[0], need[3]})
		if err != nil {
			return nil, err
		}
		d = G.Nodes{d[0], nil, nil, d[1]}
		if need[1] {
			if d[1], err = matmul("crossv2/dx", false, false, dz, in[2], dy); err != nil {
				return nil, err
			}
		}
		if need[2] {
			if d[2], err = matmul("crossv2/dw", true, false, dz, in[1], nil); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return o.apply(x0, x, w, b)
}

// CrossLowRank is [CrossV2] with w = u·v of rank R, which costs 2·R/D of it: z = (x·vᵀ)·uᵀ + b, v [R, D], u [D, R]
// (Wang et al. 2021, equation 2).
//
// Its backward pass is, beside dz, dx0 and db of CrossV2 and with t = x·vᵀ: du = dzᵀ·t, dt = dz·u, dv = dtᵀ·x and
// dx = dt·v + dy.
func CrossLowRank(x0, x, u, v, b *G.Node) (*G.Node, error) {
	c := checker{op: "crosslowrank"}
	B, D := c.mat("x", x)
	R, _ := c.mat("v", v)
	c.shape("x0", x0, "x0 and x have one shape", B, D)
	c.shape("v", v, "v has the width of x", R, D)
	c.shape("u", u, "u is as wide as v is high", D, R)
	c.row("b", b, D)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("crosslowrank", x.Shape(), x0, x, u, v, b)
	t, z := room[float32]([]*G.Node{x}, B, R), room[float32]([]*G.Node{x}, B, D)
	inner := newLayer(B, R, D, v, nil)
	outer := newLayer(B, D, R, u, crossEpilogue(o, z, D))
	o.run = func() error {
		inner.run(t, o.in[1], o.in[3])
		outer.run(z, t, o.in[2])
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
		dz, d, err := crossGate(in[0], out, dy, z, [2]bool{need[0], need[4]})
		if err != nil {
			return nil, err
		}
		d = G.Nodes{d[0], nil, nil, nil, d[1]}
		if need[2] {
			tn, err := view("crosslowrank/t", []int{B, R}, t, out)
			if err != nil {
				return nil, err
			}
			if d[2], err = matmul("crosslowrank/du", true, false, dz, tn, nil); err != nil {
				return nil, err
			}
		}
		if !need[1] && !need[3] {
			return d, nil
		}
		dt, err := matmul("crosslowrank/dt", false, false, dz, in[2], nil)
		if err != nil {
			return nil, err
		}
		if need[1] {
			if d[1], err = matmul("crosslowrank/dx", false, false, dt, in[3], dy); err != nil {
				return nil, err
			}
		}
		if need[3] {
			if d[3], err = matmul("crosslowrank/dv", true, false, dt, in[1], nil); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return o.apply(x0, x, u, v, b)
}

// crossEpilogue turns rows of the product in z into z + b and the result x + x0 ⊙ z; x0 and x are the op's first
// inputs, b its last.
func crossEpilogue(o *op, z []float32, D int) func(r0, r1 int) {
	return func(r0, r1 int) {
		b := o.in[len(o.in)-1]
		for r := r0; r < r1; r++ {
			a, e := r*D, (r+1)*D
			kernel.Cross(o.out[a:e], o.in[0][a:e], z[a:e], o.in[1][a:e], b)
		}
	}
}

// crossGate returns dz = dy ⊙ x0 and, where needed, dx0 = dy ⊙ z and db = Σ_rows dz, all from one pass. It takes the
// result of the forward pass as an input only to run after it, when z is filled.
func crossGate(x0, out, dy *G.Node, z []float32, need [2]bool) (dz *G.Node, d G.Nodes, err error) {
	shape := x0.Shape()
	B, D := shape[0], shape[1]
	o := newOp("cross/dz", shape, x0, dy, out)
	var dx0 []float32
	if need[0] {
		dx0 = room[float32]([]*G.Node{x0}, B, D)
	}
	p := newPartial([]*G.Node{x0}, B, D, D)
	loop := p.loop(func(sum []float32, lo, hi int) {
		for r := lo; r < hi; r += block {
			a, e := r*D, min(r+block, hi)*D
			dy := o.in[1][a:e]
			kernel.Mul(o.out[a:e], dy, o.in[0][a:e])
			if need[0] {
				kernel.Mul(dx0[a:e], dy, z[a:e])
			}
			if need[1] {
				addRows(sum, o.out[a:e])
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	if dz, err = o.apply(x0, dy, out); err != nil {
		return nil, nil, err
	}
	d = make(G.Nodes, 2)
	if need[0] {
		if d[0], err = view("cross/dx0", shape, dx0, dz); err != nil {
			return nil, nil, err
		}
	}
	if need[1] {
		if d[1], err = totals("cross/db", p, 0, []int{D}, dz); err != nil {
			return nil, nil, err
		}
	}
	return dz, d, nil
}
