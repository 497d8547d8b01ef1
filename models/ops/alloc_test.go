package ops

import (
	"testing"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// No op of ours, forward or backward, allocates when it runs: what a run allocates is the tape's.
func TestDoAllocatesNothing(t *testing.T) {
	const B, D = 600, 128
	g := G.NewGraph()
	leaf := func(name string, s ...int) *G.Node {
		v := make([]float32, size(s))
		for i := range v {
			v[i] = float32(i%17)/17 - 0.4
		}
		return G.NewTensor(g, tensor.Float32, len(s), G.WithShape(s...), G.WithName(name),
			G.WithValue(tensor.New(tensor.WithShape(s...), tensor.WithBacking(v))))
	}
	x, w, b := leaf("x", B, D), leaf("w", D, D), leaf("b", D)
	u, v, one := leaf("u", D, 3), leaf("v", 3, D), leaf("one", 1, D)
	y := G.NewTensor(g, tensor.Float32, 2, G.WithShape(B, 1), G.WithName("y"), G.WithInit(G.Zeroes()))
	st := &BatchStats{Mean: make([]float32, D), Var: make([]float32, D), Momentum: 0.1, Eps: 1e-5}
	rows := &Rows{N: B - 7}
	h := mustOp(Linear(x, w, b, kernel.ReLU))
	h = mustOp(BatchNorm(h, b, b, st, kernel.Tanh, rows, true))
	h = mustOp(Dropout(h, 0.2, "h", &Step{}))
	h = mustOp(LayerNorm(h, b, b, 1e-5))
	h = mustOp(Cross(x, h, one, b))
	h = mustOp(CrossV2(x, h, w, b))
	h = mustOp(CrossLowRank(x, h, u, v, b))
	h = mustOp(Activate(mustOp(Mul(h, mustOp(Scale(x, 2)))), kernel.Sigmoid))
	z := mustOp(Linear(mustOp(Concat(h, x)), leaf("out", 1, 2*D), nil, kernel.None))
	z = mustOp(Add(z, mustOp(Pairwise(x, 8)), mustOp(SumCols(h))))
	loss := mustOp(BCE(z, Target{Label: y, Rows: rows}))
	if _, err := Grad(loss, x, w, b, u, v, one); err != nil {
		t.Fatal(err)
	}
	noAllocs(t, g, 40)
}

// noAllocs runs the graph once and checks that none of our ops allocates when it runs again, and that there are so many.
func noAllocs(t *testing.T, g *G.ExprGraph, least int) {
	t.Helper()
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	ours := 0
	for _, n := range g.AllNodes() {
		o, ok := n.Op().(*op)
		if !ok {
			continue
		}
		ours++
		var in []G.Value
		for it := g.From(n.ID()); it.Next(); {
			in = append(in, it.Node().(*G.Node).Value())
		}
		allocs := 1.0
		for try := 0; allocs != 0 && try < 3; try++ { // the kernels' stock of buffers grows when workers overlap as never before
			allocs = testing.AllocsPerRun(3, func() {
				if _, err := o.Do(in...); err != nil {
					t.Fatal(err)
				}
			})
		}
		if allocs != 0 {
			t.Errorf("%v allocates %v times a run", o, allocs)
		}
	}
	if ours < least {
		t.Errorf("only %d ops were checked", ours)
	}
}
