package metric_test

import (
	"errors"
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
				if v, err := m.Value(); !errors.As(err, new(*metric.Undefined)) || !strings.Contains(err.Error(), name) {
					t.Errorf("without rows: %v, %v", v, err)
				}
				m.Reset()
				z[5] = float32(math.NaN())
				if err := m.Add(z, y, group); err != nil {
					t.Fatal(err)
				}
				if v, err := m.Value(); err == nil || errors.As(err, new(*metric.Undefined)) || !strings.Contains(err.Error(), name) {
					t.Errorf("with a logit that is NaN: %v, %v", v, err)
				}
			})
		}
	}
}

// TestLabelsDecide: whether a metric is undefined follows from labels and groups alone, as the kind declares, for every metric.
func TestLabelsDecide(t *testing.T) {
	binary := metric.Logit
	for _, tc := range []struct {
		name   string
		of     metric.Output
		width  int
		labels []float32
		group  []int64
		want   string // the metrics that are undefined
	}{
		{"both classes", binary, 1, []float32{0, 1, 1, 0}, []int64{1, 1, 2, 2}, ""},
		{"one group of one class", binary, 1, []float32{0, 1, 0, 0}, []int64{1, 1, 2, 2}, ""},
		{"groups of one class each", binary, 1, []float32{0, 0, 1, 1}, []int64{1, 1, 2, 2}, "gauc user_auc"},
		{"negatives", binary, 1, []float32{0, 0, 0}, []int64{1, 1, 2}, "auc calibration gauc hr@2 mrr@2 ndcg@2 recall@2 user_auc"},
		{"positives", binary, 1, []float32{1, 1, 1}, []int64{1, 1, 2}, "auc gauc user_auc"},
		{"one class of three", metric.Classes, 3, []float32{2, 2}, nil, ""},
		{"one row that counts", metric.Classes, 3, []float32{-1, 2}, nil, ""},
		{"no row that counts", metric.Classes, 3, []float32{-1, -1}, nil, "accuracy cross_entropy f1 macro_f1 mcc perplexity"},
		{"items", metric.Ranks, metric.RankWidth + 2, []float32{2, 5}, nil, ""},
		{"numbers", metric.Number, 1, []float32{-1, 2.5}, nil, ""},
		{"the same number", metric.Number, 1, []float32{-1, -1}, nil, "pearson spearman"},
		{"one number", metric.Number, 1, []float32{4}, nil, "pearson spearman"},
	} {
		var labels metric.Labels
		labels.Add(tc.labels[:1], tc.group[:min(1, len(tc.group))])
		labels.Add(tc.labels[1:], tc.group[min(1, len(tc.group)):])
		var got []string
		for _, name := range metric.Names(tc.of) {
			name = strings.Replace(name, "@k", "@2", 1)
			m := must(t, name)
			z := make([]float32, tc.width*len(tc.labels))
			for i := range z {
				z[i] = float32(i % 5)
			}
			if err := m.Add(z, tc.labels, tc.group); err != nil {
				t.Fatal(err)
			}
			values, undefined, err := metric.Values([]metric.Metric{m})
			if err != nil {
				t.Fatalf("%s: %s: %v", tc.name, name, err)
			}
			u := labels.Check(name)
			if (u != nil) != (len(undefined) == 1) || (u != nil) != math.IsNaN(values[name]) {
				t.Errorf("%s: %s: of the labels %v, of the value %v %v", tc.name, name, u, values, undefined)
			}
			if u != nil {
				got = append(got, name)
			}
		}
		if s := strings.Join(got, " "); s != tc.want {
			t.Errorf("%s: undefined are %q, want %q", tc.name, s, tc.want)
		}
	}
}

// A number is better than none, and none is never better.
func TestBetter(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		name string
		a, b float64
		want bool
	}{
		{"auc", .7, .6, true},
		{"auc", .6, .7, false},
		{"logloss", .6, .7, true},
		{"logloss", .7, .6, false},
		{"auc", .5, .5, false},
		{"auc", nan, .5, false},
		{"logloss", nan, .5, false},
		{"auc", .5, nan, true},
		{"logloss", .5, nan, true},
		{"auc", nan, nan, false},
	} {
		if got := metric.Better(tc.name, tc.a, tc.b); got != tc.want {
			t.Errorf("%s: %v better than %v: %v", tc.name, tc.a, tc.b, got)
		}
	}
}
