package ops_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// gelu is the float64 twin by its definition.
func gelu(x float64, form ops.GELUForm) float64 {
	if form == ops.GELUTanh {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}
	return 0.5 * x * math.Erfc(-x/math.Sqrt2)
}

func TestGELU(t *testing.T) {
	for _, s := range [][]int{{1, 1}, {3, 5}, {2, 16}, {1, 1031}, {301, 131}} {
		for _, form := range []ops.GELUForm{ops.GELUExact, ops.GELUTanh} {
			for _, bias := range []bool{false, true} {
				c := opstest.Case{
					Name:   fmt.Sprintf("%v,bias=%v", form, bias),
					Shapes: [][]int{s, {s[1]}},
					Build:  func(x ...*G.Node) (*G.Node, error) { return ops.GELU(x[0], x[1], form) },
					Oracle: func(x ...[]float64) []float64 {
						y := make([]float64, len(x[0]))
						for i, v := range x[0] {
							y[i] = gelu(v+x[1][i%s[1]], form)
						}
						return y
					},
					Fill: func(_ int, x []float32, r *rand.Rand) {
						for i := range x {
							x[i] = 6*r.Float32() - 3
						}
					},
					Big: s[0]*s[1] > 1000,
				}
				if !bias {
					c.Shapes = c.Shapes[:1]
					c.Build = func(x ...*G.Node) (*G.Node, error) { return ops.GELU(x[0], nil, form) }
					c.Oracle = func(x ...[]float64) []float64 {
						y := make([]float64, len(x[0]))
						for i, v := range x[0] {
							y[i] = gelu(v, form)
						}
						return y
					}
				}
				opstest.Check(t, c)
			}
		}
	}
}

// The error of value and slope is that of float32 arithmetic over the whole range; far out they are x and 0.
func TestGELUAccuracy(t *testing.T) {
	var x []float32
	for v := -12.0; v <= 12; v += 1.0 / 512 {
		x = append(x, float32(v))
	}
	x = append(x, -1e30, -1e19, -100, -1e-30, float32(math.Copysign(0, -1)), 1e-30, 100, 1e10, 1e19, 1e30)
	for _, form := range []ops.GELUForm{ops.GELUExact, ops.GELUTanh} {
		g := G.NewGraph()
		one := make([]float32, len(x))
		for i := range one {
			one[i] = 1
		}
		leaf, dy := matrix(g, "x", 1, len(x), x...), matrix(g, "dy", 1, len(x), one...)
		y := must(ops.GELU(leaf, nil, form))
		d, err := ops.VJP(y, dy, leaf)
		if err != nil {
			t.Fatal(err)
		}
		run(t, g)
		worst := 0.0
		for i, got := range opstest.Values(y) {
			want := gelu(float64(x[i]), form)
			e := math.Abs(float64(got)-want) / (1 + math.Abs(float64(x[i])))
			worst = max(worst, e)
			if !(e <= 1e-7) {
				t.Errorf("%v: of %v is %v, want %v", form, x[i], got, want)
			}
		}
		for i, got := range opstest.Values(d[0]) {
			v := float64(x[i])
			h := 1e-4 * max(1, math.Abs(v))
			want := (gelu(v+h, form) - gelu(v-h, form)) / (2 * h)
			if !(math.Abs(float64(got)-want) <= 2e-6) {
				t.Errorf("%v: slope at %v is %v, want %v", form, x[i], got, want)
			}
		}
		t.Logf("%v: greatest error %.2g·(1 + |x|)", form, worst)
	}
}

func BenchmarkGELU(b *testing.B) {
	for _, form := range []ops.GELUForm{ops.GELUExact, ops.GELUTanh} {
		b.Run(form.String(), func(b *testing.B) {
			g := G.NewGraph()
			const B, C = 512, 1536
			v := make([]float32, B*C)
			r := rand.New(rand.NewPCG(1, 1))
			opstest.Uniform(v, r)
			x, dy := matrix(g, "x", B, C, v...), matrix(g, "dy", B, C, v...)
			bias := vector(g, "b", v[:C]...)
			y := must(ops.GELU(x, bias, form))
			if _, err := ops.VJP(y, dy, x, bias); err != nil {
				b.Fatal(err)
			}
			vm := G.NewTapeMachine(g)
			defer vm.Close()
			for b.Loop() {
				if err := vm.RunAll(); err != nil {
					b.Fatal(err)
				}
				vm.Reset()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(B*C), "ns/elem")
		})
	}
}
