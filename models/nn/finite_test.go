package nn_test

import (
	"math"
	"testing"

	"github.com/splice-ml/splice/models/nn"
)

func TestNotFinite(t *testing.T) {
	x := make([]float32, 10_000)
	for i := range x {
		x[i] = float32(i-5000) * (math.MaxFloat32 / 5001)
	}
	if at := nn.NotFinite(x); at != -1 || nn.NotFinite(nil) != -1 {
		t.Errorf("value %d of finite ones is not", at)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, at := range []int{0, 1, 15, 16, 4095, 4096, 9000, 9999} {
			old := x[at]
			x[at], x[9999] = float32(bad), float32(bad)
			if got := nn.NotFinite(x); got != at {
				t.Errorf("%v at %d: found at %d", bad, at, got)
			}
			x[at], x[9999] = old, 1
		}
	}
}
