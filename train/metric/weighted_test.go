package metric_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/metric"
)

// weighted is a part of testdata/weighted.json, which weighted.py beside it makes with scikit-learn.
type weighted struct {
	Logits, Label []float32
	Expect        map[string]float64
}

func loadWeighted(t *testing.T) (weight []float32, kinds map[string]weighted) {
	t.Helper()
	var all struct {
		Weight                   []float32
		Binary, Classes, Numbers weighted
	}
	src, err := os.ReadFile("testdata/weighted.json")
	if err == nil {
		err = json.Unmarshal(src, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all.Weight, map[string]weighted{"binary": all.Binary, "classes": all.Classes, "numbers": all.Numbers}
}

// give gives a metric rows in batches of size.
func give(t *testing.T, m metric.Metric, x, y, w []float32, size int) {
	t.Helper()
	width := len(x) / len(y)
	for lo := 0; lo < len(y); lo += size {
		hi := min(len(y), lo+size)
		r := metric.Rows{Logits: x[lo*width : hi*width], Labels: y[lo:hi]}
		if w != nil {
			r.Weights = w[lo:hi]
		}
		if err := r.Add(m); err != nil {
			t.Fatalf("%s: %v", m.Name(), err)
		}
	}
}

// The values are scikit-learn's with sample_weight, whatever the size of the batches, and again after a reset.
func TestWeightedGolden(t *testing.T) {
	w, kinds := loadWeighted(t)
	for kind, c := range kinds {
		for name, want := range c.Expect {
			m := must(t, name)
			for _, size := range []int{1, 7, len(w)} {
				give(t, m, c.Logits, c.Label, w, size)
				got, err := m.Value()
				if err != nil || math.Abs(got-want) > 1e-6 {
					t.Errorf("%s of %s in batches of %d: %v, %v, want %v", name, kind, size, got, err, want)
				}
				m.Reset()
			}
		}
	}
}

// A row of weight 2 is two rows, and rows of weight 1 have the bits of rows without weights. Metrics without weights count each row once.
func TestWeightsAreRows(t *testing.T) {
	_, kinds := loadWeighted(t)
	for kind, of := range map[string]metric.Output{"binary": metric.Logit, "classes": metric.Classes, "numbers": metric.Number} {
		c := kinds[kind]
		width := len(c.Logits) / len(c.Label)
		var w, ones, x2, y2 []float32
		for i, y := range c.Label {
			w, ones = append(w, float32(1+i%2)), append(ones, 1)
			for range 1 + i%2 {
				x2, y2 = append(x2, c.Logits[i*width:(i+1)*width]...), append(y2, y)
			}
		}
		for _, name := range metric.Names(of) {
			if strings.Contains(name, "@") || metric.ByGroup(name) {
				continue
			}
			value := func(x, y, w []float32) float64 {
				m := must(t, name)
				give(t, m, x, y, w, 9)
				v, err := m.Value()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				return v
			}
			plain := value(c.Logits, c.Label, nil)
			if got := value(c.Logits, c.Label, ones); math.Float64bits(got) != math.Float64bits(plain) {
				t.Errorf("%s of %s with weights of 1 is %v, without %v", name, kind, got, plain)
			}
			got, want := value(c.Logits, c.Label, w), value(x2, y2, nil)
			if _, ok := must(t, name).(metric.Weighted); !ok {
				want = plain
			}
			if math.Abs(got-want) > 1e-12 {
				t.Errorf("%s of %s with weights is %v, want %v", name, kind, got, want)
			}
		}
	}
}

func TestBadWeights(t *testing.T) {
	for _, name := range []string{"auc", "logloss", "accuracy", "f1", "ece", "calibration", "cross_entropy", "rmse"} {
		for _, w := range []float32{0, -1, float32(math.NaN()), float32(math.Inf(1))} {
			x := []float32{1, 2, 3, 4}
			if name == "cross_entropy" {
				x = append(x, x...)
			}
			m := must(t, name).(metric.Weighted)
			if err := m.AddWeighted(x, []float32{0, 1, 0, 1}, []float32{1, 1, w, 1}); err == nil || !strings.Contains(err.Error(), "want a finite number above 0") {
				t.Errorf("%s: error %v of weight %v", name, err, w)
			}
			if err := m.AddWeighted(x, []float32{0, 1, 0, 1}, []float32{1}); err == nil {
				t.Errorf("%s: one weight of four rows is no error", name)
			}
		}
	}
	m := must(t, "auc").(metric.Weighted)
	if err := m.Add([]float32{1}, []float32{0}, nil); err != nil {
		t.Fatal(err)
	}
	if err := m.AddWeighted([]float32{1}, []float32{0}, []float32{2}); err == nil || !strings.Contains(err.Error(), "rows with weights after rows without") {
		t.Errorf("error %v", err)
	}
}

// A metric of a task is that of its own name.
func TestOfTask(t *testing.T) {
	for _, name := range []string{"auc", "ndcg@10", "logloss"} {
		full := metric.OfTask(name, "click.v2@x")
		must(t, full)
		if metric.HigherIsBetter(full) != metric.HigherIsBetter(name) || metric.ByGroup(full) != metric.ByGroup(name) {
			t.Errorf("%s is not like %s", full, name)
		}
	}
	if err := metric.Check("auc.click", metric.Logit); err == nil || err.Error() != "metric: auc.click: write auc; the metrics of task click are those under it" {
		t.Errorf("error %v", err)
	}
}
