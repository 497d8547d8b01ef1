package data

import (
	"math"
	"testing"
)

// TestLog1p: small counts are looked up, with the bits of all others.
func TestLog1p(t *testing.T) {
	f := MapFeature{Transform: Log1p}
	check := func(v float64) {
		t.Helper()
		want := float32(math.Copysign(math.Log1p(math.Abs(v)), v))
		if got := f.Value(v); math.Float32bits(got) != math.Float32bits(want) {
			t.Errorf("Value(%g) = %g, want %g", v, got, want)
		}
	}
	for n := range 3000 {
		check(float64(n))
		check(-float64(n))
		check(float64(n) + .5)
	}
	for _, v := range []float64{math.Copysign(0, -1), 1e-30, 1 << 32, 1e18, 1e19, 3e38, -3e38} {
		check(v)
	}
}
