package nn

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Mul returns a ⊙ b, the product of two nodes of one shape entry by entry.
func Mul(s *Scope, a, b *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	s.Rigid(s.SpaceOf(a))
	return s.summed(s.Check(ops.Mul(a, b)), a, b)
}

// Gate returns x + σ(W·x + b) ⊙ y, [B, D] → [B, D]: what is added to x, entry by entry, is for x to say. Its parameters are weight,
// [D, D], and bias, [D].
func Gate(s *Scope, x, y *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	return Add(s, x, Mul(s, Linear(s, x, y.Shape()[1], kernel.Sigmoid), y))
}

// SwiGLU returns W_down·drop(silu(W_gate·x) ⊙ (W_up·x)), [B, D] → [B, D], with silu(z) = z·σ(z) (Shazeer 2020, arXiv:2002.05202). Its
// parameters are gate_proj.weight and up_proj.weight, [inner, D], and down_proj.weight, [D, inner]. dropout is the dropped share of
// the inner units.
func SwiGLU(s *Scope, x *G.Node, inner int, dropout float64) *G.Node {
	if s.Err() != nil {
		return nil
	}
	gate, up := Project(s.Sub("gate_proj"), x, inner), Project(s.Sub("up_proj"), x, inner)
	if s.Err() != nil {
		return nil
	}
	s.Rigid(s.SpaceOf(gate))
	y := s.summed(s.Check(ops.SwiGLU(gate, up)), gate, up)
	return Project(s.Sub("down_proj"), Dropout(s, y, dropout), x.Shape()[1])
}
