package ops

import (
	"math"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// DiceOptions describes an activation by the distribution of its inputs.
type DiceOptions struct {
	Stats  *BatchStats // running statistics; FuxiCTR's Dice has a momentum of 0.01 and an eps of 1e-9, the paper an eps of 1e-8
	Rows   *Rows       // the live rows of x [B, C]; nil if all are
	Tokens *Tokens     // the live rows of x [B*L, C], in the place of Rows; nil if rows are not positions
	Train  bool        // the statistics are those of the batch
}

// Dice is the activation of DIN that adapts to the distribution of its inputs (Zhou et al. 2018, section 5.3): x [B, C] or [B*L, C]
// and alpha [C] →
//
//	y = p⊙x + alpha⊙(1 − p)⊙x,  p = σ(x̂),  x̂ = (x − mean)/√(var + eps)
//
// with the mean and the variance of each column. In training these are those of the n live rows, accumulated in float64, and
// the running statistics move towards them as those of [BatchNorm] do, whose meaning of momentum and of a single live row they
// have too. Rows that are not live are not read, give 0 and take no gradient, and what the live ones have does not depend on where
// they stand.
//
// Its backward pass is, with dx̂ = dy⊙x⊙(1 − alpha)⊙p⊙(1 − p) and means over the live rows:
//
//	dalpha = Σ dy⊙x⊙(1 − p), dx = dy⊙(p + alpha⊙(1 − p)) + (dx̂ − mean(dx̂) − x̂⊙mean(dx̂⊙x̂))/√(var + eps)
//
// without the two means when the statistics are the running ones.
func Dice(x, alpha *G.Node, opt DiceOptions) (*G.Node, error) {
	c := checker{op: "dice"}
	R, C := c.mat("x", x)
	c.row("alpha", alpha, C)
	c.stats(opt.Stats, x, C)
	B := 0
	if opt.Tokens != nil {
		B = c.tokens("x", R, opt.Tokens)
		if opt.Rows != nil {
			c.fail("rows are live by Rows and by Tokens, want one of them")
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	n := newDice([]*G.Node{x, alpha}, R, C, B, opt)
	o := newOp("dice", x.Shape(), x, alpha)
	o.form = opt
	loop := n.loop(func(_, space []float32, r int) {
		x, y, p := o.in[0][r*C:(r+1)*C], o.out[r*C:(r+1)*C], space[:C]
		n.normal(p, x)
		kernel.Activate(p, p, kernel.Sigmoid)
		n.slope(y, p, o.in[1])
		kernel.Mul(y, y, x)
	})
	o.run = func() error {
		if err := n.plan(); err != nil {
			return err
		}
		n.x = o.in[0]
		n.stats()
		n.clear(o.out)
		loop()
		return nil
	}
	o.grad = n.grad
	return o.apply(x, alpha)
}

// diceRows is the number of live rows whose sums are added up before those of others.
const diceRows = 256

// dice is what the passes of one op share.
type dice struct {
	DiceOptions
	R, C int

	lengths   []int     // [B]: positions of each sequence up to its last live one; nil without tokens
	at        []int32   // [R]: the live rows
	live      int       // their number in this run
	batch     bool      // this run uses the statistics of its batch
	mean, inv []float32 // [C]: mean, 1/√(var+eps)
	x         []float32
	shift     []float64 // [C]: the first live row, as [BatchNorm] has it
	moments   []float64 // [blocks, 2, C]: sums and sums of squares
	momentsOf func()
	sums      []float32 // [blocks, 3, C]: Σ dx̂, Σ dx̂⊙x̂, Σ of alpha's gradient
	space     []float32 // [chunks, 3, C]
}

func newDice(in []*G.Node, R, C, B int, opt DiceOptions) *dice {
	n := &dice{DiceOptions: opt, R: R, C: C, at: room[int32](in, R)}
	if opt.Tokens != nil {
		n.lengths = room[int](in, B)
	}
	blocks := ceilDiv(R, diceRows)
	n.mean, n.inv, n.shift = room[float32](in, C), room[float32](in, C), room[float64](in, C)
	n.moments, n.space = room[float64](in, blocks, 2, C), room[float32](in, min(maxParts, blocks), 3, C)
	n.momentsOf = n.blocks(func(block int, _ []float32, rows []int32) {
		s, q := n.moments[2*block*C:][:C], n.moments[(2*block+1)*C:][:C]
		clear(s)
		clear(q)
		shift := n.shift[:C]
		for _, r := range rows {
			for j, v := range n.x[int(r)*C:][:C] {
				d := float64(v) - shift[j]
				s[j] += d
				q[j] += d * d
			}
		}
	})
	return n
}

// blocks returns a function that runs f on all blocks of live rows, with a workspace of three rows.
func (n *dice) blocks(f func(block int, space []float32, rows []int32)) func() {
	chunks := min(maxParts, ceilDiv(n.R, diceRows))
	return rowParts(chunks, chunks, func(c, _, _ int) {
		all := ceilDiv(n.live, diceRows)
		for b := all * c / chunks; b < all*(c+1)/chunks; b++ {
			f(b, n.space[c*3*n.C:][:3*n.C], n.at[b*diceRows:min(n.live, (b+1)*diceRows)])
		}
	})
}

// loop returns a function that runs f on all live rows, with the sums of their blocks if there are any, set to zero before.
func (n *dice) loop(f func(sums, space []float32, r int)) func() {
	return n.blocks(func(block int, space []float32, rows []int32) {
		var sums []float32
		if n.sums != nil {
			sums = n.sums[block*3*n.C:][:3*n.C]
			clear(sums)
		}
		for _, r := range rows {
			f(sums, space, int(r))
		}
	})
}

// plan finds the live rows of the run.
func (n *dice) plan() error {
	n.live = 0
	if n.Tokens == nil {
		live, err := n.Rows.live(n.R)
		for r := range live {
			n.at[r] = int32(r)
		}
		n.live = live
		return err
	}
	if err := n.Tokens.live(n.lengths); err != nil {
		return err
	}
	for b, length := range n.lengths {
		at, mask := n.Tokens.at(b), n.Tokens.mask(b)
		for i := range length {
			if seen(mask, i) {
				n.at[n.live] = int32(at + i)
				n.live++
			}
		}
	}
	return nil
}

// clear sets the rows of m that are not live to zero.
func (n *dice) clear(m []float32) {
	next := 0
	for _, r := range n.at[:n.live] {
		clear(m[next*n.C : int(r)*n.C])
		next = int(r) + 1
	}
	clear(m[next*n.C:])
}

// stats computes mean and inv, and moves the running statistics when training.
func (n *dice) stats() {
	st, C := n.Stats, n.C
	n.batch = n.Train && n.live > 1
	if st.Moved = n.batch; !n.batch {
		copy(n.mean, st.Mean)
		for j, v := range st.Var {
			n.inv[j] = float32(1 / math.Sqrt(float64(v)+st.Eps))
		}
		return
	}
	for j := range n.shift {
		n.shift[j] = float64(n.x[int(n.at[0])*C+j])
	}
	n.momentsOf()
	N, m := float64(n.live), st.momentum()
	for j := range C {
		var s, q float64
		for b := range ceilDiv(n.live, diceRows) {
			s += n.moments[2*b*C+j]
			q += n.moments[(2*b+1)*C+j]
		}
		mean, ss := n.shift[j]+s/N, max(0, q-s*s/N)
		n.mean[j], n.inv[j] = float32(mean), float32(1/math.Sqrt(ss/N+st.Eps))
		st.Mean[j] = float32((1-m)*float64(st.Mean[j]) + m*mean)
		st.Var[j] = float32((1-m)*float64(st.Var[j]) + m*ss/(N-1))
	}
}

// normal is x̂.
func (n *dice) normal(xhat, x []float32) {
	kernel.Sub(xhat, x, n.mean)
	kernel.Mul(xhat, xhat, n.inv)
}

// slope is p + alpha⊙(1 − p).
func (n *dice) slope(s, p, alpha []float32) {
	kernel.Mul(s, p, alpha)
	kernel.Sub(s, p, s)
	kernel.Add(s, alpha)
}

func (n *dice) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	C := n.C
	n.sums = room[float32](in, ceilDiv(n.R, diceRows), 3, C)
	o := newOp("dice/dx", in[0].Shape(), in[0], in[1], dy, out) // out: only to run after it
	rest := room[float32](in, C)                                // 1 − alpha
	reduce := n.loop(func(sums, space []float32, r int) {
		x, dy, dxhat := o.in[0][r*C:(r+1)*C], o.in[2][r*C:(r+1)*C], o.out[r*C:(r+1)*C]
		xhat, p, t := space[:C], space[C:2*C], space[2*C:]
		n.normal(xhat, x)
		kernel.Activate(p, xhat, kernel.Sigmoid)
		kernel.Mul(t, dy, x)
		kernel.Mul(dxhat, t, p)
		kernel.Sub(dxhat, t, dxhat)
		kernel.Add(sums[2*C:], dxhat)
		kernel.Mul(t, t, rest)
		kernel.ActGrad(dxhat, p, t, kernel.Sigmoid)
		kernel.Add(sums[:C], dxhat)
		kernel.MulAdd(sums[C:2*C], dxhat, xhat)
	})
	m := room[float32](in, 2*C) // mean(dx̂), mean(dx̂⊙x̂)
	total := func(dst []float32, from int) {
		clear(dst)
		for b := range ceilDiv(n.live, diceRows) {
			kernel.Add(dst, n.sums[b*3*C+from:][:len(dst)])
		}
	}
	finish := n.blocks(func(_ int, space []float32, rows []int32) {
		xhat, p := space[:C], space[C:2*C]
		for _, r := range rows {
			a, z := int(r)*C, (int(r)+1)*C
			dx := o.out[a:z]
			n.normal(xhat, o.in[0][a:z])
			kernel.Activate(p, xhat, kernel.Sigmoid)
			if n.batch {
				kernel.Sub(dx, dx, m[:C])
				kernel.Mul(xhat, xhat, m[C:])
				kernel.Sub(dx, dx, xhat)
			}
			kernel.Mul(dx, dx, n.inv)
			n.slope(xhat, p, o.in[1])
			kernel.MulAdd(dx, xhat, o.in[2][a:z])
		}
	})
	o.run = func() error {
		for j, v := range o.in[1] {
			rest[j] = 1 - v
		}
		reduce()
		if !need[0] {
			return nil
		}
		total(m, 0)
		kernel.Scale(m, m, 1/float32(max(1, n.live)))
		n.clear(o.out)
		finish()
		return nil
	}
	dx, err := o.apply(in[0], in[1], dy, out)
	if err != nil {
		return nil, err
	}
	d := make(G.Nodes, 2)
	if need[0] {
		d[0] = dx
	}
	if need[1] {
		o := newOp("dice/dalpha", in[1].Shape(), dx)
		o.run = func() error {
			total(o.out, 2*C)
			return nil
		}
		d[1], err = o.apply(dx)
	}
	return d, err
}
