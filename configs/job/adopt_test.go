package job_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

// A merge that adopts the parents of another one trains none, and is the merge that it would be with parents of its own. Parents of another
// config are not taken.
func TestAdoptParents(t *testing.T) {
	workspace(t, 1000)
	write(t, "merge.yaml", config+"merge: {regime: {type: shared_init}, report: false, finetune: {epochs: 0}}\n")
	var trainings int
	merged := func(dir string, set ...string) (*job.Job, func() *compare.Table) {
		e, err := call{config: "merge.yaml", set: set}.read(nil).LoadMerge(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		j := &job.Job{Experiment: e, Dir: dir, Show: func(train.Options) []train.Callback { trainings++; return nil }}
		return j, func() *compare.Table {
			t.Helper()
			trainings = 0
			m, err := j.Merge(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			return m.Table
		}
	}
	adopts := func(j *job.Job, from string, want bool) {
		t.Helper()
		if got, err := j.AdoptParents(from); err != nil || got != want {
			t.Errorf("%s adopts the parents of %s: %v, %v", j.Dir, from, got, err)
		}
	}
	const slerp = "merge.method=slerp"
	a, _ := merged("a")
	b, make := merged("b", slerp)
	adopts(b, "a", false) // which is not there
	first := mustMerge(t, a)
	adopts(b, "a", true)
	adopts(b, "a", false) // again
	adopts(a, "a", false)
	got := make()
	if trained := trainings; trained != 2 { // both begin, and find themselves done
		t.Errorf("%d trainings of parents began", trained)
	}
	for _, name := range []compare.RowName{compare.RowBase, compare.RowOther} {
		if x, y := got.Rows.Get(name), first.Rows.Get(name); x.Seconds != y.Seconds || x.Test["auc"] != y.Test["auc"] {
			t.Errorf("%s was trained again: %+v, was %+v", name, x, y)
		}
	}
	_, alone := merged("alone", slerp)
	if want := alone(); want.ModelDigest != got.ModelDigest {
		t.Errorf("with adopted parents the model is %s, with its own %s", got.ModelDigest, want.ModelDigest)
	}
	c, _ := merged("c", "train.learning_rate=0.5")
	adopts(c, "a", false)
	if _, err := os.Stat(filepath.Join("c", run.ParentsDir)); err == nil {
		t.Error("parents of another config were copied")
	}
	if left, _ := filepath.Glob("*.adopting"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func mustMerge(t *testing.T, j *job.Job) *compare.Table {
	t.Helper()
	m, err := j.Merge(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	return m.Table
}

// The costs of a run are those of its layers; an ensemble's are those of its members together.
func TestCost(t *testing.T) {
	workspace(t, 800)
	write(t, "mlp.yaml", strings.Replace(config, "type: deepfm", "type: mlp", 1))
	for _, dir := range []string{"a", "b"} {
		call{config: "mlp.yaml", to: dir, set: []string{"seed=" + map[string]string{"a": "1", "b": "2"}[dir]}}.trained(t)
	}
	one, sizes, err := job.Measure(t.Context(), []string{"a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	both, _, err := job.Measure(t.Context(), []string{"a", "b"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var params, adds int64
	for _, x := range tensors(t, "a", run.ModelFile).Tensors {
		n := int64(len(x.Data))
		if strings.Contains(x.Name, "running_") {
			continue
		}
		params += n
		if len(x.Shape) == 2 && x.Shape[0] > 1 && !strings.HasPrefix(x.Name, "embedding.") { // one output is a sum, no product of matrices
			adds += n // a row meets each weight of a layer once
		}
	}
	if one.Parameters != params || one.MultiplyAdds != adds || !(one.Milliseconds > 0) || one.Rows < 1 {
		t.Errorf("%+v, want %d parameters and %d multiply-adds", one, params, adds)
	}
	if both.Parameters != 2*params || both.MultiplyAdds != 2*adds {
		t.Errorf("both: %+v", both)
	}
	if sizes.Train < 1 || sizes.Test < 1 || sizes.Features < 1 {
		t.Errorf("%+v", sizes)
	}
}
