package registry_test

import (
	"math"
	"testing"

	"github.com/splice-ml/splice/configs/registry"
)

func TestChecks(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	const half = 0.5
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"at least, equal", registry.AtLeast("n", 1, 1), ""},
		{"at least, below", registry.AtLeast("n", 0, 1), "n: must be at least 1"},
		{"at least 0", registry.AtLeast("n", int64(0), 0), ""},
		{"below 0", registry.AtLeast("n", int64(-1), 0), "n: must not be negative"},
		{"at least, NaN", registry.AtLeast("x", nan, half), "x: must be at least 0.5"},
		{"at least, infinite", registry.AtLeast("x", inf, 0), "x: must not be negative"},
		{"above", registry.Above("x", 1e-300, 0), ""},
		{"above, equal", registry.Above("x", 0.0, 0), "x: must be above 0"},
		{"above, NaN", registry.Above("x", nan, 0), "x: must be above 0"},
		{"above, infinite", registry.Above("x", inf, 0), "x: must be above 0"},
		{"in, both ends", firstOf(registry.In("x", 0.0, 0, 1), registry.In("x", 1.0, 0, 1)), ""},
		{"in, below", registry.In("x", -half, 0, 1), "x: must be in [0, 1]"},
		{"in, above", registry.In("x", 1.5, 0, 1), "x: must be in [0, 1]"},
		{"in, NaN", registry.In("x", nan, 0, 1), "x: must be in [0, 1]"},
		{"open", registry.InOpen("x", half, 0, 1), ""},
		{"open, lower end", registry.InOpen("x", 0.0, 0, 1), "x: must be in (0, 1)"},
		{"open, upper end", registry.InOpen("x", 1.0, 0, 1), "x: must be in (0, 1)"},
		{"below, lower end", registry.InBelow("x", 0.0, 0, 1), ""},
		{"below, upper end", registry.InBelow("x", 1.0, 0, 1), "x: must be in [0, 1)"},
		{"below, under", registry.InBelow("x", -half, 0, 1), "x: must be in [0, 1)"},
		{"above, lower end", registry.InAbove("x", 0.0, 0, half), "x: must be in (0, 0.5]"},
		{"above, upper end", registry.InAbove("x", half, 0, half), ""},
		{"above, over", registry.InAbove("x", 1, 0, half), "x: must be in (0, 0.5]"},
		{"finite", registry.Finite("x", -1e300), ""},
		{"NaN", registry.Finite("x", nan), "x: must be a finite number"},
		{"minus infinity", registry.Finite("x", -inf), "x: must be a finite number"},
		{"one of three", registry.OneOf("s", "b", "a", "b", "c"), ""},
		{"none of three", registry.OneOf("s", "d", "a", "b", "c"), "s: must be a, b or c"},
		{"none of two", registry.OneOf("s", "", "a", "100%"), "s: must be a or 100%"},
		{"not the one", registry.OneOf("s", "b", "a"), "s: must be a"},
	} {
		got := ""
		if tc.err != nil {
			got = tc.err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// firstOf returns the first error.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
