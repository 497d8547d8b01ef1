package ops

import (
	"testing"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The ops over histories allocate nothing when they run, forward or backward.
func TestHistoryAllocatesNothing(t *testing.T) {
	const B, L, H, V, K = 70, 20, 24, 9000, 40
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
	stats := func() *BatchStats {
		return &BatchStats{Mean: make([]float32, H), Var: make([]float32, H), Momentum: 0.1, Eps: 1e-5}
	}
	x, q, b := leaf("x", B*L, H), leaf("q", B, H), leaf("b", H)
	wih, whh, bhh := leaf("wih", 3*H, H), leaf("whh", 3*H, H), leaf("bhh", 3*H)
	h := mustOp(Attention(x, x, x, AttentionOptions{Heads: 4, Tokens: tok, Causal: true, Dropout: 0.1, Name: "a", Step: &Step{}}))
	h = mustOp(GRU(mustOp(Linear(h, wih, bhh, kernel.None)), whh, bhh, GRUOptions{Tokens: tok}))
	score := mustOp(SumCols(mustOp(Mul(h, mustOp(Repeat(q, tok))))))
	h = mustOp(GRU(mustOp(Linear(h, wih, bhh, kernel.None)), whh, bhh, GRUOptions{Tokens: tok, Attention: score}))
	h = mustOp(Dice(h, b, DiceOptions{Stats: stats(), Tokens: tok, Train: true}))
	u := mustOp(Add(
		mustOp(TargetAttention(q, h, h, tok)), mustOp(WeightedPool(score, h, tok, true)), mustOp(WeightedPool(score, h, tok, false)),
	))
	u = mustOp(Dice(u, b, DiceOptions{Stats: stats(), Rows: &Rows{N: B - 3}, Train: true}))
	items, neg, own := leaf("items", V, H), leaf("neg", K, H), leaf("own", B*K, H)
	next, target := make([]int32, B*L), make([]int32, B)
	for i := range next {
		next[i] = int32(i%V) - 1
	}
	for i := range target {
		target[i] = int32(i) - 1
	}
	o := SampledOptions{Target: &target, From: 1}
	o2 := o
	o2.Own = true
	loss := mustOp(Add(
		mustOp(CatalogueCE(h, items, &next, CatalogueOptions{From: 1})),
		mustOp(SampledSoftmax(u, q, neg, o, LogQ{})), mustOp(GBCE(u, q, own, o2, 0.5)), mustOp(BPR(u, q, neg, o)),
	))
	if _, err := Grad(loss, x, q, b, wih, whh, bhh, items, neg, own); err != nil {
		t.Fatal(err)
	}
	noAllocs(t, g, 70)
}
