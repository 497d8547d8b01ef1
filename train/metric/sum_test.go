package metric_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/metric"
)

// A sum is what its terms are, times their weights.
func TestSum(t *testing.T) {
	z, y := []float32{2, -1, .5, -3, 0, 1}, []float32{1, 0, 0, 0, 1, 1}
	value := func(name string) float64 {
		m := must(t, name)
		for i := range z {
			if err := m.Add(z[i:i+1], y[i:i+1], nil); err != nil {
				t.Fatal(err)
			}
		}
		v, err := m.Value()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	auc, loss, f1 := value("auc"), value("logloss"), value("f1")
	for name, want := range map[string]float64{
		"auc - logloss": auc - loss, "2*auc - 0.5*logloss": 2*auc - .5*loss, "auc + 3*f1 - logloss": auc + 3*f1 - loss, "-logloss + auc": auc - loss, "-1*logloss": -loss,
	} {
		if got := value(name); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if !metric.HigherIsBetter(name) || !metric.Selectable(name) || metric.ByGroup(name) {
			t.Errorf("%s: higher is better %v, selectable %v, by group %v", name, metric.HigherIsBetter(name), metric.Selectable(name), metric.ByGroup(name))
		}
	}
	if !metric.ByGroup("gauc - logloss") {
		t.Error("a sum with gauc measures no groups")
	}
}

func TestSumUndefined(t *testing.T) {
	m := must(t, "auc - logloss")
	if err := m.Add([]float32{1, 2}, []float32{1, 1}, nil); err != nil {
		t.Fatal(err)
	}
	_, err := m.Value()
	var u *metric.Undefined
	if !errors.As(err, &u) || u.Metric != "auc - logloss" || !strings.HasPrefix(u.Reason, "auc: ") {
		t.Errorf("error %v", err)
	}
	var l metric.Labels
	l.Add([]float32{1, 1}, nil)
	if u := l.Check("auc - logloss"); u == nil || u.Metric != "auc - logloss" {
		t.Errorf("by the labels alone: %v", u)
	}
	if u := l.Check("logloss + auc"); u != nil {
		t.Errorf("a sum that is none: %v", u)
	}
}

func TestBadSums(t *testing.T) {
	for name, want := range map[string]string{
		"auc + logloss": "logloss has to have the other sign", "auc - f1": "f1 has to have the other sign", "auc - x*logloss": `the weight "x" is no number`,
		"auc - ": "ends in a sign", "auc - calibration": "neither a high nor a low calibration is best", "auc - loglos": "did you mean logloss?",
		"0*auc": `the weight "0" is no number above 0`, "auc - pearson": "has to have the other sign", "2*3*auc": "is no sum of metrics",
	} {
		if err := metric.Check(name, metric.Logit); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
	if err := metric.Check("auc + pearson", metric.Logit); err == nil || !strings.Contains(err.Error(), "does not measure this task") {
		t.Errorf("a sum of metrics of other outputs: %v", err)
	}
}

// A sum of rows with weights is that of its terms.
func TestSumWeighted(t *testing.T) {
	rows := metric.Rows{Logits: []float32{2, -1, .5}, Labels: []float32{1, 0, 0}, Weights: []float32{1, 2.5, .5}, Group: []int64{1, 1, 1}}
	value := func(name string) float64 {
		m := must(t, name)
		if err := rows.Add(m); err != nil {
			t.Fatal(err)
		}
		v, err := m.Value()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if got, want := value("gauc - 0.5*logloss.click"), value("gauc")-.5*value("logloss"); math.Abs(got-want) > 1e-12 {
		t.Errorf("%v, want %v", got, want)
	}
	plain := rows
	plain.Weights = nil
	if m := must(t, "logloss"); plain.Add(m) != nil {
		t.Fatal("rows without weights")
	} else if v, _ := m.Value(); math.Abs(v-value("logloss")) < 1e-3 {
		t.Error("weights change nothing")
	}
	if err := metric.Check("auc - 0.5*logloss", metric.Logit); err != nil {
		t.Error(err)
	}
	if err := metric.Check("auc.click - logloss", metric.Logit); err == nil || !strings.Contains(err.Error(), "the metrics of task click are those under it") {
		t.Errorf("a sum of tasks: %v", err)
	}
}
