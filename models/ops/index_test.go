package ops

import (
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// Graphs are built in linear time only while Gorgonia keeps its nodes as index expects.
func TestIndex(t *testing.T) {
	g := G.NewGraph()
	x := G.NewMatrix(g, G.Float32, G.WithShape(2, 3), G.WithName("x"))
	y := mustOp(Add(x, x))
	at, ok := indexOf(g)
	if !ok {
		t.Fatal("this Gorgonia has no such index: the time to build a graph grows with the square of its size")
	}
	for i, n := range g.AllNodes() {
		if at.byID[n.ID()] != i || at.byHash[n.Hashcode()] != n || !taken(g, n.Hashcode()) {
			t.Errorf("node %d, %v, is not where it is expected", i, n)
		}
	}
	if taken(g, y.Hashcode()+1) {
		t.Error("a hash that no node has is taken")
	}
}

// Many nodes are added from left to right, as few are.
func TestAddMany(t *testing.T) {
	g := G.NewGraph()
	var xs G.Nodes
	var sum float32
	for i := range 3 * mostTerms {
		v := 1 / float32(i*i+1)
		sum += v
		xs = append(xs, G.NewVector(g, G.Float32, G.WithShape(1), G.WithName(string(rune('a'+i))),
			G.WithValue(tensor.New(tensor.WithShape(1), tensor.WithBacking([]float32{v})))))
	}
	y := mustOp(Add(xs...))
	s, ok, err := NewSequence(g)
	if err != nil || !ok || s.Run() != nil {
		t.Fatal(ok, err)
	}
	if got := y.Value().Data().([]float32); !slices.Equal(got, []float32{sum}) {
		t.Errorf("the sum is %v, want %v", got, sum)
	}
}

// An op's operands and its result are counted once for each run.
func TestBytes(t *testing.T) {
	g := G.NewGraph()
	leaf := func(name string) *G.Node {
		return G.NewMatrix(g, G.Float32, G.WithShape(2, 3), G.WithName(name), G.WithValue(tensor.New(tensor.WithShape(2, 3), tensor.Of(tensor.Float32))))
	}
	mustOp(Add(leaf("x"), leaf("y")))
	s, ok, err := NewSequence(g)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	before := kernel.BytesMoved()
	for range 2 {
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
	}
	if got := kernel.BytesMoved() - before; got != 2*3*6*4 {
		t.Errorf("two sums of two matrices of 2 x 3 move %d bytes, want %d", got, 2*3*6*4)
	}
}
