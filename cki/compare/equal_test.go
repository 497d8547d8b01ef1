package compare_test

import (
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/assess"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/regime"
)

// The control of equal compute makes the steps of all parents, of what they branch from, of what the method learns and of the trainings
// after the merge, counted here one by one. An epoch has 20 steps.
func TestEqualCompute(t *testing.T) {
	const epoch = 20
	learning := func(o *cki.Options) {
		d, _ := cki.Registry.Default("cki")
		m := d.(assess.CKI)
		m.Train.Epochs, m.Train.Patience = 3, 0
		o.Select, o.Method = []string{"mlp.*.weight", "!*.bn.weight"}, m
	}
	for _, tc := range []struct {
		name   string
		regime cki.Regime
		change func(o *cki.Options)
		want   int64
	}{
		{"two runs and a training", regime.Independent{Count: 2}, func(o *cki.Options) { o.Finetune.Epochs = 2 }, (2*4 + 2) * epoch},
		{"no training", regime.Independent{Count: 3}, func(o *cki.Options) { o.Finetune.Epochs = 0 }, 3 * 4 * epoch},
		{"branches and their trunk", regime.Branch{Count: 2, Epochs: 3}, nil, (3 + 2*4 + 1) * epoch},
		{"gates that learn", regime.Independent{Count: 2}, learning, (2*4 + 3 + 1) * epoch},
		{"rounds of gates that learn", regime.Independent{Count: 2}, func(o *cki.Options) { learning(o); o.Rounds.Count = 3 }, (2*4 + 3*3 + 2*2) * epoch},
		// Each parent has half of the rows, in 10 or 11 steps, from a trunk of 7 steps, where the control starts, too. Its training is on the base's rows.
		{"shards from a trunk", regime.Shards{By: "rows", Count: 2, Trunk: 7, TrunkShare: .3}, nil, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, o := lab(t), options(t)
			l.KeepBaseEpochs = false
			o.Rows, o.ControlRates = []string{"equal compute"}, []float64{1e-9, 1}
			if tc.change != nil {
				tc.change(&o)
			}
			out := run(t, l, o, tc.regime)
			r := row(out, compare.RowEqualCompute)
			if r == nil {
				t.Fatal("there is no such row")
			}
			want := tc.want
			if want == 0 {
				want = out.Family.Steps - out.Family.Trunk.Steps + row(out, compare.RowMergeTrained).Steps
			}
			if r.Steps != want {
				t.Errorf("%d steps, want %d (%s)", r.Steps, want, r.Note)
			}
			// At a billionth of the rate nothing is learned, so validation chooses the other one.
			if !strings.Contains(r.Note, "at 1 times the learning rate, on validation the best of [1e-09 1]") || r.Valid["auc"] < .6 {
				t.Errorf("%s: %v", r.Note, r.Valid)
			}
		})
	}
}

// Of the rates that are tried the best on the validation rows counts, whatever the order.
func TestEqualComputeTunes(t *testing.T) {
	note := map[bool]string{}
	for _, first := range []bool{true, false} {
		l, o := lab(t), options(t)
		o.Rows, o.ControlRates = []string{"equal compute"}, []float64{1, 1e-9}
		if first {
			o.ControlRates = []float64{1e-9, 1}
		}
		note[first] = row(run(t, l, o, regime.Independent{Count: 2}), compare.RowEqualCompute).Note
	}
	for _, n := range note {
		if !strings.Contains(n, "at 1 times") {
			t.Error(n)
		}
	}
	if got := (cki.Options{}).Rates(); len(got) != 3 || got[1] != 1 {
		t.Errorf("rates %v", got)
	}
}
