package splice_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/configs/job"
)

// tasksConfig is a small run of three tasks over rows with weights; %s is the model.
const tasksConfig = `data:
  type: csv
  path: rows.csv
  label: [click, seconds, stars]
  weight: w
  number_labels: seconds
  class_labels: {stars: [one, two, many]}
  columns: {user: categorical, ad: categorical, price: numeric}
  split: {by: order, ratio: [0.6, 0.2, 0.2]}
model: {type: %s, embedding_dim: 4, tower_hidden_units: [6]}
task:
  type: multi_task
  tasks:
    - {label: stars, task: {type: classification, focal_gamma: 1}, weight: 0.5}
    - {label: click, task: {type: binary_classification, metrics: [auc, logloss], pos_weight: 2}}
    - {label: seconds, task: {type: regression, metrics: [rmse]}}
train: {batch_size: 32, epochs: 2, patience: 0, monitor: logloss.click, optimizer: sgd, learning_rate: 0.1}
`

// trainTasks trains a model of several tasks in a directory, which has the rows.
func trainTasks(t *testing.T, tmp, model, name string, set ...string) (dir, path string, rows []splice.Row) {
	t.Helper()
	path = filepath.Join(tmp, "rows.csv")
	var text strings.Builder
	text.WriteString("click,w,user,ad,price,seconds,stars\n")
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 200 {
		cells := []string{
			[]string{"0", "1", ""}[r.IntN(3)], []string{"1", "0", "0.5", "2"}[r.IntN(4)], fmt.Sprint("u", r.IntN(20)), fmt.Sprint("a", r.IntN(9)),
			strconv.Itoa(r.IntN(5)), []string{"1.5", "-2", ""}[r.IntN(3)], []string{"one", "two", "many", ""}[i%4],
		}
		text.WriteString(strings.Join(cells, ",") + "\n")
		rows = append(rows, splice.Row{"user": cells[2], "ad": cells[3], "price": cells[4], "click": "x", "stars": nil, "w": -1})
	}
	yaml := filepath.Join(tmp, "run.yaml")
	write(t, path, []byte(text.String()))
	write(t, yaml, fmt.Appendf(nil, tasksConfig, model))
	dir = filepath.Join(tmp, name)
	if _, err := splice.Train(t.Context(), yaml, splice.Options{Run: dir, Set: append([]string{"data.path=" + path}, set...)}); err != nil {
		t.Fatal(err)
	}
	return dir, path, rows
}

// lines of scores of tasks are as cmd/predict writes them.
func taskLines(t *testing.T, r *splice.Run, rows []splice.Row) (out []string) {
	t.Helper()
	scores, err := r.ScoreTasks(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range scores {
		var cells []string
		for k, x := range row {
			cells = append(cells, text(x))
			if r.Tasks()[k] == "stars" {
				cells[k] = []string{"one", "two", "many"}[int(x)]
			}
		}
		out = append(out, strings.Join(cells, "\t"))
	}
	return out
}

// TestScoreTasks: rows in memory have the predictions of a file for each task, bit by bit, of one run and of several.
func TestScoreTasks(t *testing.T) {
	for _, model := range []string{"shared_bottom", "mmoe", "ple"} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			tmp := t.TempDir()
			dir, path, rows := trainTasks(t, tmp, model, "a")
			other, _, _ := trainTasks(t, tmp, model, "b", "seed=2")
			r := open(t, dir)
			if got := r.Tasks(); r.Output() != splice.OutputTasks || !slices.Equal(got, []string{"click", "seconds", "stars"}) {
				t.Errorf("output %s of tasks %v, want those of data.label", r.Output(), got)
			}
			want := predictions(t, dir, path)
			if got := taskLines(t, r, rows); !slices.Equal(got, want) {
				t.Errorf("scores %v..., want those of the file %v...", got[:3], want[:3])
			}
			if _, err := r.Score(t.Context(), rows); err == nil || !strings.Contains(err.Error(), "predicts click, seconds, stars: call ScoreTasks") {
				t.Errorf("Score: error %v", err)
			}
			for _, mode := range []string{"logits", "probabilities"} {
				e, err := job.OpenEnsemble([]string{dir, other}, nil, mode, nil)
				if err != nil {
					t.Fatal(err)
				}
				var b bytes.Buffer
				if _, err := e.Predict(t.Context(), path, &b); err != nil {
					t.Fatal(err)
				}
				both, err := splice.OpenEnsemble(mode, []string{dir, other})
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(taskLines(t, both, rows), "\n") + "\n"; got != b.String() {
					t.Errorf("%s: scores of both runs differ from those of the file", mode)
				}
				one, err := open(t, other).ScoreTasks(t.Context(), rows[:1])
				if err != nil {
					t.Fatal(err)
				}
				first, err := r.ScoreTasks(t.Context(), rows[:1])
				if err != nil {
					t.Fatal(err)
				}
				mean, err := both.ScoreTasks(t.Context(), rows[:1])
				if err != nil {
					t.Fatal(err)
				}
				if want := (one[0][0] + first[0][0]) / 2; mode == "probabilities" && math.Abs(mean[0][0]-want) > 1e-6 {
					t.Errorf("the mean probability of a click is %v, want %v", mean[0][0], want)
				}
				if err := both.Close(); err != nil {
					t.Error(err)
				}
			}
			merged, err := splice.OpenMerged(context.Background(), "average", dir, other)
			if err != nil {
				t.Fatal(err)
			}
			if scores, err := merged.ScoreTasks(t.Context(), rows[:2]); err != nil || len(scores[1]) != 3 {
				t.Errorf("the merge scores %v, %v", scores, err)
			}
			if err := merged.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWeightsInSteps: with weights and labels that are missing, a step of two batches is that of one of as many rows, up to rounding, and
// weights matter.
func TestWeightsInSteps(t *testing.T) {
	tmp := t.TempDir()
	scores := func(name string, set ...string) (out []float64) {
		dir, _, rows := trainTasks(t, tmp, "mmoe", name, set...)
		all, err := open(t, dir).ScoreTasks(t.Context(), rows)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range all {
			out = append(out, row[:2]...)
		}
		return out
	}
	apart := func(a, b []float64) (d float64) {
		for i := range a {
			d = max(d, math.Abs(a[i]-b[i]))
		}
		return d
	}
	whole := scores("whole")
	if d := apart(whole, scores("halves", "train.batch_size=16", "train.gradient_accumulation=2")); d > 1e-4 {
		t.Errorf("scores after steps of two batches are %v from those of one", d)
	}
	if d := apart(whole, scores("unweighted", `data.weight=""`, "data.columns.w=ignore")); d < 1e-3 {
		t.Errorf("scores without weights are %v from those with", d)
	}
}
