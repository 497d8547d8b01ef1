package compare_test

import (
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/cki/regime"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/task"
)

// TestHistories makes every row of a comparison for every model of histories, those that rank a catalogue among them, for every model
// of several tasks, and for those of products of embeddings.
func TestHistories(t *testing.T) {
	settings := mergetest.Histories()
	maps.Copy(settings, mergetest.Tasks())
	for name, s := range mergetest.Interactions() {
		if !strings.Contains(name, "/") {
			settings[name] = s
		}
	}
	for name, s := range settings {
		t.Run(name, func(t *testing.T) {
			l := s.Lab(t)
			rows, ok := l.Data.Train.(*data.Memory)
			if !ok {
				t.Fatalf("training rows are %T", l.Data.Train)
			}
			rows.Shuffle, l.KeepBaseEpochs, l.Data.Test = true, true, l.Data.Valid
			o := cki.DefaultOptions()
			o.Controls, o.Report, o.Rounds.Count, o.Align.Match = true, false, 2, "activations"
			o.Method, _ = cki.Registry.Default("average")
			out := run(t, l, o, regime.Shards{By: "rows", Count: 2, Trunk: 3, TrunkShare: .5})
			counted := 0
			for table, n := range out.Counts {
				for id, c := range n {
					if c > 0 {
						counted++
					}
					if id == data.PadID && c > 0 {
						t.Errorf("%s: padding is counted %d times", table, c)
					}
				}
			}
			if counted == 0 {
				t.Error("no row of a table has a count")
			}
			if _, classifier := s.Task.(task.Binary); s.Schema.Labels == nil && out.Rows.Get("CKI") != nil != (classifier && (name == "duet/local" || !strings.HasPrefix(name, "duet"))) {
				t.Errorf("rows of the published method, which splices the classifier: %v", out.Rows.Get("CKI") != nil)
			}
			for _, want := range []string{"average", "counts", "average, aligned", "merge, round 2", "all data", "longer training"} {
				found := false
				for _, r := range out.Rows {
					found = found || string(r.Name) == want
					for m, v := range r.Valid {
						if math.IsNaN(v) || v != r.Test[m] {
							t.Errorf("%s: %s is %v, and of the same rows %v", r.Name, m, v, r.Test[m])
						}
					}
				}
				if !found {
					t.Errorf("there is no row %q", want)
				}
			}
		})
	}
}
