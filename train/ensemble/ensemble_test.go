package ensemble_test

import (
	"math"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ensemble"
)

// fixed is a Predictor of given logits.
type fixed struct {
	batch int
	z     []float32
}

func (f fixed) Batch() int                              { return f.batch }
func (f fixed) Run(*data.Batch, int64) (float64, error) { return 0, nil }
func (f fixed) Logits() []float32                       { return f.z }

func TestEnsemble(t *testing.T) {
	near := func(t *testing.T, got, want []float64) {
		t.Helper()
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-6*(1+math.Abs(want[i])) {
				t.Errorf("logit %d is %v, want %v", i, got[i], want[i])
			}
		}
	}
	run := func(t *testing.T, mode string, n, width int, zs ...[]float32) []float64 {
		t.Helper()
		var ms []train.Predictor
		for _, z := range zs {
			ms = append(ms, fixed{len(z) / width, z})
		}
		e, err := ensemble.New(mode, ms...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Run(&data.Batch{N: n, Size: len(zs[0]) / width}, 0); err != nil {
			t.Fatal(err)
		}
		var out []float64
		for _, v := range e.Logits() {
			out = append(out, float64(v))
		}
		return out
	}
	a, b, c := []float32{-1, 0.5, 3, 90, 90, 7}, []float32{2, 0.5, -4, 90, -90, 7}, []float32{0, 0.5, 1, 90, 0, 7}
	t.Run("logits", func(t *testing.T) {
		near(t, run(t, ensemble.MeanLogits, 5, 1, a, b, c), []float64{1. / 3, 0.5, 0, 90, 0, 0})
	})
	t.Run("probabilities", func(t *testing.T) {
		var want []float64
		for i := range 3 {
			p := (sigma(float64(a[i])) + sigma(float64(b[i])) + sigma(float64(c[i]))) / 3
			want = append(want, math.Log(p/(1-p)))
		}
		near(t, run(t, ensemble.MeanProbabilities, 5, 1, a, b, c), append(want, 90, 0, 0))
	})
	t.Run("classes", func(t *testing.T) {
		var want []float64
		for r := range 2 {
			for k := range 3 {
				p := 0.0
				for _, z := range [][]float32{a, b} {
					sum := 0.0
					for _, v := range z[3*r : 3*r+3] {
						sum += math.Exp(float64(v))
					}
					p += math.Exp(float64(z[3*r+k])) / sum / 2
				}
				want = append(want, math.Log(p))
			}
		}
		near(t, run(t, ensemble.MeanProbabilities, 2, 3, a, b), want)
	})
}

func TestEnsembleRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, mode string
		members    []train.Predictor
		want       string
	}{
		{"mode", "mean", []train.Predictor{fixed{2, make([]float32, 2)}}, `mode "mean", want logits or probabilities`},
		{"none", "logits", nil, "no members"},
		{"batch", "logits", []train.Predictor{fixed{batch: 2}, fixed{batch: 3}}, "member 2 scores batches of 3 rows"},
		{
			"width", "logits",
			[]train.Predictor{fixed{2, make([]float32, 2)}, fixed{2, make([]float32, 4)}},
			"member 2 gives 2 logits a row, the first one 1",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, err := ensemble.New(tc.mode, tc.members...)
			if err == nil {
				_, err = e.Run(&data.Batch{N: 2, Size: 2}, 0)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func sigma(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
