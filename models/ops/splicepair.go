package ops

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// pairBlock is the number of gates that are computed at once.
const pairBlock = 512

// pair computes the weights of two parents with a gate for each value, the published case, by kernels: w_A and its slope
//
//	local           w_A = sigmoid(scale·s/T)    dw_A/ds = scale/T·w_A·w_B
//	language        w_A = g·L + (1 - g)         dw_A/ds = scale·g·L·(1-L)
//	recommendation  w_A = sigmoid((v_A-v_B)/T)  dw_A/ds = scale/T·w_A·w_B·L·(1-L)·(g²·exp(-g·L) + (1-g)²·exp(-(1-g)·(1-L)))
//
// which backward needs alone. The language form is for T = 1.
type pair struct {
	Splicing
	slope []float32 // of the last run
}

// newPair returns nil if the splice is none for kernels.
func newPair(p Splicing, parents []*G.Node, gates, span int) *pair {
	if len(parents) != 2 || span != 1 || gates < 16 || p.Form == SpliceGlobal || p.Form == SpliceLanguage && p.Temperature != 1 {
		return nil
	}
	return &pair{Splicing: p, slope: room[float32](parents, gates)}
}

// weights sets w to w_A, and the slopes of gates lo on, from their logits. All have one length, of at most pairBlock.
func (p *pair) weights(w, s []float32, lo int) {
	var a, b [pairBlock]float32
	n, slope := len(w), p.slope[lo:lo+len(w)]
	scale, sharp := float32(p.Scale), float32(1/p.Temperature)
	if p.Form == SpliceLocal {
		kernel.Scale(w, s, scale*sharp)
		kernel.Activate(w, w, kernel.Sigmoid)
		for i, x := range w {
			slope[i] = scale * sharp * x * (1 - x)
		}
		return
	}
	g, h := float32(p.Global[0]), float32(p.Global[1])
	kernel.Scale(w, s, scale)
	kernel.Activate(w, w, kernel.Sigmoid) // L
	if p.Form == SpliceLanguage {
		for i, x := range w {
			w[i], slope[i] = 1-g*(1-x), scale*g*x*(1-x)
		}
		return
	}
	for i, x := range w {
		a[i], b[i] = -g*x, -h*(1-x)
	}
	kernel.Exp(a[:n], a[:n])
	kernel.Exp(b[:n], b[:n])
	for i, x := range w {
		slope[i] = scale * sharp * x * (1 - x) * (g*g*a[i] + h*h*b[i])
		w[i] = sharp * (g*(1-a[i]) - h*(1-b[i]))
	}
	kernel.Activate(w, w, kernel.Sigmoid)
	for i, x := range w {
		slope[i] *= x * (1 - x)
	}
}

// forwardPair computes values lo to hi of the splice.
func (s *splice) forwardPair(lo, hi int) {
	var w [pairBlock]float32
	for ; lo < hi; lo += pairBlock {
		end := min(hi, lo+pairBlock)
		x, out := w[:end-lo], s.op.out[lo:end]
		s.pair.weights(x, s.op.in[0][lo:end], lo)
		a, b := s.op.in[1][lo:end], s.op.in[2][lo:end]
		if s.Choice == SpliceSoft {
			for i, v := range x {
				out[i] = float32(float64(a[i]) + (1-float64(v))*(float64(b[i])-float64(a[i])))
			}
			continue
		}
		for i, v := range x {
			out[i] = b[i]
			if v > 1-v {
				out[i] = a[i]
			}
		}
	}
}

// gradPair sets gradients lo to hi of the logits.
func (s *splice) gradPair(ds, a, b, dy []float32, lo, hi int) {
	slope := s.pair.slope
	for i := lo; i < hi; i++ {
		ds[i] = slope[i] * dy[i] * (a[i] - b[i])
	}
}
