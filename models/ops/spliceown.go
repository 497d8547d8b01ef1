package ops

import (
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// OwnSplicing says how weights that all rows share are spliced with weights that each row has of its own: the static and the dynamic
// setting of Lv et al. 2025. For each row r, the base is the shared W, the other parent W_r, and the formulas are those of [Splicing]
// with a temperature of 1.
type OwnSplicing struct {
	Form  SpliceForm // all but SpliceLanguage
	Scale float64    // factor of the logits in the sigmoid
	// of the global weight g_r = A/π·atan(C·(H(W) − H(W_r))) + 1/2, where H is [Entropy] over Bins. It has no gradient
	A, C float64
	Bins int
}

// Distances returns |w − v_r|, [R·O, in] with O = size of w / in, of weights w that all rows share and of those of each row, v [R, size of w].
//
// Its backward pass is dv_r = sign(v_r − w)·dy_r and dw = −Σ_r dv_r, with 0 where both are equal.
func Distances(w, v *G.Node, in int) (*G.Node, error) {
	c := checker{op: "distances"}
	R, n := c.mat("v", v)
	shape := c.any("w", w)
	if c.err == nil && (size(shape) != n || in < 1 || n%in != 0) {
		c.fail("w is %v, v %v: want as many values in a row of v as in w, a multiple of %d", shape, v.Shape(), in)
	}
	if c.err != nil {
		return nil, c.err
	}
	o := newOp(c.op, tensor.Shape{R * n / in, in}, w, v)
	loop := rowwise(R, n, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			y, v := o.out[r*n:(r+1)*n], o.in[1][r*n:(r+1)*n]
			for i, x := range o.in[0] {
				d := x - v[i]
				y[i] = max(d, -d)
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
			p := newOp("distances/dw", shape, in[0], in[1], dy)
			p.run = acrossRows(p, R, n, func(r, i int) float32 { return sign(p.in[0][i]-p.in[1][r*n+i]) * p.in[2][r*n+i] })
			if d[0], err = p.apply(in[0], in[1], dy); err != nil {
				return nil, err
			}
		}
		if need[1] {
			p := newOp("distances/dv", tensor.Shape{R, n}, in[0], in[1], dy)
			loop := rowwise(R, n, func(lo, hi int) {
				for r := lo; r < hi; r++ {
					for i, w := range p.in[0] {
						p.out[r*n+i] = sign(p.in[1][r*n+i]-w) * p.in[2][r*n+i]
					}
				}
			})
			p.run = func() error {
				loop()
				return nil
			}
			d[1], err = p.apply(in[0], in[1], dy)
		}
		return d, err
	}
	return o.apply(w, v)
}

// acrossRows returns a run that sets each of the n values of p's result to the sum of term over the rows, in their order.
func acrossRows(p *op, rows, n int, term func(r, i int) float32) func() error {
	loop := rowwise(n, rows, func(lo, hi int) {
		clear(p.out[lo:hi])
		for r := range rows {
			for i := lo; i < hi; i++ {
				p.out[i] += term(r, i)
			}
		}
	})
	return func() error {
		loop()
		return nil
	}
}

func sign(x float32) float32 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// SpliceOwn returns W_r spliced with W for each row, w_A·W + w_B·W_r: [R, size of W]. s are the gate logits, as many as values of v; of the
// global form there are none, and s is nil. w is W, and v [R, size of W] has W_r.
//
// Its backward pass is dw = Σ_r w_A·dy_r, dv_r = w_B·dy_r and ds = dy_r·(W − W_r)·dw_A/ds.
func SpliceOwn(s, w, v *G.Node, p OwnSplicing) (*G.Node, error) {
	c := checker{op: "spliceown"}
	R, n := c.mat("v", v)
	shape := c.any("w", w)
	if c.err == nil && size(shape) != n {
		c.fail("w is %v, v %v: want as many values in a row of v as in w", shape, v.Shape())
	}
	if gates := p.Form != SpliceGlobal; c.err == nil && (s != nil) != gates {
		c.fail("the global form has no logits, each other form has")
	} else if gates && c.err == nil && size(c.any("logits", s)) != R*n {
		c.fail("logits are %v, v %v: want a logit for each value", s.Shape(), v.Shape())
	}
	if err := (&Splicing{Form: p.Form, Global: []float64{.5, .5}, Scale: p.Scale, Temperature: 1}).Check(2); c.err == nil && err != nil {
		c.fail("%w", err)
	}
	if c.err == nil && (p.Form == SpliceLanguage || !(p.A >= 0 && p.A <= 1) || !(p.C >= 0) || p.Bins < 1) {
		c.fail("form %d, a %v, c %v, %d bins: want another form than that of language, a in [0, 1], c >= 0, a bin", p.Form, p.A, p.C, p.Bins)
	}
	if c.err != nil {
		return nil, c.err
	}
	args := G.Nodes{w, v}
	if s != nil {
		args = append(args, s)
	}
	o := newOp(c.op, tensor.Shape{R, n}, args...)
	own := &spliceOwn{OwnSplicing: p, op: o, rows: R, n: n, weight: room[float32](args, R, n), slope: room[float32](args, R, n), g: room[float64](args, R, 2)}
	loop := rowwise(R, n*8, own.forward) // a gate costs some exponentials
	o.run = func() error {
		own.base = float64(float32(Entropy(o.in[0], p.Bins))) // rounded as in the published computation: c = 500 magnifies the last bits
		loop()
		return nil
	}
	o.grad = own.grad
	return o.apply(args...)
}

// spliceOwn is what the passes of one op share.
type spliceOwn struct {
	OwnSplicing
	op      *op
	rows, n int
	base    float64   // entropy of W
	weight  []float32 // [R, n]: w_A of the last run
	slope   []float32 // [R, n]: dw_A/ds
	g       []float64 // [R, 2]: global weights
}

func (s *spliceOwn) forward(lo, hi int) {
	n, w := s.n, s.op.in[0]
	for r := lo; r < hi; r++ {
		v, out, weight := s.op.in[1][r*n:(r+1)*n], s.op.out[r*n:(r+1)*n], s.weight[r*n:(r+1)*n]
		g := s.g[2*r : 2*r+2]
		if s.Form != SpliceLocal {
			h := float64(float32(Entropy(v, s.Bins)))
			g[0] = s.A/math.Pi*math.Atan(s.C*(s.base-h)) + .5
			g[1] = 1 - g[0]
		}
		if s.Form == SpliceGlobal {
			for i := range weight {
				weight[i] = float32(g[0])
			}
		} else {
			p := pair{Splicing: Splicing{Form: s.Form, Global: g, Scale: s.Scale, Temperature: 1}, slope: s.slope}
			for at := 0; at < n; at += pairBlock {
				end := min(n, at+pairBlock)
				p.weights(weight[at:end], s.op.in[2][r*n+at:r*n+end], r*n+at)
			}
		}
		for i, x := range weight {
			out[i] = float32(float64(w[i]) + (1-float64(x))*(float64(v[i])-float64(w[i])))
		}
	}
}

func (s *spliceOwn) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	R, n := s.rows, s.n
	d := make(G.Nodes, len(in))
	var err error
	if need[0] {
		p := newOp("spliceown/dw", in[0].Shape(), dy, out)
		p.run = acrossRows(p, R, n, func(r, i int) float32 { return s.weight[r*n+i] * p.in[0][r*n+i] })
		if d[0], err = p.apply(dy, out); err != nil {
			return nil, err
		}
	}
	if need[1] {
		p := newOp("spliceown/dv", tensor.Shape{R, n}, dy, out)
		loop := flat(R*n, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				p.out[i] = (1 - s.weight[i]) * p.in[0][i]
			}
		})
		p.run = func() error {
			loop()
			return nil
		}
		if d[1], err = p.apply(dy, out); err != nil {
			return nil, err
		}
	}
	if len(in) > 2 && need[2] {
		p := newOp("spliceown/ds", in[2].Shape(), dy, in[0], in[1], out)
		loop := rowwise(R, n, func(lo, hi int) {
			for r := lo; r < hi; r++ {
				for i, w := range p.in[1] {
					at := r*n + i
					p.out[at] = s.slope[at] * p.in[0][at] * (w - p.in[2][at])
				}
			}
		})
		p.run = func() error {
			loop()
			return nil
		}
		d[2], err = p.apply(dy, in[0], in[1], out)
	}
	return d, err
}
