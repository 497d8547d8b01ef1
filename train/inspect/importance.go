package inspect

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/task"
)

// Importance is how much worse a metric is where the model reads a column's values in other rows than theirs.
type Importance struct {
	Column
	Drop      float64   // mean over the repeats
	Low, High float64   // 95 % interval of the mean: Student's over the repeats; NaN for one repeat
	Drops     []float64 // by repeat
}

// Permutation is how importances are measured.
type Permutation struct {
	Metric  string // one of the task's
	Repeats int    // permutations of each column, above 0
	Seed    uint64 // column c in repeat r is permuted by the stream (Seed, "importance", c, r)

	Evaluate train.EvaluateOptions
	Done     func(c Column) // is called after each column; may be nil
}

// Measure returns the importance of each column, the greatest first, and the metric of the rows as they are. An importance is the drop of the
// metric, or its rise where the lower one is better, when the column's values are permuted among the rows (Breiman 2001, Machine Learning 45,
// section 10; as a difference of expected losses: Fisher, Rudin and Dominici 2019, JMLR 20(177), section 3). It is that of the model, not of
// the world: of two columns that say the same, a model may need either, both, or none.
func (p Permutation) Measure(ctx context.Context, prog train.Predictor, rows *Rows, t task.Task, columns []Column) (list []Importance, whole float64, err error) {
	worse := -1.0
	if metric.HigherIsBetter(p.Metric) {
		worse = 1
	}
	if whole, err = p.of(ctx, prog, t, rows, nil, nil); err != nil {
		return nil, 0, err
	}
	for _, c := range columns {
		im := Importance{Column: c}
		for r := range p.Repeats {
			order := rng.New(rng.Key(p.Seed, "importance", c.Name, r)).Perm(rows.Held())
			v, err := p.of(ctx, prog, t, rows, &c, order)
			if err != nil {
				return nil, 0, err
			}
			im.Drops = append(im.Drops, worse*(whole-v))
		}
		im.Drop, im.Low, im.High = student(im.Drops)
		list = append(list, im)
		if p.Done != nil {
			p.Done(c)
		}
	}
	slices.SortStableFunc(list, func(a, b Importance) int { return cmp.Compare(b.Drop, a.Drop) })
	return list, whole, nil
}

// of returns the metric, of rows in which a column is permuted if there is one.
func (p Permutation) of(ctx context.Context, prog train.Predictor, t task.Task, rows *Rows, c *Column, order []int) (float64, error) {
	src := rows.Source()
	if c != nil {
		src = rows.Permuted(*c, order)
	}
	s, err := train.Evaluate(ctx, prog, src, t, p.Evaluate)
	if err != nil {
		return 0, err
	}
	for _, u := range s.Undefined {
		if u.Metric == p.Metric {
			return 0, fmt.Errorf("%s is undefined on these rows (%s): give other ones, or more", u.Metric, u.Reason)
		}
	}
	return s.Metrics[p.Metric], nil
}

// student returns the mean of x with its 95 % interval.
func student(x []float64) (mean, low, high float64) {
	n := float64(len(x))
	for _, v := range x {
		mean += v / n
	}
	if len(x) < 2 {
		return mean, math.NaN(), math.NaN()
	}
	var square float64
	for _, v := range x {
		square += (v - mean) * (v - mean)
	}
	half := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975) * math.Sqrt(square/(n-1)/n)
	return mean, mean - half, mean + half
}
