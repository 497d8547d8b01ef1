package figures

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/configs/job"
)

const runConfig = `seed: 1
data: {type: tastes, users: 30, items: 20, rows: 1500}
model: {type: mlp, embedding_dim: 4, hidden_units: [6, 5], batch_norm: true}
train: {batch_size: 200, epochs: 1, learning_rate: 0.01, embeddings: dense, patience: 0}
merge:
  regime: {type: independent, count: 2}
  align: {match: weights}
  method: {type: average, rows: counts}
  finetune: {epochs: 1, learning_rate: 0.001}
`

const figuresFile = `runs: cells
out: out
data: {name: Log, needs: [datasets/log/rows.tsv], stand_in: [train.log_steps=3]}
limit:
  config: run.yaml
  times: [1, 2]
  finetune: [1, 2]
  merges:
    - {name: CKI, set: ["merge.align={match: none}", "merge.select=['mlp.*.weight', '!*.bn.weight']", "merge.method={type: cki, train: {epochs: 1}}"]}
    - {name: branches, set: ["merge.regime={type: branch, epochs: 1, count: 2}"]}
barrier: {config: run.yaml, points: 4, metrics: [logloss, auc]}
layers: {config: run.yaml, set: &cki ["merge.select=['mlp.*.weight', '!*.bn.weight']", "merge.method={type: cki, train: {epochs: 1}}"]}
compatibility: {config: run.yaml, set: *cki, tensor: mlp.1.weight, most: 5}
similarity:
  config: run.yaml
  ways: [{name: independent}, {name: branches, set: ["merge.regime={type: branch, epochs: 1, count: 2}"]}]
  merges: [{name: average, set: ["merge.method={type: average}"]}]
rounds:
  config: run.yaml
  set: ["merge.regime={type: data, by: user, count: 2, trunk_steps: 2, trunk_share: 0.3}", "merge.align={match: none}"]
  every: [1, 0.5]
  stored: {file: stored.json, title: Stored, row: rounds, variants: [{variant: a, label: A}]}
quick: {seeds: 2, set: [train.log_steps=5]}
full: {seeds: 1}
`

const storedFile = `{"variants": [{"name": "a", "rows": [{"name": "rounds", "share_of_gap": {"mean": 0.5, "low": 0.25, "high": 0.75}}]}]}`

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// desk is a directory with a config and a file of figures.
func desk(t *testing.T, text string) (do func(args ...string) (out, log string, code int)) {
	t.Helper()
	t.Chdir(t.TempDir())
	put(t, "run.yaml", runConfig)
	put(t, "stored.json", storedFile)
	put(t, "f.yaml", text)
	return func(args ...string) (string, string, int) {
		var out, log bytes.Buffer
		c := newCommand()
		c.Out, c.Err = &out, &log
		code := c.Exec(args)
		return out.String(), log.String(), code
	}
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(b)
	}
	return out
}

// Every figure is made on generated rows. A second command makes no run again and draws the same, byte by byte.
func TestFigures(t *testing.T) {
	do := desk(t, figuresFile)
	out, log, code := do("f.yaml", "--quick")
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, log)
	}
	names := []string{"limit", "barrier", "layers", "compatibility", "similarity", "rounds"}
	var want []string
	for _, n := range names {
		want = append(want, "out/"+n+".svg")
	}
	if got := strings.Fields(out); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("printed %q", got)
	}
	first := files(t, "out")
	if len(first) != 4*len(names) {
		t.Errorf("%d files", len(first))
	}
	// 2 lengths, 2 merges with 2 trainings after each, one line, one splice that two figures share, 2 ways, 2 intervals: of 2 seeds.
	cells, _ := filepath.Glob("cells/*.json")
	if len(cells) != 2*(2+4+1+1+2+2) {
		t.Errorf("%d runs", len(cells))
	}
	read := func(name string) *figure.Figure {
		t.Helper()
		f, _, err := figure.Read(filepath.Join("out", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if !f.StandIn || f.Size != "quick" || f.Data != "Log" || f.Command != "go run ./cmd/figures f.yaml --quick" || len(f.Made) == 0 || len(f.Cells) == 0 || f.Settings == "" {
			t.Errorf("%s: %+v", name, f)
		}
		return f
	}
	l := read("limit").Panels[0].Series
	var at [][]float64
	for _, s := range l {
		var x []float64
		for _, p := range s.Points {
			if !(p.Y > .3 && p.Y < 1 && p.Low < p.Y && p.Y < p.High) {
				t.Errorf("limit, %s: %+v", s.Name, p)
			}
			x = append(x, float64(p.X))
		}
		at = append(at, x)
	}
	// two parents of 1 pass and 1 of the assessors; a trunk of 1 pass and two branches of 1
	for i, want := range [][]float64{{1, 2}, {3, 4, 5}, {3, 4, 5}} {
		for k := range want {
			if len(at) <= i || len(at[i]) != len(want) || at[i][k] != want[k] {
				t.Fatalf("passes %v", at)
			}
		}
	}
	b := read("barrier")
	if len(b.Panels) != 2 || len(b.Panels[0].Series) != 2 || len(b.Panels[0].Series[0].Points) != 4 || b.Panels[0].Series[0].Points[1].X != 1./3 {
		t.Errorf("barrier: %+v", b.Panels[0].Series[0])
	}
	// Both lines end in the parents, which alignment only permutes.
	for _, k := range []int{0, 3} {
		if x, y := b.Panels[0].Series[0].Points[k].Y, b.Panels[0].Series[1].Points[k].Y; math.Abs(float64(x-y)) > 1e-5 {
			t.Errorf("the lines end in %v and %v", x, y)
		}
	}
	if p := read("layers").Panels; len(p) != 2 || strings.Join(p[0].Rows, " ") != "mlp.0.weight mlp.1.weight mlp.2.weight" || len(p[1].Series[1].Points) != 3 {
		t.Errorf("layers: %+v", p[0].Rows)
	} else {
		for _, q := range p[1].Series[1].Points {
			if q.X < .413 || q.X > .587 { // what the published form can give
				t.Errorf("a mean weight of %v", q.X)
			}
		}
	}
	h := read("compatibility").Panels[0].Heat.Values
	if len(h) != 5 || len(h[0]) != 5 {
		t.Fatalf("a map of %d rows", len(h))
	}
	for _, line := range h {
		for _, w := range line {
			if w < .413 || w > .587 {
				t.Errorf("a weight of %v", w)
			}
		}
	}
	s := read("similarity").Panels[0]
	if len(s.Series) != 2 || s.Series[0].Points[0].X >= s.Series[1].Points[0].X {
		t.Errorf("independent runs are more alike than branches: %+v, %+v", s.Series[0].Points, s.Series[1].Points)
	}
	r := read("rounds").Panels
	mb := r[1].Series[0].Points
	if p := r[0].Series[0].Points; len(r) != 3 || p[0].X != 1 || p[1].X != 2 || mb[1].X != 2*mb[0].X || r[2].Series[0].Points[0].Low != 25 {
		t.Errorf("rounds: %+v, %+v", p, mb)
	}
	again, log, code := do("f.yaml", "--quick")
	if code != 0 || again != out {
		t.Fatalf("again: exit %d\n%s", code, log)
	}
	for name, text := range files(t, "out") {
		if first[name] != text {
			t.Errorf("%s is another file", name)
		}
	}
	// A changed override makes other runs; a run that was removed is made again, and the figure is the same but for its date.
	if _, log, code := do("f.yaml", "--quick", "--only", "barrier", "--set", "train.learning_rate=0.02"); code != 0 {
		t.Fatal(log)
	}
	if files(t, "out")["barrier.csv"] == first["barrier.csv"] {
		t.Error("another learning rate gives the same figure")
	}
	if err := os.RemoveAll("cells"); err != nil {
		t.Fatal(err)
	}
	if _, log, code := do("f.yaml", "--quick", "--only", "barrier"); code != 0 || files(t, "out")["barrier.csv"] != first["barrier.csv"] {
		t.Errorf("made again: exit %d\n%s", code, log)
	}
}

// An interrupted command goes on, and comes to the same.
func TestInterrupted(t *testing.T) {
	do := desk(t, figuresFile)
	if _, log, code := do("f.yaml", "--quick", "--only", "similarity"); code != 0 {
		t.Fatal(log)
	}
	want := files(t, "out")["similarity.csv"]
	if err := os.RemoveAll("cells"); err != nil {
		t.Fatal(err)
	}
	f, err := load("f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := app.New("figures", "", nil)
	c.Out, c.Err = &bytes.Buffer{}, &bytes.Buffer{}
	list, _ := f.wanted([]string{"similarity"})
	m, err := f.maker(asked{quick: true}, c, list)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	old, n := m.job, 0
	m.job = func(x *cell) job.Job {
		if n++; n == 3 {
			stop()
		}
		return old(x)
	}
	if err := m.all(ctx, "f.yaml", list); err == nil || !strings.Contains(err.Error(), "what is done is kept, and the same command goes on") {
		t.Fatalf("%v", err)
	}
	if cells, _ := filepath.Glob("cells/*.json"); len(cells) != 2 {
		t.Errorf("%d runs are kept", len(cells))
	}
	if _, log, code := do("f.yaml", "--quick", "--only", "similarity"); code != 0 || files(t, "out")["similarity.csv"] != want {
		t.Errorf("exit %d\n%s", code, log)
	}
}

func TestBadFigures(t *testing.T) {
	for _, tc := range []struct {
		name, old, with string
		args            []string
		want            string
	}{
		{"no size", "", "", []string{"f.yaml"}, "give --quick"},
		{"both sizes", "", "", []string{"f.yaml", "--quick", "--full"}, "give --quick"},
		{"no file", "", "", []string{"--quick"}, "give one file"},
		{"only", "", "", []string{"f.yaml", "--quick", "--only", "x"}, "--only x: there are limit, barrier, layers"},
		{"unknown key", "points:", "point:", []string{"f.yaml", "--quick"}, "unknown key"},
		{"points", "points: 4", "points: 1", []string{"f.yaml", "--quick"}, "barrier.points: must be at least 2"},
		{"times", "times: [1, 2]", "times: [1]", []string{"f.yaml", "--quick"}, "limit.times: give at least two"},
		{"every", "every: [1, 0.5]", "every: [0]", []string{"f.yaml", "--quick"}, "rounds.every: must be above 0"},
		{"seeds", "seeds: 2", "seeds: 0", []string{"f.yaml", "--quick"}, "quick.seeds: must be at least 1"},
		{"override", "merge.method={type: average}", "merge.mothod={type: average}", []string{"f.yaml", "--quick"}, "similarity: --set merge.mothod"},
		{"data", ", stand_in: [train.log_steps=3]", "", []string{"f.yaml", "--quick"}, "the files of Log are not there: datasets/log/rows.tsv"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(figuresFile, tc.old, tc.with, 1)
			do := desk(t, text)
			if out, log, code := do(tc.args...); code != 2 || !strings.Contains(log, tc.want) || out != "" {
				t.Errorf("exit %d, want %q in\n%s", code, tc.want, log)
			}
			if list, _ := filepath.Glob("cells/*"); len(list) > 0 {
				t.Errorf("%d runs were made before the mistake was seen", len(list))
			}
		})
	}
}

// The weight is that of merged = w·a + (1-w)·b.
func TestShare(t *testing.T) {
	if w := share(2, 1, 1.25); w != .25 {
		t.Error(w)
	}
	if w := share(1, 1.000001, 1); w == w {
		t.Errorf("%v of parents that are nearly equal", w)
	}
	tensors := []report.TensorStats{
		{Shape: []int{2, 3}, Parents: []report.Pair{{Cosine: .5}}},
		{Shape: []int{2}, Parents: []report.Pair{{Cosine: 1}}, Before: []report.Pair{{Cosine: -.5}}},
		{Shape: []int{9}, Parents: []report.Pair{{Cosine: report.Float(math.NaN())}}},
	}
	if c := cosine(tensors); c != (6*.5-2*.5)/8 {
		t.Error(c)
	}
	if c := cosine(nil); c == c {
		t.Error(c)
	}
}

// The file of the repository can be planned in both sizes, with its data and without.
func TestFile(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", ".."))
	data := t.TempDir()
	put(t, filepath.Join(data, "frappe", "frappe.csv"), "")
	f, err := load(filepath.Join("scripts", "figures.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []asked{{quick: true, data: t.TempDir()}, {quick: true, data: data}, {full: true, data: data}} {
		list, _ := f.wanted(nil)
		m, err := f.maker(a, newCommand(), list)
		if err == nil {
			err = m.plan(list)
		}
		if err != nil || len(list) != 6 || len(m.cells) < 50 {
			t.Errorf("%+v: %v", a, err)
		}
		if a.data != data && !there(f.Data.Needs[0]) && !m.standIn {
			t.Error("no stand-in takes the place of the data")
		}
	}
	if b, err := os.ReadFile(filepath.Join("scripts", "figures.sh")); err != nil || !strings.Contains(string(b), "go run ./cmd/figures scripts/figures.yaml ") {
		t.Error(err)
	}
	p, err := f.Rounds.Stored.panel()
	if err != nil || len(p.Rows) != 5 || !(p.Series[0].Points[0].X > 97 && p.Series[0].Points[0].X < 99) { // docs/results.md: 98 %
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := values([]*cell{{stored: &stored{Rows: compare.Rows{{Name: "base"}}}, dir: "d"}}, "merge", "auc"); err == nil || err.Error() != "d has no row merge" {
		t.Error(err)
	}
}
