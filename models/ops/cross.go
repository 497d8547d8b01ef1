package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// Cross is a layer of the first deep & cross network (Wang et al. 2017, equation 3), x + x0·s + b with s = x·wᵀ one
// number per row: x0, x [B, D], w [1, D], b [D] → [B, D].
//
// Its backward pass is, with g = ⟨dy, x0⟩ per row: dx0 = dy·s, dx = dy + g·w, dw = Σ_rows g·x, db = Σ_rows dy; one
// pass over the rows computes them all.
func Cross(x0, x, w, b *G.Node) (*G.Node, error) {
	c := checker{op: "cross"}
	B, D := c.mat("x", x)
	c.shape("x0", x0, "x0 and x have one shape", B, D)
	c.shape("w", w, "one weight per column of x", 1, D)
	c.row("b", b, D)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("cross", x.Shape(), x0, x, w, b)
	s := room[float32]([]*G.Node{x}, B)
	loop := rowwise(B, D, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			a, z := r*D, (r+1)*D
			x, y := o.in[1][a:z], o.out[a:z]
			s[r] = kernel.Dot(x, o.in[2])
			kernel.AddTo(y, x, o.in[3])
			kernel.Axpy(y, s[r], o.in[0][a:z])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
		return crossGrad(in, out, dy, need, s)
	}
	return o.apply(x0, x, w, b)
}

func crossGrad(in G.Nodes, out, dy *G.Node, need []bool, s []float32) (G.Nodes, error) {
	shape := dy.Shape()
	B, D := shape[0], shape[1]
	x0, x, w := in[0], in[1], in[2]
	o := newOp("cross/dx", shape, x0, x, w, dy, out)
	var dx0 []float32
	if need[0] {
		dx0 = room[float32](in, B, D)
	}
	p := newPartial(in, B, D, 2*D) // dw, db
	loop := p.loop(func(sum []float32, lo, hi int) {
		for r := lo; r < hi; r++ {
			a, z := r*D, (r+1)*D
			dy := o.in[3][a:z]
			g := kernel.Dot(dy, o.in[0][a:z])
			if need[0] {
				kernel.Scale(dx0[a:z], dy, s[r])
			}
			if need[1] {
				dx := o.out[a:z]
				kernel.Scale(dx, o.in[2], g)
				kernel.Add(dx, dy)
			}
			if need[2] {
				kernel.Axpy(sum[:D], g, o.in[1][a:z])
			}
			if need[3] {
				kernel.Add(sum[D:], dy)
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	dx, err := o.apply(x0, x, w, dy, out)
	if err != nil {
		return nil, err
	}
	d := make(G.Nodes, 4)
	if need[0] {
		if d[0], err = view("cross/dx0", shape, dx0, dx); err != nil {
			return nil, err
		}
	}
	if need[1] {
		d[1] = dx
	}
	if need[2] {
		if d[2], err = totals("cross/dw", p, 0, w.Shape(), dx); err != nil {
			return nil, err
		}
	}
	if need[3] {
		if d[3], err = totals("cross/db", p, D, in[3].Shape(), dx); err != nil {
			return nil, err
		}
	}
	return d, nil
}
