package job_test

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

// A training writes a run, and its result is what the run's files say.
func TestTrain(t *testing.T) {
	workspace(t, 1500)
	r := fresh(t, "r")
	for _, f := range []string{
		run.ConfigFile, run.ModelFile, run.CountsFile, run.FeatureFile, run.MetricsFile, run.ResultFile,
		filepath.Join(run.LastDir, run.StateFile),
	} {
		if !there("r", f) {
			t.Errorf("the run has no %s", f)
		}
	}
	if there("r", run.StartFile) || there("r", run.LockFile) {
		t.Error("the run has a record of a start, or its lock")
	}
	if r.Model != "deepfm" || r.Data != "criteo" || r.Dir != "r" || r.Monitor != "auc" ||
		strings.Join(r.Metrics, " ") != "auc logloss" || r.From != "" {
		t.Errorf("result %+v", r)
	}
	if r.Start != nil || r.Valid == nil || !(r.Test["auc"] > .5 && r.Test["auc"] < r.Reachable["auc"]) || !r.Synthetic ||
		r.Steps != 9 || r.BestEpoch != 1 {
		t.Errorf("result %+v", r)
	}
	file := decode[job.Result](t, "r", run.ResultFile)
	if r.Digest == "" || file.Digest != r.Digest || file.Test["auc"] != r.Test["auc"] || file.Reachable["auc"] != r.Reachable["auc"] ||
		file.Train != r.Train || file.Steps != r.Steps {
		t.Errorf("%s has %+v, want %+v", run.ResultFile, file, r)
	}
	if again := fresh(t, "again"); read(t, "again", run.ModelFile) != read(t, "r", run.ModelFile) || again.Digest != r.Digest {
		t.Error("the same training made another model")
	}
}

// A run that is there is replaced only if that is asked for.
func TestTrainAgain(t *testing.T) {
	workspace(t, 1000)
	fresh(t, "r")
	before := read(t, "r", run.ModelFile)
	_, _, err := call{to: "r", set: []string{"seed=2"}}.train(t)
	refused(t, err, "r holds a run already", "go on with it, replace it")
	if read(t, "r", run.ModelFile) != before {
		t.Error("a refused training changed the run")
	}
	call{to: "r", set: []string{"seed=2"}, overwrite: true}.trained(t)
	if read(t, "r", run.ModelFile) == before {
		t.Error("the run was not replaced")
	}
}

// A training that was stopped goes on to the bytes of one that was not.
func TestResume(t *testing.T) {
	workspace(t, 1500)
	set := []string{"train.epochs=3", "train.checkpoint_steps=4"}
	fresh(t, "whole", set...)
	e, err := job.Config{File: "run.yaml", Set: set}.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	j := job.Job{Experiment: e, Dir: "r", Show: func(train.Options) []train.Callback { return []train.Callback{stopAt{stop, 13}} }}
	_, err = j.Train(ctx, job.TrainOptions{})
	if !errors.Is(err, train.ErrInterrupted) || errors.As(err, new(*run.InputError)) {
		t.Fatalf("a training that was stopped: error %v", err)
	}
	if there("r", run.ResultFile) || there("r", run.LockFile) {
		t.Error("a training that was stopped has a result, or holds its directory")
	}
	_, _, err = call{to: "r", set: append(set, "train.learning_rate=0.5"), resume: true}.train(t)
	refused(t, err, "another config")
	for range 2 { // the second time it is done already
		r, _ := call{to: "r", set: set, resume: true}.trained(t)
		if r.Steps != 27 || read(t, "r", run.ModelFile) != read(t, "whole", run.ModelFile) {
			t.Errorf("%d steps, want 27; or another model than without a stop", r.Steps)
		}
	}
	call{to: "new", resume: true}.trained(t) // there is nothing to go on with
}

// A run goes on with the rows that it was trained on, wherever they lie now, and with no others.
func TestResumeOfChangedData(t *testing.T) {
	workspace(t, 1500)
	write(t, "start.yaml", config+"init: {from: start, features: data}\n")
	fresh(t, "start")
	rows := read(t, "rows.tsv")
	lines := strings.SplitAfter(rows, "\n")
	write(t, "a.tsv", strings.Join(lines[:800], ""))
	write(t, "b.tsv", strings.Join(lines[800:1500], ""))
	write(t, "v.tsv", strings.Join(lines[:200], ""))
	split := []string{"data.split={}", "data.path=[a*.tsv, b.tsv]", "data.valid_path=v.tsv"}
	other := func(text string) string { return strings.Replace(text, "\t", "\t7", 1) }
	for _, tc := range []struct {
		name, config string
		set          []string
		file, text   string // what changes, and its content then
		want         []string
	}{
		{"grown", "", nil, "rows.tsv", rows + lines[0], []string{"rows.tsv has ", "had ", "the feature map is another one"}},
		{"edited", "", nil, "rows.tsv", strings.Replace(rows, "\n1\t", "\n0\t", 1), []string{"rows.tsv has other content of the same size"}},
		{"cut", "", nil, "rows.tsv", strings.Join(lines[:1000], ""), []string{"rows.tsv has "}},
		{"one of several", "", split, "b.tsv", other(lines[800]) + strings.Join(lines[801:1500], ""), []string{"b.tsv has "}},
		{"one more", "", split, "a2.tsv", lines[7], []string{"a2.tsv of path", "was not there"}},
		{"for validation", "", split, "v.tsv", strings.Join(lines[:201], ""), []string{"v.tsv has "}},
		{"hashed ids", "", []string{"data.categorical={hash: 50}"}, "rows.tsv", rows + lines[0], []string{"rows.tsv has "}},
		{"from weights", "start.yaml", nil, "rows.tsv", rows + lines[0], []string{"rows.tsv has "}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set := append([]string{"train.epochs=3", "train.checkpoint_steps=4"}, tc.set...)
			file := tc.config
			if file == "" {
				file = "run.yaml"
			}
			e, err := job.Config{File: file, Set: set}.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			dir := strings.ReplaceAll(tc.name, " ", "_")
			j := job.Job{Experiment: e, Dir: dir, Show: func(train.Options) []train.Callback { return []train.Callback{stopAt{stop, 9}} }}
			if _, err := j.Train(ctx, job.TrainOptions{}); !errors.Is(err, train.ErrInterrupted) {
				t.Fatal(err)
			}
			was, had := "", there(tc.file)
			if had {
				was = read(t, tc.file)
			}
			write(t, tc.file, tc.text)
			before := tree(t, dir)
			resume := call{config: file, to: dir, set: set, resume: true}
			_, _, err = resume.train(t)
			refused(t, err, append(tc.want, "the data is not what "+dir+" was trained on", "put it back as it was, start anew")...)
			if !errors.Is(err, train.ErrResume) {
				t.Errorf("error %v is none of resuming", err)
			}
			if !reflect.DeepEqual(tree(t, dir), before) {
				t.Error("a refused run was changed")
			}
			remove(t, tc.file)
			if had {
				write(t, tc.file, was) // another file with another time, but the same bytes
			}
			resume.trained(t)
			resume.to, resume.resume = dir+"-whole", false
			resume.trained(t)
			if read(t, dir, run.ModelFile) != read(t, dir+"-whole", run.ModelFile) {
				t.Error("the resumed run has another model")
			}
		})
	}

	// Rows that were generated have no files, and those that lie elsewhere are the same.
	write(t, "tastes.yaml", "data: {type: tastes, users: 50, items: 40, rows: 2000}\nmodel: fm\ntrain: {batch_size: 200, epochs: 2}\n")
	call{config: "tastes.yaml", to: "tastes", set: []string{"train.max_steps=8"}}.trained(t)
	call{config: "tastes.yaml", to: "tastes", set: []string{"train.max_steps=8"}, resume: true}.trained(t)
	fresh(t, "r")
	from, err := filepath.Abs("r")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	copied(t, from, "r")
	write(t, "rows.tsv", rows)
	write(t, "run.yaml", config)
	call{to: "r", resume: true}.trained(t)
}

// tree returns the files under a directory.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files[path] = read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// stopAt ends a training's context after a step.
type stopAt struct {
	stop func()
	step int64
}

// On is called by the trainer.
func (s stopAt) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.StepDone && e.Step == s.step {
		s.stop()
	}
	return nil
}

// While a directory is being written nobody else writes into it.
func TestLocked(t *testing.T) {
	workspace(t, 600)
	l, err := run.Acquire("r", "somebody else")
	if errors.Is(err, run.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	write(t, "merge.yaml", config+"merge: {regime: {type: shared_init}}\n")
	for name, begin := range map[string]func() error{
		"train": func() error { _, _, err := call{to: "r", overwrite: true}.train(t); return err },
		"merge": func() error { _, _, err := call{config: "merge.yaml", to: "r", overwrite: true}.merge(t); return err },
	} {
		err := begin()
		refused(t, err, `r is being written by "somebody else"`)
		if !errors.As(err, new(*run.HeldError)) {
			t.Errorf("%s: error %T does not say who holds the directory", name, err)
		}
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	fresh(t, "r")
}

// What is wrong with the config, the data or the directory is the user's to mend, and leaves nothing behind.
func TestTrainRefuses(t *testing.T) {
	workspace(t, 600)
	row, _, _ := strings.Cut(read(t, "rows.tsv"), "\n")
	write(t, "label.tsv", row+"\n2"+row[1:]+"\n")
	write(t, "empty.tsv", "")
	write(t, "file", "")
	for _, tc := range []struct {
		name string
		call call
		want []string
	}{
		{"no such config", call{config: "rum.yaml"}, []string{"rum.yaml: no such file", "did you mean run.yaml?"}},
		{"a misspelt key", call{to: "n", set: []string{"train.epocs=1"}}, []string{"--set train.epocs=1", `did you mean "epochs"?`}},
		{"no data", call{to: "n", set: []string{"data.path=rose.tsv"}}, []string{"rose.tsv"}},
		{"a bad row", call{to: "n", set: []string{"data.path=label.tsv"}}, []string{"label.tsv:2", "label"}},
		{"no rows", call{to: "n", set: []string{"data.path=empty.tsv"}}, []string{"empty.tsv"}},
		{"a file for a directory", call{to: "file/n"}, []string{"file/n"}},
		{
			"a frozen parameter that there is not",
			call{to: "n", set: []string{"train.freeze=[embeding.*]"}},
			[]string{`"embeding.*" matches no parameter`},
		},
		{"all frozen", call{to: "n", set: []string{"train.freeze=['*']"}}, []string{"no parameter is left to train"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := tc.call.train(t)
			refused(t, err, tc.want...)
			if there("n") {
				t.Error("a directory is left behind")
			}
		})
	}
}

// What the machine fails at is not the user's mistake, nor is a diverged run or the end of a context.
func TestTrainFails(t *testing.T) {
	workspace(t, 600)
	_, _, err := call{
		to: "n", set: []string{"train.learning_rate=1e30", "train.optimizer=sgd", "train.epochs=20", "model.batch_norm=false"},
	}.train(t)
	if err == nil || errors.As(err, new(*run.InputError)) {
		t.Errorf("a diverged run: error %v (%T)", err, err)
	}
	// one step an epoch: it is the evaluation that finds out
	_, _, err = call{
		to: "v", set: []string{"train.learning_rate=1e30", "train.optimizer=sgd", "train.batch_size=600", "model.batch_norm=false"},
	}.train(t)
	if err == nil || errors.As(err, new(*run.InputError)) {
		t.Fatalf("a run that diverged in its last step: error %v (%T)", err, err)
	}
	for _, want := range []string{"diverged in epoch 1, step 1", "output for row 1 of valid is ", "train.learning_rate", "train.max_grad_norm"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	e, err := job.Config{File: "run.yaml"}.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	j := job.Job{Experiment: e, Dir: "c"}
	if _, err := j.Train(ctx, job.TrainOptions{}); err == nil || errors.As(err, new(*run.InputError)) {
		t.Errorf("after the end of its context: error %v (%T)", err, err)
	}
}

func TestWorse(t *testing.T) {
	auc, loss := run.Metrics{"auc": .7, "logloss": .5}, run.Metrics{"auc": .8, "logloss": .6}
	for _, tc := range []struct {
		name string
		r    job.Result
		want bool
	}{
		{"a lower auc", job.Result{Monitor: "auc", Start: loss, Valid: auc}, true},
		{"a higher auc", job.Result{Monitor: "auc", Start: auc, Valid: loss}, false},
		{"a higher loss", job.Result{Monitor: "logloss", Start: auc, Valid: loss}, true},
		{"a lower loss", job.Result{Monitor: "logloss", Start: loss, Valid: auc}, false},
		{"the same", job.Result{Monitor: "auc", Start: auc, Valid: auc}, false},
		{"no start", job.Result{Monitor: "auc", Valid: auc}, false},
		{"no validation rows", job.Result{Monitor: "auc", Start: auc}, false},
	} {
		if got := tc.r.Worse(); got != tc.want {
			t.Errorf("%s: worse: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestRunDir(t *testing.T) {
	for _, tc := range []struct{ asked, config, file, want string }{
		{"a", "b", "c.yaml", "a"},
		{"", "b", "c.yaml", "b"},
		{"", "", filepath.Join("configs", "c.x.yaml"), filepath.Join("runs", "c.x")},
	} {
		if got := job.RunDir(tc.asked, tc.config, tc.file); got != tc.want {
			t.Errorf("RunDir(%q, %q, %q) = %q, want %q", tc.asked, tc.config, tc.file, got, tc.want)
		}
	}
}
