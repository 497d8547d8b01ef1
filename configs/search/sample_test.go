package search

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/splice-ml/splice/data/rng"
	"go.yaml.in/yaml/v4"
)

// list returns a parameter with so many values.
func list(path string, n int) *Param {
	p := &Param{Path: path, Kind: kindChoice}
	for range n {
		p.Values = append(p.Values, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: "1"})
	}
	return p
}

func TestGrid(t *testing.T) {
	s := &Spec{Options: Options{Method: Grid}, Params: []*Param{list("a", 2), list("b", 1), list("c", 3)}}
	want := [][]float64{{0, 0, 0}, {0, 0, 1}, {0, 0, 2}, {1, 0, 0}, {1, 0, 1}, {1, 0, 2}}
	for k, w := range want {
		if got := s.propose(k, nil); !slices.Equal(got, w) {
			t.Errorf("trial %d has %v, want %v", k, got, w)
		}
	}
}

// TestDraw holds the distribution of each kind of parameter to its quantiles.
func TestDraw(t *testing.T) {
	for _, tc := range []struct {
		name                   string
		p                      *Param
		least, median, largest float64 // of many
	}{
		{"uniform", &Param{Kind: kindUniform, Low: -1, High: 3}, -1, 1, 3},
		{"log", &Param{Kind: kindLog, Low: 1e-4, High: 1e-2}, 1e-4, 1e-3, 1e-2},
		{"uniform int", &Param{Kind: kindUniform, Low: 1, High: 5, Int: true}, 1, 3, 5},
		{"log int", &Param{Kind: kindLog, Low: 1, High: 100, Int: true}, 1, 7, 100}, // the geometric mean of .5 and 100.5 is 7.1
		{"choice", list("x", 3), 0, 1, 2},
	} {
		const n = 4001
		var all []float64
		for i := range int64(n) {
			v := tc.p.draw(rng.Float(7, i))
			if tc.p.Text(v) == "" || (tc.p.Int || tc.p.listed()) && v != math.Trunc(v) {
				t.Fatalf("%s: drew %v", tc.name, v)
			}
			all = append(all, v)
		}
		slices.Sort(all)
		near := func(what string, got, want float64) {
			if math.Abs(tc.p.there(got+1e-9)-tc.p.there(want+1e-9)) > .03*(tc.p.there(tc.largest)-tc.p.there(tc.least+1e-9)) {
				t.Errorf("%s: the %s of %d is %v, want %v", tc.name, what, n, got, want)
			}
		}
		near("least", all[0], tc.least)
		near("median", all[n/2], tc.median)
		near("largest", all[n-1], tc.largest)
		if all[0] < tc.p.low() || all[n-1] > tc.p.high() {
			t.Errorf("%s: %v to %v are out of bounds", tc.name, all[0], all[n-1])
		}
		if tc.name == "uniform int" || tc.name == "choice" {
			values := int(tc.largest-tc.least) + 1
			for v := tc.least; v <= tc.largest; v++ {
				i, _ := slices.BinarySearch(all, v)
				j, _ := slices.BinarySearch(all, v+1)
				if share := float64(j-i) / n * float64(values); share < .9 || share > 1.1 {
					t.Errorf("%s: %v was drawn %d times of %d", tc.name, v, j-i, n)
				}
			}
		}
	}
}

// TestParzen holds densities, and the number of good trials, to those of Optuna.
func TestParzen(t *testing.T) {
	var golden struct {
		Good  []int
		Cases []struct {
			Kind              string
			Low, High         float64
			Int               bool
			Seen, At, Density []float64
		}
	}
	b, err := os.ReadFile(filepath.Join("testdata", "parzen.json"))
	if err == nil {
		err = json.Unmarshal(b, &golden)
	}
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range golden.Good {
		good, bad := split(slices.Repeat([]past{{state: Complete}}, n))
		if len(good) != want || len(bad) != n-want {
			t.Errorf("of %d trials, %d are good, want %d", n, len(good), want)
		}
	}
	for _, tc := range golden.Cases {
		p := &Param{Kind: tc.Kind, Low: tc.Low, High: tc.High, Int: tc.Int}
		d := p.newMixture(tc.Seen)
		factor := 0.0 // of densities of numbers that are not whole, which are over another axis: log's
		for i, v := range tc.At {
			got, want := d.at(v), tc.Density[i]
			if !tc.Int {
				if factor == 0 {
					factor = want / got
				}
				got *= factor
			}
			if math.Abs(got-want) > 1e-6*want {
				t.Errorf("%s [%v, %v] int %v, %d seen: density at %v is %v, want %v", tc.Kind, tc.Low, tc.High, tc.Int, len(tc.Seen), v, got, want)
			}
		}
	}
}

// TestMixture: what is drawn has the density.
func TestMixture(t *testing.T) {
	for _, p := range []*Param{
		{Kind: kindUniform, Low: 1, High: 6, Int: true}, {Kind: kindLog, Low: 1, High: 30, Int: true}, list("x", 4),
	} {
		d := p.density([]float64{2, 2, 3})
		const n = 20000
		times := map[float64]int{}
		r := rng.New(3)
		for range n {
			times[p.round(d.draw(r))]++
		}
		sum := 0.0
		for v := p.low(); v <= p.high(); v++ {
			at := d.at(v)
			sum += at
			if got := float64(times[v]) / n; math.Abs(got-at) > .012 {
				t.Errorf("%s: %v was drawn with frequency %.3f, its probability is %.3f", p.Kind, v, got, at)
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("%s: probabilities sum to %v", p.Kind, sum)
		}
	}
}

// TestSplit: trials that were stopped are worse than those that were not, and better the further they came; one that diverged is never good.
func TestSplit(t *testing.T) {
	var trials []past
	for i, p := range []past{{state: Diverged, value: math.NaN()}, {state: Stopped, rung: 1, value: 0}, {state: Stopped, rung: 2, value: 9}, {state: Complete, value: 5}} {
		p.values = []float64{float64(i)}
		trials = append(trials, p)
	}
	order := []float64{3, 2, 1}
	for _, want := range order {
		good, bad := split(trials)
		if len(good) != 1 || good[0].values[0] != want {
			t.Fatalf("of %v, %v are good, want %v", trials, good, want)
		}
		trials = bad
	}
	if good, bad := split(trials); len(good) != 0 || len(bad) != 1 {
		t.Errorf("a trial that diverged is good: %v", good)
	}
}

// bowl is a function of 4 parameters, one of which does not matter, with the least value 0.
func bowl(v []float64) float64 {
	a, b := v[0]-.3, math.Log10(v[1])+2.5
	return a*a + b*b/4 + math.Abs(v[2]-11)/20 + map[bool]float64{true: 0, false: .3}[v[3] == 2]
}

// best makes trials of bowl and returns the best value.
func best(method string, seed uint64, trials int) float64 {
	s := &Spec{Options: Defaults(), Params: []*Param{
		{Path: "a", Kind: kindUniform, Low: -1, High: 1},
		{Path: "b", Kind: kindLog, Low: 1e-5, High: 1},
		{Path: "c", Kind: kindUniform, Low: 1, High: 20, Int: true},
		list("d", 4),
	}}
	s.Method, s.Options.Seed = method, seed
	var all []past
	least := math.Inf(1)
	for k := range trials {
		v := s.propose(k, all[:s.horizon(k)])
		all = append(all, past{values: v, state: Complete, value: bowl(v)})
		least = min(least, bowl(v))
	}
	return least
}

// TestTPEBeatsRandom: of 60 trials, the best by TPE is better than the best at random for most seeds, and on the mean by far.
func TestTPEBeatsRandom(t *testing.T) {
	wins, tpe, random := 0, 0.0, 0.0
	const seeds = 20
	for seed := range uint64(seeds) {
		a, b := best(TPE, seed, 60), best(Random, seed, 60)
		if a < b {
			wins++
		}
		tpe, random = tpe+a/seeds, random+b/seeds
	}
	t.Logf("TPE is better for %d of %d seeds; means %.4f and %.4f", wins, seeds, tpe, random)
	if wins < 14 || tpe > random/2 {
		t.Errorf("TPE is better for %d of %d seeds; means %.4f and %.4f", wins, seeds, tpe, random)
	}
	if best(TPE, 1, 30) != best(TPE, 1, 30) {
		t.Error("the same search gives another result")
	}
}
