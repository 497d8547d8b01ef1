package ops_test

import (
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func must(n *G.Node, err error) *G.Node {
	if err != nil {
		panic(err)
	}
	return n
}

func matrix(g *G.ExprGraph, name string, rows, cols int, v ...float32) *G.Node {
	return G.NewMatrix(g, tensor.Float32, G.WithShape(rows, cols), G.WithName(name),
		G.WithValue(tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(v))))
}

func vector(g *G.ExprGraph, name string, v ...float32) *G.Node {
	return G.NewVector(g, tensor.Float32, G.WithShape(len(v)), G.WithName(name),
		G.WithValue(tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(v))))
}

// run runs a graph once.
func run(t *testing.T, g *G.ExprGraph) {
	t.Helper()
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
}

// runErr runs a graph once and returns what it answers.
func runErr(g *G.ExprGraph) error {
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	return vm.RunAll()
}
