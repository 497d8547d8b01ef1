package runs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/train/run"
)

// put writes a file.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

const configText = `run: runs/x
seed: %d
threads: %d
data: {type: csv, path: [a.csv], columns: {}}
model: {type: %s, embedding_dim: 8, hidden_units: [16, 8]}
task: {type: binary_classification, metrics: [auc, logloss]}
train: {epochs: %d, learning_rate: %v}
`

// generate makes a directory as a run has it.
func generate(t *testing.T, dir, model string, seed int, auc float64) {
	t.Helper()
	put(t, filepath.Join(dir, run.ConfigFile), fmt.Sprintf(configText, seed, seed, model, 2+seed%3, .001*float64(1+seed)))
	put(t, filepath.Join(dir, run.ResultFile), fmt.Sprintf(
		`{"model": %q, "data": "csv", "seed": %d, "digest": "d%d", "valid": {"auc": %v, "logloss": null}, "test": {"auc": %v, "logloss": 0.5}}`, model, seed, seed, auc+.01, auc))
	put(t, filepath.Join(dir, run.MetricsFile), fmt.Sprintf(`{"step":10,"split":"train","auc":0.1}
{"step":10,"split":"valid","auc":%v,"logloss":0.6}
{"step":20,"split":"valid","auc":%v,"logloss":0.5}
{"step":30,"split":"va`, auc-.1, auc))
	put(t, filepath.Join(dir, "model.safetensors"), strings.Repeat("x", 100*seed))
	put(t, filepath.Join(dir, run.LastDir, run.StateFile), "{}")
}

// workspace has four runs, one that is not finished, a study with a trial, and what is no run.
func workspace(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	generate(t, "runs/a", "deepfm", 1, .7)
	generate(t, "runs/seeds/b-1", "deepfm", 2, .9)
	generate(t, "runs/seeds/b-2", "dcnv2", 3, .8)
	generate(t, "runs/open", "lr", 4, .5)
	generate(t, "runs/study/trials/00000/seed-1", "mlp", 5, .6)
	put(t, "runs/study/study.db", "")
	put(t, "runs/other/config.json", "{}")
	put(t, "runs/a/rows/x/config.yaml", "{}") // a run within a run
	if err := os.Remove("runs/open/result.json"); err != nil {
		t.Fatal(err)
	}
}

// do runs the command.
func do(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	c := Command()
	c.Out, c.Err = &out, &err
	code = c.Exec(args)
	return code, out.String(), err.String()
}

// names returns the first cells of a table.
func names(table string) string {
	var out []string
	for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
		if cells := strings.Split(line, " | "); i > 1 {
			out = append(out, strings.TrimPrefix(cells[0], "| "))
		}
	}
	return strings.Join(out, ", ")
}

func TestList(t *testing.T) {
	workspace(t)
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, "a, open (not finished), seeds/b-1, seeds/b-2"},
		{[]string{"--trials"}, "a, open (not finished), seeds/b-1, seeds/b-2, study/trials/00000/seed-1"},
		{[]string{"--where", "model=deepfm"}, "a, seeds/b-1"},
		{[]string{"--where", "model!=deepfm"}, "open (not finished), seeds/b-2"},
		{[]string{"--where", "model=d*", "--where", "test.auc>=0.8"}, "seeds/b-1, seeds/b-2"},
		{[]string{"--where", "valid.auc < 0.72"}, "a"},
		{[]string{"--where", "name=seeds/*", "--sort", "-seed"}, "seeds/b-2, seeds/b-1"},
		{[]string{"--where", "train.learning_rate<=0.003"}, "a, seeds/b-1"},
		{[]string{"--where", "model.hidden_units=[[]16, 8]", "--where", "seed=1"}, "a"},
		{[]string{"--sort", "-auc"}, "seeds/b-1, seeds/b-2, a, open (not finished)"},
		{[]string{"--sort", "auc"}, "a, seeds/b-2, seeds/b-1, open (not finished)"},
		{[]string{"--sort", "-size"}, "seeds/b-2, open (not finished), seeds/b-1, a"},
		{[]string{"--sort", "-train.learning_rate"}, "open (not finished), seeds/b-2, seeds/b-1, a"},
		{[]string{"--where", "nothing=1"}, ""},
	} {
		code, out, err := do(append([]string{"list"}, tc.args...)...)
		if got := names(out); code != 0 || got != tc.want {
			t.Errorf("%v: exit %d\n%s%s got %s\nwant %s", tc.args, code, out, err, got, tc.want)
		}
	}
	_, out, _ := do("list", "--where", "seed=2")
	if want := "| name | model | data | seed | valid auc | test auc | valid logloss | test logloss | date | size |\n"; !strings.HasPrefix(out, want) ||
		!strings.Contains(out, "| seeds/b-1 | deepfm | csv | 2 | 0.910000 | 0.900000 | n/a | 0.500000 | 2") {
		t.Errorf("table\n%s", out)
	}
	if code, _, err := do("list", "--html", "page.html", "--metrics", "auc"); code != 0 {
		t.Error(err)
	}
	page, err := os.ReadFile("page.html")
	if err != nil || !strings.Contains(string(page), "seeds/b-2") || strings.Contains(string(page), "logloss") {
		t.Errorf("page: %v\n%s", err, page)
	}
}

func TestCompare(t *testing.T) {
	workspace(t)
	code, out, err := do("compare", "runs/a", "runs/seeds/b-2", "--html", "page.html")
	want := `| setting | runs/a | runs/seeds/b-2 |
| --- | --- | --- |
| model.type | deepfm | dcnv2 |
| seed | 1 | 3 |
| train.epochs | 3 | 2 |
| train.learning_rate | 0.002 | 0.004 |

| name | model |`
	if code != 0 || !strings.HasPrefix(out, want) {
		t.Errorf("exit %d\n%s%s\nwant\n%s", code, out, err, want)
	}
	page, e := os.ReadFile("page.html")
	if e != nil {
		t.Fatal(e)
	}
	for _, want := range []string{"train.learning_rate", "<svg", "0.800000"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if got := fmt.Sprint(evaluations("runs/a/metrics.jsonl")); got != "[{10 map[auc:0.6 logloss:0.6]} {20 map[auc:0.7 logloss:0.5]}]" {
		t.Errorf("evaluations %s", got)
	}
}

func TestDelete(t *testing.T) {
	workspace(t)
	put(t, "runs/a/notes.txt", "mine")
	gone := func(path string) bool { _, err := os.Stat(path); return err != nil }
	if code, out, err := do("delete", "runs/a"); code != 2 || !strings.HasPrefix(out, "would remove runs/a, ") || gone("runs/a/result.json") ||
		err != "runs: nothing is removed without --yes\n" {
		t.Errorf("without --yes: exit %d\n%s%s", code, out, err)
	}
	lock, err := run.Acquire("runs/seeds/b-1", "train --config x.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if code, _, err := do("delete", "runs/a", "runs/seeds/b-1", "--yes"); code != 2 || !strings.Contains(err, `runs/seeds/b-1 is being written by "train --config x.yaml"`) || gone("runs/a/result.json") {
		t.Errorf("a run that is being written: exit %d\n%s", code, err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	code, out, text := do("delete", "--yes", "runs/a", "runs/seeds/b-1")
	if code != 0 || !strings.Contains(out, "removed runs/a, ") || !strings.Contains(out, "; other files in it stay: ") || !gone("runs/seeds/b-1") || gone("runs/a/notes.txt") || !gone("runs/a/result.json") {
		t.Errorf("exit %d\n%s%s", code, out, text)
	}
	if code, _, err := do("delete", "runs/other", "runs/open", "runs/none", "--yes"); code != 2 || gone("runs/open/config.yaml") ||
		err != "runs: runs/other is no run and no study\nruns: runs/none is no run and no study\n" {
		t.Errorf("what is no run: exit %d\n%s", code, err)
	}
	if code, out, err := do("delete", "runs/study", "--yes"); code != 0 || !gone("runs/study") {
		t.Errorf("a study: exit %d\n%s%s", code, out, err)
	}
}

func TestDisk(t *testing.T) {
	workspace(t)
	key := strings.Repeat("0123456789abcdef", 2)
	old := time.Now().Add(-5 * time.Hour)
	for _, name := range []string{key + ".json", key + "-train.bin"} {
		put(t, filepath.Join(".cache", name), strings.Repeat("x", 500))
		if err := os.Chtimes(filepath.Join(".cache", name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	code, out, err := do("disk")
	if code != 0 || !strings.HasPrefix(names(out), "5 runs in runs, study/trials/00000/seed-1, ") || !strings.Contains(out, "| 1 caches in .cache, 0 of them in use or just used | 1.0 KB |") {
		t.Errorf("exit %d\n%s%s", code, out, err)
	}
	if code, out, err := do("disk", "--evict", "100B"); code != 0 || !strings.HasSuffix(out, "\nremoved 1 caches, 1.0 KB\n") {
		t.Errorf("exit %d\n%s%s", code, out, err)
	}
	if left, _ := os.ReadDir(".cache"); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

func TestBadArguments(t *testing.T) {
	workspace(t)
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, "runs: say what to do: list, compare, delete or disk, such as runs list"},
		{[]string{"show"}, `runs: "show": want list, compare, delete or disk`},
		{[]string{"list", "--yes"}, "runs: list has no --yes"},
		{[]string{"list", "x"}, "runs: list takes no arguments; say where runs are with --dir"},
		{[]string{"list", "--dir", "none"}, "runs: there is no directory none; give another one with --dir"},
		{[]string{"list", "--where", "model"}, `runs: --where "model": want a key, one of = != < <= > >=, and a value, such as model=deepfm`},
		{[]string{"list", "--where", "auc>high"}, `runs: --where "auc>high": > wants a number, have "high"`},
		{[]string{"list", "--where", "model=[a"}, `runs: --where "model=[a": "[a" is no pattern: syntax error in pattern`},
		{[]string{"compare", "runs/a"}, "runs: compare wants two runs or more, such as runs compare runs/a runs/b"},
		{[]string{"compare", "runs/a", "runs/a", "runs/x"}, "runs: runs/a is given twice\nruns: runs/x is no run"},
		{[]string{"delete", "--yes"}, "runs: delete wants runs, such as runs delete runs/a"},
		{[]string{"disk", "--evict", "much"}, `runs: --evict: want a size such as 64GB or 512MiB, have "much"`},
	} {
		code, out, err := do(tc.args...)
		if code != app.ExitBadInput || strings.TrimSuffix(err, "\n") != tc.want || out != "" {
			t.Errorf("%v: exit %d\n%s%s, want %s", tc.args, code, out, err, tc.want)
		}
	}
	got := flagsFirst(Command(), []string{"compare", "a", "--html", "x", "b", "--quiet", "--sort=-auc", "--", "-c"})
	if want := []string{"--html", "x", "--quiet", "--sort=-auc", "--", "compare", "a", "b", "-c"}; !slices.Equal(got, want) {
		t.Errorf("flags first: %v, want %v", got, want)
	}
}

// TestThousand: 1,000 runs are listed, with a condition on a key of their configs, in a moment. It takes a fraction of a second on a machine that
// has nothing else to do.
func TestThousand(t *testing.T) {
	t.Chdir(t.TempDir())
	for i := range 1000 {
		generate(t, fmt.Sprintf("runs/%d/r%d", i%10, i), "deepfm", i%20, .5+float64(i)/3000)
	}
	start := time.Now()
	code, out, err := do("list", "--where", "train.epochs=2", "--sort", "-test.auc")
	took := time.Since(start)
	if rows := strings.Count(out, "\n") - 2; code != 0 || rows != 350 || !strings.HasPrefix(names(out), "8/r998, ") {
		t.Errorf("exit %d, %d rows, %.60s\n%s", code, rows, names(out), err)
	}
	t.Logf("1000 runs: %v", took)
	if took > 5*time.Second {
		t.Errorf("1000 runs took %v", took)
	}
}
