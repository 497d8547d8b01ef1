package metric_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/metric"
)

// TestEveryMetric runs what the interface promises over every registered metric and every kind of outputs that it reads: the
// size of the batches changes nothing but rounding, a value can be asked for twice, Reset forgets, and rows without a value are
// an error that names the metric.
func TestEveryMetric(t *testing.T) {
	outputs := []struct {
		name  string
		of    metric.Output
		width int
		label func(r *rand.Rand) float32
	}{
		{"logits", metric.Logit, 1, func(r *rand.Rand) float32 { return float32(r.IntN(2)) }},
		{"classes", metric.Classes, 3, func(r *rand.Rand) float32 { return float32(r.IntN(3)) }},
		{"numbers", metric.Number, 1, func(r *rand.Rand) float32 { return float32(r.NormFloat64()) }},
	}
	for _, o := range outputs {
		names := metric.Names(o.of)
		if len(names) == 0 {
			t.Errorf("no metric reads %s", o.name)
		}
		for _, name := range names {
			name := strings.Replace(name, "@k", "@2", 1)
			t.Run(o.name+"/"+name, func(t *testing.T) {
				const n = 60
				r := rand.New(rand.NewPCG(1, 2))
				var z, y []float32
				var group []int64
				for i := range n {
					y, group = append(y, o.label(r)), append(group, int64(i/6))
					for range o.width {
						z = append(z, float32(r.NormFloat64()))
					}
				}
				m := must(t, name)
				add := func(size int) float64 {
					t.Helper()
					m.Reset()
					for lo := 0; lo < n; lo += size {
						hi := min(n, lo+size)
						if err := m.Add(z[lo*o.width:hi*o.width], y[lo:hi], group[lo:hi]); err != nil {
							t.Fatal(err)
						}
					}
					v, err := m.Value()
					if again, _ := m.Value(); err != nil || again != v || math.IsNaN(v) || math.IsInf(v, 0) {
						t.Fatalf("Value() = %v, %v, then %v", v, err, again)
					}
					return v
				}
				want := add(n)
				for _, size := range []int{1, 7} {
					if got := add(size); math.Abs(got-want) > 1e-12*math.Abs(want) {
						t.Errorf("in batches of %d the value is %v, in one of %d it is %v", size, got, n, want)
					}
				}
				m.Reset()
				if v, err := m.Value(); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("without rows: %v, %v", v, err)
				}
				m.Reset()
				z[5] = float32(math.NaN())
				if err := m.Add(z, y, group); err != nil {
					t.Fatal(err)
				}
				if v, err := m.Value(); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("with a logit that is NaN: %v, %v", v, err)
				}
			})
		}
	}
}
