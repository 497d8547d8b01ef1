package job

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/merge"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/memory"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

// Merged is the result of a merge.
type Merged struct {
	Dir    string         // of the run
	Model  string         // the model's file if the parents were nothing but tensors; else empty
	Counts MergedCounts   // of such parents
	Table  *compare.Table // the comparison; nil for such parents, whose merge is not evaluated

	Metrics []string // names of the comparison's metrics, the one that selection goes by first
	Rows    string   // the file that has all rows of the comparison, to read
}

// MergedCounts are the numbers of a merge of files.
type MergedCounts struct{ Parents, Tensors int }

// Merge runs the merge of the config. A merge that was done before, with the same config and parents, is read from its files.
// overwrite replaces a run that is in the directory, and parents that a regime made there.
func (j *Job) Merge(ctx context.Context, overwrite bool) (*Merged, error) {
	if err := j.setup(); err != nil {
		return nil, err
	}
	if len(j.Experiment.Merge.Parents) > 0 && j.Init.From != "" { // the config trains such parents
		j.Log.Info("init.from is not used: merge.parents are given", "from", j.Init.From)
		j.Init.From = ""
	}
	parents, err := merge.OpenParents(j.Experiment.Merge.Parents, j.Model)
	if err != nil {
		return nil, err
	}
	defer merge.CloseParents(parents)
	if j.Model != nil && len(j.Experiment.Teacher.From) > 0 {
		return nil, run.BadInput(errors.New("cki: teacher: is for train and finetune; the soft labels of a merge are merge.finetune.teacher"))
	}
	unlock, err := j.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	m, err := j.merge(overwrite)
	if err != nil {
		return nil, err
	}
	if j.Model == nil { // nothing but the tensors is known: the result is not evaluated
		path, err := m.Files(ctx, parents)
		if err != nil {
			return nil, err
		}
		return &Merged{Dir: j.Dir, Model: path, Counts: MergedCounts{len(parents), len(parents[0].Tensors())}}, nil
	}
	t, err := j.compared(ctx, m, parents)
	if err != nil {
		return nil, err
	}
	return j.merged(t), nil
}

// affordMethod is [Job.afford] for what the method trains or measures itself, in batches of its own.
func (j *Job) affordMethod(sc *data.Schema, parents int) error {
	for _, k := range sizesOf(j.Experiment.Merge.Method, "merge.method") {
		if !strings.HasSuffix(k.path, ".batch_size") || k.n <= j.Experiment.Train.BatchSize {
			continue
		}
		e := *j.Experiment
		e.Train.BatchSize = k.n
		own := *j
		own.Experiment = &e
		b, err := own.bill(sc, uses{trains: true, loaded: parents})
		if err != nil {
			return run.BadInput(err)
		}
		if err := memory.Check(b.Total(), k.path+", "+k.value); err != nil {
			return run.BadInput(fmt.Errorf("the method %w", err))
		}
	}
	return nil
}

// compared returns the comparison of a merge, which it makes unless it is done already.
func (j *Job) compared(ctx context.Context, m *merge.Job, parents []*cki.Parent) (*compare.Table, error) {
	if len(parents) > 0 { // before their merge is looked for, since parents that do not fit have none
		if err := cki.Check(parents); err != nil {
			return nil, run.BadInput(err)
		}
	}
	if j.Init.From == "" { // with starting weights, the merge is identified by them too
		if t, err := m.Done(parents); t != nil || err != nil {
			return t, err
		}
	}
	lab := cki.Lab{Model: j.Model, Task: j.Task, Options: j.Experiment.Train, Seed: j.Seed, Log: j.Log}
	if len(parents) > 0 {
		features, err := merge.ResultMap(parents, j.Experiment.Merge.Vocabulary)
		if err != nil {
			return nil, err
		}
		if lab.Data, err = j.Data.Open(ctx, data.OpenOptions{Seed: j.Seed, Threads: j.Threads, Log: j.Log, Map: features}); err != nil {
			return nil, run.BadInput(err)
		}
		if err := j.afford(lab.Data.Schema, uses{trains: true, loaded: len(parents)}); err != nil {
			return nil, err
		}
	} else {
		b, err := j.basis(ctx, nil)
		if err != nil {
			return nil, err
		}
		lab.Data = b.data
		if j.Init.From != "" {
			lab.Start = b.loaded()
		} else {
			lab.Given = b.givenTables()
		}
	}
	if s, ok := j.Experiment.Merge.Regime.(cki.Sharder); ok && j.Experiment.Merge.Rounds.Train() {
		workers, _ := s.Deal()
		if err := j.afford(lab.Data.Schema, uses{trains: true, rounds: workers}); err != nil {
			return nil, err
		}
	}
	if err := j.affordMethod(lab.Data.Schema, len(parents)); err != nil {
		return nil, err
	}
	return m.Run(ctx, lab, parents)
}

// merged returns what a merge with a comparison came to.
func (j *Job) merged(t *compare.Table) *Merged {
	m := &Merged{Dir: j.Dir, Table: t, Rows: filepath.Join(j.Dir, run.TableFile)}
	if j.Experiment.Merge.Report {
		m.Rows = filepath.Join(j.Dir, run.MarkdownFile)
	}
	m.Metrics, _ = (&cki.Lab{Task: j.Task, Options: j.Experiment.Train}).Metrics() // the merge has had them
	return m
}

// merge returns the merge of the config.
func (j *Job) merge(overwrite bool) (*merge.Job, error) {
	settings, err := j.MergeYAML()
	if err != nil {
		return nil, err
	}
	m := &merge.Job{
		Dir: j.Dir, Options: j.Experiment.Merge, Settings: string(settings), Seed: j.Seed, Overwrite: overwrite, Log: j.Log,
		Describe: j.describeMerge, Complete: j.complete, Result: j.writeMerged, Callbacks: j.Show,
	}
	if m.Inputs, err = j.Inputs(); err != nil {
		return nil, err
	}
	if j.Model == nil {
		return m, nil
	}
	m.Model, m.Data = j.names()
	if m.Digest, err = j.Experiment.Digest(); err != nil {
		return nil, err
	}
	m.Making, err = Making(j.Experiment)
	return m, err
}

// Making returns a digest of what decides the parents that the regime of an experiment makes, but for weights that they start from and
// what is in the files of their data.
func Making(e *configs.Experiment) (string, error) {
	made := *e
	made.Merge = cki.DefaultOptions()
	made.Merge.Regime, made.Merge.Controls = e.Merge.Regime, e.Merge.Controls
	return made.Digest()
}

// AdoptParents copies the parents of another merge, which is done, into the job's directory, so that they are not trained again. It
// reports whether it did: see [merge.Job.Adopt].
func (j *Job) AdoptParents(from string) (bool, error) {
	making, err := Making(j.Experiment)
	if err != nil {
		return false, err
	}
	return (&merge.Job{Dir: j.Dir, Making: making}).Adopt(from)
}

// describeMerge writes the config and the feature map of a merge, or of a parent that a regime trains by some options. The
// parent's config does not say which part of the rows it was trained on.
func (j *Job) describeMerge(dir string, d *data.Splits, trained *train.Options) error {
	if trained == nil {
		return j.describe(d)
	}
	e := *j.Experiment
	e.Run, e.Train, e.Merge = dir, *trained, cki.DefaultOptions()
	parent := *j
	parent.Experiment, parent.Dir = &e, dir
	return parent.describe(d)
}

// writeMerged writes the result of the row that a merge passes on.
func (j *Job) writeMerged(passed *compare.Row, digest string) error {
	model, dataset := j.names()
	return j.writeJSON(run.ResultFile, Result{
		Model: model, Data: dataset, Seed: j.Seed, Digest: digest, Valid: run.Metrics(passed.Valid), Test: run.Metrics(passed.Test),
	})
}

// CheckParents checks that the parents that the config gives fit together, and returns them closed. It returns none if the regime makes
// them.
func (j *Job) CheckParents() ([]*cki.Parent, error) {
	if err := j.setup(); err != nil {
		return nil, err
	}
	parents, err := merge.OpenParents(j.Experiment.Merge.Parents, j.Model)
	if err != nil || len(parents) == 0 {
		return nil, err
	}
	defer merge.CloseParents(parents)
	return parents, run.BadInput(cki.Check(parents))
}
