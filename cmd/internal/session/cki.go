package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
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
	if !o.Check {
		unlock, err := s.lock()
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	if len(s.Merge.Parents) > 0 && s.Init.From != "" { // the config trains such parents
		s.Log.Info("init.from is not used: merge.parents are given", "from", s.Init.From)
		s.Init.From = ""
	}
	digest, err := s.Experiment.Digest()
	if err != nil {
		return nil, err
	}
	parents, err := openParents(s.Merge.Parents)
	if err != nil {
		return nil, cli.BadInput(err)
	}
	defer closeAll(parents)
	if o.Check {
		return nil, s.check(parents)
	}
	if len(parents) > 0 {
		if err := cki.Check(parents); err != nil {
			return nil, cli.BadInput(err)
		}
	}
	if digest, err = s.withParents(digest, parents); err != nil {
		return nil, err
	}
	if s.Init.From == "" { // else the digest is not known before the weights are read
		if t, err := s.done(digest, o); t != nil || err != nil {
			return t, err
		}
	}
	d, from, err := s.stand(ctx, parents, digest)
	if err != nil {
		return nil, err
	}
	if d.Valid == nil {
		return nil, cli.BadInput(errors.New("cki: the data has no validation rows: a merge is judged by them; set data.split or data.valid_path"))
	}
	made, err := s.parentsDigest()
	if err != nil {
		return nil, err
	}
	if from != nil {
		start, err := cki.Digest(cki.Memory(from))
		if err != nil {
			return nil, err
		}
		made, digest = made+"-"+start, digest+"-"+start
		if t, err := s.done(digest, o); t != nil || err != nil {
			return t, err
		}
	}
	if err := s.free(o.Overwrite); err != nil {
		return nil, cli.BadInput(err)
	}
	if err := s.claim(run.ParentsDir, made, o.Overwrite); err != nil {
		return nil, err
	}
	if err := s.claim(run.RowsDir, digest, true); err != nil {
		return nil, err
	}
	if err := run.ClearResult(s.Dir); err != nil { // what was there may be replaced: see free
		return nil, err
	}
	l := &cki.Lab{
		Model: s.Model, Task: s.Task, Data: d, Options: s.Experiment.Train, Seed: s.Seed, Dir: filepath.Join(s.Dir, run.ParentsDir), Digest: made, Log: s.Log,
		Begin: s.begin(d), KeepBaseEpochs: s.Merge.Controls, Start: from,
	}
	f, err := s.family(ctx, l, parents)
	if err != nil {
		return nil, err
	}
	l.Dir, l.Digest = filepath.Join(s.Dir, run.RowsDir), digest
	out, err := compare.Run(ctx, l, s.Merge, f, func(r compare.Row) {
		scores := []any{"valid", r.Valid[l.Monitor()]}
		if r.Test != nil {
			scores = append(scores, "test", r.Test[l.Monitor()])
		}
		s.Log.Info(string(r.Name), append(scores, "seconds", r.Seconds)...)
	})
	if err != nil {
		return nil, err
	}
	return s.passOn(ctx, l, d, out, digest)
}

func openParents(paths []string) ([]*cki.Parent, error) {
	var parents []*cki.Parent
	var errs []error
	for _, path := range paths {
		p, err := cki.Open(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		parents = append(parents, p)
	}
	if len(errs) > 0 {
		closeAll(parents)
		return nil, errors.Join(errs...)
	}
	return parents, nil
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

// stand returns the data that the merge is judged by, and the weights of init that the regime starts from, nil if there are
// none.
func (s *Session) stand(ctx context.Context, parents []*cki.Parent, digest string) (*data.Splits, *nn.Params, error) {
	if len(s.Experiment.Teacher.From) > 0 {
		return nil, nil, cli.BadInput(errors.New("cki: teacher: is for train and finetune; the soft labels of a merge are merge.finetune.teacher"))
	}
	if len(parents) == 0 {
		g, err := s.ground(ctx, digest)
		if err != nil {
			return nil, nil, err
		}
		defer g.teachers.Close()
		if s.Init.From == "" {
			return g.data, nil, nil
		}
		return g.data, g.loaded(), nil
	}
	m, err := s.resultMap(parents)
	if err != nil {
		return nil, nil, cli.BadInput(err)
	}
	d, err := s.Data.Open(ctx, data.OpenOptions{Seed: s.Seed, Threads: s.Threads, Log: s.Log, Map: m})
	return d, nil, cli.BadInput(err)
}

// resultMap returns the feature map of the result, nil to fit one.
func (s *Session) resultMap(parents []*cki.Parent) (*data.FeatureMap, error) {
	if len(parents) == 0 || parents[0].Map == nil {
		return nil, nil
	}
	if s.Merge.Vocabulary != "union" {
		return parents[0].Map, nil
	}
	var others []*data.FeatureMap
	for _, p := range parents[1:] {
		others = append(others, p.Map)
	}
	return data.Union(parents[0].Map, others...)
}

// family returns the parents: those given, or what the regime makes.
func (s *Session) family(ctx context.Context, l *cki.Lab, parents []*cki.Parent) (*cki.Family, error) {
	if len(parents) == 0 {
		return s.Merge.Regime.Make(ctx, l)
	}
	f := &cki.Family{}
	alone, mixed := cki.Remap(parents, l.Data.Map, cki.FillOOV), cki.Remap(parents, l.Data.Map, cki.FillOther)
	for i, p := range parents {
		m := &cki.Member{Name: p.Name, Counts: mixed[i].Counts, Data: l.Data, Seed: l.Seed}
		if alone[i] == p && mixed[i] == p {
			m.Dir = p.Name // whose other checkpoints fit, too
		}
		for _, x := range []struct {
			from *cki.Parent
			to   **nn.Params
		}{{alone[i], &m.Params}, {mixed[i], &m.Mixed}} {
			q, err := l.NewParams(0)
			if err != nil {
				return nil, err
			}
			if err := cki.Load(x.from, q); err != nil {
				return nil, cli.BadInput(fmt.Errorf("cki: parent %s: %w", p.Name, err))
			}
			*x.to = q
			if alone[i] == p && mixed[i] == p {
				m.Mixed = q
				break
			}
		}
		f.Members = append(f.Members, m)
	}
	return f, nil
}

// begin returns what is called before each training: parents become runs of their own, with a config and a feature map. Their
// config does not say which part of the rows they were trained on.
func (s *Session) begin(d *data.Splits) func(name, dir string, o train.Options) ([]train.Callback, error) {
	return func(name, dir string, o train.Options) ([]train.Callback, error) {
		if rel, err := filepath.Rel(s.Dir, dir); err == nil {
			name = filepath.ToSlash(rel)
		}
		s.Log.Info("training", "name", name, "epochs", o.Epochs)
		if strings.HasPrefix(name, run.ParentsDir+"/") {
			e := *s.Experiment
			e.Run, e.Train, e.Merge = dir, o, cki.DefaultOptions()
			own := *s
			own.Experiment, own.Dir = &e, dir
			if err := own.describe(d); err != nil {
				return nil, err
			}
		}
		cs := []train.Callback{&train.JSONL{Path: filepath.Join(dir, run.MetricsFile), LogSteps: o.LogSteps}}
		if s.Progress != nil && s.Terminal {
			cs = append(cs, &train.Progress{Out: s.Progress, Terminal: true, LogSteps: o.LogSteps})
		}
		return cs, nil
	}
}

// passOn writes the files of the resulting run.
func (s *Session) passOn(ctx context.Context, l *cki.Lab, d *data.Splits, out *compare.Outcome, digest string) (*compare.Table, error) {
	if err := s.describe(d); err != nil {
		return nil, err
	}
	prov, err := s.provenance(membersAsParents(out.Family), string(out.Passed))
	if err != nil {
		return nil, err
	}
	if err := s.writeJSON(run.MergeFile, prov); err != nil {
		return nil, err
	}
	meta := map[string]string{"format": "pt", "splice.merge": string(out.Passed), "splice.digest": digest}
	if err := cki.SaveRun(s.Dir, out.Params, out.Counts, meta); err != nil {
		return nil, err
	}
	model, dataset := s.names()
	t := &compare.Table{
		Digest: digest, Seed: s.Seed, Model: model, Data: dataset, Metric: l.Monitor(), Synthetic: d.Synthetic != nil, Passed: out.Passed,
		Guarded: out.Guarded, SplitBy: out.Family.SplitBy, Rows: out.Rows,
	}
	if b := d.Synthetic; b != nil && b.AUC > 0 {
		t.Reachable = report.Metrics{"auc": b.AUC, "logloss": b.LogLoss}
	}
	r := result{Model: model, Data: dataset, Seed: s.Seed, Digest: digest}
	for _, row := range out.Rows {
		if row.Name == out.Passed {
			r.Valid, r.Test = numbers(row.Valid), numbers(row.Test)
		}
	}
	if err := s.writeJSON(run.ResultFile, r); err != nil {
		return nil, err
	}
	if s.Merge.Report {
		if err := s.writeReport(ctx, l, d, out, t, prov); err != nil {
			return nil, err
		}
	}
	if err := s.writeJSON(run.TableFile, t); err != nil {
		return nil, err
	}
	return t, s.dropStates()
}

// dropStates removes what only going on with the comparison's trainings needs.
func (s *Session) dropStates() error {
	err := filepath.WalkDir(filepath.Join(s.Dir, run.RowsDir), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && e.Name() == run.LastDir {
			if err = os.RemoveAll(path); err == nil {
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

// printTable prints the rows that matter most of a comparison, and what it came to in words.
func (s *Session) printTable(t *compare.Table) error {
	names, err := s.metricNames(t.Metric)
	if err != nil {
		return err
	}
	label := ""
	if t.Synthetic {
		label = " (synthetic)"
	}
	rows := t.Rows.Short()
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
