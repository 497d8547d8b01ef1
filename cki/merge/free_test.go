package merge

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/run"
)

// Of a directory that holds a run, a merge names the flags that it has: it cannot go on with a training.
func TestDirectoryOfARun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		run.ConfigFile: "seed: 1\nthreads: 1\ndata: {type: criteo}\nmodel: {type: lr}\ntask: {type: binary}\ntrain: {epochs: 1}\n",
		run.ResultFile: "{}",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	err := (&Job{Dir: dir}).free()
	if err == nil {
		t.Fatal("a merge is written over a run")
	}
	own := []string{"overwrite", "run"}
	if got := run.ForCommand(err, func(flag string) bool { return slices.Contains(own, flag) }); strings.Contains(got, "--resume") ||
		!strings.Contains(got, "replace it with --overwrite, or choose another --run") {
		t.Errorf("error %s", got)
	}
}
