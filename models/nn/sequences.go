package nn

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Project returns x·Wᵀ, [B, in] → [B, out]. Its parameter is weight, [out, in].
func Project(s *Scope, x *G.Node, out int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	w := s.Param("weight", s.weights(), out, x.Shape()[1])
	if s.Err() != nil {
		return nil
	}
	y := s.Check(ops.Linear(x, w, nil, kernel.None))
	s.Mapped("weight", "", x, y)
	sp := s.Units(out)
	s.Along("weight", 0, sp)
	s.Along("weight", 1, s.SpaceOf(x))
	return s.Columns(y, sp)
}

// ProjectBack returns q·W, [B, out] → [B, in], for scores of q with rows that [Project] would have projected: (x·Wᵀ)·q = x·(q·W). x has such
// rows, [·, in]. The parameter is that of Project.
func ProjectBack(s *Scope, q, x *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	w := s.Param("weight", s.weights(), q.Shape()[1], x.Shape()[1])
	if s.Err() != nil {
		return nil
	}
	if s.Capture != nil {
		s.Capture(s.Path("weight"), x)
	}
	s.Along("weight", 0, s.SpaceOf(q))
	s.Along("weight", 1, s.SpaceOf(x))
	s.Metric(s.SpaceOf(q))
	s.Metric(s.SpaceOf(x))
	return s.Columns(s.Check(ops.LinearBack(q, w)), s.SpaceOf(x))
}

// LayerNorm normalises each row of x over its columns, with weight and bias of one value a column (Ba et al. 2016); eps is added to
// the variance.
func LayerNorm(s *Scope, x *G.Node, eps float64) *G.Node {
	if s.Err() != nil {
		return nil
	}
	c := x.Shape()[1]
	w, b := s.Param("weight", Ones, c), s.Param("bias", Zeros, c)
	if s.Err() != nil {
		return nil
	}
	return s.scaled(x, s.Check(ops.LayerNorm(x, w, b, eps)), "weight", "bias")
}

// Positions adds a learned embedding of its place to each position of sequences, [R, D] → the same. at has the places, [R], below most,
// or -1 for padding; it is read at each run. Its parameter is weight, [most, D].
func Positions(s *Scope, x *G.Node, at *[]int32, most int, std float64) *G.Node {
	if s.Err() != nil {
		return nil
	}
	return Add(s, x, Places(s, at, most, x.Shape()[1], Normal(std)))
}

// Places returns a learned embedding of places, one for each entry of at, [n] → [n, width]: zeros for -1. at is read at each run. The
// parameter is weight, [most, width].
func Places(s *Scope, at *[]int32, most, width int, init Init) *G.Node {
	if s.Err() != nil {
		return nil
	}
	w := s.Param("weight", init, most, width)
	if s.Err() != nil {
		return nil
	}
	sp := s.Units(width)
	s.Along("weight", 0, s.Fixed(most))
	s.Along("weight", 1, sp)
	return s.Columns(s.Check(ops.Lookup([]*G.Node{w}, []*[]int32{at})), sp)
}

// GRU returns the states of a gated recurrent unit after each position of sequences, [B·L, in] → [B·L, size] (Cho et al. 2014, in
// PyTorch's form). Its parameters are weight_ih, [3·size, in], weight_hh, [3·size, size], bias_ih and bias_hh, [3·size], for the gates
// r, z and n. The state before the first position is zero.
func GRU(s *Scope, x *G.Node, size int, tokens *ops.Tokens) *G.Node {
	return gru(s, x, size, ops.GRUOptions{Tokens: tokens})
}

// AUGRU is [GRU] with an update gate that attention, [R, 1], scales at each position (Zhou et al. 2019, eq. 14 to 17).
func AUGRU(s *Scope, x, attention *G.Node, size int, tokens *ops.Tokens) *G.Node {
	return gru(s, x, size, ops.GRUOptions{Tokens: tokens, Attention: attention})
}

func gru(s *Scope, x *G.Node, size int, o ops.GRUOptions) *G.Node {
	if s.Err() != nil {
		return nil
	}
	in := x.Shape()[1]
	init := Uniform(size)
	wi, wh := s.Param("weight_ih", init, 3*size, in), s.Param("weight_hh", init, 3*size, size)
	bi, bh := s.Param("bias_ih", init, 3*size), s.Param("bias_hh", init, 3*size)
	if s.Err() != nil {
		return nil
	}
	s.Mapped("weight_ih", "bias_ih", x, nil)
	h := s.Units(size)
	s.Rigid(h)
	gates := Join(h, h, h)
	s.Along("weight_ih", 0, gates)
	s.Along("weight_ih", 1, s.SpaceOf(x))
	s.Along("weight_hh", 0, gates)
	s.Along("weight_hh", 1, h)
	s.Along("bias_ih", 0, gates)
	s.Along("bias_hh", 0, gates)
	g := s.Columns(s.Check(ops.Linear(x, wi, bi, kernel.None)), gates)
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.GRU(g, wh, bh, o)), h)
}

// LinearOwn returns act(W_r·x_r + b_r) with weights of its own for each row, [B, in] → [B, out], which linear layers make of z, [B, n]. Their
// parameters are weight.weight and weight.bias, and bias.weight and bias.bias. What is made so cannot be permuted.
func LinearOwn(s *Scope, x, z *G.Node, out int, act kernel.Act) *G.Node {
	if s.Err() != nil {
		return nil
	}
	in := x.Shape()[1]
	w, b := Linear(s.Sub("weight"), z, out*in, kernel.None), Linear(s.Sub("bias"), z, out, kernel.None)
	if s.Err() != nil {
		return nil
	}
	for _, n := range []*G.Node{x, w, b} {
		s.Tie(s.SpaceOf(n), s.Fixed(n.Shape()[1]))
	}
	return s.Columns(s.Check(ops.LinearOwn(x, w, b, act)), s.Fixed(out))
}
