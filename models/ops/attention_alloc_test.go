package ops

import (
	"testing"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The ops of an encoder allocate nothing when they run, forward or backward.
func TestEncoderAllocatesNothing(t *testing.T) {
	const B, L, H, C = 24, 20, 64, 700
	g := G.NewGraph()
	leaf := func(name string, s ...int) *G.Node {
		v := make([]float32, size(s))
		for i := range v {
			v[i] = float32(i%17)/17 - 0.4
		}
		return G.NewTensor(g, tensor.Float32, len(s), G.WithShape(s...), G.WithName(name),
			G.WithValue(tensor.New(tensor.WithShape(s...), tensor.WithBacking(v))))
	}
	tok := &Tokens{L: L, Len: make([]int32, B), Mask: make([]float32, B*L)}
	for b := range tok.Len {
		tok.Len[b] = int32(b % (L + 1))
	}
	for i := range tok.Mask {
		tok.Mask[i] = float32(min(1, i%9))
	}
	x, w, b := leaf("x", B*L, H), leaf("w", H, H), leaf("b", H)
	q, k := mustOp(Linear(x, w, b, kernel.None)), mustOp(Linear(x, w, nil, kernel.None))
	h := mustOp(Attention(q, k, x, AttentionOptions{Heads: 4, Tokens: tok, Dropout: 0.1, Name: "a", Step: &Step{}}))
	h = mustOp(AddLayerNorm(h, x, b, b, 1e-5))
	h = mustOp(AddLayerNorm(mustOp(GELU(mustOp(GELU(h, b, GELUExact)), nil, GELUTanh)), h, b, b, 1e-5))
	h = mustOp(Concat(mustOp(FirstToken(h, tok)), mustOp(MeanTokens(h, tok))))
	z := mustOp(Linear(h, leaf("out", C, 2*H), nil, kernel.None))
	y, p := leaf("y", B, 1), leaf("p", B, C)
	yv, pv := y.Value().(*tensor.Dense).Float32s(), p.Value().(*tensor.Dense).Float32s()
	clear(pv)
	for r := range B {
		yv[r], pv[r*C] = float32(r-1), 1
	}
	rows := &Rows{N: B - 2}
	loss := mustOp(Add(mustOp(SoftmaxCE(z, Target{Label: y, Rows: rows})), mustOp(SoftmaxCESoft(z, Target{Label: p, Rows: rows}))))
	if _, err := Grad(loss, x, w, b); err != nil {
		t.Fatal(err)
	}
	noAllocs(t, g, 35)
}
