package table

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/configs"
)

const runConfig = `data: {type: criteo, path: rows.tsv}
model: {type: lr}
`

const tableFile = `title: two variants
seeds: 3
recipe: merge
runs: made
out: out/table.json
set: [train.epochs=2]
variants:
  - {name: plain one, config: run.yaml}
  - {name: slow, config: run.yaml, set: [train.learning_rate=0.5], recipe: base}
`

// desk is a directory with a config and a table file, and a command whose merges are made up.
type desk struct {
	out, log bytes.Buffer
	dirs     []string // of the merges, in order
	seen     []*configs.Experiment
	merge    merger // nil: made
}

func newDesk(t *testing.T, table string) *desk {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"run.yaml": runConfig, "t.yaml": table} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return &desk{}
}

func (d *desk) run(args ...string) int {
	c := newCommand(func(ctx context.Context, c *app.Command, e *configs.Experiment, dir string) (*compare.Table, error) {
		d.dirs, d.seen = append(d.dirs, filepath.ToSlash(dir)), append(d.seen, e)
		if d.merge != nil {
			return d.merge(ctx, c, e, dir)
		}
		return made(e), nil
	})
	d.out.Reset()
	d.log.Reset()
	c.Out, c.Err = &d.out, &d.log
	return c.Exec(args)
}

// made is a comparison: merges gain 1, 2, 3 thousandths of gaps of 3, 4, 5 with seeds 1, 2, 3, as in the test of report.GapShare.
func made(e *configs.Experiment) *compare.Table {
	s := float64(e.Seed)
	row := func(name compare.RowName, test float64) compare.Row {
		return compare.Row{
			Name: name, Note: fmt.Sprintf("note of %s", name), Valid: map[string]float64{"auc": test - .1},
			Test: map[string]float64{"auc": test, "logloss": .5}, Seconds: s,
		}
	}
	base := .9 + .01*s
	return &compare.Table{
		Digest: fmt.Sprint("d", e.Seed), Seed: e.Seed, Model: "lr", Data: "criteo", Metric: "auc",
		Passed: []compare.RowName{"", compare.RowMerge, compare.RowBestParent, compare.RowMerge}[e.Seed],
		Rows: []compare.Row{
			row("base", base), row("best parent", base), row("ensemble", base+.002), row("merge", base+.001*s),
			row("all data", base+.001*(s+2)),
		},
	}
}

// plain has one space between cells.
func plain(s string) string { return regexp.MustCompile(` +`).ReplaceAllString(s, " ") }

func TestTable(t *testing.T) {
	d := newDesk(t, tableFile)
	if code := d.run("t.yaml", "--set", "threads=1", "--set", "train.batch_size=10", "--quiet"); code != 0 {
		t.Fatalf("exit %d\n%s", code, &d.log)
	}
	want := []string{"made/plain_one/1", "made/plain_one/2", "made/plain_one/3", "made/slow/1", "made/slow/2", "made/slow/3"}
	if !slices.Equal(d.dirs, want) {
		t.Errorf("merges in %v, want %v", d.dirs, want)
	}
	for i, e := range d.seen {
		rate := []float64{configs.Default().Train.LearningRate, .5}[i/3]
		if e.Seed != uint64(i%3+1) || e.Train.Epochs != 2 || e.Train.BatchSize != 10 || e.Threads != 1 || e.Train.LearningRate != rate {
			t.Errorf("merge %d: seed %d, %d epochs of batches of %d, %d threads, rate %v", i, e.Seed, e.Train.Epochs, e.Train.BatchSize, e.Threads,
				e.Train.LearningRate)
		}
	}
	text := plain(d.out.String())
	for _, line := range []string{
		"plain one, 3 seeds; differences are paired, with 95 % intervals",
		"merge 0.92200 0.01100 +0.00200 [-0.00048, +0.00448] 50 % [-32, 69]",
		"best parent 0.92000 0.01000 +0.00200 [-0.00048, +0.00448]",
		"The best parent was passed on in 1 of 3 seeds, since no merge was better on validation.",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("want the line %q in\n%s", line, text)
		}
	}

	b, err := os.ReadFile("out/table.json")
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if r.Command != "go run ./cmd/table t.yaml --set 'train.batch_size=10'" || r.Title != "two variants" || r.Seeds != 3 ||
		len(r.Variants) != 2 {
		t.Errorf("result %+v", r)
	}
	v := r.Variants[1]
	if v.Name != "slow" || v.Recipe != "base" || v.Config != "run.yaml" || !slices.Equal(v.Digests, []string{"d1", "d2", "d3"}) ||
		!slices.Equal(v.Passed, []compare.RowName{"merge", "best parent", "merge"}) {
		t.Errorf("variant %+v", v)
	}
	rows := map[compare.RowName]*tabled{}
	for _, x := range v.Rows {
		rows[x.Name] = x
	}
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	m := rows["merge"]
	if !near(float64(m.Mean), .922) || !near(float64(m.SD), .011) || m.Note != "note of merge" || m.Seconds != 2 ||
		m.Metrics["logloss"].Mean != .5 || !near(m.Valid[2], .833) {
		t.Errorf("merge: %+v", m)
	}
	if !near(float64(m.Recipe.Mean), -.002) || !near(float64(m.Ensemble.Mean), 1) || !near(float64(m.Gap.Mean), .5) {
		t.Errorf("merge: base minus this %+v, of the ensemble %+v, of the gap %+v", m.Recipe, m.Ensemble, m.Gap)
	}
	// Passed on with seed 2 is the best parent, whose gain is 0.
	if p := rows["passed on"]; !near(float64(p.Parent.Mean), .004/3) || rows["best parent"].Parent != nil {
		t.Errorf("passed on: %+v", p.Parent)
	}
}

func TestMarkdown(t *testing.T) {
	d := newDesk(t, tableFile)
	if code := d.run("--quiet", "--markdown", "--out", "other.json", "t.yaml"); code != 0 {
		t.Fatalf("exit %d\n%s", code, &d.log)
	}
	for _, line := range []string{
		"| auc, test | mean | sd | minus best parent | merge minus this | share of gap to all data |", "|---|---:|---:|---:|---:|---:|",
		"| all data | 0.92400 | 0.01100 | +0.00400 [+0.00152, +0.00648] | -0.00200 [-0.00200, -0.00200] | 100 % [100, 100] |",
	} {
		if !strings.Contains(d.out.String(), "\n"+line+"\n") {
			t.Errorf("want the line %q in\n%s", line, &d.out)
		}
	}
	if _, err := os.Stat("other.json"); err != nil {
		t.Error(err)
	}
}

func TestIntervalText(t *testing.T) {
	nan := report.Float(math.NaN())
	for _, tc := range []struct {
		i    *interval
		want string
	}{
		{nil, ""},
		{&interval{nan, nan, nan}, ""},
		{&interval{.5, nan, nan}, "50 %"},
		{&interval{-.001, -.004, .25}, "0 % [0, 25]"},
		{&interval{-.1, -.2, -.06}, "-10 % [-20, -6]"},
	} {
		if got := tc.i.text("%.0f", 100, " %"); got != tc.want {
			t.Errorf("%+v is %q, want %q", tc.i, got, tc.want)
		}
	}
}

// TestUnclearShare: a share of a gain that may be none is not printed, as it can have any size; the others are.
func TestUnclearShare(t *testing.T) {
	nan := report.Float(math.NaN())
	s := &summary{Metric: "auc", Recipe: "merge", Passed: []compare.RowName{"merge", "merge"}, Rows: []*tabled{
		{Name: "merge", Mean: .75, SD: .5, Ensemble: &interval{-36, nan, nan}}, {Name: "base", Mean: .5, SD: .5, Ensemble: &interval{.5, .25, 1}},
	}}
	var b strings.Builder
	if err := s.print(&b, false); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"merge 0.75000 0.50000\n", "base 0.50000 0.50000 50 % [25, 100]\n", "Shares are left out where"} {
		if !strings.Contains(plain(b.String()), line) {
			t.Errorf("want the line %q in\n%s", line, &b)
		}
	}
	if s.Rows[0].Ensemble == nil {
		t.Error("printing changed the summary, which is written to a file")
	}
}

func TestOneSeed(t *testing.T) {
	d := newDesk(t, strings.Replace(tableFile, "seeds: 3", "seeds: 1", 1))
	if code := d.run("t.yaml", "--quiet"); code != 0 {
		t.Fatalf("exit %d\n%s", code, &d.log)
	}
	if line := "merge 0.91100 - +0.00100 33 %\n"; !strings.Contains(plain(d.out.String()), line) ||
		!strings.Contains(d.out.String(), "plain one, 1 seed;") {
		t.Errorf("want the line %q without intervals in\n%s", line, &d.out)
	}
}

// TestInterrupted: what was done is kept, and the exit code says that it can go on.
func TestInterrupted(t *testing.T) {
	d := newDesk(t, tableFile)
	d.merge = func(_ context.Context, _ *app.Command, e *configs.Experiment, _ string) (*compare.Table, error) {
		if len(d.dirs) == 5 {
			return nil, fmt.Errorf("training: %w", context.Canceled)
		}
		return made(e), nil
	}
	if code := d.run("t.yaml", "--quiet"); code != app.ExitInterrupted {
		t.Errorf("exit %d, want %d", code, app.ExitInterrupted)
	}
	if !strings.Contains(d.log.String(), "slow, seed 2, after 4 of 6 merges; what is done is kept") {
		t.Errorf("log %s", &d.log)
	}
	if !strings.Contains(d.out.String(), "plain one, 3 seeds") {
		t.Errorf("the variant that is done was not printed:\n%s", &d.out)
	}
	if _, err := os.Stat("out"); err == nil {
		t.Error("a result was written of half a table")
	}
}

func TestBadTables(t *testing.T) {
	for _, tc := range []struct {
		name, table, want string
	}{
		{"empty", "", "is empty"},
		{"unknown key", "seed: 3\n" + tableFile, "t.yaml:1: seed: unknown key; did you mean \"seeds\"?"},
		{"no variants", "variants: []\n", "variants: is empty"},
		{"none", "seeds: 2\n", "variants: is missing"},
		{"no seeds", strings.Replace(tableFile, "seeds: 3", "seeds: 0", 1), "seeds: must be at least 1"},
		{"no config", "variants: [{name: a}]\n", "variants.0.config: is missing"},
		{"same directory", strings.Replace(tableFile, "name: slow", "name: plain_one", 1), `two are called "plain_one"`},
		{"outside", strings.Replace(tableFile, "name: slow", "name: ../x", 1), "variants.1.name: must be good for a directory"},
		{"missing config", strings.Replace(tableFile, "run.yaml, set", "nun.yaml, set", 1), "variant slow: nun.yaml: no such file"},
		{
			"bad override", strings.Replace(tableFile, "learning_rate=0.5", "learning_rat=0.5", 1),
			"variant slow: --set train.learning_rat=0.5: train.learning_rat: unknown key",
		},
		{
			"no such row", strings.Replace(tableFile, "recipe: base", "recipe: bass", 1),
			`slow, seed 1, after 3 of 6 merges; what is done is kept, and the same command goes on: there is no row "bass" to compare with: set recipe to one of base, best parent, `,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDesk(t, tc.table)
			if code := d.run("t.yaml", "--quiet"); code != app.ExitBadInput || !strings.Contains(d.log.String(), tc.want) {
				t.Errorf("exit %d, want %d with %q in\n%s", code, app.ExitBadInput, tc.want, &d.log)
			}
			if len(d.dirs) > 0 && tc.name != "no such row" {
				t.Errorf("%d merges were made before the mistake was seen", len(d.dirs))
			}
		})
	}
	d := newDesk(t, tableFile)
	for _, args := range [][]string{{}, {"none.yaml"}, {"t.yaml", "t.yaml"}, {"t.yaml", "--nonsense"}} {
		if code := d.run(args...); code != app.ExitBadInput || len(d.dirs) > 0 {
			t.Errorf("%v: exit %d after %d merges, want %d", args, code, len(d.dirs), app.ExitBadInput)
		}
	}
}

func TestBadMerges(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(x *compare.Table)
		err    error
		want   string
		code   int
	}{
		{"no test rows", func(x *compare.Table) { x.Rows[1].Test = nil }, nil, "row best parent has no auc on test rows", app.ExitBadInput},
		{"passed on nothing", func(x *compare.Table) { x.Passed = "gone" }, nil, `"gone", is no row`, app.ExitFailed},
		{"uneven", func(x *compare.Table) {
			if x.Seed == 2 {
				x.Rows = x.Rows[1:]
			}
		}, nil, "row base is not in every seed", app.ExitFailed},
		{"one more", func(x *compare.Table) {
			if x.Seed == 2 {
				x.Rows = append(x.Rows, compare.Row{Name: "new", Test: x.Rows[0].Test})
			}
		}, nil, "row new is not in every seed", app.ExitFailed},
		{
			"twice", func(x *compare.Table) { x.Rows = append(x.Rows, x.Rows[0]) }, nil, "row base is not in every seed, or twice in one",
			app.ExitFailed,
		},
		{"mixed", func(x *compare.Table) { x.Synthetic = x.Seed == 1 }, nil, "synthetic", app.ExitFailed},
		{
			"failed", nil, errors.New("disk full"),
			"plain one, seed 1, after 0 of 6 merges; what is done is kept, and the same command goes on: disk full", app.ExitFailed,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDesk(t, tableFile)
			d.merge = func(_ context.Context, _ *app.Command, e *configs.Experiment, _ string) (*compare.Table, error) {
				if tc.err != nil {
					return nil, tc.err
				}
				x := made(e)
				tc.change(x)
				return x, nil
			}
			if code := d.run("t.yaml", "--quiet"); code != tc.code || !strings.Contains(d.log.String(), tc.want) {
				t.Errorf("exit %d, want %d with %q in\n%s", code, tc.code, tc.want, &d.log)
			}
		})
	}
}

// TestTableFiles: every table file of the repository is good, and so are the configs that it names.
func TestTableFiles(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", ".."))
	files, err := filepath.Glob(filepath.Join("scripts", "table_*.yaml"))
	if err != nil || len(files) == 0 {
		t.Skipf("no table files: %v", err)
	}
	runs := map[string]string{}
	for _, path := range files {
		f, err := load(path)
		if err != nil {
			t.Error(err)
			continue
		}
		jobs, err := f.plan(nil)
		if err != nil {
			t.Error(err)
		}
		for _, list := range jobs {
			for _, j := range list {
				if other, ok := runs[j.dir]; ok {
					t.Errorf("%s and %s both run in %s", path, other, j.dir)
				}
				runs[j.dir] = path
			}
		}
	}
}

// A metric that is undefined in one seed has no mean over the seeds. What else there is, is reported.
func TestUndefinedMetric(t *testing.T) {
	d := newDesk(t, tableFile)
	d.merge = func(_ context.Context, _ *app.Command, e *configs.Experiment, _ string) (*compare.Table, error) {
		x := made(e)
		if e.Seed == 2 {
			x.Rows.Get("merge").Test["auc"] = math.NaN()
		}
		return x, nil
	}
	if code := d.run("t.yaml", "--quiet"); code != 0 {
		t.Fatalf("exit %d\n%s", code, &d.log)
	}
	for _, line := range []string{"merge n/a n/a\n", "base 0.92000 0.01000 +0.00000 [+0.00000, +0.00000] 0 % [0, 0]\n"} {
		if !strings.Contains(plain(d.out.String()), line) {
			t.Errorf("want the line %q in\n%s", line, &d.out)
		}
	}
	b, err := os.ReadFile("out/table.json")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`"test": \[\s*0\.91\d*,\s*null,\s*0\.93`).Match(b) {
		t.Errorf("the file has no null:\n%s", b)
	}
}
