package ops_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// weight returns a leaf of those values, one a row.
func weight(g *G.ExprGraph, name string, x ...float32) *G.Node {
	t := tensor.New(tensor.WithShape(len(x), 1), tensor.WithBacking(x))
	return G.NewTensor(g, tensor.Float32, 2, G.WithShape(len(x), 1), G.WithName(name), G.WithValue(t))
}

func TestLookup(t *testing.T) {
	for _, s := range []struct{ n, H, V, W int }{{1, 1, 1, 1}, {3, 5, 2, 4}, {7, 3, 11, 1}, {40, 17, 5, 2}, {600, 129, 37, 2}} {
		first, second := make([]int32, s.n), make([]int32, s.n)
		for i := range first {
			first[i], second[i] = int32(i*i+3*i)%int32(s.V), int32(i)%int32(s.W)
		}
		opstest.Check(t, opstest.Case{
			Name:   fmt.Sprintf("n=%d", s.n),
			Shapes: [][]int{{s.V, s.H}, {s.W, s.H}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Lookup(x, []*[]int32{&first, &second}) },
			Oracle: func(x ...[]float64) []float64 {
				var y []float64
				for i := range first {
					for c := range s.H {
						y = append(y, x[0][int(first[i])*s.H+c]+x[1][int(second[i])*s.H+c])
					}
				}
				return y
			},
			Big: s.n > 500,
		})
	}
}

// A row that the batch before looked up, and this one does not, has no gradient.
func TestLookupForgetsOldRows(t *testing.T) {
	ids := []int32{0, 2, 2}
	g := G.NewGraph()
	w := weight(g, "w", 1, 2, 3)
	y, err := ops.Lookup([]*G.Node{w}, []*[]int32{&ids})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := ops.SumCols(y)
	if err != nil {
		t.Fatal(err)
	}
	zero := weight(g, "y", 0, 0, 0)
	loss, err := ops.BCE(sum, ops.Target{Label: zero})
	if err != nil {
		t.Fatal(err)
	}
	grads, err := ops.Grad(loss, w)
	if err != nil {
		t.Fatal(err)
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for _, c := range []struct {
		ids  []int32
		want []float64
	}{
		{[]int32{0, 2, 2}, []float64{sigmoid(1) / 3, 0, 2 * sigmoid(3) / 3}},
		{[]int32{1, 1, 1}, []float64{0, sigmoid(2), 0}},
		{[]int32{-1, 2, -1}, []float64{0, 0, sigmoid(3) / 3}},
	} {
		ids = c.ids
		vm.Reset()
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		got := grads[0].Value().Data().([]float32)
		for i, v := range got {
			if math.Abs(float64(v)-c.want[i]) > 1e-6 {
				t.Errorf("ids %v: gradient %v, want %v", c.ids, got, c.want)
			}
		}
	}
	for _, bad := range [][]int32{{0, 3, 0}, {-2, 0, 0}} {
		ids = bad
		vm.Reset()
		if err := vm.RunAll(); err == nil || !strings.Contains(err.Error(), "outside of table 1, which has 3 rows") {
			t.Errorf("ids %v: error %v", bad, err)
		}
	}
}

// Graphs that share an arena share the gradients of tables, one for each table, in which nothing of the other's rows is left.
func TestLookupSharesGradients(t *testing.T) {
	var a ops.Arena
	build := func(ids, other *[]int32) (G.VM, G.Nodes) {
		g := G.NewGraph()
		defer ops.Share(g, &a)()
		tables := []*G.Node{weight(g, "w", 1, 2, 3), weight(g, "v", 4, 5, 6)}
		var sum *G.Node
		for i, of := range []*[]int32{ids, other} {
			y, err := ops.Lookup(tables[i:i+1], []*[]int32{of})
			if err != nil {
				t.Fatal(err)
			}
			loss, err := ops.BCE(y, ops.Target{Label: weight(g, "y"+tables[i].Name(), make([]float32, len(*of))...)})
			if err != nil {
				t.Fatal(err)
			}
			if sum == nil {
				sum = loss
			} else if sum, err = G.Add(sum, loss); err != nil {
				t.Fatal(err)
			}
		}
		grads, err := ops.Grad(sum, tables...)
		if err != nil {
			t.Fatal(err)
		}
		return G.NewTapeMachine(g), grads
	}
	long, longOther, short, shortOther := []int32{0, 2, 2}, []int32{1, 1, 1}, []int32{1}, []int32{2}
	one, first := build(&long, &longOther)
	defer one.Close()
	two, second := build(&short, &shortOther)
	defer two.Close()
	values := func(n *G.Node) []float32 { return n.Value().Data().([]float32) }
	check := func(vm G.VM, grads G.Nodes, want ...[]int32) { // the rows that were looked up in each table
		t.Helper()
		vm.Reset()
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		for k, n := range grads {
			for row, v := range values(n) {
				if (v != 0) != slices.Contains(want[k], int32(row)) {
					t.Errorf("table %d, ids %v: gradient %v", k, want[k], values(n))
					break
				}
			}
		}
	}
	check(one, first, long, longOther)
	check(two, second, short, shortOther)
	check(one, first, long, longOther)
	for k := range first {
		if &values(first[k])[0] != &values(second[k])[0] {
			t.Errorf("table %d: two graphs of one arena have a gradient each", k)
		}
	}
	if &values(first[0])[0] == &values(first[1])[0] {
		t.Error("two tables have one gradient")
	}
}
