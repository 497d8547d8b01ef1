package ops_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestArrange(t *testing.T) {
	for _, tc := range []struct {
		shape   []int
		n, cols int // values of a group, and of a row of the result
	}{
		{[]int{1, 1}, 1, 1},
		{[]int{3, 6}, 6, 6},
		{[]int{3, 6}, 6, 2},
		{[]int{6, 2}, 6, 3},
		{[]int{6, 1}, 3, 3},
		{[]int{517, 132}, 132, 11},
	} {
		order := rand.New(rand.NewPCG(1, 2)).Perm(tc.n)
		opstest.Check(t, opstest.Case{
			Name:   "arrange",
			Shapes: [][]int{tc.shape},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Arrange(x[0], order, tc.cols) },
			Oracle: func(x ...[]float64) []float64 {
				var y []float64
				for row := range slices.Chunk(x[0], tc.n) {
					for _, i := range order {
						y = append(y, row[i])
					}
				}
				return y
			},
			Big: isBig(tc.shape),
		})
		x := matrix(G.NewGraph(), "x", tc.shape[0], tc.shape[1], make([]float32, tc.shape[0]*tc.shape[1])...)
		if got, want := must(ops.Arrange(x, order, tc.cols)).Shape(), (tensor.Shape{tc.shape[0] * tc.shape[1] / tc.cols, tc.cols}); !got.Eq(want) {
			t.Errorf("%v in rows of %d: %v, want %v", tc.shape, tc.cols, got, want)
		}
	}
}

func TestMaskedCross(t *testing.T) {
	oracle := func(x0, x, h, n, b []float64) []float64 {
		y, D := make([]float64, len(x)), len(b)
		for i := range y {
			r, k := i/D, i%D
			at := r*D/2 + k%(D/2)
			z := h[at]
			if k >= D/2 {
				z *= max(n[at], 0)
			}
			y[i] = x0[i]*(z+b[k]) + x[i]
		}
		return y
	}
	for _, s := range [][]int{{1, 2}, {3, 6}, {7, 34}, {517, 130}} {
		B, D := s[0], s[1]
		half := []int{B, D / 2}
		opstest.Check(t, opstest.Case{
			Name:   "linear",
			Shapes: [][]int{s, s, half, half, {D}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.MaskedCross(x[0], x[1], x[2], x[3], x[4]) },
			Oracle: func(x ...[]float64) []float64 { return oracle(x[0], x[1], x[2], x[3], x[4]) },
			Fill:   opstest.Grid(), // away from the kink of the mask
			Big:    isBig(s),
		})
		opstest.Check(t, opstest.Case{
			Name:   "exponential, without a norm",
			Shapes: [][]int{s, half, {D}},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.MaskedCross(x[0], x[0], x[1], x[1], x[2]) },
			Oracle: func(x ...[]float64) []float64 { return oracle(x[0], x[0], x[1], x[1], x[2]) },
			Fill:   opstest.Grid(),
			Big:    isBig(s),
		})
	}
}

func TestFactorized(t *testing.T) {
	for _, s := range [][]int{{1, 2}, {3, 6}, {7, 34}, {517, 130}} {
		for _, sum := range []bool{false, true} {
			name := map[bool]string{false: "side by side", true: "sum"}[sum]
			opstest.Check(t, opstest.Case{
				Name:   name,
				Shapes: [][]int{s},
				Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Factorized(x[0], sum) },
				Oracle: func(x ...[]float64) []float64 {
					var y []float64
					for h := range slices.Chunk(x[0], s[1]) {
						a, c := h[:s[1]/2], h[s[1]/2:]
						for i := range a {
							y = append(y, a[i])
							if sum {
								y[len(y)-1] += a[i] * c[i]
							}
						}
						for i := range a {
							if !sum {
								y = append(y, a[i]*c[i])
							}
						}
					}
					return y
				},
				Big: isBig(s),
			})
		}
	}
}

func TestInteractionErrors(t *testing.T) {
	g := G.NewGraph()
	in := func(name string, s ...int) *G.Node {
		return G.NewTensor(g, tensor.Float32, len(s), G.WithShape(s...), G.WithName(name))
	}
	x, half, b := in("x", 4, 6), in("h", 4, 3), in("b", 6)
	node := func(n *G.Node, err error) error { return err }
	for _, tc := range []struct {
		got  error
		want string
	}{
		{node(ops.Arrange(x, []int{0, 1, 2}, 3)), "ops: arrange: x is (4, 6), which is not of whole groups of 3 values in rows of 3"},
		{node(ops.Arrange(x, []int{0, 1, 2, 3, 4, 5}, 4)), "ops: arrange: x is (4, 6), which is not of whole groups of 6 values in rows of 4"},
		{node(ops.Arrange(x, []int{0, 1, 2, 3, 4, 4}, 3)), "ops: arrange: place 5 takes value 4 of 6, which is not there or is taken twice"},
		{node(ops.Arrange(x, []int{0, 1, 2, 3, 4, 6}, 3)), "ops: arrange: place 5 takes value 6 of 6, which is not there or is taken twice"},
		{node(ops.MaskedCross(in("x0", 4, 5), x, half, half, b)), "ops: maskedcross: x0 is (4, 5), want (4, 6): x0 and x have one shape"},
		{node(ops.MaskedCross(x, x, x, half, b)), "ops: maskedcross: h is (4, 6), want (4, 3): h is half as wide as x"},
		{node(ops.MaskedCross(x, x, half, half, in("b3", 3))), "ops: maskedcross: b is (3), want (6): one value per column"},
		{node(ops.MaskedCross(half, half, half, half, b)), "ops: maskedcross: x is (4, 3), want an even width"},
		{node(ops.Factorized(half, true)), "ops: factorized: h is (4, 3), want an even width"},
	} {
		if tc.got == nil || tc.got.Error() != tc.want {
			t.Errorf("error %v, want %s", tc.got, tc.want)
		}
	}
}
