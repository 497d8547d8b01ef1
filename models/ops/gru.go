package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// GRUOptions describes a recurrent layer.
type GRUOptions struct {
	Tokens    *Tokens // which rows are the positions of a sequence, and which of them are live
	Attention *G.Node // [R, 1]: scores that scale the update gate, as DIEN's AUGRU has them; nil for a plain GRU
}

// GRU is a gated recurrent unit over the live positions of each sequence, with the gates r, z, n of PyTorch's nn.GRU (Cho et al.
// 2014): x [R, 3H] over the positions, whh [3H, H] and bhh [3H] → [R, H],
//
//	r = σ(x_r + W_r·h + b_r), z = σ(x_z + W_z·h + b_z), n = tanh(x_n + r⊙(W_n·h + b_n))
//	h′ = (1 − z)⊙n + z⊙h
//
// x holds W_ih·input + b_ih, which [Linear] computes for all positions at once. The state begins as 0. The result is the state
// after each live position, and 0 at padding, which is not read and takes no gradient. A position that a mask hides leaves the
// state as it is. A sequence has the same bits alone and among others, and for any L.
//
// With attention scores a it is the AUGRU of DIEN (Zhou et al. 2019, eq. 14 to 17):
//
//	ũ = a·u, h′ = (1 − ũ)⊙h + ũ⊙n
//
// The paper's update gate u is the share of the new state, and PyTorch's z that of the old one. So u = 1 − z, and a score of 1
// makes the plain GRU. To read weights of a cell whose update gate is u, change the signs of those of z.
//
// Its backward pass uses the gates that the forward pass leaves behind, 5·R·H numbers that only a graph with a backward pass
// keeps. With dh the gradient of h′, and u = a·(1 − z):
//
//	dn = dh⊙u⊙(1 − n²), dr = dn⊙(W_n·h + b_n)⊙r⊙(1 − r), dz = −a·dh⊙(n − h)⊙z⊙(1 − z), da = Σ dh⊙(n − h)⊙(1 − z)
//	dx = (dr, dz, dn), g = (dr, dz, dn⊙r), dh of the state before = dh⊙(1 − u) + g·whh
//	dwhh = Σ gᵀ·h, dbhh = Σ g
func GRU(x, whh, bhh *G.Node, opt GRUOptions) (*G.Node, error) {
	c := checker{op: "gru"}
	_, H := c.mat("whh", whh)
	c.shape("whh", whh, "the weights of three gates", 3*H, H)
	c.shape("bhh", bhh, "one value per row of whh", 3*H)
	R, _ := c.mat("x", x)
	c.shape("x", x, "three gates per unit of whh", R, 3*H)
	B := c.tokens("x", R, opt.Tokens)
	in := G.Nodes{x, whh, bhh}
	if opt.Attention != nil {
		c.shape("attention", opt.Attention, "one score for each row of x", R, 1)
		in = append(in, opt.Attention)
	}
	if c.err != nil {
		return nil, c.err
	}
	g := newGRU(in, B, H, opt)
	o := newOp("gru", tensor.Shape{R, H}, in...)
	o.form = opt
	loop := rowParts(g.pieces, g.pieces, func(p, _, _ int) { g.forward(p, o.in, o.out) })
	o.run = func() error {
		if err := g.plan(); err != nil {
			return err
		}
		loop()
		return nil
	}
	o.grad = g.grad
	return o.apply(in...)
}

const (
	gruRows   = 32 // sequences of a piece at least, if there are several: the weights are packed once for them at each step
	gruPieces = 16 // pieces at most
)

// gru is what the passes of one op share. Its work is cut into pieces of sequences. Piece p has each pieces-th sequence in the
// order of their lengths, longest first, so that those that still have a position at a step come first. What is kept for the
// backward pass stands in rows: those of the first piece, of its first step, of its first sequence and so on.
type gru struct {
	GRUOptions
	B, L, H, pieces int

	live  []int   // [B]: positions of each sequence up to its last live one
	steps []int   // [B]: live positions
	at    []int32 // [B, L]: the rows where these are
	order []int   // [B]: the sequences, longest first
	count []int   // [L+2]: workspace of the sort
	start []int   // [pieces+1]: the first row of each piece, and the number of rows
	space []gruSpace
	ones  []float32 // [H]

	precision kernel.Precision

	// for the backward pass, of all rows; nil without one
	gates, n, prev []float32 // r, z and W_n·h + b_n side by side, [rows, 3H], n and the state before, [rows, H]
	slopes         []float32 // the gradients of gates
}

// gruSpace is the workspace of a piece. Each part has as many rows as the piece has sequences, H wide.
type gruSpace struct {
	gates      []float32 // r, z and W_n·h + b_n side by side
	n, h, u, t []float32
	at         []int32 // the rows of a step
}

func newGRU(in []*G.Node, B, H int, opt GRUOptions) *gru {
	L := opt.Tokens.L
	g := &gru{GRUOptions: opt, B: B, L: L, H: H, pieces: max(1, min(gruPieces, B/gruRows)), precision: precisionOf(in...)}
	g.live, g.steps, g.order = room[int](in, B), room[int](in, B), room[int](in, B)
	g.at, g.count, g.start = room[int32](in, B, L), room[int](in, L+2), room[int](in, g.pieces+1)
	g.ones = room[float32](in, H)
	kernel.Fill(g.ones, 1)
	g.space = make([]gruSpace, g.pieces)
	space := buffer(in, 7, B, H)
	for p := range g.space {
		size := g.rows(p) * H
		next := func(n int) []float32 {
			n = min(n, len(space)) // it is empty in a plan
			part := space[:n]
			space = space[n:]
			return part
		}
		g.space[p] = gruSpace{next(3 * size), next(size), next(size), next(size), next(size), room[int32](in, g.rows(p))}
	}
	return g
}

// rows is the number of sequences of piece p.
func (g *gru) rows(p int) int { return (g.B - p + g.pieces - 1) / g.pieces }

// plan finds the live positions of the run and cuts it into pieces.
func (g *gru) plan() error {
	if err := g.Tokens.live(g.live); err != nil {
		return err
	}
	clear(g.count)
	for b, n := range g.live {
		at, mask, k := g.Tokens.at(b), g.Tokens.mask(b), 0
		for i := range n {
			if seen(mask, i) {
				g.at[b*g.L+k] = int32(at + i)
				k++
			}
		}
		g.steps[b] = k
		g.count[g.L-k+1]++
	}
	for k := range g.L + 1 {
		g.count[k+1] += g.count[k]
	}
	for b, k := range g.steps {
		g.order[g.count[g.L-k]] = b
		g.count[g.L-k]++
	}
	for p := range g.pieces {
		n := 0
		for i := p; i < g.B; i += g.pieces {
			n += g.steps[g.order[i]]
		}
		g.start[p+1] = g.start[p] + n
	}
	return nil
}

// sequence is the k-th of piece p.
func (g *gru) sequence(p, k int) int { return g.order[p+k*g.pieces] }

// forward computes the states of piece p, step by step.
func (g *gru) forward(p int, in [][]float32, y []float32) {
	x, whh, bhh, H, s := in[0], in[1], in[2], g.H, &g.space[p]
	m, row := g.rows(p), g.start[p]
	for k := range m {
		b := g.sequence(p, k)
		clearPadding(y, H, b, g.live[b], g.Tokens)
	}
	clear(s.h)
	for step := 0; ; step++ {
		for m > 0 && g.steps[g.sequence(p, m-1)] <= step {
			m--
		}
		if m == 0 {
			return
		}
		gates, n, h := s.gates[:3*m*H], s.n[:m*H], s.h[:m*H]
		if g.gates != nil {
			gates, n = g.gates[3*row*H:][:3*m*H], g.n[row*H:][:m*H]
			copy(g.prev[row*H:], h)
		}
		if step == 0 {
			clear(gates)
		} else {
			g.precision.GemmRows(true, m, 3*H, H, h, H, whh, H, gates, 3*H, nil)
		}
		at := g.rowsOf(s, p, m, step)
		if g.Attention == nil {
			kernel.GRUCells(gates, n, h, y, x, bhh, at)
		} else {
			copy(s.t, h)
			kernel.GRUCells(gates, n, h, y, x, bhh, at)
			copy(h, s.t) // it has its own way to the next state
			kernel.Sub(s.t[:m*H], n, h)
			for k, row := range at {
				g.update(s.u[k*H:(k+1)*H], gates[(3*k+1)*H:], in[3][row])
			}
			kernel.MulAdd(h, s.u[:m*H], s.t[:m*H])
			for k, row := range at {
				copy(y[int(row)*H:], h[k*H:(k+1)*H])
			}
		}
		row += m
	}
}

// rowsOf returns the rows of a step of the first m sequences of piece p.
func (g *gru) rowsOf(s *gruSpace, p, m, step int) []int32 {
	for k := range m {
		s.at[k] = g.at[g.sequence(p, k)*g.L+step]
	}
	return s.at[:m]
}

// update sets u to the update gate a·(1 − z) of a sequence.
func (g *gru) update(u, z []float32, a float32) {
	kernel.Scale(u, z[:len(u)], -a)
	kernel.Axpy(u, a, g.ones)
}

// clearPadding sets to zero the rows, H wide, of the positions of sequence b that are not live.
func clearPadding(m []float32, H, b, live int, t *Tokens) {
	mask := t.mask(b)
	at, end := t.span(b)
	for i := range mask[:min(live, len(mask))] {
		if mask[i] == 0 {
			clear(m[(at+i)*H:][:H])
		}
	}
	clear(m[(at+live)*H : end*H])
}

// grad makes the gradients: one pass over the steps computes those of x and of the attention and leaves those of the gates, of
// which one product makes that of the weights.
func (g *gru) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	R, H := g.Tokens.rows(g.B), g.H
	if g.gates == nil {
		g.gates, g.n, g.prev = buffer(in, R, 3*H), buffer(in, R, H), buffer(in, R, H)
	}
	args := append(G.Nodes{}, in...)
	args = append(args, dy, out) // out: only to run after it
	o := newOp("gru/dx", in[0].Shape(), args...)
	g.slopes = buffer(in, R, 3*H)
	var da []float32
	scored := len(in) > 3 && need[3]
	if scored {
		da = buffer(in, R)
	}
	loop := rowParts(g.pieces, g.pieces, func(p, _, _ int) { g.backward(p, o.in, o.in[len(in)], o.out, da) })
	o.run = func() error {
		loop()
		return nil
	}
	first, err := o.apply(args...)
	if err != nil {
		return nil, err
	}
	d := make(G.Nodes, len(in))
	if need[0] {
		d[0] = first
	}
	if scored {
		if d[3], err = view("gru/dattention", in[3].Shape(), da, first); err != nil {
			return nil, err
		}
	}
	if need[1] {
		o := newOp("gru/dwhh", in[1].Shape(), first)
		o.run = func() error {
			g.precision.Gemm(true, false, 3*H, H, g.start[g.pieces], g.slopes, 3*H, g.prev, H, o.out, H, false, nil)
			return nil
		}
		if d[1], err = o.apply(first); err != nil {
			return nil, err
		}
	}
	if need[2] {
		o := newOp("gru/dbhh", in[2].Shape(), first)
		sums := room[float32](in, maxParts, 3, H)
		loop := rowParts(maxParts, maxParts, func(i, _, _ int) {
			rows := g.start[g.pieces]
			sum := sums[i*3*H:][:3*H]
			clear(sum)
			addRows(sum, g.slopes[rows*i/maxParts*3*H:rows*(i+1)/maxParts*3*H])
		})
		o.run = func() error {
			loop()
			copy(o.out, sums)
			for i := 1; i < maxParts; i++ {
				kernel.Add(o.out, sums[i*3*H:])
			}
			return nil
		}
		if d[2], err = o.apply(first); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// backward computes the gradients of piece p, from the last step to the first.
func (g *gru) backward(p int, in [][]float32, dy, dx, da []float32) {
	H, s := g.H, &g.space[p]
	m, row, longest := 0, g.start[p+1], 0
	for k := range g.rows(p) {
		b := g.sequence(p, k)
		longest = max(longest, g.steps[b])
		clearPadding(dx, 3*H, b, g.live[b], g.Tokens)
		if da != nil {
			at, end := g.Tokens.span(b)
			clear(da[at:end])
		}
	}
	clear(s.h) // the gradient of the state
	for step := longest - 1; step >= 0; step-- {
		for m < g.rows(p) && g.steps[g.sequence(p, m)] > step {
			m++
		}
		row -= m
		gates, d, n, h, dh := g.gates[3*row*H:][:3*m*H], g.slopes[3*row*H:][:3*m*H], g.n[row*H:][:m*H], g.prev[row*H:][:m*H], s.h[:m*H]
		at := g.rowsOf(s, p, m, step)
		if g.Attention == nil {
			kernel.GRUCellsGrad(dh, d, dx, gates, n, h, dy, at)
		} else {
			for k, row := range at {
				lo, hi := k*H, (k+1)*H
				a := g.scored(s, dh[lo:hi], d[3*lo:3*hi], dx[int(row)*3*H:][:3*H], gates[3*lo:3*hi], n[lo:hi], h[lo:hi], dy[int(row)*H:][:H], in[3][row])
				if da != nil {
					da[row] = a
				}
			}
		}
		if step > 0 {
			g.precision.GemmST(false, false, m, H, 3*H, d, 3*H, in[1], H, dh, H, true)
		}
	}
}

// scored is the gradient of a cell of an AUGRU, whose update gate a scales. It returns that of a.
func (g *gru) scored(s *gruSpace, dh, d, dx, gates, n, h, dy []float32, a float32) (da float32) {
	H := g.H
	r, z, hn := gates[:H], gates[H:2*H], gates[2*H:]
	dr, dz, dn, u, t := d[:H], d[H:2*H], dx[2*H:], s.u[:H], s.t[:H]
	kernel.Add(dh, dy)
	kernel.Sub(t, n, h)
	kernel.Mul(t, t, dh) // the gradient of u
	g.update(u, z, 1)
	da = kernel.Dot(t, u)
	kernel.Scale(t, t, -a)
	kernel.ActGrad(dz, z, t, kernel.Sigmoid)
	g.update(u, z, a)
	kernel.Mul(u, u, dh)
	kernel.Sub(dh, dh, u)
	kernel.ActGrad(dn, n, u, kernel.Tanh)
	kernel.Mul(t, dn, hn)
	kernel.ActGrad(dr, r, t, kernel.Sigmoid)
	kernel.Mul(d[2*H:], dn, r)
	copy(dx, d[:2*H])
	return da
}
