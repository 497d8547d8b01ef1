package method

import (
	"context"
	"errors"
	"math"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
)

// Slerp is spherical linear interpolation between two parents (Shoemake 1985), where each tensor is one vector:
//
//	W = sin((1-t)o)/sin(o) W_A + sin(t·o)/sin(o) W_B,  cos(o) = <W_A, W_B> / (|W_A| |W_B|)
//
// Vectors that are nearly parallel, with |cos(o)| > 0.9995 (mergekit's limit), and vectors that are zero are interpolated linearly.
// So are running statistics. Merging a model with itself returns it.
type Slerp struct {
	T float64 `yaml:"t"` // from 0, the base, to 1, the other parent
}

func init() { cki.Register("slerp", Slerp{T: 0.5}) }

// parallel is mergekit's DOT_THRESHOLD, above which sin(o) is too small to divide by.
const parallel = 0.9995

// Validate reports every option out of range.
func (m Slerp) Validate() error { return registry.In("t", m.T, 0, 1) }

// Merge prepares the interpolation.
func (m Slerp) Merge(_ context.Context, in *cki.Input) (cki.Merged, error) {
	if err := errors.Join(checkParents(in, "slerp", 2, 2), valid("slerp", m)); err != nil {
		return cki.Merged{}, err
	}
	return cki.Merged{Whole: true, Tensor: func(t *cki.Tensor) error {
		a, b := t.Parents[0], t.Parents[1]
		u, v := 1-m.T, m.T
		if cos := cosine(a, b); math.Abs(cos) <= parallel && !statistics(t.Name) {
			o := math.Acos(cos)
			u, v = math.Sin((1-m.T)*o)/math.Sin(o), math.Sin(m.T*o)/math.Sin(o)
		}
		combine(t.Out, []float64{u, v}, t.Parents)
		return nil
	}}, nil
}

// cosine returns that of the angle between a and b, 1 if one of them is zero.
func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i, x := range a {
		ab += float64(x) * float64(b[i])
		aa += float64(x) * float64(x)
		bb += float64(b[i]) * float64(b[i])
	}
	if aa == 0 || bb == 0 {
		return 1
	}
	return ab / (math.Sqrt(aa) * math.Sqrt(bb))
}
