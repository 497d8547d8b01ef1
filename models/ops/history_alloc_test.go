package ops

import (
	"runtime"
	"testing"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The ops over histories allocate nothing when they run, forward or backward.
func TestHistoryAllocatesNothing(t *testing.T) {
	const B, L = 70, 20
	h := historyGraph{
		tok:  &Tokens{L: L, Len: make([]int32, B), Mask: make([]float32, B*L)},
		next: make([]int32, B*L), target: make([]int32, B),
	}
	for b := range h.tok.Len {
		h.tok.Len[b] = int32(b % (L + 1))
		h.target[b] = int32(b) - 1
	}
	for i := range h.tok.Mask {
		h.tok.Mask[i] = float32(min(1, i%9))
		h.next[i] = int32(i) - 1
	}
	g := G.NewGraph()
	h.build(t, B, func(name string, s ...int) *G.Node {
		v := make([]float32, size(s))
		for i := range v {
			v[i] = float32(i%17)/17 - 0.4
		}
		return G.NewTensor(g, tensor.Float32, len(s), G.WithShape(s...), G.WithName(name),
			G.WithValue(tensor.New(tensor.WithShape(s...), tensor.WithBacking(v))))
	})
	noAllocs(t, g, 70)
}

// What the ops over histories need is known before anything is allocated: the buffers exactly, and the rest nearly.
func TestHistoryPlan(t *testing.T) {
	const B, L = 70, 20
	build := func(B int, a *Arena) {
		h := historyGraph{tok: &Tokens{L: L}}
		if a.Plan == nil {
			h.next, h.target = make([]int32, B*L), make([]int32, B)
		} else {
			a.Plan.List(&h.next, B*L)
			a.Plan.List(&h.target, B)
		}
		g := G.NewGraph()
		defer Share(g, a)()
		h.build(t, B, func(name string, s ...int) *G.Node {
			return G.NewTensor(g, tensor.Float32, len(s), G.WithShape(s...), G.WithName(name))
		})
	}
	allocated := func(f func()) float64 {
		var a, b runtime.MemStats
		runtime.ReadMemStats(&a)
		f()
		runtime.ReadMemStats(&b)
		return float64(b.TotalAlloc - a.TotalAlloc)
	}
	var planned, own, kept [2]float64
	for i, B := range []int{B, 3 * B} { // what does not grow with the batch, such as the nodes, is not the subject
		plan, made := &Arena{Plan: &Plan{}}, &Arena{}
		planned[i] = allocated(func() { build(B, plan) })
		total, shared := allocated(func() { build(B, made) }), 0.0
		for _, b := range made.buffers {
			shared += 4 * float64(len(b))
		}
		if got := plan.Plan.Shared(); got != shared {
			t.Errorf("a plan of %v bytes that graphs share, made are %v", got, shared)
		}
		own[i], kept[i] = plan.Plan.own, total-shared
	}
	if got, want := own[1]-own[0], kept[1]-kept[0]; got < .8*want || got > 1.1*want { // the heap rounds up
		t.Errorf("a larger batch needs %v bytes more by the plan, made are %v", got, want)
	}
	huge := &Arena{Plan: &Plan{}}
	if got := allocated(func() { build(1<<40, huge) }); got > 2*planned[0] {
		t.Errorf("a plan of a huge batch takes %v bytes, a small one %v", got, planned[0])
	}
}

// historyGraph is a graph of all ops over histories.
type historyGraph struct {
	tok          *Tokens
	next, target []int32
}

func (h *historyGraph) build(t *testing.T, B int, leaf func(name string, s ...int) *G.Node) {
	t.Helper()
	const H, V, K = 24, 9000, 40
	L, tok := h.tok.L, h.tok
	stats := func() *BatchStats {
		return &BatchStats{Mean: make([]float32, H), Var: make([]float32, H), Momentum: 0.1, Eps: 1e-5}
	}
	x, q, b := leaf("x", B*L, H), leaf("q", B, H), leaf("b", H)
	wih, whh, bhh := leaf("wih", 3*H, H), leaf("whh", 3*H, H), leaf("bhh", 3*H)
	y := mustOp(Attention(x, x, x, AttentionOptions{Heads: 4, Tokens: tok, Causal: true, Dropout: 0.1, Name: "a", Step: &Step{}}))
	y = mustOp(GRU(mustOp(Linear(y, wih, bhh, kernel.None)), whh, bhh, GRUOptions{Tokens: tok}))
	score := mustOp(SumCols(mustOp(Mul(y, mustOp(Repeat(q, tok))))))
	y = mustOp(GRU(mustOp(Linear(y, wih, bhh, kernel.None)), whh, bhh, GRUOptions{Tokens: tok, Attention: mustOp(SoftmaxTokens(score, tok))}))
	y = mustOp(Dice(y, b, DiceOptions{Stats: stats(), Tokens: tok, Train: true}))
	u := mustOp(Add(
		mustOp(TargetAttention(q, y, y, tok)), mustOp(WeightedPool(score, y, tok, true)), mustOp(WeightedPool(score, y, tok, false)), mustOp(SumTokens(mustOp(Append(mustOp(SwiGLU(y, y)), q, tok)), &Tokens{L: tok.L + 1})),
	))
	u = mustOp(Dice(u, b, DiceOptions{Stats: stats(), Rows: &Rows{N: B - 3}, Train: true}))
	items, neg, own := leaf("items", V, H), leaf("neg", K, H), leaf("own", B*K, H)
	o := SampledOptions{Target: &h.target, From: 1}
	o2 := o
	o2.Own = true
	loss := mustOp(Add(
		mustOp(CatalogueCE(y, items, &h.next, CatalogueOptions{From: 1})),
		mustOp(SampledSoftmax(u, q, neg, o, LogQ{})), mustOp(GBCE(u, q, own, o2, 0.5)), mustOp(BPR(u, q, neg, o)),
	))
	if _, err := Grad(loss, x, q, b, wih, whh, bhh, items, neg, own); err != nil {
		t.Fatal(err)
	}
}
