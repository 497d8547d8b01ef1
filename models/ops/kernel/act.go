package kernel

import (
	"fmt"
	"unsafe"
)

// Act is an activation function applied element by element.
type Act uint8

// The activations. ReLU is max(x, 0) and keeps NaN.
const (
	None    Act = iota // x
	ReLU               // max(x, 0)
	Tanh               // tanh(x)
	Sigmoid            // 1 / (1 + exp(-x))
)

// String returns the name used in configs: none, relu, tanh, sigmoid.
func (a Act) String() string {
	switch a {
	case None:
		return "none"
	case ReLU:
		return "relu"
	case Tanh:
		return "tanh"
	case Sigmoid:
		return "sigmoid"
	}
	return fmt.Sprintf("kernel.Act(%d)", uint8(a))
}

// Activate sets dst = act(x), for len(dst) elements.
func Activate(dst, x []float32, act Act) {
	x = x[:len(dst)]
	switch act {
	case ReLU:
		i := reluVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(x))
		ActivateRef(dst[i:], x[i:], ReLU)
	case Tanh:
		i := tanhVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(x))
		if i == len(dst) {
			return
		}
		if path == generic {
			tanhRef(dst, x)
			return
		}
		var t tail
		copy(t[:], x[i:])
		tanhVec(len(t), &t[0], &t[0])
		copy(dst[i:], t[:])
	case Sigmoid:
		i := sigmoidVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(x))
		if i == len(dst) {
			return
		}
		if path == generic {
			sigmoidRef(dst, x)
			return
		}
		var t tail
		copy(t[:], x[i:])
		sigmoidVec(len(t), &t[0], &t[0])
		copy(dst[i:], t[:])
	default:
		copy(dst, x)
	}
}

// tail holds the last elements, fewer than a vector, so that they are computed as the others: the result for an element
// does not depend on its place.
type tail [8]float32

// BiasAct sets dst = act(dst + bias). If dst is longer than bias, bias is added to each of its rows of len(bias) elements, and
// len(dst) must be a multiple of len(bias).
func BiasAct(dst, bias []float32, act Act) {
	n := len(bias)
	if n == 0 && len(dst) > 0 {
		panic("kernel: BiasAct: no bias")
	}
	for ; len(dst) > 0; dst = dst[n:] {
		row := dst[:n]
		if act == ReLU {
			i := biasReLUVec(n, unsafe.SliceData(row), unsafe.SliceData(bias))
			BiasActRef(row[i:], bias[i:], ReLU)
			continue
		}
		Add(row, bias)
		if act != None {
			Activate(row, row, act)
		}
	}
}

// ActGrad sets dst = dy * act'(x), the derivative being computed from the output y = act(x):
//
//	ReLU     y <= 0 ? 0 : dy (so dy where y is NaN)
//	Tanh     dy * (1 - y*y)
//	Sigmoid  dy * (y * (1 - y))
func ActGrad(dst, y, dy []float32, act Act) {
	n := len(dst)
	y, dy = y[:n], dy[:n]
	i := 0
	switch act {
	case ReLU:
		i = reluGradVec(n, unsafe.SliceData(dst), unsafe.SliceData(y), unsafe.SliceData(dy))
	case Tanh:
		i = tanhGradVec(n, unsafe.SliceData(dst), unsafe.SliceData(y), unsafe.SliceData(dy))
	case Sigmoid:
		i = sigmoidGradVec(n, unsafe.SliceData(dst), unsafe.SliceData(y), unsafe.SliceData(dy))
	}
	ActGradRef(dst[i:], y[i:], dy[i:], act)
}

// Exp sets dst = exp(x), for len(dst) elements. The result is +Inf above 88.72, 0 below -104, and NaN for NaN.
func Exp(dst, x []float32) {
	x = x[:len(dst)]
	i := expVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(x))
	if i == len(dst) {
		return
	}
	if path == generic {
		ExpRef(dst, x)
		return
	}
	var t tail
	copy(t[:], x[i:])
	expVec(len(t), &t[0], &t[0])
	copy(dst[i:], t[:])
}

// GELU sets y = z·Φ(z) and d = Φ(z) + z·φ(z), its derivative, for len(y) elements, with the distribution Φ and the density φ of
// the normal distribution. The absolute error of y is at most 1e-7·(1 + |z|).
func GELU(y, d, z []float32) {
	d, z = d[:len(y)], z[:len(y)]
	i := geluVec(len(y), unsafe.SliceData(y), unsafe.SliceData(d), unsafe.SliceData(z))
	if i == len(y) {
		return
	}
	if path == generic {
		GELURef(y, d, z)
		return
	}
	var t, u, v tail
	copy(t[:], z[i:])
	geluVec(len(t), &u[0], &v[0], &t[0])
	copy(y[i:], u[:])
	copy(d[i:], v[:])
}
