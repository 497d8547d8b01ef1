package nn

import (
	"fmt"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Linear returns act(x·Wᵀ + b), [B, in] → [B, out]. Its parameters are weight, [out, in], and bias, [out].
func Linear(s *Scope, x *G.Node, out int, act kernel.Act) *G.Node {
	if s.Err() != nil {
		return nil
	}
	w := s.Param("weight", s.weights(), out, x.Shape()[1])
	b := s.Param("bias", Zeros, out)
	if s.Err() != nil {
		return nil
	}
	return s.affine(x, s.Check(ops.Linear(x, w, b, act)), act != kernel.None)
}

// BatchNorm returns act((x - mean)/sqrt(var + 1e-5)·weight + bias), [B, C] → [B, C], with the mean and the variance of each column
// over the rows of the batch (Ioffe and Szegedy 2015). In evaluation, running statistics with a momentum of 0.1 take the place of
// the batch's.
func BatchNorm(s *Scope, x *G.Node, act kernel.Act) *G.Node {
	if s.Err() != nil {
		return nil
	}
	c := x.Shape()[1]
	w, b := s.Param("weight", Ones, c), s.Param("bias", Zeros, c)
	st := &ops.BatchStats{
		Mean: s.Buffer("running_mean", Zeros, c), Var: s.Buffer("running_var", Ones, c),
		Momentum: 0.1, Eps: 1e-5,
	}
	if s.Err() != nil {
		return nil
	}
	s.Stats = append(s.Stats, st)
	s.normed(x, st.Eps)
	return s.scaled(x, s.Check(ops.BatchNorm(x, w, b, st, act, s.Rows, s.Train)), "weight", "bias", "running_mean", "running_var")
}

// HeadNorm is [BatchNorm] with one channel for each of several heads, whose columns are normalised together: the heads of a row lie one below the
// other, [B·heads, W] → the same. Its parameters are weight and bias, [heads], and its running statistics.
func HeadNorm(s *Scope, x *G.Node, heads int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	w, b := s.Param("weight", Ones, heads), s.Param("bias", Zeros, heads)
	st := &ops.BatchStats{
		Mean: s.Buffer("running_mean", Zeros, heads), Var: s.Buffer("running_var", Ones, heads),
		Momentum: 0.1, Eps: 1e-5,
	}
	if s.Err() != nil {
		return nil
	}
	s.Stats = append(s.Stats, st)
	for _, name := range []string{"weight", "bias", "running_mean", "running_var"} {
		s.Along(name, 0, s.Fixed(heads))
	}
	sp := s.SpaceOf(x)
	s.Rigid(sp)
	return s.Columns(s.Check(ops.HeadNorm(x, w, b, st, s.Rows, s.Train)), sp)
}

// Dice returns the activation of DIN that adapts to the distribution of its inputs (Zhou et al. 2018, section 5.3), [B, C] → [B, C]:
//
//	p⊙x + alpha⊙(1 − p)⊙x,  p = σ((x − mean)/√(var + 1e-9))
//
// with the mean and the variance of each column over the live rows of the batch, or over live positions if x has a row for each. In
// evaluation, running statistics with a momentum of 0.01 take their place, as in FuxiCTR. The parameter is alpha, which starts at 0.
func Dice(s *Scope, x *G.Node, live *ops.Tokens) *G.Node {
	if s.Err() != nil {
		return nil
	}
	c := x.Shape()[1]
	alpha := s.Param("alpha", Zeros, c)
	o := ops.DiceOptions{Train: s.Train, Tokens: live, Stats: &ops.BatchStats{
		Mean: s.Buffer("running_mean", Zeros, c), Var: s.Buffer("running_var", Ones, c),
		Momentum: 0.01, Eps: 1e-9,
	}}
	if live == nil {
		o.Rows = s.Rows
	}
	if s.Err() != nil {
		return nil
	}
	s.Stats = append(s.Stats, o.Stats)
	return s.scaled(x, s.Check(ops.Dice(x, alpha, o)), "alpha", "running_mean", "running_var")
}

// LeakyReLU returns max(x, slope·x) for a slope in [0, 1], as the sum of slope·x and (1 − slope)·max(x, 0).
func LeakyReLU(s *Scope, x *G.Node, slope float64) *G.Node {
	if s.Err() != nil {
		return nil
	}
	sp := s.SpaceOf(x)
	s.Rigid(sp)
	up := s.Columns(s.Check(ops.Activate(x, kernel.ReLU)), sp)
	if s.Err() != nil {
		return nil
	}
	return Add(s, s.Columns(s.Check(ops.Scale(up, 1-slope)), sp), s.Columns(s.Check(ops.Scale(x, slope)), sp))
}

// Dropout sets each value to 0 with probability p and scales the others by 1/(1-p) (Srivastava et al. 2014). Outside of training
// it returns x itself.
func Dropout(s *Scope, x *G.Node, p float64) *G.Node {
	if s.Err() != nil || p == 0 || !s.Train {
		return x
	}
	return s.Columns(s.Check(ops.Dropout(x, p, s.Path("dropout"), s.Step)), s.SpaceOf(x))
}

// MLPOptions describes the layers of a tower.
type MLPOptions struct {
	Hidden     []int        // units of the hidden layers
	Activation kernel.Act   // comes after each hidden layer
	Dice       bool         // Dice comes after it
	Each       []Activation // by hidden layer, in the place of Activation and Dice; nil: those
	Live       *ops.Tokens  // which rows count for Dice if they are positions; nil for rows of the batch
	Dropout    float64      // probability of the dropout after each activation
	BatchNorm  bool         // normalise between the linear map and the activation
	Output     int          // units of a last linear layer without activation, or 0 for none
}

// MLP returns the output of a tower of linear layers over x: [B, in] → [B, Output], or [B, last hidden] if Output is 0. The
// parameters of layer i are i.weight and i.bias, and those of its batch norm, of Dice and of PReLU have the prefixes i.bn, i.dice and
// i.prelu.
func MLP(s *Scope, x *G.Node, o MLPOptions) *G.Node {
	for i, n := range o.Hidden {
		l, a := s.Sub(strconv.Itoa(i)), Activation{Act: o.Activation, Dice: o.Dice}
		if o.Each != nil {
			a = o.Each[i]
		}
		if o.BatchNorm {
			x = Linear(l, x, n, kernel.None)
			x = BatchNorm(l.Sub("bn"), x, a.Act)
		} else {
			x = Linear(l, x, n, a.Act)
		}
		if a.Dice {
			x = Dice(l.Sub("dice"), x, o.Live)
		}
		if a.PReLU {
			x = PReLU(l.Sub("prelu"), x)
		}
		x = Dropout(l, x, o.Dropout)
	}
	if o.Output > 0 {
		x = Linear(s.Sub(strconv.Itoa(len(o.Hidden))), x, o.Output, kernel.None)
	}
	return x
}

// Concat returns the columns of xs side by side: [B, a], [B, b] and so on → [B, a+b+…].
func Concat(s *Scope, xs ...*G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	return s.joined(s.Check(ops.Concat(xs...)), xs...)
}

// Add returns the sum of nodes of one shape.
func Add(s *Scope, xs ...*G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	return s.added(s.summed(s.Check(ops.Add(xs...)), xs...), xs...)
}

// Pairwise returns the second-order term of a factorisation machine over embeddings e of width dim, [B, F·dim] → [B, 1]: the sum of
// the inner products of all pairs of fields (Rendle 2010, lemma 3.1).
func Pairwise(s *Scope, e *G.Node, dim int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	y := s.Check(ops.Pairwise(e, e.Shape()[1]/dim))
	s.alike(e, dim)
	return s.Columns(y, s.Fixed(1))
}

// CrossNet returns the output of n cross layers of DCN over x0, [B, D] → [B, D] (Wang et al. 2017, eq. 3):
//
//	x_{l+1} = x_0·(w_l·x_l) + b_l + x_l
func CrossNet(s *Scope, x0 *G.Node, n int) *G.Node {
	x, sp := x0, s.SpaceOf(x0)
	for i := range n {
		if s.Err() != nil {
			return nil
		}
		l, d := s.Sub(strconv.Itoa(i)), x0.Shape()[1]
		w, b := l.Param("weight", XavierNormal, 1, d), l.Param("bias", Zeros, d)
		if s.Err() != nil {
			return nil
		}
		l.Along("weight", 1, sp)
		l.Along("bias", 0, sp)
		x = l.Columns(l.Check(ops.Cross(x0, x, w, b)), sp)
	}
	return x
}

// CrossNetV2 returns the output of n cross layers of DCN-V2 over x0, [B, D] → [B, D] (Wang et al. 2021, eq. 1):
//
//	x_{l+1} = x_0 ⊙ (W_l·x_l + b_l) + x_l
//
// If rank is above 0, W_l is the product U_l·V_l of matrices of that rank (eq. 2).
func CrossNetV2(s *Scope, x0 *G.Node, n, rank int) *G.Node {
	x, sp := x0, s.SpaceOf(x0)
	s.Rigid(sp)
	for i := range n {
		if s.Err() != nil {
			return nil
		}
		l, d := s.Sub(strconv.Itoa(i)), x0.Shape()[1]
		if rank > 0 {
			u, v := l.Param("u", XavierNormal, d, rank), l.Param("v", XavierNormal, rank, d)
			b := l.Param("bias", Zeros, d)
			if s.Err() != nil {
				return nil
			}
			l.Mapped("v", "", x, nil)
			r := l.Sub("rank").Units(rank)
			l.Along("u", 0, sp)
			l.Along("u", 1, r)
			l.Along("v", 0, r)
			l.Along("v", 1, sp)
			l.Along("bias", 0, sp)
			x = l.Columns(l.Check(ops.CrossLowRank(x0, x, u, v, b)), sp)
			continue
		}
		w, b := l.Param("weight", XavierNormal, d, d), l.Param("bias", Zeros, d)
		if s.Err() != nil {
			return nil
		}
		l.Mapped("weight", "bias", x, nil)
		l.Along("bias", 0, sp)
		l.Along("weight", 0, sp)
		l.Along("weight", 1, sp)
		x = l.Columns(l.Check(ops.CrossV2(x0, x, w, b)), sp)
	}
	return x
}

// CrossMix returns the output of n cross layers of DCN-V2 with a mixture of low-rank experts over x0, [B, D] → [B, D] (Wang et al. 2021,
// eqs. 3 to 5):
//
//	x_{l+1} = x_0 ⊙ (Σ_e G_e(x_l)·U_e·tanh(C_e·tanh(V_e·x_l)) + b_l) + x_l
//
// with gates G = softmax(W·x_l) over the experts, which all layers share, as in FuxiCTR. The bias is outside of the sum, which is the same:
// gates sum to 1. The parameters of layer l are l.u, [D, experts·rank], l.bias, and of each expert l.e.v.weight, [rank, D], and l.e.c.weight; those of the
// gates are gate.weight, [experts, D].
func CrossMix(s *Scope, x0 *G.Node, n, experts, rank int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	x, sp, d := x0, s.SpaceOf(x0), x0.Shape()[1]
	s.Rigid(sp)
	w := s.Sub("gate").Param("weight", XavierNormal, experts, d)
	if s.Err() != nil {
		return nil
	}
	gates := s.Sub("gate")
	gates.Along("weight", 0, s.Fixed(experts))
	gates.Along("weight", 1, sp)
	for i := range n {
		l := s.Sub(strconv.Itoa(i))
		g := l.Columns(l.Check(ops.Softmax(l.Check(ops.Linear(x, w, nil, kernel.None)))), l.Fixed(experts))
		h := make([]*G.Node, experts)
		for e := range h {
			expert := l.Sub(strconv.Itoa(e))
			h[e] = projectTanh(expert.Sub("c"), projectTanh(expert.Sub("v"), x, rank), rank)
		}
		all := Concat(l, h...)
		if s.Err() != nil {
			return nil
		}
		u, b := l.Param("u", XavierNormal, d, experts*rank), l.Param("bias", Zeros, d)
		if s.Err() != nil {
			return nil
		}
		inner := l.SpaceOf(all)
		mixed := l.Columns(l.Check(ops.Mix(all, g)), inner)
		l.Mapped("u", "bias", mixed, nil)
		l.Along("u", 0, sp)
		l.Along("u", 1, inner)
		l.Along("bias", 0, sp)
		z := l.Columns(l.Check(ops.Linear(mixed, u, b, kernel.None)), sp)
		x = Add(l, Mul(l, x0, z), x)
	}
	return x
}

// projectTanh returns tanh(W·x), [B, in] → [B, out], with the parameter weight.
func projectTanh(s *Scope, x *G.Node, out int) *G.Node {
	y := Project(s, x, out)
	if s.Err() != nil {
		return nil
	}
	sp := s.SpaceOf(y)
	s.Rigid(sp)
	return s.Columns(s.Check(ops.Activate(y, kernel.Tanh)), sp)
}

// ParseAct returns the activation of a name: none, relu, tanh or sigmoid. As FuxiCTR does, it also knows the names ReLU, Tanh,
// Sigmoid and linear, and takes an empty name for none.
func ParseAct(name string) (kernel.Act, error) {
	switch name {
	case "", "none", "linear":
		return kernel.None, nil
	case "relu", "ReLU":
		return kernel.ReLU, nil
	case "tanh", "Tanh":
		return kernel.Tanh, nil
	case "sigmoid", "Sigmoid":
		return kernel.Sigmoid, nil
	}
	return 0, fmt.Errorf("unknown activation %q: want none, relu, tanh or sigmoid", name)
}
