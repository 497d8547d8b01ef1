package session

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/merge"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/logs"
	"github.com/splice-ml/splice/train/run"
)

// CKIOptions say how a merge is run.
type CKIOptions struct {
	Check     bool // check the parents only
	Overwrite bool // replace a run that is in the directory, and parents that the regime made there
}

// CKI runs the merge of a config into the run's directory and prints its comparison.
func CKI(ctx context.Context, c *cli.Command, config Config, run string, o CKIOptions) error {
	e, err := config.load(ctx, c, configs.LoadMerge)
	if err != nil {
		return err
	}
	s := New(c, e, RunDir(run, e.Run, config.File))
	if e.Model == nil {
		return s.mergeFiles(ctx, o)
	}
	t, err := s.CKI(ctx, o)
	if err != nil || t == nil {
		return err
	}
	return s.printTable(t)
}

// CKI runs the merge and returns its comparison, nil if it was a check alone. A merge that was done before with the same
// config is read from its files.
func (s *Session) CKI(ctx context.Context, o CKIOptions) (*compare.Table, error) {
	if err := s.setup(); err != nil {
		return nil, err
	}
	if len(s.Merge.Parents) > 0 && s.Init.From != "" { // the config trains such parents
		s.Log.Info("init.from is not used: merge.parents are given", "from", s.Init.From)
		s.Init.From = ""
	}
	parents, err := merge.OpenParents(s.Merge.Parents)
	if err != nil {
		return nil, badMerge(err)
	}
	defer merge.CloseParents(parents)
	if o.Check {
		return nil, s.check(parents)
	}
	if len(s.Experiment.Teacher.From) > 0 {
		return nil, cli.BadInput(errors.New("cki: teacher: is for train and finetune; the soft labels of a merge are merge.finetune.teacher"))
	}
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	j, err := s.job(o)
	if err != nil {
		return nil, err
	}
	if s.Init.From == "" { // else the merge is known by the weights, too
		if t, err := j.Done(parents); t != nil || err != nil {
			return t, badMerge(err)
		}
	}
	lab := cki.Lab{Model: s.Model, Task: s.Task, Options: s.Experiment.Train, Seed: s.Seed, Log: s.Log}
	if len(parents) > 0 {
		m, err := merge.ResultMap(parents, s.Merge.Vocabulary)
		if err != nil {
			return nil, badMerge(err)
		}
		if lab.Data, err = s.Data.Open(ctx, data.OpenOptions{Seed: s.Seed, Threads: s.Threads, Log: s.Log, Map: m}); err != nil {
			return nil, cli.BadInput(err)
		}
	} else {
		g, err := s.ground(ctx, j.Digest)
		if err != nil {
			return nil, err
		}
		if lab.Data = g.data; s.Init.From != "" {
			lab.Start = g.loaded()
		}
	}
	t, err := j.Run(ctx, lab, parents)
	return t, badMerge(err)
}

// job returns the merge of the config.
func (s *Session) job(o CKIOptions) (*merge.Job, error) {
	settings, err := s.MergeYAML()
	if err != nil {
		return nil, err
	}
	j := &merge.Job{
		Dir: s.Dir, Options: s.Merge, Settings: string(settings), Seed: s.Seed, Overwrite: o.Overwrite, Log: s.Log,
		Describe: s.describeMerge, Result: s.writeMerged, Callbacks: s.progress,
	}
	if s.Model == nil {
		return j, nil
	}
	j.Model, j.Data = s.names()
	if j.Digest, err = s.Experiment.Digest(); err != nil {
		return nil, err
	}
	e := *s.Experiment // what of it decides the parents that the regime makes
	e.Merge = cki.DefaultOptions()
	e.Merge.Regime, e.Merge.Controls = s.Merge.Regime, s.Merge.Controls
	j.Making, err = e.Digest()
	return j, err
}

// badMerge marks a mistake of the user in a merge as such.
func badMerge(err error) error {
	var in *merge.InputError
	if errors.As(err, &in) {
		return cli.BadInput(err)
	}
	return err
}

// describeMerge writes the config and the feature map of a merge, or of a parent that a regime trains by some options. The
// parent's config does not say which part of the rows it was trained on.
func (s *Session) describeMerge(dir string, d *data.Splits, trained *train.Options) error {
	if trained == nil {
		return s.describe(d)
	}
	e := *s.Experiment
	e.Run, e.Train, e.Merge = dir, *trained, cki.DefaultOptions()
	parent := *s
	parent.Experiment, parent.Dir = &e, dir
	return parent.describe(d)
}

// writeMerged writes the result of the row that a merge passes on.
func (s *Session) writeMerged(passed *compare.Row, digest string) error {
	model, dataset := s.names()
	return s.writeJSON(run.ResultFile, result{
		Model: model, Data: dataset, Seed: s.Seed, Digest: digest, Valid: run.Metrics(passed.Valid), Test: run.Metrics(passed.Test),
	})
}

// progress returns what shows the progress of a merge's training.
func (s *Session) progress(o train.Options) []train.Callback {
	if s.Progress == nil || !s.Terminal {
		return nil
	}
	return []train.Callback{&logs.Progress{Out: s.Progress, Terminal: true, LogSteps: o.LogSteps}}
}

// mergeFiles merges checkpoints of which nothing but the tensors is known. The result is not evaluated.
func (s *Session) mergeFiles(ctx context.Context, o CKIOptions) error {
	if err := s.setup(); err != nil {
		return err
	}
	parents, err := merge.OpenParents(s.Merge.Parents)
	if err != nil {
		return badMerge(err)
	}
	defer merge.CloseParents(parents)
	if o.Check {
		return s.check(parents)
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	j, err := s.job(o)
	if err != nil {
		return err
	}
	path, err := j.Files(ctx, parents)
	if err != nil {
		return badMerge(err)
	}
	_, err = fmt.Fprintf(s.Out, "merged %d checkpoints, %d tensors, into %s; it was not evaluated: the config has no data and model\n",
		len(parents), len(parents[0].Tensors()), path)
	return err
}

// check prints whether the parents fit.
func (s *Session) check(parents []*cki.Parent) error {
	if len(parents) == 0 {
		_, err := fmt.Fprintln(s.Out, "no parents are given: the regime makes them, so they fit")
		return err
	}
	if err := cki.Check(parents); err != nil {
		return cli.BadInput(err)
	}
	for _, p := range parents {
		fmt.Fprintf(s.Out, "%s: %d tensors\n", p.Name, len(p.Tensors()))
	}
	_, err := fmt.Fprintln(s.Out, "the parents fit together")
	return err
}

// printTable prints the rows that matter most of a comparison, and what it came to in words.
func (s *Session) printTable(t *compare.Table) error {
	names, err := (&cki.Lab{Task: s.Task, Options: s.Experiment.Train}).Metrics()
	if err != nil {
		return err
	}
	label := ""
	if t.Synthetic {
		label = " (synthetic)"
	}
	rows := t.Short()
	more := ""
	if len(rows) < len(t.Rows) {
		file := run.TableFile
		if s.Merge.Report {
			file = run.MarkdownFile
		}
		more = fmt.Sprintf("; all %d rows are in %s", len(t.Rows), filepath.Join(s.Dir, file))
	}
	fmt.Fprintf(s.Out, "%s on %s%s, seed %d%s\n%s", t.Model, t.Data, label, t.Seed, more, report.Table(rows.Report(), names))
	if len(t.Reachable) > 0 {
		fmt.Fprintf(s.Out, "best reachable on these test rows, by their true probabilities: auc %.5f logloss %.5f\n", t.Reachable["auc"], t.Reachable["logloss"])
	}
	_, err = fmt.Fprintf(s.Out, "\n%s\n", strings.Join(t.Words(s.Dir), "\n"))
	return err
}
