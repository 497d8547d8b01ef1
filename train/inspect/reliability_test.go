package inspect_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/splice-ml/splice/train/inspect"
	"github.com/splice-ml/splice/train/metric"
)

// TestCalibrationOf compares errors of probabilities with those of testdata/errors.py.
func TestCalibrationOf(t *testing.T) {
	b, err := os.ReadFile("testdata/errors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct {
		Logits, Labels, Weights []float32
		Errors                  []float64
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for name, want := range all {
		r := metric.Rows{Logits: want.Logits, Labels: want.Labels, Weights: want.Weights}
		got := inspect.CalibrationOf(r)
		for i, e := range inspect.CalibrationErrors {
			if math.Abs(got[i]-want.Errors[i]) > 1e-9 {
				t.Errorf("%s: %s is %v, want %v", name, e, got[i], want.Errors[i])
			}
		}
		changes, err := inspect.Calibrated(3, r, func(z []float32) {
			for i := range z {
				z[i] *= 2
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range inspect.CalibrationErrors {
			c := changes[i]
			if c.Before.Value != got[i] || c.Change.Value != c.After.Value-c.Before.Value || c.Change.Value == 0 || !(c.Before.Low < got[i] && got[i] < c.Before.High) {
				t.Errorf("%s: %s changes by %+v, from %v", name, e, c, got[i])
			}
		}
		var rows int
		for _, bin := range inspect.Reliability(r) {
			rows += bin.Rows
			if !(bin.Low <= bin.Label && bin.Label <= bin.High && bin.Low < bin.High) {
				t.Errorf("%s: bin %+v", name, bin)
			}
		}
		if rows != len(want.Labels) {
			t.Errorf("%s: the bins have %d rows, want %d", name, rows, len(want.Labels))
		}
	}
}
