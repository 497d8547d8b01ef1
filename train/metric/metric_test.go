package metric_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/metric"
)

func must(t *testing.T, name string) metric.Metric {
	t.Helper()
	m, err := metric.New(name)
	if err != nil {
		t.Fatal(err)
	}
	if m.Name() != name {
		t.Errorf("Name() = %q, want %q", m.Name(), name)
	}
	return m
}

// of returns the metric of rows given in batches of size.
func of(t *testing.T, name string, size int, x, y []float32, g []int64) float64 {
	t.Helper()
	m := must(t, name)
	for lo := 0; lo < len(x); lo += size {
		hi := min(len(x), lo+size)
		var group []int64
		if g != nil {
			group = g[lo:hi]
		}
		if err := m.Add(x[lo:hi], y[lo:hi], group); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	v, err := m.Value()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// golden is testdata/metrics.json: scores are probabilities; values by independent code.
type golden struct {
	User   []int64            `json:"user"`
	Score  []float64          `json:"score"`
	Label  []float32          `json:"label"`
	Expect map[string]float64 `json:"expect"`
	Ties   struct {
		Score  []float64          `json:"score"`
		Label  []float32          `json:"label"`
		Expect map[string]float64 `json:"expect"`
	} `json:"ties"`
}

func load(t *testing.T) (g golden) {
	t.Helper()
	src, err := os.ReadFile("testdata/metrics.json")
	if err == nil {
		err = json.Unmarshal(src, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func logits(p []float64) []float32 {
	x := make([]float32, len(p))
	for i, p := range p {
		x[i] = float32(math.Log(p) - math.Log1p(-p))
	}
	return x
}

func TestGolden(t *testing.T) {
	g := load(t)
	x := logits(g.Score)
	if len(g.Expect) != 9 {
		t.Fatalf("%d values in the file, want 9", len(g.Expect))
	}
	for name, want := range g.Expect {
		tol := 1e-12
		if name == "logloss" {
			tol = 1e-7 // the logits are rounded to float32
		}
		for _, size := range []int{1, 7, 5000} {
			if got := of(t, name, size, x, g.Label, g.User); math.Abs(got-want) > tol {
				t.Errorf("%s in batches of %d = %.15f, want %.15f", name, size, got, want)
			}
		}
	}
	ties := make([]float32, len(g.Ties.Score))
	for i, s := range g.Ties.Score {
		ties[i] = float32(s)
	}
	if got, want := of(t, "auc", 100, ties, g.Ties.Label, nil), g.Ties.Expect["auc"]; math.Abs(got-want) > 1e-12 {
		t.Errorf("auc with ties = %.15f, want %.15f", got, want)
	}
}

// Where no scores are equal, ties do not matter: the golden rows, whose scores all differ.
func TestPessimistic(t *testing.T) {
	g := load(t)
	x := logits(g.Score)
	n := 0
	for name, want := range g.Expect {
		if strings.Contains(name, "@") {
			n++
			if got := of(t, name+metric.Pessimistic, 7, x, g.Label, g.User); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s%s = %.15f, want %.15f", name, metric.Pessimistic, got, want)
			}
		}
	}
	if n != 6 {
		t.Errorf("%d metrics", n)
	}
}

// TestOrderOfRows: grouped metrics do not care where in the data a group's rows are.
func TestOrderOfRows(t *testing.T) {
	g := load(t)
	x := logits(g.Score)
	r := rand.New(rand.NewPCG(3, 4))
	px, py, pg := slices.Clone(x), slices.Clone(g.Label), slices.Clone(g.User)
	r.Shuffle(len(px), func(i, j int) {
		px[i], px[j] = px[j], px[i]
		py[i], py[j] = py[j], py[i]
		pg[i], pg[j] = pg[j], pg[i]
	})
	for i := range pg {
		pg[i] = 7 - 3*pg[i] // other names too: negative ones
	}
	for _, name := range []string{"auc", "gauc", "user_auc", "ndcg@5", "hr@10", "accuracy"} {
		a, b := of(t, name, 64, x, g.Label, g.User), of(t, name, 64, px, py, pg)
		if math.Abs(a-b) > 1e-14 {
			t.Errorf("%s of shuffled rows = %v, want %v", name, b, a)
		}
	}
}

// pairs is the definition of the AUC.
func pairs(x, y []float32) float64 {
	var sum, n float64
	for i := range x {
		for j := range x {
			if y[i] == 1 && y[j] == 0 {
				n++
				if x[i] > x[j] {
					sum++
				} else if x[i] == x[j] {
					sum += 0.5
				}
			}
		}
	}
	return sum / n
}

func TestAUCEqualsPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	inf := float32(math.Inf(1))
	values := []float32{
		-inf, -math.MaxFloat32, -1, -math.SmallestNonzeroFloat32, float32(math.Copysign(0, -1)), 0,
		math.SmallestNonzeroFloat32, 1e-20, 1, math.Nextafter32(1, 2), math.MaxFloat32, inf,
	}
	for n := 2; n < 60; n++ {
		x, y, g := make([]float32, n), make([]float32, n), make([]int64, n)
		for i := range x {
			x[i] = values[r.IntN(len(values))]
			y[i] = float32(r.IntN(2))
			g[i] = 9
		}
		y[0], y[1] = 0, 1
		want := pairs(x, y)
		for _, name := range []string{"auc", "gauc", "user_auc"} {
			if got := of(t, name, 10, x, y, g); math.Abs(got-want) > 1e-14 {
				t.Fatalf("%s of %v, %v = %v, want %v", name, x, y, got, want)
			}
		}
	}
}

func TestByHand(t *testing.T) {
	sum := func(n int, v float32) []float32 { return slices.Repeat([]float32{v}, n) }
	for _, tc := range []struct {
		name string
		x, y []float32
		g    []int64
		want float64
	}{
		// Group 1: AUC 1 in 2 rows; group 2: AUC 0 in 3 rows; group 3 has one class.
		{"gauc", []float32{2, 1, 1, 2, 3, 9}, []float32{1, 0, 1, 0, 0, 1}, []int64{1, 1, 2, 2, 2, 3}, 2.0 / 5},
		{"user_auc", []float32{2, 1, 1, 2, 3, 9}, []float32{1, 0, 1, 0, 0, 1}, []int64{1, 1, 2, 2, 2, 3}, 0.5},
		// Equal scores: both orders are as likely, or the negative comes first.
		{"hr@1", []float32{0, 0}, []float32{1, 0}, []int64{1, 1}, .5},
		{"hr@2", []float32{0, 0}, []float32{1, 0}, []int64{1, 1}, 1},
		{"ndcg@2", []float32{0, 0}, []float32{1, 0}, []int64{1, 1}, (1 + 1/math.Log2(3)) / 2},
		{"hr@1_pessimistic", []float32{0, 0}, []float32{1, 0}, []int64{1, 1}, 0},
		{"hr@2_pessimistic", []float32{0, 0}, []float32{1, 0}, []int64{1, 1}, 1},
		{"recall@2_pessimistic", []float32{0, 1, 0, 0}, []float32{1, 1, 0, 1}, []int64{1, 1, 1, 1}, 1. / 3},
		{"ndcg@2_pessimistic", []float32{0, 0}, []float32{1, 0}, []int64{1, 1}, 1 / math.Log2(3)},
		{"mrr@5_pessimistic", []float32{0, 0, -1, 0}, []float32{1, 0, 1, 0}, []int64{1, 1, 1, 1}, 1. / 3},
		// Positives at ranks 1 and 3 of 3: (1 + ½)/(1 + 1/log2 3).
		{"ndcg@3", []float32{3, 2, 1}, []float32{1, 0, 1}, []int64{1, 1, 1}, 1.5 / (1 + 1/math.Log2(3))},
		{"ndcg@2", []float32{3, 2, 1}, []float32{1, 0, 1}, []int64{1, 1, 1}, 1 / (1 + 1/math.Log2(3))},
		{"accuracy", []float32{1, -1, 0, 5}, []float32{1, 1, 0, 0}, nil, 0.5},
		{"logloss", []float32{0, 0}, []float32{1, 0}, nil, math.Ln2},
		{"logloss", []float32{1000, -1000}, []float32{0, 1}, nil, 1000},
		{"logloss", []float32{40, -40}, []float32{1, 0}, nil, math.Log1p(math.Exp(-40))},
		{"logloss", []float32{0}, []float32{0.25}, nil, math.Ln2},
		{"calibration", sum(4, 0), []float32{1, 0, 0, 0}, nil, 2},
		// σ(0) = ½ falls in one bin, ¾ of the labels there are 1; the others are right.
		{"ece", []float32{0, 0, 0, 0, 200, -200}, []float32{1, 1, 1, 0, 1, 0}, nil, 4.0 / 6 * 0.25},
	} {
		if got := of(t, tc.name, 2, tc.x, tc.y, tc.g); math.Abs(got-tc.want) > 1e-12*max(1, tc.want) {
			t.Errorf("%s(%v, %v) = %v, want %v", tc.name, tc.x, tc.y, got, tc.want)
		}
	}
}

func TestErrors(t *testing.T) {
	nan := float32(math.NaN())
	for _, tc := range []struct {
		name, want string
		x, y       []float32
		g          []int64
	}{
		{"auc", "auc: no rows", nil, nil, nil},
		{"auc", "auc: needs both classes, have 2 positives in 2 rows", []float32{1, 2}, []float32{1, 1}, nil},
		{"auc", "auc: 1 of 2 logits are NaN", []float32{1, nan}, []float32{1, 0}, nil},
		{"logloss", "logloss: 1 of 2 logits are NaN", []float32{1, nan}, []float32{1, 0}, nil},
		{"ece", "ece: 1 of 2 logits are NaN", []float32{1, nan}, []float32{1, 0}, nil},
		{"gauc", "gauc: 2 of 2 logits are NaN", []float32{nan, nan}, []float32{1, 0}, []int64{1, 1}},
		{"logloss", "logloss: a logit is infinite", []float32{float32(math.Inf(1))}, []float32{0}, nil},
		{"auc", "auc: label 2 is not 0 or 1", []float32{1}, []float32{2}, nil},
		{"auc", "auc: label NaN is not 0 or 1", []float32{1}, []float32{nan}, nil},
		{"logloss", "logloss: label 1.5 is not in [0, 1]", []float32{1}, []float32{1.5}, nil},
		{"accuracy", "accuracy: 1 logits, 2 labels", []float32{1}, []float32{1, 1}, nil},
		{"gauc", "gauc: the data has no groups: name the group column", []float32{1}, []float32{1}, nil},
		{"gauc", "gauc: 2 logits, 1 groups", []float32{1, 2}, []float32{1, 0}, []int64{1}},
		{"gauc", "gauc: no group has both classes", []float32{1, 2}, []float32{1, 0}, []int64{1, 2}},
		{"ndcg@5", "ndcg@5: no group has a positive", []float32{1, 2}, []float32{0, 0}, []int64{1, 1}},
		{"calibration", "calibration: no positives in 1 rows", []float32{1}, []float32{0}, nil},
	} {
		m := must(t, tc.name)
		err := m.Add(tc.x, tc.y, tc.g)
		if err == nil {
			_, err = m.Value()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s(%v, %v, %v): %v, want %q", tc.name, tc.x, tc.y, tc.g, err, tc.want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tc := range []struct{ name, want string }{
		{"acu", "did you mean auc?"},
		{"log_loss", "did you mean logloss?"},
		{"ndgc@10", "did you mean ndcg?"},
		{"ndgc", "did you mean ndcg@10?"},
		{
			"xyzzyx",
			"there are accuracy, auc, calibration, cross_entropy, ece, f1, gauc, hr@k, logloss, macro_f1, mae, mcc, mrr@k, mse, ndcg@k, pearson, perplexity, recall@k, rmse, spearman, user_auc",
		},
		{"auc@5", "auc takes no cut-off: write auc, not auc@5"},
		{"ndcg", "ndcg needs a cut-off from 1 to 1000000, such as ndcg@10"},
		{"ndcg@0", "ndcg needs a cut-off"},
		{"ndcg@+5", "ndcg needs a cut-off"},
		{"auc_pessimistic", "unknown metric"},
		{"coverage@5_pessimistic", "coverage needs a cut-off"},
		{"hr@_pessimistic", "hr needs a cut-off"},
		{"hr@ten", `hr needs a cut-off from 1 to 1000000, such as hr@10; have "hr@ten"`},
		{"", "unknown metric"},
	} {
		if _, err := metric.New(tc.name); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("New(%q): %v, want %q", tc.name, err, tc.want)
		}
	}
	higher := map[string]bool{
		"auc": true, "gauc": true, "user_auc": true, "ndcg@10": true, "hr@5": true, "accuracy": true,
		"logloss": false, "calibration": false, "ece": false, "none": false,
	}
	for name, want := range higher {
		if got := metric.HigherIsBetter(name); got != want {
			t.Errorf("HigherIsBetter(%q) = %v, want %v", name, got, want)
		}
		if got, want := metric.Selectable(name), name != "calibration" && name != "none"; got != want {
			t.Errorf("Selectable(%q) = %v, want %v", name, got, want)
		}
	}
}

// TestReset: a metric is as new after Reset, and Value does not end it.
func TestReset(t *testing.T) {
	g := load(t)
	x := logits(g.Score)
	half := len(x) / 2
	for _, n := range metric.Names(metric.Logit) {
		name := strings.Replace(n, "@k", "@3", 1)
		m := must(t, name)
		add := func(lo, hi int) {
			t.Helper()
			if err := m.Add(x[lo:hi], g.Label[lo:hi], g.User[lo:hi]); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if err := m.Add([]float32{float32(math.NaN()), 1}, []float32{1, 0}, []int64{1, 1}); err != nil {
			t.Fatal(err)
		}
		m.Reset()
		add(0, half)
		first, err := m.Value()
		if err != nil {
			t.Fatalf("%s: after Reset: %v", name, err)
		}
		if want := of(t, name, 9, x[:half], g.Label[:half], g.User[:half]); first != want {
			t.Errorf("%s after Reset = %v, want %v", name, first, want)
		}
		add(half, len(x))
		all, err := m.Value()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := of(t, name, len(x), x, g.Label, g.User); all != want {
			t.Errorf("%s after Value and more rows = %v, want %v", name, all, want)
		}
	}
}

func TestSigmoid(t *testing.T) {
	for _, tc := range []struct{ x, want float32 }{{0, 0.5}, {100, 1}, {-100, 3.7835e-44}, {-1000, 0}, {2, 0.880797}} {
		if got := metric.Sigmoid(tc.x); math.Abs(float64(got-tc.want)) > 1e-6*float64(tc.want) {
			t.Errorf("Sigmoid(%v) = %v, want %v", tc.x, got, tc.want)
		}
	}
}
