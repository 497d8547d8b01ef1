package cmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Data alone is prepared: the training after it reads the cache, and the vocabulary has the ids of the feature map.
func TestDataOnly(t *testing.T) {
	dir := workspace(t, 1500)
	o := execute(t, dir, "train", "--config", "run.yaml", "--data-only", "--vocabulary", "ids.json")
	if o.code != 0 || !strings.Contains(o.stdout, "train: 1050 rows\nvalid: 150 rows\ntest: 300 rows\n") || !strings.Contains(o.stdout, "\nC1: ") {
		t.Fatalf("exit %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "runs")); err == nil {
		t.Error("a run's directory was made")
	}
	var ids map[string]struct {
		Table string
		IDs   map[string]int
	}
	if err := json.Unmarshal(read(t, dir, "ids.json"), &ids); err != nil {
		t.Fatal(err)
	}
	if len(ids) != 26 || ids["C3"].Table != "C3" || len(ids["C3"].IDs) == 0 {
		t.Fatalf("ids of %d features", len(ids))
	}
	seen := map[int]bool{}
	for token, id := range ids["C3"].IDs {
		if id < 2 || id >= 2+len(ids["C3"].IDs) || seen[id] {
			t.Errorf("token %q has id %d", token, id)
		}
		seen[id] = true
	}
	if o := train(t, dir, "r", "--set", "train.epochs=1"); strings.Contains(o.stderr, "fitted vocabularies") {
		t.Errorf("the training fits again:\n%s", o.stderr)
	}
	if o := execute(t, dir, "train", "--config", "run.yaml", "--data-only", "--vocabulary", "-"); o.stdout != string(read(t, dir, "ids.json")) {
		t.Errorf("on standard output there is something else: %.100s", o.stdout)
	}
	if o := execute(t, dir, "train", "--config", "run.yaml", "--vocabulary", "x.json"); o.code != 2 || !strings.Contains(o.stderr, "--vocabulary goes with --data-only") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	if o := execute(t, dir, "train", "--config", "run.yaml", "--data-only", "--vocabulary", "run.yaml"); o.code != 2 {
		t.Errorf("the config is written over: exit %d %s", o.code, o.stderr)
	}
}
