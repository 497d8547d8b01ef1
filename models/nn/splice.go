package nn

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Spliced says where the weights of a layer are that LinearSplice puts together.
type Spliced struct {
	Static   *Scope // weight [out, in] and bias [out], which all rows share: those of Linear
	Own      *Scope // what makes those of each row: as LinearOwn has them
	Assessor *Scope // weight [in, in] and bias [out, out]: the matrices that judge weights and biases. The global form has none
	ops.OwnSplicing
}

// LinearSplice returns act(W_r·x_r + b_r), [B, in] → [B, out], where each row's W_r and b_r are spliced of the static ones and of those
// that linear layers make of z, [B, n]: ops.SpliceOwn with the logits |W − W_r|·Pᵀ. Biases are spliced as matrices of one row. What is
// made so cannot be permuted.
func LinearSplice(l Spliced, x, z *G.Node, out int, act kernel.Act) *G.Node {
	s := l.Own
	if s.Err() != nil {
		return nil
	}
	in := x.Shape()[1]
	ws, bs := l.Static.Param("weight", XavierNormal, out, in), l.Static.Param("bias", Zeros, out)
	w, b := Linear(s.Sub("weight"), z, out*in, kernel.None), Linear(s.Sub("bias"), z, out, kernel.None)
	w, b = l.splice("weight", ws, w, in), l.splice("bias", bs, b, out)
	if s.Err() != nil {
		return nil
	}
	l.Static.Along("weight", 0, s.Fixed(out))
	l.Static.Along("weight", 1, s.Fixed(in))
	l.Static.Along("bias", 0, s.Fixed(out))
	s.Tie(s.SpaceOf(x), s.Fixed(in))
	return s.Columns(s.Check(ops.LinearOwn(x, w, b, act)), s.Fixed(out))
}

// splice returns the values of each row, own, spliced with those that all share; an assessor judges width of them at once.
func (l Spliced) splice(name string, static, own *G.Node, width int) *G.Node {
	s := l.Assessor
	if s.Err() != nil {
		return nil
	}
	var logits *G.Node
	if l.Form != ops.SpliceGlobal {
		p := s.Param(name, Uniform(width), width, width)
		if s.Err() != nil {
			return nil
		}
		s.Along(name, 0, s.Fixed(width))
		s.Along(name, 1, s.Fixed(width))
		if d := s.Check(ops.Distances(static, own, width)); d != nil {
			logits = s.Check(ops.Linear(d, p, nil, kernel.None))
		}
		if s.Err() != nil {
			return nil
		}
	}
	s.Tie(s.SpaceOf(own), s.Fixed(own.Shape()[1]))
	return s.Columns(s.Check(ops.SpliceOwn(logits, static, own, l.OwnSplicing)), s.Fixed(own.Shape()[1]))
}
