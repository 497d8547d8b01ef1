package nn_test

import (
	"fmt"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Layers over vectors side by side, here three layers' outputs of two units each, say which of the units move alike, and whether they can be
// rotated or stretched.
func TestFieldSymmetry(t *testing.T) {
	for _, tc := range []struct {
		name  string
		build func(s *nn.Scope, x *G.Node) *G.Node
		want  string // of each group: its units, the layers that they lie in, and what else may be done with them
	}{
		{"nothing", func(_ *nn.Scope, x *G.Node) *G.Node { return x }, "2 a: linear, 2 b: linear, 2 c: linear"},
		{"rows", func(s *nn.Scope, x *G.Node) *G.Node { return nn.JoinRows(s, nn.FieldRows(s, x, 2), 3) }, "2 a b c: linear"},
		{"columns", func(s *nn.Scope, x *G.Node) *G.Node {
			y, entries := nn.FieldColumns(s, x, 2)
			return nn.JoinColumns(s, nn.Project(s.Sub("mix"), y, 5), entries)
		}, "2 a b c: linear"},
		{"an activation", func(s *nn.Scope, x *G.Node) *G.Node { return nn.Activate(s, x, kernel.Tanh) }, "2 a: , 2 b: , 2 c: "},
		{"inner products", func(s *nn.Scope, x *G.Node) *G.Node { return nn.InnerPairs(s, x, 2) }, "2 a b c: orthogonal"},
		{"CIN", func(s *nn.Scope, x *G.Node) *G.Node {
			return nn.CIN(s.Sub("cin"), x, 2, []int{4, 3})
		}, "2 a b c: , 4 cin.0 cin.1: linear, 3 cin.1: linear"},
		{"squeeze and excitation", func(s *nn.Scope, x *G.Node) *G.Node {
			return nn.SqueezeExcite(s.Sub("senet"), x, 2, 4)
		}, "2 a: , 2 b: , 2 c: , 4 senet.squeeze senet.excite: "},
		{"one matrix", func(s *nn.Scope, x *G.Node) *G.Node {
			return nn.BilinearPairs(s.Sub("p"), x, 2, nn.FieldAll)
		}, "2 a b c p: "},
		{"a matrix for each left vector", func(s *nn.Scope, x *G.Node) *G.Node {
			return nn.BilinearPairs(s.Sub("p"), x, 2, nn.FieldEach)
		}, "2 a p.0: linear, 2 b c p.0 p.1: "},
		{"a matrix for each pair", func(s *nn.Scope, x *G.Node) *G.Node {
			return nn.BilinearPairs(s.Sub("p"), x, 2, nn.FieldInteraction)
		}, "2 a p.0: linear, 2 b p.0 p.1: , 2 c p.0 p.1: "},
	} {
		sym, _, err := declared(func(s *nn.Scope) *G.Node {
			in, _ := s.Input("x", 2, 3)
			x := nn.Concat(s, nn.Project(s.Sub("a"), in, 2), nn.Project(s.Sub("b"), in, 2), nn.Project(s.Sub("c"), in, 2))
			return nn.Project(s.Sub("out"), tc.build(s, x), 1)
		})
		var got []string
		for _, g := range sym.Groups {
			var layers []string
			for _, u := range g.Uses {
				if l := strings.TrimSuffix(strings.TrimSuffix(u.Param, ".weight"), ".bias"); l != "out" && !strings.Contains(strings.Join(layers, " ")+" ", l+" ") {
					layers = append(layers, l)
				}
			}
			does := ""
			if g.Orthogonal {
				does = "orthogonal"
			}
			if g.Linear {
				does = "linear"
			}
			got = append(got, fmt.Sprintf("%d %s: %s", g.Size, strings.Join(layers, " "), does))
		}
		if g := strings.Join(got, ", "); err != nil || g != tc.want {
			t.Errorf("%s: groups %q, error %v, want %q", tc.name, g, err, tc.want)
		}
	}
}
