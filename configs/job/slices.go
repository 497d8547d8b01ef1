package job

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/inspect"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

// Orders of slices.
const (
	BySize     = "size"     // the largest first
	BySmallest = "smallest" // the smallest first
	ByWorst    = "worst"    // those on which the metric is worst first
)

// SliceOptions say how a model is measured on slices of rows.
type SliceOptions struct {
	Path, Split string   // as of [Ensemble.Evaluate]
	By          []string // columns
	Metric      string   // the only one that is measured; empty: all of the task's
	Sort        string   // an order above; empty: BySize
}

// SliceScores are the metrics of a model on slices of some rows.
type SliceScores struct {
	Part     string
	Protocol string   // see Scores
	Names    []string // of the metrics, in their order
	All      inspect.Slice
	Columns  []inspect.Sliced
}

// Slices measures the run, or the ensemble of several, for each value of columns of the rows. Rows are read twice. each is called for each part.
func (t *Ensemble) Slices(ctx context.Context, o SliceOptions, each func(*SliceScores) error) error {
	names, err := t.first().Metrics()
	if err != nil {
		return err
	}
	by := t.first().monitor(names)
	if o.Metric != "" {
		if !slices.Contains(names, o.Metric) {
			return run.BadInput(fmt.Errorf("--metric %s: the task of %s has %s; others are given with --set, as task.metrics", o.Metric, t.first().Dir, strings.Join(names, ", ")))
		}
		names, by = []string{o.Metric}, o.Metric
	}
	var sort func(a, b inspect.Slice) int
	switch o.Sort {
	case "", BySize:
		sort = inspect.BySize
	case BySmallest:
		sort = func(a, b inspect.Slice) int { return inspect.BySize(b, a) }
	case ByWorst:
		if !metric.Selectable(by) {
			return run.BadInput(fmt.Errorf("--sort %s: neither a high nor a low %s is worst: name another metric with --metric", o.Sort, by))
		}
		sort = inspect.ByMetric(by)
	default:
		return run.BadInput(fmt.Errorf("--sort %q: want %s, %s or %s", o.Sort, BySize, BySmallest, ByWorst))
	}
	parts, err := t.chosen(ctx, o.Path, o.Split)
	if err != nil {
		return err
	}
	if sc := parts[0].src[0].Schema(); sc.Text != nil {
		return run.BadInput(fmt.Errorf("--by: %s reads texts, which have no values to go by", t.first().Dir))
	} else if err := train.CheckGroups(sc, t.first().Task); err != nil {
		return run.BadInput(err)
	}
	if o.Path != "" {
		f, _, err := bound.Open(o.Path) // a pipe cannot be read twice
		if err != nil {
			return run.BadInput(fmt.Errorf("rows are read twice for --by: %w", err))
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	progs, closeAll, err := t.programs(parts[0], false, false)
	if err != nil {
		return err
	}
	defer closeAll()
	for _, p := range parts {
		s := &SliceScores{Part: p.name, Names: names, Protocol: train.Protocol(p.src[0], t.first().Task, t.Candidates)}
		if err := t.slice(ctx, progs, p, o, s); err != nil {
			return run.BadInput(err)
		}
		for _, c := range s.Columns {
			if c.Found > 0 || o.Sort != "" {
				slices.SortStableFunc(c.Slices, func(a, b inspect.Slice) int {
					if a.Rest != b.Rest {
						return map[bool]int{true: 1, false: -1}[a.Rest] // the rest comes last
					}
					return sort(a, b)
				})
			}
		}
		if err := each(s); err != nil {
			return err
		}
	}
	return nil
}

// sliced are columns by which rows are sliced, and those of them that are read beside the rows.
type sliced struct {
	columns []*inspect.Values
	beside  []string
	at      []int // by column: its place in beside, or -1
	path    string
	t       *Ensemble
}

// by finds the columns. Those that are no features are read of a file, beside its rows.
func (t *Ensemble) by(ctx context.Context, p part, o SliceOptions) (*sliced, error) {
	s := &sliced{t: t, path: o.Path}
	r, sc := t.first(), p.src[0].Schema()
	kinds := map[string]data.CellKind{}
	var features []string
	for i := range sc.Features {
		features = append(features, sc.Features[i].Name)
	}
	for i, name := range o.By {
		if slices.Contains(o.By[:i], name) {
			return nil, fmt.Errorf("--by: %s is given twice", name)
		}
		if !slices.Contains(features, name) {
			s.beside = append(s.beside, name)
		}
	}
	if len(s.beside) > 0 {
		passer, ok := r.Data.(data.Passer)
		if o.Path == "" || !ok {
			return nil, fmt.Errorf("--by %s: the run has no such column (it has %s); other columns of a CSV or Parquet file are read beside the rows of --data",
				s.beside[0], bound.Names(features))
		}
		of, err := passer.Pass(ctx, o.Path, s.beside, data.StreamOptions{Threads: r.Threads})
		if err != nil {
			return nil, err
		}
		for i, name := range s.beside {
			kinds[name] = of.Kinds[i]
		}
	}
	for _, name := range o.By {
		at := slices.Index(s.beside, name)
		s.at = append(s.at, at)
		if at >= 0 {
			s.columns = append(s.columns, inspect.CellValues(name, kinds[name], r.Seed))
			continue
		}
		v, err := inspect.FeatureValues(r.Map, &sc.Features[slices.Index(features, name)], r.Seed)
		if err != nil {
			return nil, fmt.Errorf("--by: %w", err)
		}
		s.columns = append(s.columns, v)
	}
	return s, nil
}

// cells returns what reads the cells of the rows of one batch after the other, by row and column; nil of features.
func (s *sliced) cells(ctx context.Context) (batch func(n int) (func(row, column int) []byte, error), stop func(), err error) {
	if len(s.beside) == 0 {
		none := func(int, int) []byte { return nil }
		return func(int) (func(int, int) []byte, error) { return none, nil }, func() {}, nil
	}
	of, err := s.t.first().Data.(data.Passer).Pass(ctx, s.path, s.beside, data.StreamOptions{Threads: s.t.first().Threads})
	if err != nil {
		return nil, nil, err
	}
	next, stop := iter.Pull2(of.Rows)
	var kept [][]byte
	return func(n int) (func(int, int) []byte, error) {
		kept = kept[:0]
		for range n {
			cells, err, ok := next()
			if err == nil && !ok {
				err = fmt.Errorf("%s has changed while it was read: it has fewer rows now", s.path)
			}
			if err != nil {
				return nil, err
			}
			for _, c := range cells {
				kept = append(kept, slices.Clone(c))
			}
		}
		return func(row, column int) []byte {
			if s.at[column] < 0 {
				return nil
			}
			return kept[row*len(s.beside)+s.at[column]]
		}, nil
	}, stop, nil
}

// slice measures the slices of a part.
func (t *Ensemble) slice(ctx context.Context, progs []*models.Program, p part, o SliceOptions, out *SliceScores) error {
	by, err := t.by(ctx, p, o)
	if err != nil {
		return err
	}
	batch := progs[0].Batch()
	var scratch []int
	err = by.rows(ctx, p.src[0], batch, func(b *data.Batch, cells func(int, int) []byte) error {
		for i := range b.N {
			for c, v := range by.columns {
				if err := v.Count(b, cells(i, c), i, scratch); err != nil {
					return fmt.Errorf("--by: %w", err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, v := range by.columns {
		v.Plan()
	}
	slicer, err := inspect.NewSlicer(t.first().Task, p.src[0].Schema(), by.columns, inspect.SlicerOptions{
		Seed: t.first().Seed, Metrics: out.Names, Evaluate: train.EvaluateOptions{Dir: t.first().Dir, Candidates: t.Candidates},
	})
	if err != nil {
		return err
	}
	defer slicer.Close()
	s, _, end, err := t.predictor(progs, p, true)
	if err != nil {
		return err
	}
	var rows int64
	err = by.rows(ctx, p.src[0], batch, func(b *data.Batch, cells func(int, int) []byte) error {
		if _, err := s.Run(b, 0); err != nil {
			return err
		}
		z := s.Logits()
		z = z[:len(z)/s.Batch()*b.N]
		if err := train.CheckOutputs(z, b.N, rows); err != nil {
			return err
		}
		rows += int64(b.N)
		return slicer.Add(z, b, cells)
	})
	if ended := end(); err == nil {
		err = ended
	}
	if err != nil {
		return err
	}
	out.All, out.Columns, err = slicer.Result()
	return err
}

// rows calls do with the rows of a source, batch by batch, and the cells beside them.
func (s *sliced) rows(ctx context.Context, src data.Source, size int, do func(b *data.Batch, cells func(row, column int) []byte) error) error {
	next, stop, err := s.cells(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for b, err := range src.Batches(0, size) {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		cells, err := next(b.N)
		if err != nil {
			return err
		}
		if err := do(b, cells); err != nil {
			return err
		}
	}
	return nil
}
