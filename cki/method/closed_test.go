package method_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/cki/method"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
)

// tensor returns parents of one tensor w, [rows, len/rows].
func tensor(t *testing.T, rows int, values ...[]float32) []*cki.Parent {
	t.Helper()
	var out []*cki.Parent
	for k, v := range values {
		p := nn.NewParams(0)
		if err := p.Add(&nn.Param{Name: "w", Shape: []int{rows, len(v) / rows}, Data: v}); err != nil {
			t.Fatal(err)
		}
		out = append(out, &cki.Parent{Name: "parent" + strconv.Itoa(k), Reader: cki.Memory(p)})
	}
	return out
}

// random returns k tensors of n values.
func random(k, n int, seed uint64) [][]float32 {
	out := make([][]float32, k)
	for i := range out {
		r := rng.New(rng.Key(seed, i))
		for range n {
			out[i] = append(out[i], float32(r.NormFloat64()))
		}
	}
	return out
}

func merged(t *testing.T, m cki.Method, parents []*cki.Parent) []float32 {
	t.Helper()
	return mergetest.Merge(t, m, mergetest.Input(nil, parents))["w"]
}

// check compares with a reference that gives value i.
func check(t *testing.T, what string, got []float32, want func(i int) float64) {
	t.Helper()
	for i, x := range got {
		w := want(i)
		if math.Abs(float64(x)-w) > 1e-6*max(1, math.Abs(w)) {
			t.Errorf("%s: value %d is %v, want %v", what, i, x, w)
			return
		}
	}
}

func TestAverage(t *testing.T) {
	x := random(3, 12, 1)
	check(t, "equal", merged(t, method.Average{Rows: "equal"}, tensor(t, 4, x...)), func(i int) float64 {
		return (float64(x[0][i]) + float64(x[1][i]) + float64(x[2][i])) / 3
	})
	check(t, "weights", merged(t, method.Average{Rows: "equal", Weights: []float64{1, 0, 3}}, tensor(t, 4, x...)), func(i int) float64 {
		return (float64(x[0][i]) + 3*float64(x[2][i])) / 4
	})
}

func TestAverageCounts(t *testing.T) {
	x := random(2, 12, 2)
	counts := [][]int64{{0, 9, 0, 1 << 40}, {0, 0, 24, 1 << 40}}
	for _, c := range []struct {
		name             string
		smoothing, power float64
		weights          []float64
		want             [4]float64 // of parent 0, by row
	}{
		{"default", 1, 1, nil, [4]float64{1. / 2, 10. / 11, 1. / 26, 1. / 2}},
		{"smoothing 0", 0, 1, nil, [4]float64{1. / 2, 1, 0, 1. / 2}},
		{"power 1/2", 1, 0.5, nil, [4]float64{1. / 2, 4. / 5, 1 / (2 + math.Sqrt(24)), 1. / 2}},
		{"power 0", 1, 0, nil, [4]float64{1. / 2, 1. / 2, 1. / 2, 1. / 2}},
		{"weights", 1, 1, []float64{3, 1}, [4]float64{3. / 4, 30. / 31, 3. / 28, 3. / 4}},
	} {
		parents := tensor(t, 4, x...)
		for k, p := range parents {
			p.Counts = cki.Counts{"w": counts[k]}
		}
		m := method.Average{Rows: "counts", Smoothing: c.smoothing, Power: c.power, Weights: c.weights}
		check(t, c.name, merged(t, m, parents), func(i int) float64 {
			w := c.want[i/3]
			return w*float64(x[0][i]) + (1-w)*float64(x[1][i])
		})
		parents[1].Counts = nil // one does not know: plain
		even := 0.5
		if c.weights != nil {
			even = 0.75
		}
		check(t, c.name+", no counts", merged(t, m, parents), func(i int) float64 {
			return even*float64(x[0][i]) + (1-even)*float64(x[1][i])
		})
	}
}

func TestSlerp(t *testing.T) {
	a, b := []float32{3, 0, 0, 0}, []float32{0, 2, 0, 0}
	s := math.Sin(math.Pi/6) / math.Sin(math.Pi/2) // a third of a right angle
	c := math.Sin(math.Pi/3) / math.Sin(math.Pi/2)
	check(t, "right angle", merged(t, method.Slerp{T: 1. / 3}, tensor(t, 2, a, b)), func(i int) float64 {
		return []float64{3 * c, 2 * s, 0, 0}[i]
	})
	x := random(2, 50, 3)
	got := merged(t, method.Slerp{T: 0.5}, tensor(t, 5, x...))
	var ab, aa, bb float64
	for i := range x[0] {
		p, q := float64(x[0][i]), float64(x[1][i])
		ab, aa, bb = ab+p*q, aa+p*p, bb+q*q
	}
	half := 1 / (2 * math.Cos(math.Acos(ab/math.Sqrt(aa*bb))/2)) // sin(o/2)/sin(o)
	check(t, "random", got, func(i int) float64 { return half * (float64(x[0][i]) + float64(x[1][i])) })

	near := slices.Clone(x[0])
	near[0] += 1e-3
	check(t, "nearly parallel", merged(t, method.Slerp{T: 0.25}, tensor(t, 5, x[0], near)), func(i int) float64 {
		return 0.75*float64(x[0][i]) + 0.25*float64(near[i])
	})
	zero := make([]float32, 50)
	check(t, "zero", merged(t, method.Slerp{T: 0.25}, tensor(t, 5, x[0], zero)), func(i int) float64 { return 0.75 * float64(x[0][i]) })
	for i := range near {
		near[i] = -2 * x[0][i]
	}
	check(t, "opposite", merged(t, method.Slerp{T: 0.5}, tensor(t, 5, x[0], near)), func(i int) float64 { return -0.5 * float64(x[0][i]) })
}

func TestTaskArithmetic(t *testing.T) {
	x := random(3, 12, 4)
	at := func(k, i int) float64 { return float64(x[k][i]) }
	m := method.TaskArithmetic{Changes: method.Changes{Origin: "base", Lambda: 0.3}}
	check(t, "base", merged(t, m, tensor(t, 3, x...)), func(i int) float64 { return at(0, i) + 0.3*(at(1, i)+at(2, i)-2*at(0, i)) })
	m.Weights = []float64{1, 2}
	check(t, "weights", merged(t, m, tensor(t, 3, x...)), func(i int) float64 {
		return at(0, i) + 0.3*((at(1, i)-at(0, i))+2*(at(2, i)-at(0, i)))
	})
	m = method.TaskArithmetic{Changes: method.Changes{Origin: "mean", Lambda: 0.3, Weights: []float64{0, 0, 1}}}
	check(t, "mean", merged(t, m, tensor(t, 3, x...)), func(i int) float64 {
		o := (at(0, i) + at(1, i) + at(2, i)) / 3
		return o + 0.3*(at(2, i)-o)
	})
}

// TestTies is a case worked out by hand, of changes from an origin of zeros.
func TestTies(t *testing.T) {
	origin := make([]float32, 6)
	a := []float32{5, -4, 0.1, 3, 0, 0.2}
	b := []float32{-6, -2, 0.1, 1, 0, 0.1}
	c := []float32{2, 3, 7, 0.5, 0, 0.1}
	m := method.Ties{Changes: method.Changes{Origin: "base", Lambda: 2}, Density: 0.5} // 3 of 6 stay
	// Trimmed: a = 5 -4 . 3 . . ; b = -6 -2 . 1 . . ; c = 2 3 7 . . .
	// Sums:   1 -3 7 4 0 0, so the means of what agrees are (5+2)/2, (-4-2)/2, 7, (3+1)/2, 0, 0.
	check(t, "by hand", merged(t, m, tensor(t, 2, origin, a, b, c)), func(i int) float64 { return 2 * []float64{3.5, -3, 7, 2, 0, 0}[i] })
	m.Weights = []float64{1, 2, 1} // sums: -5 -5 7 5
	check(t, "weights", merged(t, m, tensor(t, 2, origin, a, b, c)), func(i int) float64 {
		return 2 * []float64{-6, -8. / 3, 7, 5. / 3, 0, 0}[i]
	})
	m = method.Ties{Changes: method.Changes{Origin: "base", Lambda: 1}, Density: 1}
	x := random(2, 30, 5)
	check(t, "one donor, all kept", merged(t, m, tensor(t, 3, x...)), func(i int) float64 { return float64(x[1][i]) })
	m.Density = 0
	check(t, "nothing kept", merged(t, m, tensor(t, 3, x...)), func(i int) float64 { return float64(x[0][i]) })
	m = method.Ties{Changes: method.Changes{Origin: "base", Lambda: 1}, Density: 0.5}
	equal := []float32{1, 1, 1, -1}
	check(t, "ties of magnitude", merged(t, m, tensor(t, 2, make([]float32, 4), equal)), func(i int) float64 { return []float64{1, 1, 0, 0}[i] })
	check(t, "half of three is two", merged(t, m, tensor(t, 1, make([]float32, 3), []float32{3, 1, 2})), func(i int) float64 { return []float64{3, 0, 2}[i] })
	m = method.Ties{Changes: method.Changes{Origin: "mean", Lambda: 1}, Density: 1}
	check(t, "opposite changes", merged(t, m, tensor(t, 3, x...)), func(i int) float64 { return (float64(x[0][i]) + float64(x[1][i])) / 2 })
}

func TestDare(t *testing.T) {
	const n = 20000
	x := random(2, n, 6)
	m := method.Dare{Changes: method.Changes{Origin: "base", Lambda: 1}, DropRate: 0.7, Combine: "linear"}
	got := merged(t, m, tensor(t, 100, x...))
	dropped, sum, want := 0, 0., 0.
	for i, v := range got {
		d := float64(x[1][i]) - float64(x[0][i])
		sum, want = sum+float64(v)-float64(x[0][i]), want+d
		switch full := float64(x[0][i]) + d/0.3; {
		case v == x[0][i]:
			dropped++
		case math.Abs(float64(v)-full) > 1e-5:
			t.Fatalf("value %d is %v, want %v or %v", i, v, x[0][i], full)
		}
	}
	if share := float64(dropped) / n; math.Abs(share-0.7) > 4*math.Sqrt(0.7*0.3/n) {
		t.Errorf("%v of the changes are dropped, want .7", share)
	}
	if math.Abs(sum-want)/n > 0.06 { // sd of the mean is sqrt(2·.7/.3/n) = .015
		t.Errorf("the mean change is %v, want about %v", sum/n, want/n)
	}
	in := mergetest.Input(nil, tensor(t, 100, x...))
	in.Seed++
	if slices.Equal(mergetest.Merge(t, m, in)["w"], got) {
		t.Error("another seed drops the same changes")
	}
	m.DropRate = 0
	check(t, "nothing dropped", merged(t, m, tensor(t, 100, x...)), func(i int) float64 { return float64(x[1][i]) })
	y := random(3, 60, 7)
	m.Combine = "ties"
	ties := method.Ties{Changes: m.Changes, Density: 1}
	want60 := merged(t, ties, tensor(t, 6, y...))
	check(t, "ties", merged(t, m, tensor(t, 6, y...)), func(i int) float64 { return float64(want60[i]) })
}

// TestGraft compares with what was computed independently: see gate's testdata.
func TestGraft(t *testing.T) {
	raw, err := os.ReadFile("../gate/testdata/global.json")
	if err != nil {
		t.Fatal(err)
	}
	var layers []struct {
		Name   string    `json:"name"`
		Shape  []int     `json:"shape"`
		A      []float32 `json:"a"`
		B      []float32 `json:"b"`
		Merged []float64 `json:"merged"`
	}
	if err := json.Unmarshal(raw, &layers); err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		got := merged(t, method.Graft{A: 0.4, C: 500, Bins: 10}, tensor(t, l.Shape[0], l.A, l.B))
		for i, x := range got {
			scale := math.Abs(float64(l.A[i])) + math.Abs(float64(l.B[i]))
			if math.Abs(float64(x)-l.Merged[i]) > 1e-5*scale {
				t.Fatalf("%s: value %d is %v, want %v", l.Name, i, x, l.Merged[i])
			}
		}
	}
	x := random(3, 40, 8)
	check(t, "a = 0 is the mean", merged(t, method.Graft{A: 0, C: 500, Bins: 10}, tensor(t, 4, x...)), func(i int) float64 {
		return (float64(x[0][i]) + float64(x[1][i]) + float64(x[2][i])) / 3
	})
}

func TestPrune(t *testing.T) {
	w := []float32{-3, -0.02, 0.01, 0.02, 0.021, 1, 0, -0.5}
	for _, c := range []struct {
		name string
		m    method.Prune
		want []float64
	}{
		{"signed", method.Prune{Form: "signed", Threshold: 0.02}, []float64{0, 0, 0, 0, 0.021, 1, 0, 0}},
		{"magnitude", method.Prune{Form: "magnitude", Threshold: 0.02}, []float64{-3, 0, 0, 0, 0.021, 1, 0, -0.5}},
		{"share", method.Prune{Form: "magnitude", Share: 0.375}, []float64{-3, 0, 0, 0.02, 0.021, 1, 0, -0.5}},
		{"all", method.Prune{Form: "magnitude", Share: 1}, make([]float64, 8)},
	} {
		check(t, c.name, merged(t, c.m, tensor(t, 2, w)), func(i int) float64 { return c.want[i] })
	}
}

func TestBaseAndScale(t *testing.T) {
	x := random(2, 6, 9)
	check(t, "parent 1", merged(t, method.Base{Parent: 1}, tensor(t, 2, x...)), func(i int) float64 { return float64(x[1][i]) })
	check(t, "half", merged(t, method.Scale{Factor: 0.5}, tensor(t, 2, x...)), func(i int) float64 { return float64(x[0][i]) / 2 })
}

func TestErrors(t *testing.T) {
	changes := method.Changes{Origin: "base", Lambda: 1}
	x := random(2, 6, 10)
	for _, c := range []struct {
		m    cki.Method
		want string
	}{
		{method.Average{Rows: "equal", Weights: []float64{1}}, "method: average: 1 weights for 2 parents: give one each, or none"},
		{method.Average{Rows: "some"}, "method: average: rows: must be equal or counts"},
		{method.Average{Rows: "equal", Weights: []float64{0, 0}}, "method: average: weights: at least one must be above 0"},
		{method.Average{Rows: "equal", Weights: []float64{-1, 2}}, "method: average: weights: each must be a number that is not negative"},
		{method.Slerp{T: 1.5}, "method: slerp: t: must be in [0, 1]"},
		{method.Ties{Changes: changes, Density: 2}, "method: ties: density: must be in [0, 1]"},
		{
			method.Ties{Changes: method.Changes{Origin: "base", Weights: []float64{1, 1}}},
			"method: ties: 2 weights for 1 donors: give one each, or none",
		},
		{method.Dare{Changes: changes, DropRate: 1, Combine: "linear"}, "method: dare: drop_rate: must be in [0, 1)"},
		{method.TaskArithmetic{Changes: method.Changes{Origin: "trunk"}}, "method: task_arithmetic: origin: must be base or mean"},
		{method.Prune{Form: "signed", Share: 0.5}, "method: prune: share: only form: magnitude has a share"},
		{method.Graft{A: 0.4, C: 500}, "method: graft: bins: must be at least 1"},
		{method.Base{Parent: 2}, "method: base: there is no parent 2: have 2, counted from 0"},
		{method.Scale{Factor: math.NaN()}, "method: scale: factor: must be a finite number"},
		{method.Soup{}, "method: soup: choosing parents needs the model and its data: merge runs, or give a config with both"},
	} {
		_, err := c.m.Merge(t.Context(), mergetest.Input(nil, tensor(t, 2, x...)))
		if err == nil || err.Error() != c.want {
			t.Errorf("%#v: error %v, want %s", c.m, err, c.want)
		}
	}
}
