package ops_test

import (
	"math"
	"slices"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// pool is the float64 twin of a sum of positions with weights: the softmax of the scores, or the scores.
func pool(s sequences, softmax bool, width int, score func(b, i int) float64, v []float64) []float64 {
	y := make([]float64, s.B*width)
	for b := range s.B {
		sum, p := 0.0, make([]float64, s.L)
		for i := range s.L {
			if !s.live(b, i) {
				continue
			}
			p[i] = score(b, i)
			if softmax {
				p[i] = math.Exp(p[i])
			}
			sum += p[i]
		}
		for i := range s.L {
			if !s.live(b, i) {
				continue
			}
			if softmax {
				p[i] /= sum
			}
			for j := range width {
				y[b*width+j] += p[i] * v[(b*s.L+i)*width+j]
			}
		}
	}
	return y
}

func TestTargetAttention(t *testing.T) {
	for _, d := range []struct{ D, E int }{{1, 1}, {3, 2}, {17, 33}} {
		checkHistory(t, history{
			in:  []input{{perSequence, d.D, 0}, {perPosition, d.D, 0}, {perPosition, d.E, 0}},
			out: input{perSequence, d.E, 0},
			build: func(t *ops.Tokens, x ...*G.Node) (*G.Node, error) {
				return ops.TargetAttention(x[0], x[1], x[2], t)
			},
			oracle: func(s sequences, x ...[]float64) []float64 {
				return pool(s, true, d.E, func(b, i int) float64 {
					dot := 0.0
					for c := range d.D {
						dot += x[0][b*d.D+c] * x[1][(b*s.L+i)*d.D+c]
					}
					return dot / math.Sqrt(float64(d.D))
				}, x[2])
			},
			fill:  wideInput,
			alone: true,
		})
	}
}

// Keys may be the values.
func TestTargetAttentionOfValues(t *testing.T) {
	for _, D := range []int{1, 3, 17, 32} {
		checkHistory(t, history{
			in:  []input{{perSequence, D, 0}, {perPosition, D, 0}},
			out: input{perSequence, D, 0},
			build: func(t *ops.Tokens, x ...*G.Node) (*G.Node, error) {
				return ops.TargetAttention(x[0], x[1], x[1], t)
			},
			oracle: func(s sequences, x ...[]float64) []float64 {
				return pool(s, true, D, func(b, i int) float64 {
					dot := 0.0
					for c := range D {
						dot += x[0][b*D+c] * x[1][(b*s.L+i)*D+c]
					}
					return dot / math.Sqrt(float64(D))
				}, x[1])
			},
			fill:  wideInput,
			alone: true,
		})
	}
}

func TestWeightedPool(t *testing.T) {
	for _, softmax := range []bool{false, true} {
		for _, D := range []int{1, 5, 33} {
			checkHistory(t, history{
				in:  []input{{perPosition, 1, 0}, {perPosition, D, 0}},
				out: input{perSequence, D, 0},
				build: func(t *ops.Tokens, x ...*G.Node) (*G.Node, error) {
					return ops.WeightedPool(x[0], x[1], t, softmax)
				},
				oracle: func(s sequences, x ...[]float64) []float64 {
					return pool(s, softmax, D, func(b, i int) float64 { return x[0][b*s.L+i] }, x[1])
				},
			})
		}
	}
}

func TestRepeat(t *testing.T) {
	for _, D := range []int{1, 6, 70} {
		checkHistory(t, history{
			in:    []input{{perSequence, D, 0}},
			out:   input{perPosition, D, 0},
			build: func(t *ops.Tokens, x ...*G.Node) (*G.Node, error) { return ops.Repeat(x[0], t) },
			oracle: func(s sequences, x ...[]float64) []float64 {
				y := make([]float64, s.B*s.L*D)
				for b := range s.B {
					for i := range s.L {
						if s.live(b, i) {
							copy(y[(b*s.L+i)*D:], x[0][b*D:(b+1)*D])
						}
					}
				}
				return y
			},
		})
	}
}

// Scores far out do not overflow, with the whole weight on the greatest.
func TestTargetAttentionExtremes(t *testing.T) {
	g := G.NewGraph()
	q, k := matrix(g, "q", 1, 1, 1e4), matrix(g, "k", 2, 1, -3, 1)
	y := must(ops.TargetAttention(q, k, matrix(g, "v", 2, 1, 7, 9), &ops.Tokens{L: 2}))
	run(t, g)
	if got, want := opstest.Values(y), []float32{9}; !slices.Equal(got, want) {
		t.Errorf("result %v, want %v", got, want)
	}
}
