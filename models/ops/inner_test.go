package ops_test

import (
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// dot is the inner product of vectors i of a and j of b of width d.
func dot(a []float64, i int, b []float64, j, d int) (sum float64) {
	for k := range d {
		sum += a[i*d+k] * b[j*d+k]
	}
	return sum
}

func TestInner(t *testing.T) {
	for _, s := range []struct{ B, M, N, D int }{{1, 1, 1, 1}, {3, 4, 2, 5}, {2, 1, 6, 3}, {4, 5, 1, 8}, {300, 12, 7, 10}} {
		oracle := func(a, b []float64, N int) []float64 {
			var y []float64
			for r := range s.B {
				for i := range s.M {
					for j := range N {
						y = append(y, dot(a, r*s.M+i, b, r*N+j, s.D))
					}
				}
			}
			return y
		}
		opstest.Check(t, opstest.Case{
			Name: "inner", Shapes: [][]int{{s.B, s.M * s.D}, {s.B, s.N * s.D}}, Big: s.B > 100,
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Inner(x[0], x[1], s.D) },
			Oracle: func(x ...[]float64) []float64 { return oracle(x[0], x[1], s.N) },
		})
		opstest.Check(t, opstest.Case{
			Name: "inner with itself", Shapes: [][]int{{s.B, s.M * s.D}}, Big: s.B > 100,
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Inner(x[0], x[0], s.D) },
			Oracle: func(x ...[]float64) []float64 { return oracle(x[0], x[0], s.M) },
		})
	}
}

func TestInnerPairs(t *testing.T) {
	for _, s := range []struct{ B, F, D int }{{1, 2, 1}, {3, 2, 4}, {3, 5, 3}, {2, 4, 16}, {700, 9, 10}} {
		opstest.Check(t, opstest.Case{
			Name: "innerpairs", Shapes: [][]int{{s.B, s.F * s.D}}, Big: s.B > 100,
			Build: func(x ...*G.Node) (*G.Node, error) { return ops.InnerPairs(x[0], s.F) },
			Oracle: func(x ...[]float64) []float64 {
				var y []float64
				for r := range s.B {
					for i := range s.F {
						for j := i + 1; j < s.F; j++ {
							y = append(y, dot(x[0], r*s.F+i, x[0], r*s.F+j, s.D))
						}
					}
				}
				return y
			},
		})
	}
}

func TestPairProducts(t *testing.T) {
	for _, s := range []struct{ B, F, D int }{{1, 2, 1}, {3, 3, 4}, {3, 5, 3}, {2, 4, 16}, {500, 7, 10}} {
		P := s.F * (s.F - 1) / 2
		for _, each := range []bool{false, true} {
			n := s.F - 1
			if each {
				n = P
			}
			opstest.Check(t, opstest.Case{
				Name: "pairproducts", Shapes: [][]int{{s.B, n * s.D}, {s.B, s.F * s.D}}, Big: s.B > 100,
				Build: func(x ...*G.Node) (*G.Node, error) { return ops.PairProducts(x[0], x[1], s.D) },
				Oracle: func(x ...[]float64) []float64 {
					var y []float64
					for r := range s.B {
						p := 0
						for i := range s.F {
							for j := i + 1; j < s.F; j++ {
								left := i
								if each {
									left = p
								}
								for k := range s.D {
									y = append(y, x[0][(r*n+left)*s.D+k]*x[1][(r*s.F+j)*s.D+k])
								}
								p++
							}
						}
					}
					return y
				},
			})
		}
	}
}

func TestBilinear(t *testing.T) {
	oracle := func(a, b, w, bias []float64, M, N int) []float64 {
		H := len(bias)
		var y []float64
		for r := range len(a) / M {
			for h := range H {
				sum := bias[h]
				for i := range M {
					for j := range N {
						sum += w[(h*M+i)*N+j] * a[r*M+i] * b[r*N+j]
					}
				}
				y = append(y, sum)
			}
		}
		return y
	}
	// The last two have several blocks of rows, of which the last one is not full, and has a single row.
	for _, s := range []struct{ R, M, N, H int }{{1, 1, 1, 1}, {5, 3, 4, 2}, {4, 1, 3, 1}, {3, 4, 1, 5}, {900, 6, 5, 7}, {150, 150, 100, 2}, {33, 200, 170, 1}} {
		opstest.Check(t, opstest.Case{
			Name: "bilinear", Shapes: [][]int{{s.R, s.M}, {s.R, s.N}, {s.H, s.M, s.N}, {s.H}}, Big: s.R*s.M*s.N > 1000,
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Bilinear(x[0], x[1], x[2], x[3]) },
			Oracle: func(x ...[]float64) []float64 { return oracle(x[0], x[1], x[2], x[3], s.M, s.N) },
		})
	}
	opstest.Check(t, opstest.Case{
		Name: "bilinear of itself", Shapes: [][]int{{5, 3}, {2, 3, 3}, {2}},
		Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Bilinear(x[0], x[0], x[1], x[2]) },
		Oracle: func(x ...[]float64) []float64 { return oracle(x[0], x[0], x[1], x[2], 3, 3) },
	})
	for skip := range 4 {
		opstest.Check(t, opstest.Case{
			Name: "bilinear in part", Shapes: [][]int{{5, 3}, {5, 4}, {2, 3, 4}, {2}}, NoGrad: []int{skip},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Bilinear(x[0], x[1], x[2], x[3]) },
			Oracle: func(x ...[]float64) []float64 { return oracle(x[0], x[1], x[2], x[3], 3, 4) },
		})
	}
}
