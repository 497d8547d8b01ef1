package onnx

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// call is an op to be translated: its name and form (see [ops.FormOf]), its inputs, and their names.
type call struct {
	*builder
	name  string
	form  any
	nodes G.Nodes
	in    []string
	out   []int // shape of the result, whose rows may be others in ONNX
}

// shape returns the shape of an input, whose rows may be others in ONNX.
func (c *call) shape(i int) []int { return c.nodes[i].Shape() }

// translations say how each op is written, by its name.
var translations map[string]func(c *call) (string, error)

func init() {
	translations = map[string]func(c *call) (string, error){
		"activate": func(c *call) (string, error) { return c.activate(c.in[0], c.form.(kernel.Act)), nil },
		"add":      (*call).sumOf,
		"mul":      func(c *call) (string, error) { return c.do("Mul", c.in...), nil },
		"scale":    func(c *call) (string, error) { return c.do("Mul", c.in[0], c.number(float32(c.form.(float64)))), nil },
		"columns":  func(c *call) (string, error) { return c.columnsOf(c.in[0], c.form.(int), c.out[1]), nil },
		"concat":   func(c *call) (string, error) { return c.builder.add("Concat", c.in, attr{"axis", 1}), nil },
		"sumcols":  func(c *call) (string, error) { return c.sum(c.in[0], 1, true), nil },
		"softmax":  func(c *call) (string, error) { return c.softmax(c.in[0]), nil },
		"linear":   (*call).linear, "linearback": func(c *call) (string, error) { return c.do("MatMul", c.in...), nil },
		"linearexperts": (*call).experts, "mixture": (*call).mixture, "mix": (*call).mix, "linearown": (*call).linearOwn,
		"batchnorm": (*call).batchNorm, "dice": (*call).dice, "layernorm": (*call).layerNorm, "addlayernorm": (*call).layerNorm,
		"gelu": (*call).gelu, "swiglu": (*call).swiglu, "prelu": func(c *call) (string, error) { return c.do("PRelu", c.in...), nil },
		"cross": (*call).cross, "crossv2": (*call).crossV2, "crosslowrank": (*call).crossLowRank, "pairwise": (*call).pairwise, "both": (*call).both,

		"fieldrows": (*call).reshaped, "joinrows": (*call).reshaped, "turn": (*call).turn, "turnback": (*call).turn, "arrange": (*call).arrange,
		"inner": (*call).inner, "innerpairs": (*call).innerPairs, "pairproducts": (*call).pairProducts, "bilinear": (*call).bilinear,
		"factorized": (*call).factorized, "maskedcross": (*call).maskedCross, "headnorm": (*call).headNorm,

		"attention": (*call).attention, "targetattention": (*call).targetAttention, "softmaxtokens": (*call).softmaxTokens,
		"weightedpool": (*call).weightedPool, "meantokens": (*call).meanTokens, "sumtokens": (*call).sumTokens, "firsttoken": (*call).firstToken,
		"repeat": (*call).repeat, "append": (*call).append, "pickrows": (*call).pickRows, "lookup": (*call).lookup, "gru": (*call).gru,
	}
}

// translate writes a node whose inputs are written.
func (b *builder) translate(n *G.Node, in G.Nodes) (string, error) {
	if len(in) == 0 {
		return b.leaf(n)
	}
	name, form, ok := ops.FormOf(n)
	if !ok {
		return "", fmt.Errorf("the op %v has no translation to ONNX", n.Op())
	}
	c := &call{builder: b, name: name, form: form, nodes: in, out: n.Shape()}
	for _, x := range in {
		c.in = append(c.in, b.names[x])
	}
	write := translations[name]
	if write == nil {
		return "", fmt.Errorf("the op %s has no translation to ONNX", name)
	}
	return write(c)
}

// leaf writes a node without inputs: an input of the model or a weight.
func (b *builder) leaf(n *G.Node) (string, error) {
	if l := b.lookups[n]; l != nil {
		return b.embed(l)
	}
	if f, ok := b.scoring.Numbers(n); ok {
		return b.numbers(f), nil
	}
	v, err := values(n)
	if err != nil {
		return "", err
	}
	return b.tensor(n.Name(), v, n.Shape()...), nil
}

// activate applies an activation.
func (b *builder) activate(x string, act kernel.Act) string {
	switch act {
	case kernel.ReLU:
		return b.do("Relu", x)
	case kernel.Tanh:
		return b.do("Tanh", x)
	case kernel.Sigmoid:
		return b.do("Sigmoid", x)
	}
	return x
}

func (b *builder) softmax(x string) string { return b.add("Softmax", []string{x}, attr{"axis", -1}) }

// affine is x·wᵀ, with the bias if there is one.
func (b *builder) affine(x, w string, bias ...string) string {
	return b.add("Gemm", append([]string{x, w}, bias...), attr{"transB", 1})
}

func (c *call) sumOf() (string, error) {
	y := c.in[0]
	for _, x := range c.in[1:] {
		y = c.do("Add", y, x)
	}
	return y, nil
}

func (c *call) linear() (string, error) {
	return c.activate(c.affine(c.in[0], c.in[1], c.in[2:]...), c.form.(kernel.Act)), nil
}

// experts: x [B, I] or [B, E·I], w [E, O, I], b [E, O] → [B, E·O].
func (c *call) experts() (string, error) {
	w := c.shape(1)
	E, O, I := w[0], w[1], w[2]
	bias := c.reshape(c.in[2], E*O)
	act := c.form.(kernel.Act)
	if c.shape(0)[1] == I {
		return c.activate(c.affine(c.in[0], c.reshape(c.in[1], E*O, I), bias), act), nil
	}
	x := c.do("MatMul", c.reshape(c.in[0], -1, E, 1, I), c.transpose(c.in[1], 0, 2, 1)) // [B, E, 1, O]
	return c.activate(c.do("Add", c.reshape(x, -1, E*O), bias), act), nil
}

// mixture: gates [B, E], x [B, E·D] → [B, D].
func (c *call) mixture() (string, error) {
	E, width := c.shape(0)[1], c.shape(1)[1]
	y := c.do("MatMul", c.reshape(c.in[0], -1, 1, E), c.reshape(c.in[1], -1, E, width/E))
	return c.reshape(y, -1, width/E), nil
}

// mix: h [B, E·R], gate [B, E] → [B, E·R].
func (c *call) mix() (string, error) {
	width, E := c.shape(0)[1], c.shape(1)[1]
	y := c.do("Mul", c.reshape(c.in[0], -1, E, width/E), c.unsqueeze(c.in[1], 2))
	return c.reshape(y, -1, width), nil
}

// linearOwn: x [B, I], w [B, O·I], b [B, O] → [B, O].
func (c *call) linearOwn() (string, error) {
	I, O := c.shape(0)[1], c.shape(2)[1]
	y := c.do("MatMul", c.reshape(c.in[1], -1, O, I), c.unsqueeze(c.in[0], 2))
	return c.activate(c.do("Add", c.squeeze(y, 2), c.in[2]), c.form.(kernel.Act)), nil
}

func (c *call) batchNorm() (string, error) { return c.normed(c.in[0]), nil }

// normed normalises the channels of x, [rows, channels] or [rows, channels, values], by their running statistics.
func (c *call) normed(x string) string {
	f := c.form.(ops.BatchNormForm)
	name := c.nodes[1].Name()
	mean, variance := c.tensor(name+".running_mean", f.Stats.Mean, len(f.Stats.Mean)), c.tensor(name+".running_var", f.Stats.Var, len(f.Stats.Var))
	y := c.builder.add("BatchNormalization", []string{x, c.in[1], c.in[2], mean, variance}, attr{"epsilon", float32(f.Stats.Eps)})
	return c.activate(y, f.Act)
}

// dice: p⊙x + alpha⊙(1 − p)⊙x with p = σ((x − mean)/√(var + eps)).
func (c *call) dice() (string, error) {
	st := c.form.(ops.DiceOptions).Stats
	inverse := make([]float32, len(st.Var))
	for i, v := range st.Var {
		inverse[i] = float32(1 / math.Sqrt(float64(v)+st.Eps))
	}
	x, name := c.in[0], c.nodes[1].Name()
	mean, inv := c.tensor(name+".running_mean", st.Mean, len(st.Mean)), c.tensor(name+".inverse_std", inverse, len(inverse))
	p := c.do("Sigmoid", c.do("Mul", c.do("Sub", x, mean), inv))
	slope := c.do("Add", p, c.do("Mul", c.in[1], c.do("Sub", c.number(1), p)))
	return c.do("Mul", slope, x), nil
}

// layerNorm: of a matrix, or of the sum of two.
func (c *call) layerNorm() (string, error) {
	x, n := c.in[0], len(c.in)
	if n == 4 {
		x = c.do("Add", x, c.in[1])
	}
	return c.builder.add("LayerNormalization", []string{x, c.in[n-2], c.in[n-1]}, attr{"axis", -1}, attr{"epsilon", float32(c.form.(float64))}), nil
}

func (c *call) gelu() (string, error) {
	x := c.in[0]
	if len(c.in) > 1 {
		x = c.do("Add", x, c.in[1])
	}
	var phi string // twice the share of x that is let through
	if c.form.(ops.GELUForm) == ops.GELUTanh {
		cube := c.do("Mul", c.do("Mul", x, c.do("Mul", x, x)), c.number(0.044715))
		phi = c.do("Tanh", c.do("Mul", c.do("Add", x, cube), c.number(float32(math.Sqrt(2/math.Pi)))))
	} else {
		phi = c.do("Erf", c.do("Div", x, c.number(math.Sqrt2)))
	}
	return c.do("Mul", c.do("Mul", x, c.do("Add", phi, c.number(1))), c.number(0.5)), nil
}

func (c *call) swiglu() (string, error) {
	return c.do("Mul", c.do("Mul", c.in[0], c.do("Sigmoid", c.in[0])), c.in[1]), nil
}

// cross: x + x0·(x·wᵀ) + b.
func (c *call) cross() (string, error) {
	s := c.affine(c.in[1], c.in[2])
	return c.do("Add", c.do("Add", c.in[1], c.in[3]), c.do("Mul", c.in[0], s)), nil
}

// crossV2: x + x0 ⊙ (x·wᵀ + b).
func (c *call) crossV2() (string, error) {
	return c.do("Add", c.in[1], c.do("Mul", c.in[0], c.affine(c.in[1], c.in[2], c.in[3]))), nil
}

// crossLowRank: x + x0 ⊙ ((x·vᵀ)·uᵀ + b).
func (c *call) crossLowRank() (string, error) {
	z := c.affine(c.affine(c.in[1], c.in[3]), c.in[2], c.in[4])
	return c.do("Add", c.in[1], c.do("Mul", c.in[0], z)), nil
}

// pairwise: ½·Σ_d ((Σ_f e_fd)² − Σ_f e_fd²).
func (c *call) pairwise() (string, error) {
	F, W := c.form.(int), c.shape(0)[1]
	e := c.reshape(c.in[0], -1, F, W/F)
	s := c.sum(e, 1, false)
	y := c.do("Sub", c.do("Mul", s, s), c.sum(c.do("Mul", e, e), 1, false))
	return c.do("Mul", c.sum(y, 1, true), c.number(0.5)), nil
}

// both: log p − log(1 − p) of p = σ(x)·σ(y), from logarithms in double precision.
func (c *call) both() (string, error) {
	x, y := c.cast(c.in[0], doubleElem), c.cast(c.in[1], doubleElem)
	one := c.cast(c.number(1), doubleElem)
	soft := func(t string) string { return c.do("Log", c.do("Add", one, c.do("Exp", c.do("Neg", c.do("Abs", t))))) } // log(1 + e^−|t|)
	log := func(t string) string { return c.do("Sub", c.do("Min", t, c.cast(c.number(0), doubleElem)), soft(t)) }    // log σ(t)
	lx, ly := log(x), log(y)
	a, b := log(c.do("Neg", x)), c.do("Add", lx, log(c.do("Neg", y))) // 1 − p = σ(−x) + σ(x)·σ(−y)
	rest := c.do("Add", c.do("Max", a, b), soft(c.do("Sub", a, b)))
	return c.cast(c.do("Sub", c.do("Add", lx, ly), rest), floatElem), nil
}
