package metric_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/splice-ml/splice/train/metric"
)

// TestIntervals: the intervals are those of testdata/interval.py, from the definitions, and the AUC is that of the metric.
func TestIntervals(t *testing.T) {
	var cases []struct {
		Logits, Labels []float32
		AUC, Mean      [3]float64
	}
	b, err := os.ReadFile("testdata/interval.json")
	if err == nil {
		err = json.Unmarshal(b, &cases)
	}
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, got metric.Interval, err error, want [3]float64) {
		t.Helper()
		for i, v := range [3]float64{got.Value, got.Low, got.High} {
			if err != nil || math.Abs(v-want[i]) > 1e-12 {
				t.Errorf("%s: %v, %v, want %v", what, got, err, want)
				return
			}
		}
	}
	for _, c := range cases {
		auc, err := metric.AUCInterval(c.Logits, c.Labels)
		check("auc", auc, err, c.AUC)
		var values []float64
		for _, z := range c.Logits {
			values = append(values, float64(z))
		}
		mean, err := metric.MeanInterval(values)
		check("mean", mean, err, c.Mean)
		m, err := metric.New("auc")
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Add(c.Logits, c.Labels, nil); err != nil {
			t.Fatal(err)
		}
		if v, err := m.Value(); err != nil || math.Abs(v-auc.Value) > 1e-12 {
			t.Errorf("the metric is %v, %v, the interval's value %v", v, err, auc.Value)
		}
	}
	if _, err := metric.AUCInterval([]float32{1, 2, 3}, []float32{1, 0, 0}); err == nil {
		t.Error("no error for one positive")
	}
	if _, err := metric.AUCInterval([]float32{1, 2, 3, float32(math.NaN())}, []float32{1, 0, 0, 1}); err == nil {
		t.Error("no error for NaN")
	}
	if _, err := metric.MeanInterval([]float64{1}); err == nil {
		t.Error("no error for one row")
	}
}
