package ops

import (
	"testing"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func input(g *G.ExprGraph, name string, s ...int) *G.Node {
	return G.NewTensor(g, tensor.Float32, len(s), G.WithShape(s...), G.WithName(name))
}

// Ops that differ in anything, or in nothing but being two, have two hashes.
func TestHash(t *testing.T) {
	g := G.NewGraph()
	x, w, b := input(g, "x", 4, 6), input(g, "w", 6, 6), input(g, "b", 6)
	step, st := &Step{}, &BatchStats{Mean: make([]float32, 6), Var: make([]float32, 6), Eps: 1}
	seen := map[uint32]string{}
	for _, tc := range []struct {
		name string
		make func() (*G.Node, error)
	}{
		{"linear", func() (*G.Node, error) { return Linear(x, w, b, kernel.None) }},
		{"linear again", func() (*G.Node, error) { return Linear(x, w, b, kernel.None) }},
		{"linear relu", func() (*G.Node, error) { return Linear(x, w, b, kernel.ReLU) }},
		{"linear without bias", func() (*G.Node, error) { return Linear(x, w, nil, kernel.None) }},
		{"pairwise 2", func() (*G.Node, error) { return Pairwise(x, 2) }},
		{"pairwise 3", func() (*G.Node, error) { return Pairwise(x, 3) }},
		{"dropout .1", func() (*G.Node, error) { return Dropout(x, 0.1, "a", step) }},
		{"dropout .2", func() (*G.Node, error) { return Dropout(x, 0.2, "a", step) }},
		{"dropout b", func() (*G.Node, error) { return Dropout(x, 0.1, "b", step) }},
		{"scale 1", func() (*G.Node, error) { return Scale(x, 1) }},
		{"scale 2", func() (*G.Node, error) { return Scale(x, 2) }},
		{"relu", func() (*G.Node, error) { return Activate(x, kernel.ReLU) }},
		{"tanh", func() (*G.Node, error) { return Activate(x, kernel.Tanh) }},
		{"batchnorm", func() (*G.Node, error) { return BatchNorm(x, b, b, st, kernel.None, nil, true) }},
		{"batchnorm eval", func() (*G.Node, error) { return BatchNorm(x, b, b, st, kernel.None, nil, false) }},
		{"layernorm", func() (*G.Node, error) { return LayerNorm(x, b, b, 1e-5) }},
		{"layernorm eps", func() (*G.Node, error) { return LayerNorm(x, b, b, 1e-6) }},
		{"add", func() (*G.Node, error) { return Add(x, x) }},
		{"mul", func() (*G.Node, error) { return Mul(x, x) }},
		{"sumcols", func() (*G.Node, error) { return SumCols(x) }},
		{"concat", func() (*G.Node, error) { return Concat(x, x) }},
	} {
		n, err := tc.make()
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if other, ok := seen[n.Hashcode()]; ok {
			t.Errorf("%s and %s have one hash", tc.name, other)
		}
		seen[n.Hashcode()] = tc.name
	}
}

// distinguish computes a node's hash before the node exists; it must be the one that Gorgonia computes.
func TestNodeHash(t *testing.T) {
	g := G.NewGraph()
	x, y := input(g, "x", 4, 1), input(g, "y", 4, 1)
	for _, n := range []*G.Node{mustOp(Add(x, y)), mustOp(BCE(x, Target{Label: y})), mustOp(SumCols(x))} {
		var in G.Nodes
		for it := g.From(n.ID()); it.Next(); {
			in = append(in, it.Node().(*G.Node))
		}
		if got, want := n.Op().(*op).nodeHash(in), n.Hashcode(); got != want {
			t.Errorf("%v: hash %x, want %x", n, got, want)
		}
	}
}

// An op whose node would hash like a node of the graph takes another identity.
func TestDistinguish(t *testing.T) {
	g := G.NewGraph()
	x := input(g, "x", 2, 2)
	a := mustOp(Scale(x, 2))
	o := newOp("scale", x.Shape(), x)
	o.id = a.Op().(*op).id
	o.run = func() error { return nil }
	if b := mustOp(o.apply(x)); b == a || b.Hashcode() == a.Hashcode() {
		t.Errorf("%v and %v were merged", a, b)
	}
}

func mustOp(n *G.Node, err error) *G.Node {
	if err != nil {
		panic(err)
	}
	return n
}

// What reaches an op at run time is checked: a value of the wrong size or layout is an error, not a panic.
func TestDoChecksInputs(t *testing.T) {
	g := G.NewGraph()
	o := mustOp(Scale(input(g, "x", 2, 3), 2)).Op().(*op)
	v := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking(make([]float32, 6)))
	turned := tensor.New(tensor.WithShape(3, 2), tensor.WithBacking(make([]float32, 6)))
	if err := turned.T(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		in   []G.Value
		want string
	}{
		{"fine", []G.Value{v}, ""},
		{"none", nil, "ops: scale: 0 inputs, want 1"},
		{
			"long",
			[]G.Value{tensor.New(tensor.WithShape(3, 3), tensor.WithBacking(make([]float32, 9)))},
			"ops: scale: input 0 has 9 values, want 6",
		},
		{"turned", []G.Value{turned}, "ops: scale: input 0 is not a contiguous row-major float32 tensor"},
		{
			"wide",
			[]G.Value{tensor.New(tensor.WithShape(2, 3), tensor.WithBacking(make([]float64, 6)))},
			"ops: scale: input 0 is not a contiguous row-major float32 tensor",
		},
		{"number", []G.Value{G.NewF64(1)}, "ops: scale: input 0 is a *gorgonia.F64, want a float32 tensor"},
		{"nil", []G.Value{nil}, "ops: scale: input 0 is a <nil>, want a float32 tensor"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := o.Do(tc.in...)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("error %q, want %q", got, tc.want)
			}
		})
	}
}

// The split of a loop depends on its size alone and covers each row once.
func TestParts(t *testing.T) {
	for _, n := range []int{1, 15, 4096, 9000, 70000, 1 << 22} {
		for _, rows := range []int{1, 3, 16, 17, 1000} {
			seen := make([]int32, rows)
			rowwise(rows, n, func(lo, hi int) {
				for r := lo; r < hi; r++ {
					seen[r]++
				}
			})()
			for r, k := range seen {
				if k != 1 {
					t.Fatalf("%d rows of %d: row %d was visited %d times", rows, n, r, k)
				}
			}
		}
		seen := make([]int32, n)
		flat(n, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				seen[i]++
			}
		})()
		for i, k := range seen {
			if k != 1 {
				t.Fatalf("%d elements: element %d was visited %d times", n, i, k)
			}
		}
	}
}
