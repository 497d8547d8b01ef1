package assess_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/assess"
	"github.com/splice-ml/splice/cki/mergetest"
)

func TestRefuses(t *testing.T) {
	model := mergetest.Model()
	for _, tc := range []struct {
		name   string
		change func(*assess.CKI)
		spoil  func(*cki.Input)
		want   string
	}{
		{
			"options", func(m *assess.CKI) { m.Perspective, m.Temperature, m.Train.Rows = "both", 0, "test" }, nil,
			"perspective: must be local, global or dual",
		},
		{"train options", func(m *assess.CKI) { m.Train.Rows = "test" }, nil, "train: rows: must be train or valid"},
		{
			"no counts", func(m *assess.CKI) { m.Start = "counts" }, func(in *cki.Input) { in.Parents[1].Counts = nil },
			"parent1: table embedding.a.weight has 7 rows, counts of 0",
		},
		{"no validation rows", nil, func(in *cki.Input) { in.Lab.Data.Valid = nil }, "need validation rows"},
		{"other model", nil, func(in *cki.Input) { in.Parents[0].Reader = mergetest.Odd(t, 1)[0].Reader }, "the model wants"},
		{"not a number", nil, func(in *cki.Input) {
			p := mergetest.Params(t, model, 1)
			p.Get("mlp.0.weight").Data[3] = float32(math.NaN())
			in.Parents[1].Reader = cki.Memory(p)
		}, "parent1: tensor mlp.0.weight: value 3 is NaN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := mergetest.Input(mergetest.Lab(t, model), mergetest.Parents(t, model, 2))
			if tc.spoil != nil {
				tc.spoil(in)
			}
			if _, err := method(t, tc.change).Merge(t.Context(), in); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// The published recommendation form cannot leave [.413, .587]; the report says so, and tensors keep to it.
func TestRange(t *testing.T) {
	m := method(t, nil)
	lo, hi := m.Range(2)
	if math.Abs(lo-0.4128) > 5e-5 || math.Abs(hi-0.5872) > 5e-5 {
		t.Errorf("the base's weight lies in [%v, %v], want [.4128, .5872]", lo, hi)
	}
	for name, change := range variants {
		m := method(t, change)
		for _, n := range []int{2, 3} {
			lo, hi := m.Range(n)
			_, _, stats := merge(t, m, mergetest.Model(), n, nil)
			if stats.Least != lo || stats.Largest != hi {
				t.Errorf("%s: the statistics say [%v, %v], want [%v, %v]", name, stats.Least, stats.Largest, lo, hi)
			}
			for _, x := range stats.Tensors {
				if x.Min < lo-1e-9 || x.Max > hi+1e-9 || x.Mean < x.Min-1e-9 || x.Mean > x.Max+1e-9 {
					t.Errorf("%s, %s: weights %v to %v, mean %v, want them in [%v, %v]", name, x.Name, x.Min, x.Max, x.Mean, lo, hi)
				}
				sum := 0.0
				for _, w := range x.Weights {
					sum += w
				}
				if math.Abs(sum-1) > 1e-6 {
					t.Errorf("%s, %s: mean weights %v sum to %v", name, x.Name, x.Weights, sum)
				}
			}
			if len(stats.Tensors) == 0 {
				t.Errorf("%s: no statistics", name)
			}
		}
	}
	if fmt.Sprintf("%.3f %.3f", lo, hi) != "0.413 0.587" {
		t.Errorf("[%v, %v]", lo, hi)
	}
}
