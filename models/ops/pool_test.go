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
)

func TestFirstToken(t *testing.T) {
	for _, s := range []struct{ B, L, H int }{{1, 1, 1}, {3, 1, 5}, {2, 4, 3}, {5, 3, 17}, {130, 9, 129}} {
		opstest.Check(t, opstest.Case{
			Name:   fmt.Sprintf("L=%d", s.L),
			Shapes: [][]int{{s.B * s.L, s.H}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.FirstToken(x[0], &ops.Tokens{L: s.L}) },
			Oracle: func(x ...[]float64) []float64 {
				var y []float64
				for b := range s.B {
					y = append(y, x[0][b*s.L*s.H:][:s.H]...)
				}
				return y
			},
			Big: s.B > 100,
		})
	}
}

func TestPoolTokens(t *testing.T) {
	long := make([]int32, 40)
	for i := range long {
		long[i] = int32(i % 35)
	}
	for _, s := range []struct {
		B, L, H int
		len     []int32
		mask    []float32
	}{
		{B: 1, L: 1, H: 1},
		{B: 2, L: 5, H: 3},
		{B: 3, L: 4, H: 7, len: []int32{4, 0, 2}},
		{B: 3, L: 2, H: 1, len: []int32{1, 2, 1}},
		{B: 3, L: 4, H: 3, len: []int32{3, 4, 2}, mask: []float32{0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1}},
		{B: 40, L: 34, H: 129, len: long},
	} {
		tok := &ops.Tokens{L: s.L, Len: s.len, Mask: s.mask}
		for name, op := range map[string]func(*G.Node, *ops.Tokens) (*G.Node, error){"mean": ops.MeanTokens, "sum": ops.SumTokens} {
			opstest.Check(t, opstest.Case{
				Name:   fmt.Sprintf("%s,L=%d,mask=%v", name, s.L, s.mask),
				Shapes: [][]int{{s.B * s.L, s.H}},
				Build:  func(x ...*G.Node) (*G.Node, error) { return op(x[0], tok) },
				Oracle: func(x ...[]float64) []float64 {
					y := make([]float64, s.B*s.H)
					for b := range s.B {
						n := 0.0
						for i := range s.L {
							if (s.len == nil || i < int(s.len[b])) && (s.mask == nil || s.mask[b*s.L+i] != 0) {
								n++
								for j := range s.H {
									y[b*s.H+j] += x[0][(b*s.L+i)*s.H+j]
								}
							}
						}
						for j := range s.H {
							if name == "mean" {
								y[b*s.H+j] /= max(1, n)
							}
						}
					}
					return y
				},
				Big: s.B > 30,
			})
		}
	}
}

// Padding may hold anything, and the result has the same bits for any length of the batch.
func TestMeanTokensPadding(t *testing.T) {
	const H = 3
	var first []float32
	for _, L := range []int{2, 3, 9} {
		g := G.NewGraph()
		v := make([]float32, 2*L*H)
		for i := range v {
			v[i] = float32(math.NaN())
		}
		copy(v, []float32{1, 2, 3, 4, 5, 6})
		copy(v[L*H:], []float32{7, 8, 9})
		x, dy := matrix(g, "x", 2*L, H, v...), matrix(g, "dy", 2, H, 1, 1, 1, 1, 1, 1)
		y := must(ops.MeanTokens(x, &ops.Tokens{L: L, Len: []int32{2, 1}}))
		d, err := ops.VJP(y, dy, x)
		if err != nil {
			t.Fatal(err)
		}
		run(t, g)
		if first == nil {
			first = slices.Clone(opstest.Values(y))
		}
		if got := opstest.Values(y); !slices.Equal(got, first) {
			t.Errorf("L = %d: %v, want %v", L, got, first)
		}
		if dx := opstest.Values(d[0])[2*H : L*H]; slices.ContainsFunc(dx, func(v float32) bool { return v != 0 }) {
			t.Errorf("L = %d: gradient of padding is %v", L, dx)
		}
	}
	if want := []float32{2.5, 3.5, 4.5, 7, 8, 9}; !slices.Equal(first, want) {
		t.Errorf("means are %v, want %v", first, want)
	}
}

func TestPoolErrors(t *testing.T) {
	g := G.NewGraph()
	x := matrix(g, "x", 6, 1, make([]float32, 6)...)
	for _, tc := range []struct {
		f    func(x *G.Node, t *ops.Tokens) (*G.Node, error)
		tok  *ops.Tokens
		want string
	}{
		{ops.FirstToken, nil, "ops: firsttoken: no tokens to tell the sequences apart"},
		{ops.FirstToken, &ops.Tokens{}, "ops: firsttoken: sequences of 0, want 1 or more"},
		{ops.MeanTokens, &ops.Tokens{L: 5}, "ops: meantokens: x has 6 rows, want sequences of 5"},
	} {
		if _, err := tc.f(x, tc.tok); err == nil || err.Error() != tc.want {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
	must(ops.MeanTokens(x, &ops.Tokens{L: 3, Len: []int32{1, 9}}))
	if err := runErr(g); err == nil || !strings.Contains(err.Error(), "sequence 1 has 9 tokens, want 0 to 3") {
		t.Errorf("error %v", err)
	}
}

func TestPickRows(t *testing.T) {
	many := make([]int32, 300)
	for i := range many {
		many[i] = int32(i*7%211) - 1
	}
	for _, s := range []struct {
		R, H int
		at   []int32
	}{{1, 1, []int32{0}}, {4, 3, []int32{2, -1, 0, 2, 3, 2}}, {5, 17, []int32{4}}, {210, 131, many}} {
		opstest.Check(t, opstest.Case{
			Name:   fmt.Sprint(len(s.at)),
			Shapes: [][]int{{s.R, s.H}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.PickRows(x[0], &s.at) },
			Oracle: func(x ...[]float64) []float64 {
				y := make([]float64, len(s.at)*s.H)
				for i, r := range s.at {
					if r >= 0 {
						copy(y[i*s.H:(i+1)*s.H], x[0][int(r)*s.H:])
					}
				}
				return y
			},
			Big: s.R > 100,
		})
	}
	g := G.NewGraph()
	x, dy := matrix(g, "x", 3, 1, 1, 2, 3), matrix(g, "dy", 2, 1, 10, 20)
	at := []int32{2, 1}
	y := must(ops.PickRows(x, &at))
	d, err := ops.VJP(y, dy, x)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		at   []int32
		y, d []float32
		err  string
	}{
		{at: []int32{2, 1}, y: []float32{3, 2}, d: []float32{0, 20, 10}},
		{at: []int32{-1, 0}, y: []float32{0, 1}, d: []float32{20, 0, 0}}, // nothing is left of the run before
		{at: []int32{0, 3}, err: "ops: pickrows: pick 1 is row 3, want 0 to 2, or -1 for none"},
		{at: []int32{0}, err: "ops: pickrows: 1 rows to pick, want 2 as when the graph was built"},
	} {
		at = tc.at
		err := runErr(g)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, dx := opstest.Values(y), opstest.Values(d[0]); !slices.Equal(got, tc.y) || !slices.Equal(dx, tc.d) {
			t.Errorf("rows %v are %v with gradient %v, want %v and %v", at, got, dx, tc.y, tc.d)
		}
	}
	if _, err := ops.PickRows(x, nil); err == nil || err.Error() != "ops: pickrows: no rows to pick" {
		t.Errorf("error %v", err)
	}
}
