package compare_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/regime"
	"github.com/splice-ml/splice/models/nn"
)

// TestRounds: a training in rounds stands beside the parents, their ensemble and merge, and one model on all rows. It is better than the
// best parent, which knows half of the users. What it counts is what is passed on. Without parents it makes the same model.
func TestRounds(t *testing.T) {
	l, o := lab(t), options(t)
	r := regime.Shards{By: "user", Count: 2, Trunk: 20, TrunkShare: .2}
	o.Regime, o.Rounds.Every, o.Guard = r, .25, true
	l.Options.Epochs, l.Options.EmbeddingRegularizer = 12, 1e-3
	out := run(t, l, o, r)
	var names []string
	for _, row := range out.Rows {
		names = append(names, string(row.Name))
	}
	if got, want := strings.Join(names, ", "), "base, other, best parent, ensemble, counts, rounds, all data, equal compute"; got != want {
		t.Fatalf("rows %s, want %s", got, want)
	}
	test := func(name compare.RowName) float64 { return out.Rows.Get(name).Test["auc"] }
	if out.Passed != compare.RowRounds || test(compare.RowRounds) < test(compare.RowBestParent)+.02 {
		t.Errorf("passed on %s: %v, best parent %v, all data %v", out.Passed, test(compare.RowRounds), test(compare.RowBestParent),
			test(compare.RowAllData))
	}
	if steps := out.Rows.Get(compare.RowRounds).Steps; steps != 2*12*20 {
		t.Errorf("%d steps of both workers, want %d", steps, 2*12*20)
	}
	table := compare.Table{Metric: "auc", SplitBy: "user", Passed: out.Passed, Rows: out.Rows}
	if words := strings.Join(table.Words("m"), "\n"); !strings.Contains(words, "trained on the shards in rounds") ||
		!strings.Contains(words, "one model trained on all rows") {
		t.Errorf("words:\n%s", words)
	}
	models := []*nn.Params{out.Params}
	for _, start := range []string{"fresh", "trunk", "own"} {
		l.Dir, o.Rounds.Start = t.TempDir(), start
		trunk, err := r.MakeTrunk(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		alone, err := compare.Run(t.Context(), l, o, &cki.Family{SplitBy: "user", Trunk: trunk}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(alone.Rows) != 1 || alone.Passed != compare.RowRounds {
			t.Errorf("%s, without parents: %+v, passed on %s", start, alone.Rows, alone.Passed)
		}
		if start == "fresh" {
			if !alone.Params.Equal(out.Params, nil) || !maps.EqualFunc(alone.Counts, out.Counts, slices.Equal) || len(alone.Counts) == 0 {
				t.Error("without parents: another model, or other counts")
			}
			continue
		}
		for _, m := range models {
			if m.Equal(alone.Params, nil) {
				t.Errorf("%s is as another start", start)
			}
		}
		models = append(models, alone.Params)
	}
}
