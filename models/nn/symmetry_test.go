package nn_test

import (
	"fmt"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// declared returns the symmetry of what build declares, and the graph's error.
func declared(build func(s *nn.Scope) *G.Node) (nn.Symmetry, *nn.Params, error) {
	g := &nn.Graph{Params: nn.NewParams(1), Graph: G.NewGraph(), Batch: 2}
	s := nn.NewScope(g)
	out := build(s)
	return g.Symmetry(out), g.Params, s.Err()
}

func describe(groups []nn.Group) string {
	var out []string
	for _, g := range groups {
		var uses []string
		for _, u := range g.Uses {
			uses = append(uses, fmt.Sprintf("%s/%d@%d*%d", u.Param, u.Axis, u.Offset, u.Block))
		}
		out = append(out, fmt.Sprintf("%s[%d] %s", g.Name, g.Size, strings.Join(uses, " ")))
	}
	return strings.Join(out, "\n")
}

func TestSymmetry(t *testing.T) {
	for _, tc := range []struct {
		name  string
		build func(s *nn.Scope) *G.Node
		want  string
	}{
		{"a chain", func(s *nn.Scope) *G.Node {
			x, _ := s.Input("x", 2, 3)
			return nn.Linear(s.Sub("1"), nn.Linear(s.Sub("0"), x, 4, kernel.ReLU), 2, kernel.None)
		}, "0[4] 0.weight/0@0*1 0.bias/0@0*1 1.weight/1@0*1"},
		{"side by side", func(s *nn.Scope) *G.Node {
			x, _ := s.Input("x", 2, 3)
			a, b := nn.Linear(s.Sub("a"), x, 4, kernel.None), nn.Linear(s.Sub("b"), x, 5, kernel.None)
			return nn.Linear(s.Sub("c"), nn.Concat(s, b, a, b), 1, kernel.None)
		}, "a[4] a.weight/0@0*1 a.bias/0@0*1 c.weight/1@5*1\nb[5] b.weight/0@0*1 b.bias/0@0*1 c.weight/1@0*1 c.weight/1@9*1"},
		{"a sum ties", func(s *nn.Scope) *G.Node {
			x, _ := s.Input("x", 2, 3)
			a, b := nn.Linear(s.Sub("a"), x, 4, kernel.None), nn.Linear(s.Sub("b"), x, 4, kernel.None)
			return nn.Linear(s.Sub("c"), nn.Add(s, a, b), 1, kernel.None)
		}, "a[4] a.weight/0@0*1 a.bias/0@0*1 b.weight/0@0*1 b.bias/0@0*1 c.weight/1@0*1"},
		{"a sum with an input fixes", func(s *nn.Scope) *G.Node {
			x, _ := s.Input("x", 2, 4)
			return nn.Linear(s.Sub("c"), nn.Add(s, x, nn.Linear(s.Sub("a"), x, 4, kernel.None)), 1, kernel.None)
		}, ""},
		{"a sum of different cuts splits", func(s *nn.Scope) *G.Node {
			x, _ := s.Input("x", 2, 4)
			cut := func(name string, sizes ...int) *G.Node {
				var parts []*G.Node
				for i, n := range sizes {
					parts = append(parts, nn.Linear(s.Sub(fmt.Sprint(name, i)), x, n, kernel.None))
				}
				return nn.Concat(s, parts...)
			}
			return nn.Linear(s.Sub("c"), nn.Add(s, cut("a", 2, 5), cut("b", 4, 3)), 1, kernel.None)
		}, "a0[2] a0.weight/0@0*1 a0.bias/0@0*1 b0.weight/0@0*1 b0.bias/0@0*1 c.weight/1@0*1\n" +
			"b1[3] a1.weight/0@2*1 a1.bias/0@2*1 b1.weight/0@0*1 b1.bias/0@0*1 c.weight/1@4*1\n" +
			"b0[2:][2] a1.weight/0@0*1 a1.bias/0@0*1 b0.weight/0@2*1 b0.bias/0@2*1 c.weight/1@2*1"},
		{"what an undeclared operation sees is fixed", func(s *nn.Scope) *G.Node {
			x, _ := s.Input("x", 2, 3)
			h := nn.Linear(s.Sub("b"), nn.Linear(s.Sub("a"), x, 4, kernel.ReLU), 5, kernel.ReLU)
			return nn.Linear(s.Sub("c"), s.Check(G.Neg(h)), 1, kernel.None)
		}, "a[4] a.weight/0@0*1 a.bias/0@0*1 b.weight/1@0*1"},
		{"what the outputs do not depend on is free", func(s *nn.Scope) *G.Node {
			x, _ := s.Input("x", 2, 3)
			h := nn.Linear(s.Sub("a"), x, 4, kernel.ReLU)
			s.Check(G.Neg(h))
			return nn.Linear(s.Sub("c"), h, 1, kernel.None)
		}, "a[4] a.weight/0@0*1 a.bias/0@0*1 c.weight/1@0*1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sym, p, err := declared(tc.build)
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(sym.Groups); got != tc.want {
				t.Errorf("groups\n%s\nwant\n%s", got, tc.want)
			}
			if u := sym.Uncovered(p); u != nil {
				t.Errorf("uncovered: %v", u)
			}
		})
	}
}

// TestSharedWeights: a weight that two layers share lies in the spaces of both.
func TestSharedWeights(t *testing.T) {
	sym, _, err := declared(func(s *nn.Scope) *G.Node {
		x, _ := s.Input("x", 2, 3)
		a, b := nn.Linear(s.Sub("a"), x, 4, kernel.None), nn.Linear(s.Sub("b"), x, 4, kernel.None)
		s.Param("w", nn.XavierNormal, 1, 4)
		s.Along("w", 1, s.SpaceOf(a))
		s.Along("w", 1, s.SpaceOf(b))
		y, _ := s.Input("y", 2, 1)
		return s.Columns(y, s.Fixed(1))
	})
	want := "a[4] a.weight/0@0*1 a.bias/0@0*1 b.weight/0@0*1 b.bias/0@0*1 w/1@0*1"
	if got := describe(sym.Groups); err != nil || got != want {
		t.Errorf("groups %s, error %v, want %s", got, err, want)
	}
}

func TestWrongDeclarations(t *testing.T) {
	for _, tc := range []struct {
		name    string
		declare func(s *nn.Scope, x *G.Node)
		want    string
	}{
		{
			"columns", func(s *nn.Scope, x *G.Node) { s.Columns(x, s.Units(4)) },
			"nn: l: symmetry: a node of shape (2, 3) is declared to have 4 columns",
		},
		{"no parameter", func(s *nn.Scope, x *G.Node) { s.Along("v", 0, s.Units(4)) }, "nn: l: symmetry: there is no parameter l.v"},
		{
			"width", func(s *nn.Scope, x *G.Node) { s.Along("w", 1, s.Units(4)) },
			"nn: l: symmetry: l.w is [2 3], its axis 1 is declared to have 4 entries",
		},
		{
			"axis", func(s *nn.Scope, x *G.Node) { s.Along("w", 2, s.Units(4)) },
			"nn: l: symmetry: l.w is [2 3], its axis 2 is declared to have 4 entries",
		},
		{"tie", func(s *nn.Scope, x *G.Node) { s.Tie(s.Units(4), s.Units(3)) }, "nn: l: symmetry: 4 columns are tied to 3"},
		{
			"heads", func(s *nn.Scope, x *G.Node) { s.Heads(s.Units(4), s.Units(4), s.Units(5), 2) },
			"nn: l: symmetry: 2 heads over 4 columns of queries, 4 of keys, 5 of values",
		},
	} {
		_, _, err := declared(func(s *nn.Scope) *G.Node {
			l := s.Sub("l")
			l.Param("w", nn.XavierNormal, 2, 3)
			x, _ := l.Input("x", 2, 3)
			tc.declare(l, x)
			tc.declare(l, x) // after an error nothing happens
			return x
		})
		if fmt.Sprint(err) != tc.want {
			t.Errorf("%s: error %v, want %s", tc.name, err, tc.want)
		}
	}
}
