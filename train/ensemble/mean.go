package ensemble

import (
	"fmt"
	"math"

	"github.com/splice-ml/splice/train/task"
)

// Mean makes the logits of an ensemble of those of its members. One goroutine may use it at a time.
type Mean struct {
	mode  string
	tasks []int // outputs of each of several tasks; nil: a row's outputs are those of one
	sum   []float64
}

// Tasks makes m one of rows with the outputs of several tasks side by side, or of one.
func (m *Mean) Tasks(parts []task.Part) {
	if m.tasks = nil; len(parts) > 1 {
		for _, p := range parts {
			m.tasks = append(m.tasks, p.Hi-p.Lo)
		}
	}
}

// NewMean returns a Mean. mode is MeanLogits or MeanProbabilities. With one output a row, the latter is
//
//	ln(Σ_k σ(z_k)) − ln(Σ_k σ(−z_k))
//
// and with several, ln(Σ_k softmax(z_k)/K). Predictions of numbers have no probabilities. For them, MeanLogits is
// the mean of the numbers.
func NewMean(mode string) (Mean, error) {
	if mode != MeanLogits && mode != MeanProbabilities {
		return Mean{}, fmt.Errorf("ensemble: mode %q, want %s or %s", mode, MeanLogits, MeanProbabilities)
	}
	return Mean{mode: mode}, nil
}

// Of sets dst, [N, width] row-major, to the ensemble's logits. z has the logits of each member, at least as long as dst.
func (m *Mean) Of(dst []float32, z [][]float32, width int) {
	if len(m.sum) < len(dst) {
		m.sum = make([]float64, len(dst))
	}
	switch {
	case m.mode == MeanLogits:
		m.logits(dst, z)
	case m.tasks != nil:
		for lo := 0; lo < len(dst); {
			for _, n := range m.tasks {
				if n == 1 {
					dst[lo] = binary(z, lo)
				} else {
					m.classes(dst, z, lo, lo+n)
				}
				lo += n
			}
		}
	case width == 1:
		for r := range dst {
			dst[r] = binary(z, r)
		}
	default:
		for lo := 0; lo < len(dst); lo += width {
			m.classes(dst, z, lo, lo+width)
		}
	}
}

func (m *Mean) logits(dst []float32, z [][]float32) {
	sum := m.sum[:len(dst)]
	clear(sum)
	for _, z := range z {
		for i, v := range z[:len(dst)] {
			sum[i] += float64(v)
		}
	}
	for i, v := range sum {
		dst[i] = float32(v / float64(len(z)))
	}
}

// binary returns the logit of the mean of σ(z_k[r]), in logarithms: a sure member does not round to 0 or 1.
func binary(z [][]float32, r int) float32 {
	pos, neg := math.Inf(-1), math.Inf(-1)
	for _, z := range z {
		x := float64(z[r])
		pos, neg = logAdd(pos, -softplus(-x)), logAdd(neg, -softplus(x))
	}
	return float32(pos - neg)
}

// classes sets dst[lo:hi] to the logarithm of the mean of the members' softmax.
func (m *Mean) classes(dst []float32, z [][]float32, lo, hi int) {
	sum := m.sum[lo:hi]
	for i := range sum {
		sum[i] = math.Inf(-1)
	}
	for _, z := range z {
		norm := math.Inf(-1)
		for _, v := range z[lo:hi] {
			norm = logAdd(norm, float64(v))
		}
		for i, v := range z[lo:hi] {
			sum[i] = logAdd(sum[i], float64(v)-norm)
		}
	}
	for i, v := range sum {
		dst[lo+i] = float32(v - math.Log(float64(len(z))))
	}
}

// softplus is ln(1 + exp(x)).
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// logAdd is ln(exp(a) + exp(b)).
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}
