package kernel

import "fmt"

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
	ActivateRef(dst, x, act)
}

// BiasAct sets dst = act(dst + bias). If dst is longer than bias, bias is added to each of its rows of len(bias)
// elements: len(dst) must be a multiple of len(bias).
func BiasAct(dst, bias []float32, act Act) {
	BiasActRef(dst, bias, act)
}

// ActGrad sets dst = dy * act'(x), the derivative being computed from the output y = act(x):
//
//	ReLU     y <= 0 ? 0 : dy (so dy where y is NaN)
//	Tanh     dy * (1 - y*y)
//	Sigmoid  dy * (y * (1 - y))
func ActGrad(dst, y, dy []float32, act Act) {
	ActGradRef(dst, y, dy, act)
}

// Exp sets dst = exp(x): +Inf above 88.72, 0 below -104, NaN for NaN.
func Exp(dst, x []float32) {
	ExpRef(dst, x)
}
