package kernel

import (
	"math"
	"unsafe"
)

// The optimizer updates take their scalars in float64, so that 1-b2 and the like are rounded once, as PyTorch does it.

// Adam is one update of PyTorch's Adam and AdamW, with t counted from 1, c1 = 1-b1^t, c2 = 1-b2^t:
//
//	w *= 1 - lr*decay                       (decoupled decay; 0 for plain Adam)
//	m += (1-b1) * (g-m)
//	v  = b2*v + (1-b2)*g*g
//	w -= lr/c1 * m / (sqrt(v)/sqrt(c2) + eps)
//
// The order of the operations is PyTorch's (Kingma and Ba 2015, arXiv:1412.6980; Loshchilov and Hutter 2019,
// arXiv:1711.05101).
func Adam(w, g, m, v []float32, lr, b1, b2, eps, c1, c2, decay float64) {
	n := len(w)
	g, m, v = g[:n], m[:n], v[:n]
	s := adamScalars(lr, b1, b2, eps, c1, c2, decay)
	i := adamVec(n, unsafe.SliceData(w), unsafe.SliceData(g), unsafe.SliceData(m), unsafe.SliceData(v), &s.keep)
	AdamRef(w[i:], g[i:], m[i:], v[i:], lr, b1, b2, eps, c1, c2, decay)
}

// adamArgs are the scalars of one Adam update in the order in which the assembly reads them.
type adamArgs struct {
	keep, a1, b2, a2, c2, eps, step float32
}

func adamScalars(lr, b1, b2, eps, c1, c2, decay float64) adamArgs {
	return adamArgs{
		keep: float32(1 - lr*decay),
		a1:   float32(1 - b1),
		b2:   float32(b2),
		a2:   float32(1 - b2),
		c2:   float32(math.Sqrt(c2)),
		eps:  float32(eps),
		step: float32(lr / c1),
	}
}

// Adagrad is one update of PyTorch's Adagrad without decay: acc += g*g; w -= lr*g / (sqrt(acc) + eps).
func Adagrad(w, g, acc []float32, lr, eps float64) {
	n := len(w)
	g, acc = g[:n], acc[:n]
	i := adagradVec(n, unsafe.SliceData(w), unsafe.SliceData(g), unsafe.SliceData(acc), float32(lr), float32(eps))
	AdagradRef(w[i:], g[i:], acc[i:], lr, eps)
}

// RMSProp is one update of PyTorch's RMSprop without momentum: sq = alpha*sq + (1-alpha)*g*g;
// w -= lr*g / (sqrt(sq) + eps).
func RMSProp(w, g, sq []float32, lr, alpha, eps float64) {
	n := len(w)
	g, sq = g[:n], sq[:n]
	i := rmspropVec(n, unsafe.SliceData(w), unsafe.SliceData(g), unsafe.SliceData(sq),
		float32(lr), float32(alpha), float32(1-alpha), float32(eps))
	RMSPropRef(w[i:], g[i:], sq[i:], lr, alpha, eps)
}

// SGD is one update of PyTorch's SGD: buf = momentum*buf + g; w -= lr*buf. With momentum 0, buf is not touched and may be
// nil: w -= lr*g. PyTorch starts buf at the first gradient, which is what a buf of zeros gives.
func SGD(w, g, buf []float32, lr, momentum float64) {
	n := len(w)
	g = g[:n]
	if momentum == 0 {
		Axpy(w, float32(-lr), g)
		return
	}
	buf = buf[:n]
	i := sgdVec(n, unsafe.SliceData(w), unsafe.SliceData(g), unsafe.SliceData(buf), float32(lr), float32(momentum))
	SGDRef(w[i:], g[i:], buf[i:], lr, momentum)
}
