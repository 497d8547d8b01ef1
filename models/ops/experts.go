package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// LinearExperts is a fully connected layer of each of E experts, act(x_e·w_eᵀ + b_e): w [E, O, I], b [E, O] → [B, E·O], the experts side by
// side. All read x [B, I], or each reads columns of its own of x [B, E·I]; with one expert both are the same.
//
// Its backward pass is that of [Linear] for each expert; experts that read the same x add up their gradients of it. A row of x has the same
// bits in y whatever the number of rows.
func LinearExperts(x, w, b *G.Node, act kernel.Act) (*G.Node, error) {
	c := checker{op: "linearexperts"}
	B, width := c.mat("x", x)
	shape := c.any("w", w)
	if c.err == nil && len(shape) != 3 {
		c.fail("w is %v, want [experts, out, in]", shape)
	}
	if c.err != nil {
		return nil, c.err
	}
	l := &expertLayer{B: B, E: shape[0], O: shape[1], I: shape[2], act: act}
	l.own = width != l.I
	if l.own && width != l.E*l.I {
		c.fail("x is %v, want %d columns for all experts, or %d for each of %d", x.Shape(), l.I, l.I, l.E)
	}
	c.shape("b", b, "each expert has a bias for each output", l.E, l.O)
	c.act(act)
	if c.err != nil {
		return nil, c.err
	}
	n := l.E * l.O
	o := newOp(c.op, tensor.Shape{B, n}, x, w, b)
	o.form = act
	precision := precisionOf(x, w)
	finish := rowwise(B, n, func(lo, hi int) { kernel.BiasAct(o.out[lo*n:hi*n], o.in[2], act) })
	o.run = func() error {
		if l.own {
			for e := range l.E {
				precision.GemmRows(true, B, l.O, l.I, o.in[0][e*l.I:], width, o.in[1][e*l.O*l.I:], l.I, o.out[e*l.O:], n, nil)
			}
		} else {
			precision.GemmRows(true, B, n, l.I, o.in[0], l.I, o.in[1], l.I, o.out, n, nil)
		}
		finish()
		return nil
	}
	o.grad = l.grad
	return o.apply(x, w, b)
}

// expertLayer is the sizes of a layer of experts.
type expertLayer struct {
	B, E, O, I int
	own        bool // each expert reads columns of its own
	act        kernel.Act
}

func (l *expertLayer) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	B, E, O, I := l.B, l.E, l.O, l.I
	n, width := E*O, in[0].Shape()[1]
	d := make(G.Nodes, 3)
	dz, err := dy, error(nil)
	if l.act != kernel.None {
		if dz, err = actGrad(out, dy, l.act, nil); err != nil {
			return nil, err
		}
	}
	precision := precisionOf(in...)
	if need[0] {
		o := newOp("linearexperts/dx", in[0].Shape(), dz, in[1])
		o.run = func() error {
			if !l.own {
				precision.Gemm(false, false, B, I, n, o.in[0], n, o.in[1], I, o.out, I, false, nil)
				return nil
			}
			for e := range E {
				precision.Gemm(false, false, B, I, O, o.in[0][e*O:], n, o.in[1][e*O*I:], I, o.out[e*I:], width, false, nil)
			}
			return nil
		}
		if d[0], err = o.apply(dz, in[1]); err != nil {
			return nil, err
		}
	}
	if need[1] {
		o := newOp("linearexperts/dw", in[1].Shape(), dz, in[0])
		o.run = func() error {
			if !l.own {
				precision.Gemm(true, false, n, I, B, o.in[0], n, o.in[1], I, o.out, I, false, nil)
				return nil
			}
			for e := range E {
				precision.Gemm(true, false, O, I, B, o.in[0][e*O:], n, o.in[1][e*I:], width, o.out[e*O*I:], I, false, nil)
			}
			return nil
		}
		if d[1], err = o.apply(dz, in[0]); err != nil {
			return nil, err
		}
	}
	if need[2] {
		o := newOp("linearexperts/db", in[2].Shape(), dz)
		p := newPartial(in, B, n, n)
		loop := p.loop(func(sum []float32, lo, hi int) { addRows(sum, o.in[0][lo*n:hi*n]) })
		o.run = func() error {
			loop()
			p.total(o.out, 0)
			return nil
		}
		d[2], err = o.apply(dz)
	}
	return d, err
}

// Mixture is the sum of the outputs of E experts, each times its gate: gates g [B, E], experts x [B, E·D] → [B, D],
//
//	y = Σ_e g_e·x_e
//
// (Jacobs et al. 1991). Its backward pass is dx_e = g_e·dy and dg_e = x_e·dy.
func Mixture(gates, x *G.Node) (*G.Node, error) {
	c := checker{op: "mixture"}
	B, E := c.mat("gates", gates)
	rows, width := c.mat("x", x)
	if c.err == nil && (rows != B || width%E != 0) {
		c.fail("x is %v for gates %v, want as many rows and as many columns for each gate", x.Shape(), gates.Shape())
	}
	if c.err != nil {
		return nil, c.err
	}
	D := width / E
	o := newOp(c.op, tensor.Shape{B, D}, gates, x)
	loop := rowwise(B, width, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			y, row := o.out[r*D:(r+1)*D], o.in[1][r*width:(r+1)*width]
			kernel.Scale(y, row[:D], o.in[0][r*E])
			for e := 1; e < E; e++ {
				kernel.Axpy(y, o.in[0][r*E+e], row[e*D:(e+1)*D])
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		d := make(G.Nodes, 2)
		var err error
		if need[0] {
			p := newOp("mixture/dg", in[0].Shape(), in[1], dy)
			loop := rowwise(B, width, func(lo, hi int) {
				for i := lo * E; i < hi*E; i++ {
					r := i / E
					p.out[i] = kernel.Dot(p.in[0][i*D:(i+1)*D], p.in[1][r*D:(r+1)*D])
				}
			})
			p.run = func() error {
				loop()
				return nil
			}
			if d[0], err = p.apply(in[1], dy); err != nil {
				return nil, err
			}
		}
		if need[1] {
			p := newOp("mixture/dx", in[1].Shape(), in[0], dy)
			loop := rowwise(B, width, func(lo, hi int) {
				for i := lo * E; i < hi*E; i++ {
					r := i / E
					kernel.Scale(p.out[i*D:(i+1)*D], p.in[1][r*D:(r+1)*D], p.in[0][i])
				}
			})
			p.run = func() error {
				loop()
				return nil
			}
			d[1], err = p.apply(in[0], dy)
		}
		return d, err
	}
	return o.apply(gates, x)
}
