package train_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/sealed"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

// stopper cancels the context after a step.
type stopper struct {
	at     int64
	cancel func()
}

func (s *stopper) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.StepDone && e.Step == s.at {
		s.cancel()
	}
	return nil
}

// TestResume interrupts a run after every third step, twice in a row, and resumes it: model and metrics must be those
// of the run that was not interrupted.
func TestResume(t *testing.T) {
	t.Parallel() // most of the time files are synced
	for _, variant := range []string{"lazy", "dense", "eval_steps"} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			build := func(dir string) *train.Trainer {
				tr := trainer(t, dir)
				if variant == "eval_steps" {
					tr.EvalSteps, tr.CheckpointSteps = 4, 3
				} else {
					tr.Embeddings = variant
				}
				tr.EmbeddingRegularizer = 1e-3
				return tr
			}
			whole := t.TempDir()
			want, err := build(whole).Fit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for at := int64(1); at < want.Steps; at += 3 {
				dir := t.TempDir()
				for _, stop := range []int64{at, at + 5} {
					ctx, cancel := context.WithCancel(t.Context())
					tr := build(dir)
					tr.Resume = true
					tr.Callbacks = append(tr.Callbacks, &stopper{stop, cancel})
					if _, err := tr.Fit(ctx); err != nil && !errors.Is(err, train.ErrInterrupted) {
						t.Fatalf("stopped at %d: %v", stop, err)
					}
					cancel()
				}
				tr := build(dir)
				tr.Resume = true
				got, err := tr.Fit(t.Context())
				if err != nil {
					t.Fatalf("resumed after %d: %v", at, err)
				}
				if !bytes.Equal(model(t, dir), model(t, whole)) {
					t.Errorf("interrupted after steps %d and %d: the model differs", at, at+5)
				}
				if fmt.Sprint(got.Test, got.Valid, got.Steps) != fmt.Sprint(want.Test, want.Valid, want.Steps) {
					t.Errorf("interrupted after step %d: result %v, want %v", at, got, want)
				}
				if d := cmp.Diff(logged(t, whole), logged(t, dir)); d != "" {
					t.Errorf("interrupted after steps %d and %d: metrics.jsonl: %s", at, at+5, d)
				}
			}
		})
	}
}

// logged returns the lines of metrics.jsonl without what differs from run to run: times and rates.
func logged(t *testing.T, dir string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, run.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(timing.ReplaceAllString(string(b), "")), "\n")
	if len(lines) < 6 || !strings.Contains(string(b), `"loss":`) || strings.Contains(strings.Join(lines, ""), "time") {
		t.Fatalf("metrics.jsonl has %q", lines)
	}
	return lines
}

var timing = regexp.MustCompile(`"time":"[^"]*",|,"samples_per_s":[0-9.e+]*`)

func TestResumeRefuses(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	if _, err := trainer(t, dir).Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	tr := trainer(t, other)
	tr.Params = nn.NewParams(6)
	if _, err := tr.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	files := contents(t, dir)
	last := filepath.Join(dir, run.LastDir)
	state := filepath.Join(last, run.StateFile)
	put := func(name, text string) func(*train.Trainer) {
		return func(*train.Trainer) { write(t, filepath.Join(dir, name), text) }
	}
	name := func(base string) string { return filepath.Join(run.LastDir, base) }
	model, optimizer := name(run.LastModel(33)), name(run.LastOptimizer(33))
	theirs := contents(t, other)
	for _, tc := range []struct {
		name   string
		change func(tr *train.Trainer)
		want   []string
	}{
		{"other config", func(tr *train.Trainer) { tr.Digest = "e" }, []string{"another config"}},
		{"other model", func(tr *train.Trainer) { tr.Model = ctr.FM{EmbeddingDim: 3} }, []string{"mlp.0.weight"}},
		{"other seed", func(tr *train.Trainer) { tr.Seed = 6 }, []string{"seed is 5"}},
		{"other start", func(tr *train.Trainer) { tr.Start = "s" }, []string{"start is"}},
		{"no state", put(name(run.StateFile), ""), []string{state, "no checksum", "start anew"}},
		{"bad state", put(name(run.StateFile), "{"), []string{state, "no checksum", "start anew"}},
		{
			"state of an earlier version",
			put(name(run.StateFile), checksumLine.ReplaceAllString(files[name(run.StateFile)], "")),
			[]string{state, "no checksum", "start anew"},
		},
		{"large state", put(name(run.StateFile), files[name(run.StateFile)]+strings.Repeat(" ", 64<<20)), []string{state, "at most 67,108,864 bytes"}},
		{"state of another run", put(name(run.StateFile), theirs[name(run.StateFile)]), []string{"checksum"}},
		{"model of another run", put(model, theirs[model]), []string{filepath.Join(dir, model), "is not the file", "start anew"}},
		{"optimizer of another run", put(optimizer, theirs[optimizer]), []string{filepath.Join(dir, optimizer), "is not the file"}},
		{"best model of another run", put(run.ModelFile, theirs[run.ModelFile]), []string{filepath.Join(dir, run.ModelFile), "is not the model that"}},
		{"truncated model", put(model, files[model][:1000]), []string{"truncated"}},
		{"damaged model", put(model, flipped(files[model])), []string{"checksum"}},
		{"no model", func(*train.Trainer) { os.Remove(filepath.Join(dir, model)) }, []string{model}},
		{"grown data", func(tr *train.Trainer) {
			tr.Data.Sources = []data.SourceFile{{Key: "path", Path: "/log", Size: 9, Hash: "ab"}}
		}, []string{
			"the data is not what " + dir + " was trained on", "/log of path (9 bytes) was not there", "start anew",
		}},
		{"fewer rows", func(tr *train.Trainer) {
			var err error
			if tr.Data.Train, err = data.Head(tr.Data.Train, .9, 1); err != nil {
				t.Fatal(err)
			}
		}, []string{"there are 630 train rows, there were 700"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for n, text := range files {
				write(t, filepath.Join(dir, n), text)
			}
			tr := trainer(t, dir)
			tr.Resume = true
			tc.change(tr)
			before := contents(t, dir)
			_, err := tr.Fit(t.Context())
			if !errors.Is(err, train.ErrResume) {
				t.Fatalf("error %v, want one of resuming", err)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %v, want one with %q", err, w)
				}
			}
			if d := cmp.Diff(before, contents(t, dir)); d != "" {
				t.Errorf("the run's directory was changed: %s", d)
			}
		})
	}
}

// TestEditedState edits each value of a state, one after the other. As somebody with an editor does it, each edit is refused. With a
// checksum that fits, values that no training can have are refused too.
func TestEditedState(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	build := func() *train.Trainer {
		tr := trainer(t, dir)
		tr.Data.Sources = []data.SourceFile{{Key: "path", Path: "/d/log.csv", Size: 9, Hash: "ab"}}
		tr.EMA = .9
		return tr
	}
	tr := build()
	tr.Callbacks = append(tr.Callbacks, &stopper{18, cancel})
	if _, err := tr.Fit(ctx); !errors.Is(err, train.ErrInterrupted) {
		t.Fatal(err)
	}
	path := filepath.Join(dir, run.LastDir, run.StateFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := string(b)
	resume := func(text string) error {
		t.Helper()
		write(t, path, text)
		tr := build()
		tr.Resume = true
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		tr.Callbacks = append(tr.Callbacks, &stopper{19, cancel})
		before := contents(t, dir)
		_, err := tr.Fit(ctx)
		if errors.Is(err, train.ErrResume) {
			if d := cmp.Diff(before, contents(t, dir)); d != "" {
				t.Errorf("the run's directory was changed: %s", d)
			}
		}
		return err
	}

	lines := strings.Split(whole, "\n")
	edits := 0
	for i, line := range lines {
		for _, edited := range []string{number.ReplaceAllString(line, "${1}7"), quoted.ReplaceAllString(line, `${1}x"`), truth.ReplaceAllString(line, " true"), ""} {
			if edited == line {
				continue
			}
			edits++
			err := resume(strings.Join(slices.Concat(lines[:i], []string{edited}, lines[i+1:]), "\n"))
			if !errors.Is(err, train.ErrResume) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "checksum") ||
				!strings.Contains(err.Error(), "start anew") {
				t.Errorf("%s edited to %s: error %v, want one with the path, the checksum and what to do", line, edited, err)
			}
		}
	}
	if edits < 70 {
		t.Errorf("%d edits were tried", edits)
	}

	set := func(keys string, v any) func(map[string]any) {
		return func(m map[string]any) {
			path := strings.Split(keys, ".")
			for _, k := range path[:len(path)-1] {
				m = m[k].(map[string]any)
			}
			m[path[len(path)-1]] = v
		}
	}
	for _, tc := range []struct {
		name string
		edit func(map[string]any)
	}{
		{"negative step", set("step", -1)},
		{"step beyond the total", set("step", 34)},
		{"a step that the epoch has not", set("step", 17)},
		{"negative epoch", set("epoch", -1)},
		{"epoch beyond the last", set("epoch", 4)},
		{"the last epoch over, but not done", set("epoch", 3)},
		{"negative batch", set("batch", -1)},
		{"batch beyond the epoch", set("batch", 12)},
		{"another batch", set("batch", 6)},
		{"no batch", set("batch", 0)},
		{"negative count", set("loss_count", -5)},
		{"text for a number", set("loss_sum", "NaN")},
		{"a fraction of a step", set("step", 18.5)},
		{"a step too large for 64 bits", set("step", json.Number("1e30"))},
		{"another seed", set("seed", 6)},
		{"negative samples", set("samples", -1)},
		{"more samples than there are", set("samples", 1500)},
		{"negative time", set("seconds", -1)},
		{"best after the last", set("best.step", 19)},
		{"best epoch after the last", set("best.epoch", 3)},
		{"negative best step", set("best.step", -1)},
		{"negative stale", set("best.stale", -1)},
		{"stale beyond all evaluations", set("best.stale", 1000)},
		{"another best value", set("best.value", .99)},
		{"another best metric", set("best.metrics.auc", .99)},
		{"best not seen", set("best.seen", false)},
		{"a rate above the config's", set("schedule.lr", .1)},
		{"a negative rate", set("schedule.lr", -.1)},
		{"a counter of the schedule", set("schedule.bad", 5)},
		{"a negative counter of the schedule", set("schedule.cooldown", -5)},
		{"another model", set("model", "model-3.safetensors")},
		{"a model elsewhere", set("model", "../model.safetensors")},
		{"no model", set("model", "")},
		{"another optimizer", set("optimizer", "model-18.safetensors")},
		{"no optimizer", set("optimizer", "")},
		{"averages elsewhere", set("averages", "../averages-18-0.safetensors")},
		{"no averages", set("averages", "")},
		{"no checksums", set("checksums", map[string]any{})},
		{"counts elsewhere", set("counts", "/etc/passwd")},
		{"another digest", set("digest", "e")},
		{"another map", set("data.feature_map", "e")},
		{"other rows", set("data.rows", []int{1, 2, 3})},
		{"other files", set("data.sources", nil)},
		{"a start", set("start", "e")},
		{"negative offset", set("callbacks.jsonl.offset", -1)},
		{"text for an offset", set("callbacks.jsonl", "x")},
		{"negative rows of an interval", set("callbacks.jsonl.interval.rows", -1)},
		{"a negative interval", set("callbacks.jsonl.interval.seconds", -1)},
		{"an unknown key", set("extra", 1)},
	} {
		var m map[string]any
		dec := json.NewDecoder(strings.NewReader(whole))
		dec.UseNumber()
		if err := dec.Decode(&m); err != nil {
			t.Fatal(err)
		}
		delete(m, "checksum")
		tc.edit(m)
		if err := sealed.Write(path, m); err != nil {
			t.Fatal(err)
		}
		signed, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := resume(string(signed)); !errors.Is(err, train.ErrResume) {
			t.Errorf("%s, with the right checksum: error %v", tc.name, err)
		}
	}
	if err := resume(whole); !errors.Is(err, train.ErrInterrupted) {
		t.Errorf("as it was: error %v", err)
	}
}

var (
	number       = regexp.MustCompile(`([ -][0-9.]+)`)
	quoted       = regexp.MustCompile(`(: "[^"]*)"`)
	truth        = regexp.MustCompile(` false`)
	checksumLine = regexp.MustCompile(`  "checksum": .*\n`)
)

// contents returns the files under a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func flipped(text string) string {
	b := []byte(text)
	b[len(b)-1] ^= 1
	return string(b)
}

// An evaluation that is interrupted before there is a checkpoint says that nothing is saved, and one behind a checkpoint what is.
func TestInterruptedEvaluation(t *testing.T) {
	for steps, want := range map[int64]string{
		1000: "train: interrupted during an evaluation, before the first checkpoint, so it begins anew",
		1:    "train: interrupted during an evaluation, with the state of step ",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		tr := trainer(t, t.TempDir())
		tr.CheckpointSteps = steps
		tr.Callbacks = []train.Callback{hear(func(e *train.Event) {
			if e.Kind == train.EvalStart {
				cancel()
			}
		})}
		if _, err := tr.Fit(ctx); !errors.Is(err, train.ErrInterrupted) || !strings.Contains(err.Error(), want) {
			t.Errorf("checkpoint_steps %d: %v, want %s", steps, err, want)
		}
		if _, err := os.Stat(filepath.Join(tr.Dir, run.LastDir, run.StateFile)); (err != nil) != (steps == 1000) {
			t.Errorf("checkpoint_steps %d: %v", steps, err)
		}
	}
}
