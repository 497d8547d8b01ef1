package optim_test

import (
	"slices"
	"testing"

	"github.com/splice-ml/splice/train/optim"
)

// TestEveryOptimizer: each registered one is checked against PyTorch as the others are, and by its defaults all its forms lower
// ½·|w|², the same way in each run.
func TestEveryOptimizer(t *testing.T) {
	cases := dense(t)
	for _, name := range optim.Types.Names() {
		d, _ := optim.Types.Default(name)
		if cases[name] != d {
			t.Errorf("optimizer %s is registered and has no case in dense", name)
		}
		if v, ok := d.(interface{ Validate() error }); !ok || v.Validate() != nil {
			t.Errorf("%s: its defaults are not valid, or nothing checks its options", name)
		}
		forms := map[string]func(o *optim.Optimizer, w, g []float32){
			"dense": func(o *optim.Optimizer, w, g []float32) { o.Step("w", w, g, 0.01) },
			"rows":  func(o *optim.Optimizer, w, g []float32) { o.StepRows("w", w, 2, []int32{0, 1}, g, 0.01) },
			"table": func(o *optim.Optimizer, w, g []float32) { o.StepTable("w", w, 2, []int32{0, 1}, g, 0.01) },
		}
		for form, step := range forms {
			run := func() []float32 {
				o, w := d.New(), []float32{1, -2, 3, -0.5}
				for range 20 {
					o.Begin()
					step(o, w, slices.Clone(w))
				}
				return w
			}
			w := run()
			norm := 0.0
			for _, x := range w {
				norm += float64(x) * float64(x)
			}
			if !(norm < 1+4+9+0.25) {
				t.Errorf("%s, %s: 20 steps lead from a squared norm of 14.25 to %v", name, form, norm)
			}
			if !slices.Equal(w, run()) {
				t.Errorf("%s, %s: two runs differ", name, form)
			}
		}
	}
}
