package optim

import (
	"errors"
	"math"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/ops/kernel"
)

func init() { Types.Register("adam", Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}) }

// Adam is the optimizer of Kingma and Ba (2015), as torch.optim.Adam computes it:
//
//	g += weight_decay·w;  m = β1·m + (1−β1)·g;  v = β2·v + (1−β2)·g²;  w −= lr·(m/(1−β1ᵗ)) / (√(v/(1−β2ᵗ)) + eps)
//
// The lazy form is torch.optim.SparseAdam, which adds eps to √v: w −= lr·√(1−β2ᵗ)/(1−β1ᵗ) · m/(√v + eps).
type Adam struct {
	Beta1       float64 `yaml:"beta1"`        // decay of the mean of the gradient, in [0, 1)
	Beta2       float64 `yaml:"beta2"`        // decay of the mean of its square, in [0, 1)
	Eps         float64 `yaml:"eps"`          // added to the denominator
	WeightDecay float64 `yaml:"weight_decay"` // L2: times w, added to the gradient
}

// New implements [Options].
func (o Adam) New() *Optimizer {
	return newOptimizer("adam", &adam{beta1: o.Beta1, beta2: o.Beta2, eps: o.Eps}, o.WeightDecay, 0)
}

// Validate implements the check of a config section.
func (o Adam) Validate() error {
	return errors.Join(registry.InBelow("beta1", o.Beta1, 0, 1), registry.InBelow("beta2", o.Beta2, 0, 1),
		registry.AtLeast("eps", o.Eps, 0),
		registry.AtLeast("weight_decay", o.WeightDecay, 0))
}

type adam struct {
	beta1, beta2, eps float64
	lr, e, c1, c2     float64
}

func (*adam) slots() ([]string, float32) { return []string{"exp_avg", "exp_avg_sq"}, 0 }

func (a *adam) step(t int64, lr float64, lazy bool) {
	a.lr, a.e = lr, a.eps
	a.c1 = 1 - math.Pow(a.beta1, float64(t))
	a.c2 = 1 - math.Pow(a.beta2, float64(t))
	if lazy {
		// √(v/c2) + eps/√c2 = (√v + eps)/√c2, SparseAdam's denominator.
		a.e /= math.Sqrt(a.c2)
	}
}

func (a *adam) update(w, g []float32, s *slots, decay float64) {
	kernel.Adam(w, g, s[0], s[1], a.lr, a.beta1, a.beta2, a.e, a.c1, a.c2, decay)
}

func (a *adam) updateRows(w []float32, dim int, ids []int32, g []float32, s *slots, scale kernel.RowScale, decay float64) {
	kernel.AdamRows(w, s[0], s[1], dim, ids, g, scale, a.lr, a.beta1, a.beta2, a.e, a.c1, a.c2, decay)
}
