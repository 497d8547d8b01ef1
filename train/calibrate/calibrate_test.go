package calibrate_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/calibrate"
)

// expected is what testdata/calibrate.py found for rows.
type expected struct {
	Logits, Labels, Weights       []float32
	Temperature, Slope, Intercept float64
	X, Y                          []float64
	At                            []float32
	Probability                   []float64
}

func (e expected) rows() calibrate.Rows {
	return calibrate.Rows{Logits: e.Logits, Labels: e.Labels, Weights: e.Weights}
}

func read(t *testing.T) (plain, ties, classes expected) {
	t.Helper()
	b, err := os.ReadFile("testdata/calibrate.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Plain, Ties, Classes expected }
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all.Plain, all.Ties, all.Classes
}

func fit(t *testing.T, method string, r calibrate.Rows) *calibrate.Map {
	t.Helper()
	m, err := calibrate.Fit(method, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(method); err != nil {
		t.Errorf("%s: %v", method, err)
	}
	return m
}

func near(a, b, within float64) bool { return math.Abs(a-b) <= within*(1+math.Abs(b)) }

// TestParity compares maps with those of SciPy, scikit-learn and PyTorch.
func TestParity(t *testing.T) {
	plain, ties, classes := read(t)
	for name, want := range map[string]expected{"plain": plain, "ties and weights": ties} {
		t.Run(name, func(t *testing.T) {
			if got := fit(t, calibrate.Temperature, want.rows()).Temperature; !near(got, want.Temperature, 1e-6) {
				t.Errorf("temperature %v, want %v", got, want.Temperature)
			}
			if got := fit(t, calibrate.Platt, want.rows()); !near(got.Slope, want.Slope, 1e-7) || !near(got.Intercept, want.Intercept, 1e-7) {
				t.Errorf("line %v, %v, want %v, %v", got.Slope, got.Intercept, want.Slope, want.Intercept)
			}
			got := fit(t, calibrate.Isotonic, want.rows())
			if len(got.X) != len(want.X) {
				t.Fatalf("%d points, want %d\n%v\n%v", len(got.X), len(want.X), got.X, want.X)
			}
			for i := range got.X {
				if got.X[i] != want.X[i] || !near(got.Y[i], want.Y[i], 1e-12) {
					t.Errorf("point %d is %v, %v, want %v, %v", i, got.X[i], got.Y[i], want.X[i], want.Y[i])
				}
			}
			least := 1 / float64(len(want.Labels)+2)
			for i, z := range want.At {
				x := []float32{z}
				got.Apply(x)
				p := 1 / (1 + math.Exp(-float64(x[0])))
				if q := min(max(want.Probability[i], least), 1-least); !near(p, q, 1e-6) {
					t.Errorf("the probability of logit %v is %v, want %v", z, p, q)
				}
			}
		})
	}
	if got := fit(t, calibrate.Temperature, classes.rows()).Temperature; !near(got, classes.Temperature, 1e-7) {
		t.Errorf("temperature of classes %v, want %v", got, classes.Temperature)
	}
}

func TestApply(t *testing.T) {
	for _, tc := range []struct {
		m    calibrate.Map
		z    float32
		want float32
	}{
		{calibrate.Map{Temperature: 2}, 3, 1.5},
		{calibrate.Map{Slope: 2, Intercept: -1}, 3, 5},
		{calibrate.Map{X: []float64{0, 2}, Y: []float64{0.5, 0.75}, Least: 0.1}, 2, float32(math.Log(3))},
		{calibrate.Map{X: []float64{0, 2}, Y: []float64{0.5, 0.75}, Least: 0.1}, 1, float32(math.Log(5. / 3))},
		{calibrate.Map{X: []float64{0, 2}, Y: []float64{0.5, 0.75}, Least: 0.1}, -9, 0},
		{calibrate.Map{X: []float64{0, 2}, Y: []float64{0, 1}, Least: 0.1}, 9, float32(math.Log(9))},
		{calibrate.Map{X: []float64{0, 2}, Y: []float64{0, 1}, Least: 0.1}, -9, float32(-math.Log(9))},
	} {
		z := []float32{tc.z}
		if tc.m.Apply(z); !near(float64(z[0]), float64(tc.want), 1e-6) {
			t.Errorf("%+v of %v is %v, want %v", tc.m, tc.z, z[0], tc.want)
		}
	}
}

func TestRefused(t *testing.T) {
	apart := calibrate.Rows{Logits: []float32{-1, -2, 3, 4}, Labels: []float32{0, 0, 1, 1}}
	inverse := calibrate.Rows{Logits: []float32{-1, -2, 3, 4, 1, -1}, Labels: []float32{1, 1, 0, 0, 0, 0}}
	for _, tc := range []struct {
		method string
		rows   calibrate.Rows
		want   string
	}{
		{calibrate.Temperature, calibrate.Rows{}, "there are no rows with a label"},
		{calibrate.Isotonic, calibrate.Rows{Logits: []float32{1, 2}, Labels: []float32{1, 1}}, "all labels of the 2 rows are 1"},
		{calibrate.Platt, calibrate.Rows{Logits: []float32{1, 2}, Labels: []float32{1, 0.5}}, "label 0.5 is not 0 or 1"},
		{calibrate.Platt, calibrate.Rows{Logits: []float32{1, 2, 3, 4}, Labels: []float32{0, 1}}, "platt is for labels 0 and 1: classes are calibrated by temperature"},
		{calibrate.Temperature, apart, "no temperature from 0.001 is best: the logits tell the labels of these rows apart without an error"},
		{calibrate.Temperature, inverse, "no temperature up to 1000 is best: the logits do not go with the labels of these rows"},
		{calibrate.Platt, inverse, "the higher the logits of these rows, the fewer labels are 1"},
		{"beta", apart, `unknown method "beta"`},
	} {
		if _, err := calibrate.Fit(tc.method, tc.rows); err == nil || err.Error() != tc.want {
			t.Errorf("%s: error %v, want %q", tc.method, err, tc.want)
		}
	}
	for _, tc := range []struct {
		method string
		m      calibrate.Map
		want   string
	}{
		{calibrate.Temperature, calibrate.Map{Temperature: -1}, "temperature -1"},
		{calibrate.Platt, calibrate.Map{Slope: 0}, "slope 0"},
		{calibrate.Isotonic, calibrate.Map{X: []float64{1}, Least: 0.1}, "1 logits, 0 probabilities"},
		{calibrate.Isotonic, calibrate.Map{X: []float64{1, 1}, Y: []float64{0, 1}, Least: 0.1}, "probability 1 of logit 1"},
		{calibrate.Isotonic, calibrate.Map{X: []float64{1, 2}, Y: []float64{1, 0}, Least: 0.1}, "probability 0 of logit 2"},
		{"beta", calibrate.Map{}, "unknown method"},
	} {
		if err := tc.m.Check(tc.method); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: error %v, want %q", tc.m, err, tc.want)
		}
	}
}
