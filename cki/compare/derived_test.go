package compare_test

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/splice-ml/splice/cki/regime"
)

// TestAveragesAreTheParents: weights of epochs and averages of weights are of use in a parent's run alone. No training that is
// derived from the parents' options writes them: not the trunk's, the gates', or those of a row.
func TestAveragesAreTheParents(t *testing.T) {
	l, o := lab(t), options(t)
	l.KeepBaseEpochs = false
	l.Options.Epochs, l.Options.EMA, l.Options.KeepEpochs, l.Options.SWAStart = 2, 0.9, true, 1
	out := run(t, l, o, regime.Shards{By: "user", Count: 2, Trunk: 10, TrunkShare: .3})
	want := map[string]bool{}
	for _, m := range out.Family.Members {
		for _, name := range []string{"ema.safetensors", "swa.safetensors", "epochs"} {
			want[filepath.Join(m.Dir, name)] = true
		}
	}
	trainings := 0
	err := filepath.WalkDir(l.Dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.Name() == "last":
			trainings++
		case e.Name() == "ema.safetensors" || e.Name() == "swa.safetensors" || e.Name() == "epochs":
			if !want[path] {
				t.Errorf("%s is not in a parent's run", path)
			}
			delete(want, path)
		}
		return nil
	})
	if err != nil || len(want) > 0 || trainings < 8 {
		t.Errorf("%v; missing %v; %d trainings", err, want, trainings)
	}
}
