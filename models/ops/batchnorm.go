package ops

import (
	"math"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// BatchStats holds the running mean and variance of the columns that a batch normalisation sees. The caller owns the
// buffers, and training updates them in place, once in a run.
type BatchStats struct {
	Mean, Var []float32
	Momentum  float64 // weight of a new batch in the running statistics, in [0, 1]; PyTorch's default is 0.1
	Eps       float64 // added to the variance, above 0; PyTorch's default is 1e-5

	// Own has a run put the batch's statistics in the place of the running ones. Whoever owns these moves them then.
	Own   bool
	Moved bool // the last run in training had statistics, which a batch of a single row has not
}

// momentum returns the weight of a new batch.
func (s *BatchStats) momentum() float64 {
	if s.Own {
		return 1
	}
	return s.Momentum
}

// BatchNorm normalises columns and applies an activation (Ioffe & Szegedy 2015), with PyTorch's meaning:
//
//	act((x − mean)/√(var + eps)·gamma + beta)
//
// x [B, C], gamma and beta [C] → [B, C]. In training, mean and variance are those of the n live rows of the batch, accumulated in
// float64, and the running statistics move towards them by Momentum. The batch's variance divides by n, and the running one by
// n−1. Outside of training they are the running ones. So they are for a training batch of a single live row, which has no
// variance; PyTorch refuses such a batch, but the last one of an epoch may have any size. Padding rows give 0 and take no gradient.
// A nil rows means that all rows are live.
//
// Its backward pass is, with dz = dy·act′(y), x̂ = (x − mean)/√(var + eps) and means over the live rows:
//
//	dgamma = Σ dz·x̂, dbeta = Σ dz, dx = gamma/√(var + eps)·(dz − mean(dz) − x̂·mean(dz·x̂))
//
// without the two means when the statistics are the running ones.
func BatchNorm(x, gamma, beta *G.Node, st *BatchStats, act kernel.Act, rows *Rows, train bool) (*G.Node, error) {
	c := checker{op: "batchnorm"}
	_, C := c.mat("x", x)
	c.row("gamma", gamma, C)
	c.row("beta", beta, C)
	c.act(act)
	c.stats(st, x, C)
	if c.err != nil {
		return nil, c.err
	}
	n := newBatchNorm(x, st, act, rows, train)
	o := newOp("batchnorm", x.Shape(), x, gamma, beta)
	o.form = BatchNormForm{Stats: st, Act: act}
	loop := rowwise(n.B, C, func(lo, hi int) {
		live := n.clip(o.out, lo, hi)
		for r := lo; r < live; r++ {
			y := o.out[r*C : (r+1)*C]
			kernel.Sub(y, o.in[0][r*C:(r+1)*C], n.mean)
			kernel.Mul(y, y, n.scale)
			kernel.BiasAct(y, o.in[2], act)
		}
	})
	o.run = func() error {
		if err := n.stats(o.in[0]); err != nil {
			return err
		}
		kernel.Mul(n.scale, n.inv, o.in[1])
		loop()
		return nil
	}
	o.grad = n.grad
	return o.apply(x, gamma, beta)
}

// stats checks running statistics for x, which has C columns.
func (c *checker) stats(st *BatchStats, x *G.Node, C int) {
	switch {
	case st == nil:
		c.fail("no running statistics")
	case planOf([]*G.Node{x}) == nil && (len(st.Mean) != C || len(st.Var) != C):
		c.fail("running statistics of %d and %d columns, x is %v", len(st.Mean), len(st.Var), x.Shape())
	case !(st.Momentum >= 0 && st.Momentum <= 1):
		c.fail("momentum %v, want a number in [0, 1]", st.Momentum)
	case !(st.Eps > 0):
		c.fail("eps %v, want a number above 0", st.Eps)
	}
}

// batchNorm is the state that the forward pass leaves to the backward pass.
type batchNorm struct {
	B, C  int
	st    *BatchStats
	act   kernel.Act
	rows  *Rows
	train bool

	live             int       // live rows of this run
	batch            bool      // this run uses the statistics of its batch
	mean, inv, scale []float32 // [C]: mean, 1/√(var+eps), gamma/√(var+eps)
	x                []float32
	shift            []float64 // [C]: first row, subtracted before summing: a large mean costs no digits of the variance
	sums             []float64 // [chunks, 2, C]: sums and sums of squares
	chunks           int
	sum              func()
}

func newBatchNorm(x *G.Node, st *BatchStats, act kernel.Act, rows *Rows, train bool) *batchNorm {
	B, C := x.Shape()[0], x.Shape()[1]
	n := &batchNorm{B: B, C: C, st: st, act: act, rows: rows, train: train}
	in := []*G.Node{x}
	n.mean, n.inv, n.scale = room[float32](in, C), room[float32](in, C), room[float32](in, C)
	n.chunks = min(B, parts(B*C))
	n.shift, n.sums = room[float64](in, C), room[float64](in, n.chunks, 2, C)
	n.sum = rowParts(B, n.chunks, func(i, lo, hi int) {
		s, q := n.sums[2*i*C:][:C], n.sums[(2*i+1)*C:][:C]
		clear(s)
		clear(q)
		shift := n.shift[:C]
		for r := lo; r < min(hi, n.live); r++ {
			for j, v := range n.x[r*C:][:C] {
				d := float64(v) - shift[j]
				s[j] += d
				q[j] += d * d
			}
		}
	})
	return n
}

// clip sets padding rows of lo..hi in m to zero and returns the end of the live ones.
func (n *batchNorm) clip(m []float32, lo, hi int) int {
	live := max(lo, min(hi, n.live))
	clear(m[live*n.C : hi*n.C])
	return live
}

// stats computes mean and inv for x, and moves the running statistics when training.
func (n *batchNorm) stats(x []float32) (err error) {
	if n.live, err = n.rows.live(n.B); err != nil {
		return err
	}
	n.batch = n.train && n.live > 1
	if n.st.Moved = n.batch; !n.batch {
		copy(n.mean, n.st.Mean)
		for j, v := range n.st.Var {
			n.inv[j] = float32(1 / math.Sqrt(float64(v)+n.st.Eps))
		}
		return nil
	}
	n.x = x
	for j := range n.shift {
		n.shift[j] = float64(x[j])
	}
	n.sum()
	N, m := float64(n.live), n.st.momentum()
	for j := range n.C {
		var s, q float64
		for i := range n.chunks {
			s += n.sums[2*i*n.C+j]
			q += n.sums[(2*i+1)*n.C+j]
		}
		mean := n.shift[j] + s/N
		ss := max(0, q-s*s/N)
		n.mean[j] = float32(mean)
		n.inv[j] = float32(1 / math.Sqrt(ss/N+n.st.Eps))
		n.st.Mean[j] = float32((1-m)*float64(n.st.Mean[j]) + m*mean)
		n.st.Var[j] = float32((1-m)*float64(n.st.Var[j]) + m*ss/(N-1))
	}
	return nil
}

func (n *batchNorm) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	B, C := n.B, n.C
	o := newOp("batchnorm/dx", dy.Shape(), in[0], out, dy)
	p := newPartial(in, B, C, 3*C) // Σ dz, Σ dz·x̂ and a row of scratch
	reduce := p.loop(func(sum []float32, lo, hi int) {
		dbeta, dgamma, xhat := sum[:C], sum[C:2*C], sum[2*C:]
		live := n.clip(o.out, lo, hi)
		for r := lo; r < live; r++ {
			a, z := r*C, (r+1)*C
			dz := o.out[a:z]
			kernel.ActGrad(dz, o.in[1][a:z], o.in[2][a:z], n.act)
			kernel.Sub(xhat, o.in[0][a:z], n.mean)
			kernel.Mul(xhat, xhat, n.inv)
			kernel.Add(dbeta, dz)
			kernel.MulAdd(dgamma, dz, xhat)
		}
	})
	m1, m2 := room[float32](in, C), room[float32](in, C) // mean(dz), mean(dz·x̂)/√(var+eps)
	finish := rowParts(B, p.chunks, func(i, lo, hi int) {
		t := p.sums[i*3*C:][2*C : 3*C]
		for r := lo; r < max(lo, min(hi, n.live)); r++ {
			a, z := r*C, (r+1)*C
			dx := o.out[a:z]
			if n.batch {
				kernel.Sub(t, o.in[0][a:z], n.mean)
				kernel.Mul(t, t, m2)
				kernel.Sub(dx, dx, t)
				kernel.Sub(dx, dx, m1)
			}
			kernel.Mul(dx, dx, n.scale)
		}
	})
	o.run = func() error {
		reduce()
		if !need[0] {
			return nil
		}
		p.total(m1, 0)
		p.total(m2, C)
		kernel.Scale(m1, m1, 1/float32(n.live))
		kernel.Scale(m2, m2, 1/float32(n.live))
		kernel.Mul(m2, m2, n.inv)
		finish()
		return nil
	}
	dx, err := o.apply(in[0], out, dy)
	if err != nil {
		return nil, err
	}
	return normGrads("batchnorm", p, dx, need)
}

// normGrads returns the gradients of x, gamma and beta from the node dx, which leaves the sums of dbeta and dgamma in p.
func normGrads(name string, p *partial, dx *G.Node, need []bool) (G.Nodes, error) {
	C := p.width / 3
	d := make(G.Nodes, 3)
	if need[0] {
		d[0] = dx
	}
	var err error
	if need[1] {
		if d[1], err = totals(name+"/dgamma", p, C, []int{C}, dx); err != nil {
			return nil, err
		}
	}
	if need[2] {
		if d[2], err = totals(name+"/dbeta", p, 0, []int{C}, dx); err != nil {
			return nil, err
		}
	}
	return d, nil
}
