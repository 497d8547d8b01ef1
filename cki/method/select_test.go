package method_test

import (
	"math"
	"slices"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/cki/method"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
)

// lr is an input of n parents of logistic regression, which are selected by that metric, and a function that returns how good their
// weighted mean is on the validation rows: higher is better.
func lr(t *testing.T, metric string, n int) (*cki.Input, func(w []float64) float64) {
	t.Helper()
	lab := mergetest.Lab(t, ctr.LR{})
	lab.Options.Monitor = metric
	var parents []*cki.Parent
	var params []*nn.Params
	for k := range n {
		p := mergetest.Params(t, ctr.LR{}, k)
		for _, q := range p.All() {
			r := rng.New(rng.Key(20, q.Name, k))
			for i := range q.Data {
				q.Data[i] = float32(0.5+0.1*float64(k)*r.NormFloat64()) * float32(r.NormFloat64())
			}
		}
		params = append(params, p)
		parents = append(parents, &cki.Parent{Name: "p" + string(rune('0'+k)), Reader: cki.Memory(p)})
	}
	score := func(w []float64) float64 {
		mix := mergetest.Params(t, ctr.LR{}, 0)
		for _, q := range mix.All() {
			for i := range q.Data {
				var sum float64
				for k, p := range params {
					sum += w[k] * float64(p.Get(q.Name).Data[i])
				}
				q.Data[i] = float32(sum)
			}
		}
		m, err := lab.Evaluate(t.Context(), mix, lab.Data.Valid)
		if err != nil {
			t.Fatal(err)
		}
		if metric == "logloss" {
			return -m[metric]
		}
		return m[metric]
	}
	return mergetest.Input(lab, parents), score
}

// mixed compares a merge with the weighted mean of the parents.
func mixed(t *testing.T, what string, m cki.Method, in *cki.Input, w []float64) {
	t.Helper()
	got, want := mergetest.Merge(t, m, in), mergetest.Merge(t, method.Average{Rows: "equal", Weights: w}, in)
	for name := range want {
		check(t, what+" "+name, got[name], func(i int) float64 { return float64(want[name][i]) })
	}
}

func TestSelection(t *testing.T) {
	for _, metric := range []string{"logloss", "auc"} {
		const n = 5
		in, score := lr(t, metric, n)
		one := func(k int) []float64 {
			w := make([]float64, n)
			w[k] = 1
			return w
		}
		order := []int{0, 1, 2, 3, 4}
		slices.SortStableFunc(order, func(i, j int) int {
			switch a, b := score(one(i)), score(one(j)); {
			case a > b:
				return -1
			case a < b:
				return 1
			}
			return 0
		})
		mixed(t, metric+": select_best", method.SelectBest{}, in, one(order[0]))

		soup, best := one(order[0]), score(one(order[0]))
		size := 1.
		for _, k := range order[1:] {
			try := make([]float64, n)
			for j := range try {
				try[j] = (size*soup[j] + one(k)[j]) / (size + 1)
			}
			if v := score(try); v >= best {
				soup, best, size = try, v, size+1
			}
		}
		if size < 2 || size == n {
			t.Errorf("%s: %v of %d parents are in the soup: the test decides nothing", metric, size, n)
		}
		mixed(t, metric+": soup", method.Soup{}, in, soup)

		two, scoreTwo := lr(t, metric, 2)
		at, top := 0., scoreTwo([]float64{1, 0})
		for i := 1; i <= 10; i++ {
			if v := scoreTwo([]float64{1 - float64(i)/10, float64(i) / 10}); v > top {
				at, top = float64(i)/10, v
			}
		}
		if at == 0 || at == 1 {
			t.Errorf("%s: alpha is %v: the test decides nothing", metric, at)
		}
		mixed(t, metric+": interpolate", method.Interpolate{Grid: 11, Sweeps: 1}, two, []float64{1 - at, at})
	}
}

// TestSoupOfEquals: a parent that does not make the soup worse stays in.
func TestSoupOfEquals(t *testing.T) {
	in, _ := lr(t, "logloss", 1)
	in.Parents = append(in.Parents, in.Parents[0])
	merged, err := method.Soup{}.Merge(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if s := merged.Stats().(method.SoupStats); len(s.Parents) != 2 {
		t.Errorf("%v are in the soup, want both", s.Parents)
	}
}

// TestInterpolateMany: more parents are never worse on the validation rows than fewer, and weights sum to 1.
func TestInterpolateMany(t *testing.T) {
	in, score := lr(t, "logloss", 4)
	merged, err := method.Interpolate{Grid: 5, Sweeps: 4}.Merge(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	s := merged.Stats().(method.InterpolateStats)
	var sum float64
	for _, w := range s.Weights {
		sum += w
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("weights %v sum to %v", s.Weights, sum)
	}
	if got := -score(s.Weights); math.Abs(got-s.Score) > 1e-6 {
		t.Errorf("score %v, want %v", s.Score, got)
	}
	for _, step := range s.Tried {
		if step.Score < s.Score {
			t.Errorf("weights %v have logloss %v, those chosen %v", step.Weights, step.Score, s.Score)
		}
	}
}
