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

	kept   gruGates  // of all rows, for the backward pass; nil without one
	prev   []float32 // [rows, H]: the state before
	slopes gruGates  // the gradients of r, z and W_n·h + b_n
}

// gruGates are gates of several rows, each [rows, H].
type gruGates kernel.GRUGates

// of returns the gates of m rows from row on; those that are not there stay so.
func (g gruGates) of(row, m, H int) gruGates {
	g.R, g.Z, g.HN = g.R[row*H:][:m*H], g.Z[row*H:][:m*H], g.HN[row*H:][:m*H]
	if g.N != nil {
		g.N = g.N[row*H:][:m*H]
	}
	return g
}

// each returns the three that have weights.
func (g gruGates) each() [3][]float32 { return [...][]float32{g.R, g.Z, g.HN} }

// gruSpace is the workspace of a piece. Each part has as many rows as the piece has sequences, H wide.
type gruSpace struct {
	h     []float32
	gates gruGates
	u, t  []float32
	at    []int32 // the rows of a step
}

func newGRU(in []*G.Node, B, H int, opt GRUOptions) *gru {
	L := opt.Tokens.L
	g := &gru{GRUOptions: opt, B: B, L: L, H: H, pieces: max(1, min(gruPieces, B/gruRows))}
	g.live, g.steps, g.order = room[int](in, B), room[int](in, B), room[int](in, B)
	g.at, g.count, g.start = room[int32](in, B, L), room[int](in, L+2), room[int](in, g.pieces+1)
	g.ones = room[float32](in, H)
	kernel.Fill(g.ones, 1)
	g.space = make([]gruSpace, g.pieces)
	parts := cutInto(buffer(in, 7, B, H), 7) // of all pieces, one after the other
	at := 0
	for p := range g.space {
		end := at + g.rows(p)*H
		part := func(i int) []float32 { return parts[i][min(at, len(parts[i])):min(end, len(parts[i]))] }
		g.space[p] = gruSpace{
			h: part(0), gates: gruGates{part(1), part(2), part(3), part(4)}, u: part(5), t: part(6), at: room[int32](in, g.rows(p)),
		}
		at = end
	}
	return g
}

// cutInto returns n parts of x of the same size; they are empty in a plan, in which x is nil.
func cutInto(x []float32, n int) [][]float32 {
	parts, size := make([][]float32, n), len(x)/n
	for i := range parts {
		parts[i] = x[i*size : (i+1)*size]
	}
	return parts
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
		n, h := s.gates.of(0, m, H), s.h[:m*H]
		if g.kept.R != nil {
			n = g.kept.of(row, m, H)
			copy(g.prev[row*H:], h)
		}
		for i, gate := range n.each() {
			if step == 0 {
				clear(gate)
			} else {
				kernel.GemmRows(true, m, H, H, s.h, H, whh[i*H*H:], H, gate, H, nil)
			}
		}
		at := g.rowsOf(s, p, m, step)
		if g.Attention == nil {
			kernel.GRUCells(kernel.GRUGates(n), h, y, x, bhh, at)
		} else {
			copy(s.t, h)
			kernel.GRUCells(kernel.GRUGates(n), h, y, x, bhh, at)
			copy(h, s.t) // it has its own way to the next state
			kernel.Sub(s.t[:m*H], n.N, h)
			g.update(s.u[:m*H], n.Z, in[3], at)
			kernel.MulAdd(h, s.u[:m*H], s.t[:m*H])
			for k, at := range at {
				copy(y[int(at)*H:], h[k*H:(k+1)*H])
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

// update sets u to the update gates a·(1 − z) of the rows at, whose scores are a.
func (g *gru) update(u, z, a []float32, at []int32) {
	H := g.H
	for k, at := range at {
		kernel.Scale(u[k*H:(k+1)*H], z[k*H:(k+1)*H], -a[at])
		kernel.Axpy(u[k*H:(k+1)*H], a[at], g.ones)
	}
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
	if g.kept.R == nil {
		kept := cutInto(buffer(in, 5, R, H), 5)
		g.kept, g.prev = gruGates{kept[0], kept[1], kept[2], kept[3]}, kept[4]
	}
	args := append(G.Nodes{}, in...)
	args = append(args, dy, out) // out: only to run after it
	o := newOp("gru/dx", in[0].Shape(), args...)
	slopes := cutInto(buffer(in, 3, R, H), 3)
	g.slopes = gruGates{R: slopes[0], Z: slopes[1], HN: slopes[2]}
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
			for i, slopes := range g.slopes.each() {
				kernel.Gemm(true, false, H, H, g.start[g.pieces], slopes, H, g.prev, H, o.out[i*H*H:], H, false, nil)
			}
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
			for k, slopes := range g.slopes.each() {
				addRows(sum[k*H:(k+1)*H], slopes[rows*i/maxParts*H:rows*(i+1)/maxParts*H])
			}
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
		gates, d, prev, dh := g.kept.of(row, m, H), g.slopes.of(row, m, H), g.prev[row*H:][:m*H], s.h[:m*H]
		at := g.rowsOf(s, p, m, step)
		if g.Attention == nil {
			kernel.GRUCellsGrad(dh, kernel.GRUGates(d), dx, kernel.GRUGates(gates), prev, dy, at)
		} else {
			g.scored(s, dh, d, dx, gates, prev, dy, in[3], da, at)
		}
		if step > 0 {
			for i, slopes := range g.slopes.each() {
				kernel.GemmST(false, false, m, H, H, slopes[row*H:], H, in[1][i*H*H:], H, s.h, H, true)
			}
		}
	}
}

// scored is the gradient of a step of an AUGRU, whose update gates a scales. That of a goes to da, if it is wanted.
func (g *gru) scored(s *gruSpace, dh []float32, d gruGates, dx []float32, n gruGates, h, dy, a, da []float32, at []int32) {
	H, size := g.H, len(dh)
	dn, u, t := s.gates.N[:size], s.u[:size], s.t[:size]
	for k, at := range at {
		kernel.Add(dh[k*H:(k+1)*H], dy[int(at)*H:][:H])
	}
	kernel.Sub(t, n.N, h)
	kernel.Mul(t, t, dh) // the gradient of u
	for k, at := range at {
		t := t[k*H : (k+1)*H]
		if da != nil {
			kernel.Scale(u[:H], n.Z[k*H:(k+1)*H], -1)
			kernel.Add(u[:H], g.ones)
			da[at] = kernel.Dot(t, u[:H])
		}
		kernel.Scale(t, t, -a[at])
	}
	kernel.ActGrad(d.Z, n.Z, t, kernel.Sigmoid)
	g.update(u, n.Z, a, at)
	kernel.Mul(u, u, dh)
	kernel.Sub(dh, dh, u)
	kernel.ActGrad(dn, n.N, u, kernel.Tanh)
	kernel.Mul(t, dn, n.HN)
	kernel.ActGrad(d.R, n.R, t, kernel.Sigmoid)
	kernel.Mul(d.HN, dn, n.R)
	for k, at := range at {
		dx := dx[int(at)*3*H:][:3*H]
		for i, part := range [...][]float32{d.R, d.Z, dn} {
			copy(dx[i*H:], part[k*H:(k+1)*H])
		}
	}
}
