package nn

import (
	"math/rand/v2"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Experts are the outputs of towers of one shape over one input, which gates mix.
type Experts struct {
	X     *G.Node // [B, N·D], the experts side by side
	N, D  int
	space Space // of the experts
	units Space // of the columns of each
}

// ExpertsOf returns n towers of linear layers over x, [B, in] → n times [B, last hidden]. The parameters of layer i are i.weight,
// [n, out, in], and i.bias, [n, out]. Whole experts may be exchanged for each other, and so may the units of a layer, which are moved alike
// in all experts. Of the options, Dice, BatchNorm and Output are not for experts.
func ExpertsOf(s *Scope, x *G.Node, n int, o MLPOptions) *Experts {
	e := &Experts{X: x, N: n, units: s.SpaceOf(x)}
	if s.Err() != nil {
		return e
	}
	e.space, e.D = s.Units(n), x.Shape()[1]
	for i, out := range o.Hidden {
		l := s.Sub(strconv.Itoa(i))
		w := l.Param("weight", eachExpert(s.weights()), n, out, e.D)
		b := l.Param("bias", Zeros, n, out)
		if s.Err() != nil {
			return e
		}
		units := l.Units(out)
		if o.Activation != kernel.None {
			l.Rigid(units)
		}
		l.Along("weight", 0, e.space)
		l.Along("weight", 1, units)
		l.Along("weight", 2, e.units)
		l.Along("bias", 0, e.space)
		l.Along("bias", 1, units)
		e.X, e.D, e.units = s.Check(ops.LinearExperts(e.X, w, b, o.Activation)), out, units
		all := make([]Space, n)
		for k := range all {
			all[k] = units
		}
		s.mix(s.Columns(e.X, Join(all...)))
		e.X = s.mix(Dropout(l, e.X, o.Dropout))
	}
	return e
}

// mix declares that a unit's values in y are those of several experts, whose order is another in another model: they say nothing of which
// units correspond. It returns y.
func (s *Scope) mix(y *G.Node) *G.Node {
	if s.err == nil && y != nil {
		s.sym.mixed[y] = true
	}
	return y
}

// eachExpert fills a weight [n, out, in] with the initial values of n weights [out, in].
func eachExpert(init Init) Init {
	return func(r *rand.Rand, shape []int, dst []float32) {
		size := shape[1] * shape[2]
		for lo := 0; lo < len(dst); lo += size {
			init(r, shape[1:], dst[lo:lo+size])
		}
	}
}

// Mix returns the mean of experts, weighted by a softmax over the logits of a tower over x, which has an output for each expert: [B, in] →
// [B, D]. The tower's Output is not for the caller to set. Its parameters are those of MLP.
func Mix(s *Scope, x *G.Node, gate MLPOptions, experts ...*Experts) *G.Node {
	gate.Output = 0
	var xs G.Nodes
	var spaces, units []Space
	for _, e := range experts {
		gate.Output += e.N
		xs, spaces, units = append(xs, e.X), append(spaces, e.space), append(units, e.units)
	}
	z := MLP(s, x, gate)
	if s.Err() != nil {
		return nil
	}
	s.Tie(s.SpaceOf(z), Join(spaces...))
	s.Tie(units...)
	s.Rigid(s.SpaceOf(z))
	g := s.Columns(s.Check(ops.Softmax(z)), s.SpaceOf(z))
	all := s.mix(Concat(s, xs...))
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.Mixture(g, all)), experts[0].units)
}
