// Package merge makes the run of a merge. It reads the parents, or has a regime make them, and runs the comparison. Into the run's
// directory it writes the model that is passed on, the comparison, where the model comes from, and the report. Parents that are
// nothing but tensors are merged into one file.
package merge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/logs"
	"github.com/splice-ml/splice/train/rounds"
	"github.com/splice-ml/splice/train/run"
)

// Job is one merge and the directory of the run that it makes. Whoever runs it holds the directory's lock: see
// [run.Acquire].
type Job struct {
	Dir       string // of the run
	Options   cki.Options
	Settings  string // Options as YAML, for merge.json and the report
	Model     string // what the table calls the model
	Data      string // what the table calls the data
	Seed      uint64
	Digest    string       // of the whole config
	Making    string       // of those parts of the config that decide the parents that a regime makes
	Overwrite bool         // replace a run that is in Dir, and parents that a regime made there
	Inputs    []run.Input  // what the config reads, which must not lie where the run's own files do
	Log       *slog.Logger // never nil

	// Describe writes the config and the feature map of a run. trained are the options by which the parent in dir is trained.
	// They are nil if dir is the directory of the merge.
	Describe func(dir string, d *data.Splits, trained *train.Options) error
	// Complete checks that the run can be opened, now that it is written. It may be nil.
	Complete func(d *data.Splits) error
	// Result writes result.json of the row that is passed on; digest is the merge's.
	Result func(passed *compare.Row, digest string) error
	// Callbacks returns what reports on the progress of a training. It may be nil.
	Callbacks func(o train.Options) []train.Callback
}

// Done returns the comparison of the merge that the directory holds, if that merge has the same config, the same parents and its
// model. It returns nil if the merge is still to be made. Another merge is an error unless it may be overwritten. If the parents
// start from given weights, use Run: it compares these weights too.
func (j *Job) Done(parents []*cki.Parent) (*compare.Table, error) {
	digest, err := j.digest(parents)
	if err != nil {
		return nil, err
	}
	return j.done(digest)
}

// Run makes the merge in the directory and returns its comparison. A merge that is done already is read from its files. parents are
// the runs to merge; the regime makes them if there are none. Run uses Model, Task, Data, Options, Seed, Start and Log of the Lab.
func (j *Job) Run(ctx context.Context, lab cki.Lab, parents []*cki.Parent) (_ *compare.Table, err error) {
	if lab.Data.Valid == nil {
		return nil, run.BadInput(errors.New("cki: the data has no validation rows: a merge is judged by them; set data.split or data.valid_path"))
	}
	if len(parents) > 0 {
		if err := cki.Check(parents); err != nil {
			return nil, run.BadInput(err)
		}
	}
	digest, err := j.digest(parents)
	if err != nil {
		return nil, err
	}
	if parents, err = cki.ToData(parents, lab.Data, j.Log); err != nil {
		return nil, run.BadInput(err)
	}
	making := j.Making
	if lab.Start != nil {
		start, err := cki.Digest(cki.Memory(lab.Start))
		if err != nil {
			return nil, err
		}
		making, digest = making+"-"+start, digest+"-"+start
	}
	if t, err := j.done(digest); t != nil || err != nil {
		return t, err
	}
	if err := lab.CheckMetrics(ctx); err != nil {
		return nil, run.BadInput(err)
	}
	l := &lab
	var f *cki.Family
	if len(parents) > 0 {
		if f, err = j.family(l, parents); err != nil {
			return nil, err
		}
	}
	if err := j.fits(l); err != nil {
		return nil, err
	}
	origin := lab.Data.Origin().Digest()
	if err := j.claim(making, origin); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			j.unclaim()
		}
	}()
	place, err := run.Hold(j.Dir)
	if err != nil {
		return nil, err
	}
	defer place.Close()
	l.Dir, l.Digest = filepath.Join(j.Dir, run.ParentsDir), making
	l.Begin, l.KeepBaseEpochs = j.begin(l.Data), j.Options.Controls
	if f == nil {
		if f, err = j.make(ctx, l); err != nil {
			return nil, err
		}
	}
	if err := j.claimRows(making, digest, origin); err != nil {
		return nil, err
	}
	l.Dir, l.Digest = filepath.Join(j.Dir, run.RowsDir), digest
	out, err := compare.Run(ctx, l, j.Options, f, func(r compare.Row) {
		scores := []any{"valid", r.Valid[l.Monitor()]}
		if v := r.Test[l.Monitor()]; r.Test != nil && v == v { // not if it is undefined for the test rows
			scores = append(scores, "test", v)
		}
		j.Log.Info(string(r.Name), append(scores, "seconds", r.Seconds)...)
	})
	if err != nil {
		return nil, err
	}
	if err := j.there(place, out); err != nil {
		return nil, err
	}
	t, err := j.passOn(ctx, l, out, digest)
	if err != nil {
		return nil, err
	}
	if err := j.there(place, out); err != nil {
		return nil, err
	}
	if j.Complete == nil {
		return t, nil
	}
	return t, j.Complete(lab.Data)
}

// make has the regime make the parents. A training in rounds needs none but for a comparison with them.
func (j *Job) make(ctx context.Context, l *cki.Lab) (*cki.Family, error) {
	s, ok := j.Options.Regime.(cki.Sharder)
	if !ok || !j.Options.Rounds.Train() || j.Options.Controls {
		return j.Options.Regime.Make(ctx, l)
	}
	f := &cki.Family{SplitBy: s.Split()}
	if j.Options.Rounds.Start != rounds.StartTrunk {
		return f, nil
	}
	var err error
	if f.Trunk, err = s.MakeTrunk(ctx, l); err == nil && f.Trunk != nil {
		f.Steps = f.Trunk.Steps
	}
	return f, err
}

// begin returns what is called before each training: parents become runs of their own.
func (j *Job) begin(d *data.Splits) func(name, dir string, o train.Options) ([]train.Callback, error) {
	return func(name, dir string, o train.Options) ([]train.Callback, error) {
		if rel, err := filepath.Rel(j.Dir, dir); err == nil {
			name = filepath.ToSlash(rel)
		}
		j.Log.Info("training", "name", name, "epochs", o.Epochs)
		var callbacks []train.Callback
		if strings.HasPrefix(name, run.ParentsDir+"/") {
			callbacks = append(callbacks, atStart(func() error { return j.Describe(dir, d, &o) }))
		}
		callbacks = append(callbacks, &logs.JSONL{Path: filepath.Join(dir, run.MetricsFile), LogSteps: o.LogSteps})
		if j.Callbacks != nil {
			callbacks = append(callbacks, j.Callbacks(o)...)
		}
		return callbacks, nil
	}
}

// atStart is a callback that is called once the trainer has found that the training can start, or go on: one that cannot is left as it
// is.
type atStart func() error

// On calls f.
func (f atStart) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.RunStart {
		return f()
	}
	return nil
}

// family returns the parents that are given.
func (j *Job) family(l *cki.Lab, parents []*cki.Parent) (*cki.Family, error) {
	f := &cki.Family{}
	alone, mixed := cki.Remap(parents, l.Data.Map, cki.FillOOV), cki.Remap(parents, l.Data.Map, cki.FillOther)
	for i, p := range parents {
		m := &cki.Member{Name: p.Name, Counts: mixed[i].Counts, Data: l.Data, Seed: l.Seed}
		var err error
		if m.Params, err = load(l, alone[i]); err != nil {
			return nil, err
		}
		if alone[i] == p && mixed[i] == p {
			m.Dir, m.Mixed = p.Name, m.Params // so that its other checkpoints fit too
		} else if m.Mixed, err = load(l, mixed[i]); err != nil {
			return nil, err
		}
		f.Members = append(f.Members, m)
	}
	return f, nil
}

// passOn writes the files of the resulting run.
func (j *Job) passOn(ctx context.Context, l *cki.Lab, out *compare.Outcome, digest string) (*compare.Table, error) {
	if err := j.Describe(j.Dir, l.Data, nil); err != nil {
		return nil, err
	}
	var parents []*cki.Parent
	for _, m := range out.Family.Members {
		parents = append(parents, &cki.Parent{Name: m.Name, Reader: cki.Memory(m.Params)})
	}
	if out.Passed == compare.RowRounds { // it comes from no parents
		parents = []*cki.Parent{{Name: "start", Reader: cki.Memory(out.Start)}}
	}
	from, err := j.provenance(parents, out.Passed)
	if err != nil {
		return nil, err
	}
	if err := writeJSON(j.Dir, run.MergeFile, from); err != nil {
		return nil, err
	}
	if err := j.writeModel(out, digest); err != nil {
		return nil, err
	}
	model, err := cki.Digest(cki.Memory(out.Params))
	if err != nil {
		return nil, err
	}
	if err := j.Result(out.Rows.Get(out.Passed), digest); err != nil {
		return nil, err
	}
	if j.Options.Report {
		r, err := j.Report(ctx, l, out, from)
		if err != nil {
			return nil, err
		}
		if err := r.Write(j.Dir); err != nil {
			return nil, err
		}
	}
	t := &compare.Table{
		Digest: digest, ModelDigest: model, Seed: j.Seed, Model: j.Model, Data: j.Data, Metric: l.Monitor(), Synthetic: l.Data.Synthetic != nil,
		Passed: out.Passed, Protocol: l.Protocol(),
		Guarded: out.Guarded, SplitBy: out.Family.SplitBy, Rows: out.Rows,
	}
	if trunk := out.Family.Trunk; trunk != nil {
		t.TrunkSeconds = trunk.Seconds
	}
	if b := l.Data.Synthetic; b != nil && b.AUC > 0 {
		t.Reachable = report.Metrics{"auc": b.AUC, "logloss": b.LogLoss}
	}
	if err := writeJSON(j.Dir, run.TableFile, t); err != nil { // last: it says that the merge is done
		return nil, err
	}
	return t, j.dropStates()
}

// digestKey is the key of the merge's digest in the metadata of its model.
const digestKey = "splice.digest"

// writeModel writes the model that is passed on, and the counts.
func (j *Job) writeModel(out *compare.Outcome, digest string) error {
	c := train.Snapshot(out.Params)
	c.Meta = map[string]string{"format": "pt", run.MergeKey: string(out.Passed), digestKey: digest}
	if err := ckpt.Save(filepath.Join(j.Dir, run.ModelFile), c); err != nil {
		return err
	}
	if out.Counts == nil {
		return nil
	}
	return train.SaveCounts(j.Dir, out.Counts)
}

// dropStates removes the files that only resuming the comparison's trainings would need.
func (j *Job) dropStates() error {
	err := filepath.WalkDir(filepath.Join(j.Dir, run.RowsDir), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && e.Name() == run.LastDir {
			if err = run.ClearLast(filepath.Dir(path)); err == nil {
				err = fs.SkipDir
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("cki: %w", err)
	}
	return nil
}
