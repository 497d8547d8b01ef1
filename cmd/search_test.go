package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// searched is a study of a few seconds, with early stopping.
const searched = `data: {type: tastes, users: 50, items: 20, rows: 6000}
model: {type: deepfm, embedding_dim: {grid: [2, 4]}, hidden_units: [8], net_dropout: {uniform: [0, 0.5]}}
train: {batch_size: 64, epochs: 4, patience: 0, checkpoint_steps: 20, learning_rate: {log: [1e-3, 0.1]}}
search: {trials: 8, startup: 4, asha: {min: 1, factor: 2}}
`

var madeTrial = regexp.MustCompile(`(?m)^\d+/\d+ (trial \d+)`)

// madeBy returns the trials that commands say they made.
func madeBy(outs ...string) (trials []string) {
	for _, o := range outs {
		for _, m := range madeTrial.FindAllStringSubmatch(o, -1) {
			trials = append(trials, m[1])
		}
	}
	slices.Sort(trials)
	return trials
}

// TestSearch makes a study, and trains its best config.
func TestSearch(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "s.yaml", searched)
	o := execute(t, dir, "search", "--config", "s.yaml", "--set", "search.trials=5")
	if o.code != 0 || len(madeBy(o.stderr)) != 5 {
		t.Fatalf("exit %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	for _, want := range []string{
		"| trial | model.embedding_dim | model.net_dropout | train.learning_rate | evaluations | state | auc |\n", "\n5 trials by tpe: ", "\nbest: trial ",
		"\ntest, measured for this trial alone: auc 0.", "\n| key | share |\n", "\nconfig " + filepath.Join("runs", "s", "best.yaml") + ", page ",
	} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("lacks %q:\n%s", want, o.stdout)
		}
	}
	page := string(read(t, dir, "runs/s", "study.html"))
	for _, want := range []string{"go run ./cmd/search --config s.yaml --set &#39;search.trials=5&#39;", "<svg", "trial 3: model.embedding_dim=", "learning_rate: "} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	read(t, dir, "runs/s", "trials_by_value.svg")
	best := execute(t, dir, "train", "--config", "runs/s/best.yaml", "--quiet")
	valid := regexp.MustCompile(`(?m)^valid[^:]*: (auc [\d.]+)`)
	a, b := valid.FindStringSubmatch(o.stdout), valid.FindStringSubmatch(best.stdout)
	if best.code != 0 || a == nil || b == nil || a[1] != b[1] || !strings.Contains(best.stdout, filepath.Join("runs", "s", "best")) {
		t.Errorf("exit %d: the best config trains to %v, want %v\n%s%s", best.code, b, a, best.stdout, best.stderr)
	}
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "search: --config is missing"},
		{[]string{"--config", "s.yaml", "--jobs", "0"}, 2, "search: --jobs must be in [1, 1024]"},
		{[]string{"--config", "none.yaml"}, 2, "none.yaml: no such file"},
		{[]string{"--config", "s.yaml", "--set", "search.wave=3"}, 2, "put them back, replace it with --overwrite, or choose another --run"},
		{[]string{"--config", "s.yaml", "--run", "runs/s/best"}, 2, "holds a run: choose another --run"},
		{[]string{"--config", "s.yaml", "--set", "train.learning_rate={log: [0, 1]}"}, 2, "the lowest value of log must be above 0, have 0"},
	} {
		if o := execute(t, dir, "search", tc.args...); o.code != tc.code || !strings.Contains(o.stderr, tc.want) || o.stdout != "" {
			t.Errorf("%v: exit %d\n%s%s, want %d, %s", tc.args, o.code, o.stdout, o.stderr, tc.code, tc.want)
		}
	}
	if o := execute(t, dir, "train", "--config", "s.yaml"); o.code != 2 || !strings.Contains(o.stderr, `s.yaml:4: search: unknown key`) {
		t.Errorf("cmd/train takes the config of a search: exit %d\n%s", o.code, o.stderr)
	}
	again := execute(t, dir, "search", "--config", "s.yaml", "--set", "search.trials=5", "--overwrite", "--jobs", "2", "--quiet")
	if again.code != 0 || again.stdout != o.stdout {
		t.Errorf("exit %d: made anew by two jobs\n%s%s\nwant\n%s", again.code, again.stdout, again.stderr, o.stdout)
	}
}

// TestSearchShared has two processes make one study: each trial is made once, by either, and both print what one alone prints.
func TestSearchShared(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "s.yaml", searched)
	alone := execute(t, dir, "search", "--config", "s.yaml", "--quiet")
	if err := os.Rename(filepath.Join(dir, "runs"), filepath.Join(dir, "alone")); err != nil {
		t.Fatal(err)
	}
	outs := make(chan out, 2)
	for range 2 {
		go func() { outs <- do(t, command(dir, "search", "--config", "s.yaml")) }()
	}
	a, b := <-outs, <-outs
	if a.code != 0 || a.stdout != alone.stdout || b.code != 0 || b.stdout != alone.stdout {
		t.Errorf("exit %d and %d: \n%s%s\n%s%s\nwant\n%s", a.code, b.code, a.stdout, a.stderr, b.stdout, b.stderr, alone.stdout)
	}
	var want []string
	for k := range 8 {
		want = append(want, fmt.Sprint("trial ", k))
	}
	if got := madeBy(a.stderr, b.stderr); !slices.Equal(got, want) {
		t.Errorf("made were %v, want each once", got)
	}
	t.Logf("one process made %d trials, the other %d", len(madeBy(a.stderr)), len(madeBy(b.stderr)))
}
