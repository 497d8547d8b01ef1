package metric_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/metric"
)

// inBatches returns the metric of rows of len(x)/len(y) outputs, given in batches of size rows.
func inBatches(t *testing.T, m metric.Metric, size int, x, y []float32) float64 {
	t.Helper()
	w := len(x) / len(y)
	for lo := 0; lo < len(y); lo += size {
		hi := min(len(y), lo+size)
		if err := m.Add(x[lo*w:hi*w], y[lo:hi], nil); err != nil {
			t.Fatal(err)
		}
	}
	v, err := m.Value()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestClassesAndNumbersGolden(t *testing.T) {
	var g struct {
		Cases []struct {
			Name           string
			Logits, Labels []float32
			Expect         map[string]float64
		}
	}
	src, err := os.ReadFile("testdata/classes.json")
	if err == nil {
		err = json.Unmarshal(src, &g)
	}
	if err != nil || len(g.Cases) != 7 {
		t.Fatalf("%d cases, %v", len(g.Cases), err)
	}
	for _, c := range g.Cases {
		for name, want := range c.Expect {
			tol := 1e-12
			switch name {
			case "cross_entropy", "perplexity":
				tol = 1e-6 // exp is of float32
			case "pearson":
				tol = 1e-11
			}
			m := must(t, name)
			first := math.NaN()
			for _, size := range []int{1, 7, 1000} {
				got := inBatches(t, m, size, c.Logits, c.Labels)
				if math.Abs(got-want) > tol*max(1, math.Abs(want)) {
					t.Errorf("%s: %s in batches of %d = %.15f, want %.15f", c.Name, name, size, got, want)
				}
				if first == first && got != first {
					t.Errorf("%s: %s in batches of %d = %v, in batches of 1 %v", c.Name, name, size, got, first)
				}
				if again, _ := m.Value(); again != got {
					t.Errorf("%s: %s is %v, then %v", c.Name, name, got, again)
				}
				first = got
				m.Reset()
			}
		}
	}
}

// One logit a row is the second of two whose first is 0.
func TestOneLogitIsTwoClasses(t *testing.T) {
	z := []float32{1, -2, 0.5, 3, -1, 0, -0.5, 2}
	y := []float32{1, 0, 0, 1, 1, 0, 0, 0}
	var two []float32
	for _, v := range z {
		two = append(two, 0, v)
	}
	for _, name := range []string{"accuracy", "f1", "macro_f1", "mcc"} {
		if a, b := inBatches(t, must(t, name), 3, z, y), inBatches(t, must(t, name), 3, two, y); a != b || a == 0 {
			t.Errorf("%s of one logit is %v, of two %v", name, a, b)
		}
	}
}

func TestClassesByHand(t *testing.T) {
	for _, c := range []struct {
		name string
		z, y []float32
		want float64
	}{
		{"accuracy", []float32{1, 1, 0, 0, 2, 1}, []float32{1, 1}, 0.5}, // the first of equal logits
		{"cross_entropy", []float32{0, 0, 0, 1000, 0, -1000}, []float32{2, 0}, math.Log(3) / 2},
		{"perplexity", []float32{0, 0, 0, 0, 5, 5, 5, 5}, []float32{2, 0}, 4},
		{"f1", []float32{1, 0, 1, 0}, []float32{0, 0}, 0},
		{"pearson", []float32{2, 2, 2}, []float32{1, 2, 3}, 0},
		{"spearman", []float32{2, 2, 2}, []float32{1, 2, 3}, 0},
		{"spearman", []float32{-3, 0, 1000}, []float32{-1, 0, 0.5}, 1},
	} {
		if got := inBatches(t, must(t, c.name), 1, c.z, c.y); math.Abs(got-c.want) > 1e-7 {
			t.Errorf("%s(%v, %v) = %v, want %v", c.name, c.z, c.y, got, c.want)
		}
	}
	// A vocabulary, with parts that do not fill the workspace.
	z := make([]float32, 2*1300)
	for i := range z {
		z[i] = float32(i%7) - 3
	}
	want := 0.0
	for r, y := range []int{1299, 5} {
		sum := 0.0
		for _, v := range z[r*1300 : (r+1)*1300] {
			sum += math.Exp(float64(v))
		}
		want += (math.Log(sum) - float64(z[r*1300+y])) / 2
	}
	if got := inBatches(t, must(t, "cross_entropy"), 2, z, []float32{1299, 5}); math.Abs(got-want) > 1e-6 {
		t.Errorf("cross-entropy of a vocabulary %v, want %v", got, want)
	}
}

func TestClassesBadRows(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name, want string
		z, y       []float32
	}{
		{"accuracy", "label 2 is no class from 0 to 1, nor -1", []float32{0, 1}, []float32{2}},
		{"f1", "label 0.5 is no class", []float32{0, 1}, []float32{0.5}},
		{"mcc", "label 2 is not 0 or 1", []float32{1}, []float32{2}},
		{"mcc", "no rows", []float32{1, 0, 1, 0}, []float32{-1, -1}},
		{"cross_entropy", "label -2 is no class", []float32{0, 1}, []float32{-2}},
		{"cross_entropy", "one logit a row", []float32{0, 1}, []float32{0, 1}},
		{"cross_entropy", "3 logits, 2 labels", []float32{0, 1, 2}, []float32{0, 1}},
		{"cross_entropy", "1 of 2 logits are NaN", []float32{0, nan, 0, 1}, []float32{0, 1}},
		{"cross_entropy", "a logit is infinite", []float32{0, -inf, 0, 1}, []float32{1, 1}},
		{"perplexity", "too great", []float32{0, 1e9}, []float32{0}},
		{"accuracy", "1 of 2 logits are NaN", []float32{nan, 0, 0, 1}, []float32{0, 1}},
		{"mse", "2 logits, 1 labels", []float32{0, 1}, []float32{0}},
		{"mse", "label NaN is not a number", []float32{0, 1}, []float32{0, nan}},
		{"rmse", "a prediction is infinite", []float32{0, inf}, []float32{0, 1}},
		{"pearson", "the labels of 2 rows are all the same", []float32{0, 1}, []float32{3, 3}},
		{"spearman", "the labels of 2 rows are all the same", []float32{0, 1}, []float32{3, 3}},
		{"spearman", "1 of 2 logits are NaN", []float32{0, nan}, []float32{3, 4}},
	} {
		m := must(t, c.name)
		err := m.Add(c.z, c.y, nil)
		if err == nil {
			_, err = m.Value()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s(%v, %v): error %v, want %q", c.name, c.z, c.y, err, c.want)
		}
	}
	m := must(t, "f1")
	if err := m.Add([]float32{0, 1}, []float32{1}, nil); err != nil {
		t.Fatal(err)
	}
	if err := m.Add([]float32{0, 1, 2}, []float32{1}, nil); err == nil || !strings.Contains(err.Error(), "3 classes after 2") {
		t.Errorf("error %v", err)
	}
}

func TestCheck(t *testing.T) {
	if err := metric.Check("pearson", metric.Number); err != nil {
		t.Error(err)
	}
	if err := metric.Check("auc", metric.Classes); err == nil ||
		!strings.Contains(err.Error(), "there are accuracy, cross_entropy, f1, macro_f1, mcc, perplexity") {
		t.Errorf("error %v", err)
	}
	if err := metric.Check("akkuracy", metric.Classes); err == nil || !strings.Contains(err.Error(), "did you mean accuracy?") {
		t.Errorf("error %v", err)
	}
}
