package job_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
)

// inspected is a small run over rows of clicks that depend on ad, hour and price, and not on noise. %s has further options of the data.
const inspected = `data:
  type: csv
  path: rows.csv
  label: click
  columns:
    ad: {type: categorical, share: ads}
    noise: categorical
    weekday: {type: categorical, from: time, derive: weekday}
    hour: {type: categorical, from: time, derive: hour}
    price: numeric
    tags: {type: multi, separator: "|", max_len: 4}
    before: {type: multi, separator: "|", max_len: 4, share: ads}
  split: {by: order, ratio: [0.6, 0.2, 0.2]}
model: {type: deepfm, embedding_dim: 4, hidden_units: [8]}
task: {type: binary_classification, metrics: [auc, logloss, calibration]}
train: {batch_size: 64, epochs: 2, learning_rate: 0.02, patience: 0}
`

// clicks returns rows for the config above.
func clicks(n int) string {
	var b strings.Builder
	b.WriteString("click,ad,noise,time,price,tags,before\n")
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		ad, time, price := r.IntN(8), 1_700_000_000+r.IntN(30*86400), 10*r.Float64()
		z := 1.5*(float64(ad%4)-1.5) + 0.2*(price-5)
		if time/3600%24 < 8 {
			z++
		}
		y := 0
		if r.Float64() < 1/(1+math.Exp(-z)) {
			y = 1
		}
		fmt.Fprintf(&b, "%d,a%d,n%d,%d,%.3f,t%d|t%d,a%d\n", y, ad, r.IntN(5), time, price, r.IntN(3), r.IntN(3), r.IntN(8))
	}
	return b.String()
}

// clicked trains the run in a directory of its own, which is the working directory of the test then, with keys that are set, and opens it.
func clicked(t *testing.T, set ...string) *job.Ensemble {
	t.Helper()
	t.Chdir(t.TempDir())
	write(t, "rows.csv", clicks(1500))
	write(t, "c.yaml", inspected)
	trainClicks(t, "r", set...)
	return opened(t, "r")
}

func trainClicks(t *testing.T, dir string, set ...string) {
	t.Helper()
	e, err := configs.Load("c.yaml", set)
	if err != nil {
		t.Fatal(err)
	}
	j := job.Job{Experiment: e, Dir: filepath.Clean(dir)}
	if _, err := j.Train(t.Context(), job.TrainOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
}

func opened(t *testing.T, dirs ...string) *job.Ensemble {
	t.Helper()
	e, err := job.OpenEnsemble(dirs, nil, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestImportance(t *testing.T) {
	e := clicked(t)
	o := job.ImportanceDefaults()
	o.Repeats = 3
	im, err := e.Importance(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, c := range im.Columns {
		names = append(names, c.Name)
		if i > 0 && c.Drop > im.Columns[i-1].Drop {
			t.Errorf("%s, %v, is behind %s, %v", c.Name, c.Drop, im.Columns[i-1].Name, im.Columns[i-1].Drop)
		}
	}
	if im.Part != "valid" || im.Metric != "auc" || !im.Higher || im.Rows != 300 || im.Of != 300 || names[0] != "ad" || len(names) != 6 || im.Columns[0].Drop < 0.1 {
		t.Errorf("importances %+v, want ad to be first of 6 columns of 300 validation rows", im)
	}
	var scores job.Scores
	if err := e.Evaluate(t.Context(), "", "valid", func(s job.Scores) error { scores = s; return nil }); err != nil {
		t.Fatal(err)
	}
	if scores.Metrics["auc"] != im.Value {
		t.Errorf("the auc of the rows as they are is %v, want that of evaluate, %v", im.Value, scores.Metrics["auc"])
	}
	again, err := opened(t, "r").Importance(t.Context(), o)
	if err != nil || !reflect.DeepEqual(again, im) {
		t.Errorf("again, it is %+v, %v", again, err)
	}
	o.Rows, o.Split, o.Metric = 100, "test", "logloss"
	if im, err = e.Importance(t.Context(), o); err != nil || im.Part != "test" || im.Rows != 100 || im.Of != 300 || im.Higher || im.Columns[0].Name != "ad" || im.Columns[0].Drop < 0.05 {
		t.Errorf("of 100 test rows: %+v, %v", im, err)
	}
	o.Path, o.Split = "rows.csv", ""
	if im, err = e.Importance(t.Context(), o); err != nil || im.Part != "rows.csv" || im.Rows != 100 || im.Of != 1500 {
		t.Errorf("of a file: %+v, %v", im, err)
	}
	for _, tc := range []struct {
		change func(o *job.ImportanceOptions)
		want   string
	}{
		{func(o *job.ImportanceOptions) { o.Repeats = 0 }, "--repeats 0, --rows 100: want numbers above 0"},
		{func(o *job.ImportanceOptions) { o.Metric = "mcc" }, "--metric mcc: the task of r has auc, logloss, calibration; others are given with --set, as task.metrics"},
		{func(o *job.ImportanceOptions) { o.Metric = "calibration" }, "--metric calibration: neither a high nor a low one is best, so nothing can make it worse"},
		{func(o *job.ImportanceOptions) { o.Split = "test" }, "--data and --split exclude each other"},
		{func(o *job.ImportanceOptions) { o.Rows, o.Metric = 1, "auc" }, "auc is undefined on these rows (needs both classes, have 1 positives in 1 rows): give other ones, or more"},
	} {
		bad := o
		tc.change(&bad)
		_, err := e.Importance(t.Context(), bad)
		refused(t, err, tc.want)
	}
	trainClicks(t, "s", "seed=2")
	_, err = opened(t, "r", "s").Importance(t.Context(), o)
	refused(t, err, "--importance is of one run: give --run once")
}

// slicesOf returns the only part's slices.
func slicesOf(t *testing.T, e *job.Ensemble, o job.SliceOptions) *job.SliceScores {
	t.Helper()
	var out *job.SliceScores
	if err := e.Slices(t.Context(), o, func(s *job.SliceScores) error { out = s; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSlices: the metrics of a slice are those of its rows alone.
func TestSlices(t *testing.T) {
	e := clicked(t)
	text := clicks(400)
	write(t, "all.csv", text)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	filtered := func(keep func(cells []string) bool) (rows int64, m map[string]float64) {
		kept := lines[:1:1]
		for _, line := range lines[1:] {
			if keep(strings.Split(line, ",")) {
				kept = append(kept, line)
			}
		}
		write(t, "some.csv", strings.Join(kept, "\n")+"\n")
		if err := e.Evaluate(t.Context(), "some.csv", "", func(s job.Scores) error { m = s.Metrics; return nil }); err != nil {
			t.Fatal(err)
		}
		return int64(len(kept) - 1), m
	}
	s := slicesOf(t, e, job.SliceOptions{Path: "all.csv", By: []string{"ad", "tags", "time"}})
	if len(s.Columns) != 3 || len(s.Columns[0].Slices) != 8 || len(s.Columns[1].Slices) != 3 || len(s.Columns[2].Slices) != 21 || s.All.Rows != 400 {
		t.Fatalf("slices %+v", s)
	}
	for c, column := range s.Columns[:2] {
		for k, one := range column.Slices {
			rows, m := filtered(func(cells []string) bool {
				return c == 0 && cells[1] == one.Value || c == 1 && strings.Contains(cells[5], one.Value)
			})
			if one.Rows != rows || one.Share != float64(rows)/400 {
				t.Errorf("%s %s: %d rows, share %v; want %d of 400", column.Column, one.Value, one.Rows, one.Share, rows)
			}
			for name, v := range m {
				if got := one.Metrics[name]; got.Value != v || !(got.Low <= v && v <= got.High && got.Low < got.High) {
					t.Errorf("%s %s: %s %+v, want %v", column.Column, one.Value, name, got, v)
				}
			}
			if k > 0 && one.Rows > column.Slices[k-1].Rows {
				t.Errorf("%s %s, of %d rows, is behind %d", column.Column, one.Value, one.Rows, column.Slices[k-1].Rows)
			}
		}
	}
	if last := s.Columns[2].Slices[20]; !last.Rest || !strings.HasPrefix(last.Value, "others (3") || last.Rows < 370 {
		t.Errorf("the last slice of times is %+v, want the others", last)
	}
	if again := slicesOf(t, opened(t, "r"), job.SliceOptions{Path: "all.csv", By: []string{"ad", "tags", "time"}}); fmt.Sprint(again) != fmt.Sprint(s) {
		t.Errorf("again, it is %+v", again)
	}
	worst := slicesOf(t, e, job.SliceOptions{Split: "test", By: []string{"price", "hour"}, Metric: "logloss", Sort: job.ByWorst})
	for _, c := range worst.Columns {
		for k := range c.Slices[1:] {
			a, b := c.Slices[k], c.Slices[k+1]
			if len(a.Metrics) != 1 || a.Metrics["logloss"].Value < b.Metrics["logloss"].Value && !b.Rest {
				t.Errorf("%s: %+v comes before %+v", c.Column, a, b)
			}
		}
	}
	small := slicesOf(t, e, job.SliceOptions{Split: "test", By: []string{"ad"}, Sort: job.BySmallest}).Columns[0].Slices
	if small[0].Rows > small[7].Rows {
		t.Errorf("the smallest of %+v is not the first", small)
	}
	for _, tc := range []struct {
		o    job.SliceOptions
		want string
	}{
		{job.SliceOptions{By: []string{"time"}}, "--by time: the run has no such column (it has ad, noise, price, tags, before, hour, weekday); " +
			"other columns of a CSV or Parquet file are read beside the rows of --data"},
		{job.SliceOptions{By: []string{"ad", "ad"}}, "--by: ad is given twice"},
		{job.SliceOptions{By: []string{"when"}, Path: "all.csv"}, "when"},
		{job.SliceOptions{By: []string{"ad"}, Sort: "rows"}, `--sort "rows": want size, smallest or worst`},
		{job.SliceOptions{By: []string{"ad"}, Sort: job.ByWorst, Metric: "calibration"}, "--sort worst: neither a high nor a low calibration is worst: name another metric with --metric"},
		{job.SliceOptions{By: []string{"ad"}, Metric: "mcc"}, "--metric mcc: the task of r has auc, logloss, calibration; others are given with --set, as task.metrics"},
	} {
		refused(t, e.Slices(t.Context(), tc.o, func(*job.SliceScores) error { return nil }), tc.want)
	}
}

// TestSlicesOfTasks: slices of a model of several tasks, of rows with weights and some labels missing, and of two runs as one.
func TestSlicesOfTasks(t *testing.T) {
	t.Chdir(t.TempDir())
	head, rows, _ := strings.Cut(clicks(900), "\n")
	var b strings.Builder
	fmt.Fprintf(&b, "%s,stars,w\n", head)
	for i, line := range strings.Split(strings.TrimSpace(rows), "\n") {
		fmt.Fprintf(&b, "%s,%s,%s\n", line, []string{"one", "two", ""}[i*i%3], []string{"1", "2", "0"}[i*7%5%3])
	}
	write(t, "rows.csv", b.String())
	write(t, "c.yaml", `data:
  type: csv
  path: rows.csv
  label: [click, stars]
  class_labels: {stars: [one, two]}
  weight: w
  columns: {ad: categorical, noise: categorical, price: numeric, time: ignore, tags: ignore, before: ignore}
  split: {by: order, ratio: [0.6, 0.2, 0.2]}
model: {type: shared_bottom, embedding_dim: 4, tower_hidden_units: [6]}
task:
  type: multi_task
  tasks:
    - {label: click, task: {type: binary_classification, metrics: [auc, logloss]}}
    - {label: stars, task: {type: classification}}
train: {batch_size: 64, epochs: 1, patience: 0}
`)
	trainClicks(t, "r")
	trainClicks(t, "s", "seed=2")
	e := opened(t, "r", "s")
	s := slicesOf(t, e, job.SliceOptions{Split: "test", By: []string{"noise"}})
	var all job.Scores
	if err := e.Evaluate(t.Context(), "", "test", func(x job.Scores) error { all = x; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(all.Metrics) < 3 || all.Metrics["auc.click"] == 0 {
		t.Fatalf("metrics %v", all.Metrics)
	}
	for name, v := range all.Metrics {
		if got := s.All.Metrics[name]; got.Value != v {
			t.Errorf("%s of all rows is %+v, want %v", name, got, v)
		}
		var sum float64
		for _, one := range s.Columns[0].Slices {
			sum += one.Share
			if got := one.Metrics[name]; !(got.Low <= got.Value && got.Value <= got.High) {
				t.Errorf("%s of %s: %+v", name, one.Value, got)
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("the shares add up to %v", sum)
		}
	}
}
