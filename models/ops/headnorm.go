package ops

import (
	"math"

	G "gorgonia.org/gorgonia"
)

// HeadNorm is batch normalisation with a channel for each of H heads, whose values are normalised together: x [B·H, W] with the heads of a row one
// below the other, gamma and beta [H] → [B·H, W]. It is PyTorch's BatchNorm1d(H) of [B, H, W]:
//
//	(x − mean_h)/√(var_h + eps)·gamma_h + beta_h
//
// In training, mean and variance are those of the n·W values of a head in the n live rows of the batch, accumulated in float64, and the running
// statistics move as in [BatchNorm]; outside of training they are the running ones. Padding rows give 0 and take no gradient. A nil rows means
// that all rows are live.
//
// Its backward pass is that of [BatchNorm], with sums and means over the values of a head.
func HeadNorm(x, gamma, beta *G.Node, st *BatchStats, rows *Rows, train bool) (*G.Node, error) {
	c := checker{op: "headnorm"}
	R, W := c.mat("x", x)
	H := 1
	if s := c.any("gamma", gamma); c.err == nil && len(s) == 1 {
		H = s[0]
	}
	c.shape("gamma", gamma, "one value per head", H)
	c.shape("beta", beta, "one value per head", H)
	if c.err == nil && R%H != 0 {
		c.fail("x is %v, want rows of %d heads", x.Shape(), H)
	}
	c.stats(st, x, H)
	if c.err != nil {
		return nil, c.err
	}
	n := newHeadNorm(x, H, st, rows, train)
	o := newOp(c.op, x.Shape(), x, gamma, beta)
	o.form = BatchNormForm{Stats: st}
	loop := rowwise(n.B, H*W, func(lo, hi int) {
		live := n.clip(o.out, lo, hi)
		for r := lo * H; r < live*H; r++ {
			h := r % H
			y, mean, scale, shift := o.out[r*W:(r+1)*W], n.mean[h], n.inv[h]*o.in[1][h], o.in[2][h]
			for j, v := range o.in[0][r*W : (r+1)*W] {
				y[j] = (v-mean)*scale + shift
			}
		}
	})
	o.run = func() error {
		if err := n.stats(o.in[0]); err != nil {
			return err
		}
		loop()
		return nil
	}
	o.grad = n.grad
	return o.apply(x, gamma, beta)
}

// headNorm is the state that the forward pass leaves to the backward pass.
type headNorm struct {
	B, H, W int
	st      *BatchStats
	rows    *Rows
	train   bool

	live      int       // live rows of this run
	batch     bool      // this run uses the statistics of its batch
	mean, inv []float32 // [H]: mean, 1/√(var+eps)
	x         []float32
	sums      []float64 // [chunks, H, 2]: sums and sums of squares, less the head's first value: a large mean costs no digits of the variance
	chunks    int
	sum       func()
}

func newHeadNorm(x *G.Node, H int, st *BatchStats, rows *Rows, train bool) *headNorm {
	in := []*G.Node{x}
	n := &headNorm{B: x.Shape()[0] / H, H: H, W: x.Shape()[1], st: st, rows: rows, train: train}
	n.mean, n.inv = room[float32](in, H), room[float32](in, H)
	n.chunks = min(n.B, parts(n.B*H*n.W))
	n.sums = room[float64](in, n.chunks, H, 2)
	n.sum = rowParts(n.B, n.chunks, func(i, lo, hi int) {
		sums := n.sums[i*2*H : (i+1)*2*H]
		clear(sums)
		for r := lo * H; r < min(hi, n.live)*H; r++ {
			h, s, q := r%H, 0.0, 0.0
			shift := float64(n.x[h*n.W])
			for _, v := range n.x[r*n.W : (r+1)*n.W] {
				d := float64(v) - shift
				s += d
				q += d * d
			}
			sums[2*h] += s
			sums[2*h+1] += q
		}
	})
	return n
}

// clip sets padding rows of lo..hi in m to zero and returns the end of the live ones.
func (n *headNorm) clip(m []float32, lo, hi int) int {
	live := max(lo, min(hi, n.live))
	clear(m[live*n.H*n.W : hi*n.H*n.W])
	return live
}

// stats computes mean and inv for x, and moves the running statistics when training.
func (n *headNorm) stats(x []float32) (err error) {
	if n.live, err = n.rows.live(n.B); err != nil {
		return err
	}
	N := float64(n.live * n.W)
	if n.batch = n.train && N > 1; !n.batch {
		copy(n.mean, n.st.Mean)
		for h, v := range n.st.Var {
			n.inv[h] = float32(1 / math.Sqrt(float64(v)+n.st.Eps))
		}
		return nil
	}
	n.x = x
	n.sum()
	m := n.st.Momentum
	for h := range n.H {
		var s, q float64
		for i := range n.chunks {
			s += n.sums[2*(i*n.H+h)]
			q += n.sums[2*(i*n.H+h)+1]
		}
		mean, ss := float64(x[h*n.W])+s/N, max(0, q-s*s/N)
		n.mean[h] = float32(mean)
		n.inv[h] = float32(1 / math.Sqrt(ss/N+n.st.Eps))
		n.st.Mean[h] = float32((1-m)*float64(n.st.Mean[h]) + m*mean)
		n.st.Var[h] = float32((1-m)*float64(n.st.Var[h]) + m*ss/(N-1))
	}
	return nil
}

func (n *headNorm) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	B, H, W := n.B, n.H, n.W
	o := newOp("headnorm/dx", dy.Shape(), in[0], in[1], dy, out) // out: only to run after it
	p := newPartial(in, B, H*W, 2*H)                             // Σ dy and Σ dy·x̂
	reduce := p.loop(func(sum []float32, lo, hi int) {
		for r := lo * H; r < min(hi, n.live)*H; r++ {
			h := r % H
			x, mean := o.in[0][r*W:(r+1)*W], n.mean[h]
			var s, q float32
			for j, v := range o.in[2][r*W : (r+1)*W] {
				s += v
				q += v * (x[j] - mean)
			}
			sum[h] += s
			sum[H+h] += q * n.inv[h]
		}
	})
	means := room[float32](in, 2*H)
	finish := rowwise(B, H*W, func(lo, hi int) {
		live := n.clip(o.out, lo, hi)
		for r := lo * H; r < live*H; r++ {
			h := r % H
			x, dx := o.in[0][r*W:(r+1)*W], o.out[r*W:(r+1)*W]
			mean, scale, m1, m2 := n.mean[h], n.inv[h]*o.in[1][h], means[h], means[H+h]*n.inv[h]
			for j, v := range o.in[2][r*W : (r+1)*W] {
				dx[j] = scale * (v - m1 - (x[j]-mean)*m2)
			}
		}
	})
	o.run = func() error {
		reduce()
		if !need[0] {
			return nil
		}
		clear(means)
		if n.batch {
			p.total(means, 0)
			for i := range means {
				means[i] /= float32(n.live * W)
			}
		}
		finish()
		return nil
	}
	dx, err := o.apply(in[0], in[1], dy, out)
	if err != nil {
		return nil, err
	}
	d := make(G.Nodes, 3)
	if need[0] {
		d[0] = dx
	}
	if need[1] {
		if d[1], err = totals("headnorm/dgamma", p, H, []int{H}, dx); err != nil {
			return nil, err
		}
	}
	if need[2] {
		d[2], err = totals("headnorm/dbeta", p, 0, []int{H}, dx)
	}
	return d, err
}
