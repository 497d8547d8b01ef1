package compare

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/data"
)

// scored is a row whose metric is v on validation rows and .01 less on test rows.
func scored(name RowName, metric string, v float64) Row {
	return Row{Name: name, Valid: report.Metrics{metric: v}, Test: report.Metrics{metric: v - .01}}
}

// table is a comparison by AUC with controls, of two parents that saw other rows.
func table(change func(*Table)) *Table {
	t := &Table{Metric: "auc", Passed: RowMergeTrained, SplitBy: "user"}
	for _, r := range []struct {
		name RowName
		auc  float64
	}{
		{RowBase, .75},
		{RowOther, .76},
		{RowBestParent, .76},
		{RowEnsemble, .78},
		{RowAverage, .77},
		{RowHeadAverage, .74},
		{RowCounts, .8},
		{RowCKI, .755},
		{RowMerge, .8},
		{RowMergeTrained, .802},
		{RowLonger, .765},
		{RowAllData, .82},
	} {
		t.Rows = append(t.Rows, scored(r.name, t.Metric, r.auc))
	}
	if change != nil {
		change(t)
	}
	return t
}

// set gives rows another value of the metric.
func (t *Table) set(v float64, names ...RowName) {
	for _, name := range names {
		*t.Rows.Get(name) = scored(name, t.Metric, v)
	}
}

func (t *Table) drop(names ...RowName) {
	var rest Rows
	for _, r := range t.Rows {
		keep := true
		for _, name := range names {
			keep = keep && r.Name != name
		}
		if keep {
			rest = append(rest, r)
		}
	}
	t.Rows = rest
}

func TestWords(t *testing.T) {
	const (
		parents   = "The 2 parents saw other rows (split by user): the better parent on validation rows has test auc 0.7500, the other one 0.7400."
		merge     = "The merge with the training after it, one model of their size, has test auc 0.7920: 0.0420 better than the better parent, 70 % of the way to one model trained on all rows (0.8100)."
		controls  = "Training one parent 2 times as long gives 0.7550, 0.0370 worse than the merge; the ensemble of the parents, 2 models to serve, has 0.7700, 0.0220 worse than the merge."
		published = "The published CKI, which splices the heads alone, has 0.7450: 0.0050 worse than the better parent."
		passed    = "The model passed on: merge + training; use it with `go run ./cmd/predict --run runs/m --in ROWS --out -`."
	)
	for _, tc := range []struct {
		name   string
		change func(*Table)
		want   []string
	}{
		{"a merge that wins", nil, []string{parents, merge, controls, published, passed}},
		{"synthetic", func(t *Table) { t.Synthetic = true }, []string{
			strings.Replace(parents, "auc", "auc (synthetic)", 1), strings.Replace(merge, "auc", "auc (synthetic)", 1), controls, published, passed,
		}},
		{"the training makes it worse", func(t *Table) { t.set(.79, RowMergeTrained); t.Passed = RowMerge }, []string{
			parents,
			"The merge, one model of their size, has test auc 0.7900: 0.0400 better than the better parent, 67 % of the way to one model trained on all rows (0.8100).",
			"Training one parent 2 times as long gives 0.7550, 0.0350 worse than the merge; the ensemble of the parents, 2 models to serve, has 0.7700, 0.0200 worse than the merge.",
			published, strings.Replace(passed, "merge + training", "merge", 1),
		}},
		{"a merge that loses", func(t *Table) { t.set(.7, RowMerge, RowMergeTrained); t.Passed, t.Guarded = RowBestParent, true }, []string{
			parents, "The merge, one model of their size, has test auc 0.6900: 0.0600 worse than the better parent; one model trained on all rows has 0.8100.",
			"Training one parent 2 times as long gives 0.7550, 0.0650 better than the merge; the ensemble of the parents, 2 models to serve, has 0.7700, 0.0800 better than the merge.",
			published,
			"The model passed on: best parent, since no merge is better on the validation rows; use it with `go run ./cmd/predict --run runs/m --in ROWS --out -`.",
		}},
		{
			"a merge that loses without the guard",
			func(t *Table) { t.set(.7, RowMerge, RowMergeTrained); t.Passed = RowMerge; t.Rows = t.Rows[:9] },
			[]string{
				parents, "The merge, one model of their size, has test auc 0.6900: 0.0600 worse than the better parent.",
				"The ensemble of the parents, 2 models to serve, has 0.7700, 0.0800 better than the merge.", published,
				"The model passed on: merge, although the better parent is better on the validation rows: merge.guard is off; use it with `go run ./cmd/predict --run runs/m --in ROWS --out -`.",
			},
		},
		{"as good as one model on all rows", func(t *Table) { t.set(.802, RowAllData) }, []string{
			parents,
			"The merge with the training after it, one model of their size, has test auc 0.7920: 0.0420 better than the better parent, and no worse than one model trained on all rows (0.7920).",
			controls, published, passed,
		}},
		{"no gap", func(t *Table) { t.set(.755, RowAllData) }, []string{
			parents,
			"The merge with the training after it, one model of their size, has test auc 0.7920: 0.0420 better than the better parent; one model trained on all rows has 0.7450, which is no better than that parent.",
			controls, published, passed,
		}},
		{"equal", func(t *Table) {
			t.set(.76, RowMerge, RowMergeTrained, RowLonger, RowCKI, RowOther)
			t.set(.75, RowEnsemble, RowAllData)
		}, []string{
			"The 2 parents saw other rows (split by user): the better parent on validation rows has test auc 0.7500, the other one 0.7400.",
			"The merge, one model of their size, has test auc 0.7500: as good as the better parent; one model trained on all rows has 0.7400, which is no better than that parent.",
			"Training one parent 2 times as long gives 0.7500, as good as the merge; the ensemble of the parents, 2 models to serve, has 0.7400, 0.0100 worse than the merge.",
			"The published CKI, which splices the heads alone, has 0.7500: as good as the better parent.", passed,
		}},
		{"undefined on the test rows", func(t *Table) {
			t.drop(RowAverage, RowHeadAverage, RowCounts, RowCKI, RowLonger, RowAllData, RowEnsemble)
			for i := range t.Rows {
				t.Rows[i].Test[t.Metric] = math.NaN()
			}
		}, []string{
			"The 2 parents saw other rows (split by user): the better parent on validation rows has valid auc 0.7600, the other one 0.7500.",
			"The merge with the training after it, one model of their size, has valid auc 0.8020: 0.0420 better than the better parent.", passed,
		}},
		{"without controls, test rows and what split the rows", func(t *Table) {
			t.drop(RowAverage, RowHeadAverage, RowCounts, RowCKI, RowLonger, RowAllData)
			t.SplitBy = ""
			for i := range t.Rows {
				t.Rows[i].Test = nil
			}
		}, []string{
			"The 2 parents: the better parent on validation rows has valid auc 0.7600, the other one 0.7500.",
			"The merge with the training after it, one model of their size, has valid auc 0.8020: 0.0420 better than the better parent.",
			"The ensemble of the parents, 2 models to serve, has 0.7800, 0.0220 worse than the merge.", passed,
		}},
		{"a metric of which less is better, three parents, rounds", func(t *Table) {
			*t = Table{Metric: "logloss", SplitBy: data.ByOrder, Passed: RoundRow(2), Rows: Rows{
				scored(RowBase, "logloss", .51), scored(OtherRow(1, 3), "logloss", .5), scored(OtherRow(2, 3), "logloss", .53),
				scored(RowBestParent, "logloss", .5),
				scored(RowMerge, "logloss", .48), scored(RoundRow(2), "logloss", .46), scored(RowMergeTrained, "logloss", .47),
				scored(RowAllData, "logloss", .42),
			}}
		}, []string{
			"The 3 parents saw other rows (split in their order): the best parent on validation rows has test logloss 0.4900, the others 0.5000 to 0.5200.",
			"The merge (round 2), one model of their size, has test logloss 0.4500: 0.0400 better than the best parent, 50 % of the way to one model trained on all rows (0.4100).",
			"The model passed on: merge, round 2; use it with `go run ./cmd/predict --run runs/m --in ROWS --out -`.",
		}},
		{
			"rows at random", func(t *Table) { t.SplitBy = data.ByRows },
			[]string{strings.Replace(parents, "by user", "at random", 1), merge, controls, published, passed},
		},
		{"nothing to speak of", func(t *Table) { t.Rows = t.Rows[:2] }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, table(tc.change).Words("runs/m")); d != "" {
				t.Errorf("want (-), got (+):\n%s", d)
			}
		})
	}
}

func TestShort(t *testing.T) {
	names := func(rs Rows) (out []RowName) {
		for _, r := range rs {
			out = append(out, r.Name)
		}
		return out
	}
	want := []RowName{RowBestParent, RowEnsemble, RowAverage, RowCKI, RowMerge, RowMergeTrained, RowLonger, RowAllData}
	if d := cmp.Diff(want, names(table(nil).Short())); d != "" {
		t.Errorf("want (-), got (+):\n%s", d)
	}
	rounds := table(func(t *Table) {
		t.Rows, t.Passed = append(t.Rows, scored(RoundRow(2), "auc", .9), scored(RoundRow(3), "auc", .8)), RoundRow(2)
	})
	if d := cmp.Diff(append(want, RoundRow(2)), names(rounds.Short())); d != "" {
		t.Errorf("of rounds, want (-), got (+):\n%s", d)
	}
	few := table(func(t *Table) { t.drop(RowHeadAverage, RowCounts) })
	if d := cmp.Diff(names(few.Rows), names(few.Short())); d != "" {
		t.Errorf("of few rows, want all (-), got (+):\n%s", d)
	}
}
