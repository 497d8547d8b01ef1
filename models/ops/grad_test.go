package ops_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	opstest.Uniform(x, r)
	return x
}

func same(t *testing.T, what string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if math.Abs(float64(got[i]-want[i])) > tol {
			t.Errorf("%s: element %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

// A small network of our ops against the same one of stock ops, differentiated by gorgonia.Grad and by ours.
func TestStockParity(t *testing.T) {
	const B, I, H = 7, 6, 5
	type graph struct {
		loss  *G.Node
		grads G.Nodes
	}
	type lossFunc func(g *G.ExprGraph, x, w, b, v, y *G.Node) *G.Node
	build := func(bias []int, loss lossFunc, grad func(*G.Node, ...*G.Node) (G.Nodes, error)) graph {
		r := rand.New(rand.NewPCG(1, 2)) // values of its own for each graph: stock ops overwrite leaves through Reshape
		g := G.NewGraph()
		x, w, v := matrix(g, "x", B, I, random(r, B*I)...), matrix(g, "w", H, I, random(r, H*I)...), matrix(g, "v", 1, H, random(r, H)...)
		b := G.NewTensor(g, tensor.Float32, len(bias), G.WithShape(bias...), G.WithName("b"),
			G.WithValue(tensor.New(tensor.WithShape(bias...), tensor.WithBacking(random(r, H)))))
		y := random(r, B)
		for i := range y {
			y[i] = float32(i % 2)
		}
		l := loss(g, x, w, b, v, matrix(g, "y", B, 1, y...))
		d, err := grad(l, x, w, b, v)
		if err != nil {
			t.Fatal(err)
		}
		run(t, g)
		return graph{l, d}
	}
	ours := build([]int{H}, func(_ *G.ExprGraph, x, w, b, v, y *G.Node) *G.Node {
		deep := must(ops.Linear(must(ops.Linear(x, w, b, kernel.ReLU)), v, nil, kernel.None))
		return must(ops.BCE(must(ops.Add(deep, must(ops.Pairwise(x, 3)))), ops.Target{Label: y}))
	}, ops.Grad)
	stock := build([]int{1, H}, stockLoss, G.Grad)
	mixed := build([]int{1, H}, stockLoss, ops.Grad)
	for name, got := range map[string]graph{"ours": ours, "stock ops by our Grad": mixed} {
		same(t, name+": loss", opstest.Values(got.loss), opstest.Values(stock.loss), 1e-6)
		for i, leaf := range []string{"x", "w", "b", "v"} {
			same(t, name+": "+leaf, opstest.Values(got.grads[i]), opstest.Values(stock.grads[i]), 1e-6)
		}
	}
}

// stockLoss is mean(log(1 + exp(z)) − z·y) of z = relu(x·wᵀ + b)·vᵀ + FM₃(x), of stock ops.
func stockLoss(_ *G.ExprGraph, x, w, b, v, y *G.Node) *G.Node {
	B := x.Shape()[0]
	h := must(G.Rectify(must(G.BroadcastAdd(must(G.Mul(x, must(G.Transpose(w)))), b, nil, []byte{0}))))
	z := must(G.Mul(h, must(G.Transpose(v))))
	D := x.Shape()[1] / 3
	var s, q *G.Node
	for f := range 3 {
		e := must(G.Slice(x, nil, G.S(f*D, (f+1)*D)))
		e2 := must(G.Square(e))
		if s == nil {
			s, q = e, e2
		} else {
			s, q = must(G.Add(s, e)), must(G.Add(q, e2))
		}
	}
	half := G.NewConstant(float32(0.5))
	fm := must(G.Mul(must(G.Sum(must(G.Sub(must(G.Square(s)), q)), 1)), half))
	z = must(G.Add(must(G.Reshape(z, []int{B})), fm))
	yv := must(G.Reshape(y, []int{B}))
	return must(G.Mean(must(G.Sub(must(G.Softplus(z)), must(G.HadamardProd(z, yv))))))
}

// Gradients that meet are summed, also over paths of different length and of one node used twice by one op.
func TestGradSums(t *testing.T) {
	g := G.NewGraph()
	x := matrix(g, "x", 1, 1, 3)
	sq := must(ops.Mul(x, x))                                               // x²
	y := must(ops.Add(sq, must(ops.Mul(sq, x)), sq, must(ops.Scale(x, 5)))) // 2x² + x³ + 5x
	dy := matrix(g, "dy", 1, 1, 1)
	d, err := ops.VJP(y, dy, x, sq, y)
	if err != nil {
		t.Fatal(err)
	}
	run(t, g)
	for i, want := range []float32{4*3 + 3*9 + 5, 2 + 3, 1} {
		if got := opstest.Values(d[i])[0]; got != want {
			t.Errorf("gradient %d is %v, want %v", i, got, want)
		}
	}
}

// Only what leads to the wanted nodes is made.
func TestGradNeedsOnly(t *testing.T) {
	g := G.NewGraph()
	x, w, b := matrix(g, "x", 3, 4, make([]float32, 12)...), matrix(g, "w", 2, 4, make([]float32, 8)...), vector(g, "b", 0, 0)
	y := must(ops.Linear(x, w, b, kernel.None))
	dy := matrix(g, "dy", 3, 2, make([]float32, 6)...)
	n := len(g.AllNodes())
	if _, err := ops.VJP(y, dy, b); err != nil {
		t.Fatal(err)
	}
	if got := len(g.AllNodes()) - n; got != 1 {
		t.Errorf("the gradient of a bias took %d nodes, want 1", got)
	}
}

func TestGradUnreachable(t *testing.T) {
	g := G.NewGraph()
	x, y, a, b := matrix(g, "x", 1, 1, 3), matrix(g, "y", 1, 1, 1), matrix(g, "a", 1, 1, 3), matrix(g, "b", 1, 1, 3)
	l := must(ops.BCE(x, ops.Target{Label: must(ops.Mul(y, a))}))
	_, err := ops.Grad(l, x, a, b)
	if err == nil || !strings.HasPrefix(err.Error(), "ops: grad: ") || !strings.HasSuffix(err.Error(), " does not depend on a, b") {
		t.Errorf("error %v, want one that names a and b", err)
	}
}

// gorgonia.Grad differentiates our ops as well.
func TestStockGrad(t *testing.T) {
	g := G.NewGraph()
	r := rand.New(rand.NewPCG(3, 4))
	x, w, b := matrix(g, "x", 4, 3, random(r, 12)...), matrix(g, "w", 1, 3, random(r, 3)...), vector(g, "b", 0.1)
	l := must(ops.BCE(must(ops.Linear(x, w, b, kernel.Tanh)), ops.Target{Label: matrix(g, "y", 4, 1, 0, 1, 0, 1)}))
	d, err := ops.Grad(l, w, b)
	if err != nil {
		t.Fatal(err)
	}
	d2, err := G.Grad(l, w, b)
	if err != nil {
		t.Fatal(err)
	}
	run(t, g)
	for i := range d {
		if got, want := opstest.Values(d[i]), opstest.Values(d2[i]); !slices.Equal(got, want) {
			t.Errorf("gradient %d is %v, gorgonia's %v", i, got, want)
		}
	}
}
