package ops

import (
	"testing"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestSmoke(t *testing.T) {
	g := G.NewGraph()
	leaf := func(name string, s ...int) *G.Node {
		b := make([]float32, size(s))
		for i := range b {
			b[i] = float32(i%7)*.1 - .2
		}
		if name == "y" {
			clear(b)
		}
		return G.NewTensor(g, tensor.Float32, len(s), G.WithShape(s...), G.WithName(name), G.WithValue(tensor.New(tensor.WithShape(s...), tensor.WithBacking(b))))
	}
	x, w, b := leaf("x", 4, 5), leaf("w", 3, 5), leaf("b", 3)
	w2, b2, y := leaf("w2", 1, 8), leaf("b2", 1), leaf("y", 4, 1)
	h, err := Linear(x, w, b, kernel.ReLU)
	if err != nil {
		t.Fatal(err)
	}
	hc, err := Concat(h, x)
	if err != nil {
		t.Fatal(err)
	}
	z, err := Linear(hc, w2, b2, kernel.None)
	if err != nil {
		t.Fatal(err)
	}
	l, err := BCE(z, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Grad(l, x, w, b, w2, b2)
	if err != nil {
		t.Fatal(err)
	}
	vm := G.NewTapeMachine(g)
	for range 3 {
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		vm.Reset()
	}
	t.Log(l.Value(), d[0].Value(), d[1].Value(), d[2].Value(), d[3].Value(), d[4].Value())
}
