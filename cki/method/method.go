// Package method holds the ways to merge in closed form, one in a file. A method computes a formula over the parents' weights, and
// passes over the data a few times at most. It registers itself in cki.Registry, and its fields are the options of a `method:`
// section.
package method

import (
	"fmt"
	"math"
	"strings"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
)

// checkParents returns an error unless in has min to max parents. A max of 0 is no limit.
func checkParents(in *cki.Input, method string, min, max int) error {
	n := len(in.Parents)
	switch {
	case n >= min && (max == 0 || n <= max):
		return nil
	case min == max:
		return fmt.Errorf("method: %s: have %d parents, want exactly %d", method, n, min)
	case n < min:
		return fmt.Errorf("method: %s: have %d parents, want at least %d", method, n, min)
	}
	return fmt.Errorf("method: %s: have %d parents, want at most %d", method, n, max)
}

// needsLab returns an error if there is nothing to evaluate with. It names what the method needs it for.
func needsLab(in *cki.Input, method, what string) error {
	if in.Lab == nil {
		return fmt.Errorf("method: %s: %s needs the model and its data: merge runs, or give a config with both", method, what)
	}
	return nil
}

// validWeights reports weights that no n of parents can have.
func validWeights(w []float64) error {
	var sum float64
	for _, x := range w {
		if !(x >= 0) || math.IsInf(x, 0) {
			return registry.Field("weights", "each must be a number that is not negative")
		}
		sum += x
	}
	if len(w) > 0 && !(sum > 0) {
		return registry.Field("weights", "at least one must be above 0")
	}
	return nil
}

// weightsOf returns the weights of n models, all 1 if none are given.
func weightsOf(method string, w []float64, n int, who string) ([]float64, error) {
	if len(w) == 0 {
		return equal(n), nil
	}
	if err := validWeights(w); err != nil {
		return nil, fmt.Errorf("method: %s: %w", method, err)
	}
	if len(w) != n {
		return nil, fmt.Errorf("method: %s: %d weights for %d %s: give one each, or none", method, len(w), n, who)
	}
	return w, nil
}

func equal(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1
	}
	return w
}

// normalised returns w divided by its sum.
func normalised(w []float64) []float64 {
	var sum float64
	for _, x := range w {
		sum += x
	}
	out := make([]float64, len(w))
	for i, x := range w {
		out[i] = x / sum
	}
	return out
}

// combine sets out to sum_k w_k·x_k, summed in float64: equal x and weights that sum to 1 give x bit for bit.
func combine(out []float32, w []float64, x [][]float32) {
	if len(x) == 2 {
		a, b, v, u := x[0][:len(out)], x[1][:len(out)], w[0], w[1]
		for i := range out {
			out[i] = float32(v*float64(a[i]) + u*float64(b[i]))
		}
		return
	}
	for i := range out {
		sum := w[0] * float64(x[0][i])
		for k, v := range x[1:] {
			sum += w[k+1] * float64(v[i])
		}
		out[i] = float32(sum)
	}
}

// mean returns the tensor function that combines with fixed weights.
func mean(w []float64) func(*cki.Tensor) error {
	return func(t *cki.Tensor) error {
		combine(t.Out, w, t.Parents)
		return nil
	}
}

// pass returns the tensor function that takes parent k as it is.
func pass(k int) func(*cki.Tensor) error {
	return func(t *cki.Tensor) error {
		copy(t.Out, t.Parents[k])
		return nil
	}
}

// statistics reports whether the tensor holds running statistics of a batch norm. Methods that are not weighted means average
// them: they are recomputed after a merge, and arithmetic could make a variance negative.
func statistics(name string) bool {
	return strings.HasSuffix(name, "running_mean") || strings.HasSuffix(name, "running_var")
}

// dim returns the values of a row of a tensor.
func dim(shape []int) int {
	d := 1
	for i, n := range shape {
		if i > 0 {
			d *= n
		}
	}
	return d
}

// valid runs a method's checks on options that no config decoded.
func valid(name string, m interface{ Validate() error }) error {
	if err := m.Validate(); err != nil {
		return fmt.Errorf("method: %s: %w", name, err)
	}
	return nil
}
