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
