package train

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/task"
)

// Predictor computes the logits of batches. It is a models.Program, or an ensemble of several.
type Predictor interface {
	// Batch returns the number of rows that are scored at once.
	Batch() int
	// Run scores a batch. step selects dropout's masks, if there are any.
	Run(b *data.Batch, step int64) (float64, error)
	// Logits returns the last run's logits, [batch, outputs] row-major, valid until the next Run. Rows from N on are undefined.
	Logits() []float32
}

// Scores are a task's metrics over some rows.
type Scores struct {
	Metrics   map[string]float64  // by name; NaN if the metric is undefined for the rows
	Order     []string            // the names in the task's order
	Undefined []*metric.Undefined // why metrics are undefined
}

// Evaluate runs prog, a models.Program compiled for evaluation or an ensemble, over all rows of src, and returns the task's metrics. A
// metric that is undefined for the rows is no error. Logits of a masked language model are compared with the tokens to predict. each,
// if not nil, is called after every batch with its number of rows, and its error ends the evaluation.
func Evaluate(ctx context.Context, prog Predictor, src data.Source, t task.Task, each func(rows int) error) (*Scores, error) {
	ms, err := t.Metrics()
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, m := range ms {
			m.Reset()
		}
	}()
	for b, err := range src.Batches(0, prog.Batch()) {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, err := prog.Run(b, 0); err != nil {
			return nil, err
		}
		z := prog.Logits()
		z = z[:len(z)/prog.Batch()*b.N]
		targets, group := compared(b)
		for _, m := range ms {
			if err := m.Add(z, targets, group); err != nil {
				return nil, err
			}
		}
		if each != nil {
			if err := each(b.N); err != nil {
				return nil, err
			}
		}
	}
	s := &Scores{}
	for _, m := range ms {
		s.Order = append(s.Order, m.Name())
	}
	if s.Metrics, s.Undefined, err = metric.Values(ms); err != nil {
		return nil, fmt.Errorf("train: evaluate: %w", err)
	}
	return s, nil
}

// compared returns what the logits of a batch are compared with, and the groups of its rows if there are any.
func compared(b *data.Batch) (targets []float32, group []int64) {
	targets = b.Targets()
	if b.Group != nil && len(targets) == b.N {
		group = b.Group[:b.N]
	}
	return targets, group
}

// Undefined returns the task's metrics that are undefined for the rows of src. The labels alone decide it. They are read until all
// metrics are found to be defined, in batches of so many rows.
func Undefined(ctx context.Context, src data.Source, t task.Task, batch int) ([]*metric.Undefined, error) {
	ms, err := t.Metrics()
	if err != nil {
		return nil, err
	}
	var labels metric.Labels
	undefined := func() (list []*metric.Undefined) {
		for _, m := range ms {
			if u := labels.Check(m.Name()); u != nil {
				list = append(list, u)
			}
		}
		return list
	}
	for b, err := range src.Batches(0, batch) {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		labels.Add(compared(b))
		if len(undefined()) == 0 {
			return nil, nil
		}
	}
	return undefined(), nil
}

// CheckMonitor reports that the metric by which models are selected is undefined on the validation rows. Nothing can be selected then,
// so that a training would be in vain. Data without validation rows is fine: nothing is selected.
func CheckMonitor(ctx context.Context, d *data.Splits, t task.Task, o Options) error {
	if d.Valid == nil {
		return nil
	}
	undefined, err := Undefined(ctx, d.Valid, t, o.BatchSize)
	if err != nil || len(undefined) == 0 {
		return err
	}
	ms, err := t.Metrics()
	if err != nil {
		return err
	}
	monitor, others := o.Monitor, []string(nil)
	if monitor == "" {
		monitor = ms[0].Name()
	}
	at := func(name string) int {
		return slices.IndexFunc(undefined, func(u *metric.Undefined) bool { return u.Metric == name })
	}
	i := at(monitor)
	if i < 0 {
		return nil
	}
	for _, m := range ms {
		if metric.Selectable(m.Name()) && at(m.Name()) < 0 {
			others = append(others, m.Name())
		}
	}
	help := "give other validation rows (data.split, data.valid_path)"
	if len(others) > 0 {
		help = fmt.Sprintf("select by another metric (train.monitor: %s), or %s", strings.Join(others, " or "), help)
	}
	return fmt.Errorf("train: %s is undefined on the validation rows (%s), so no model can be selected by it: %s",
		monitor, undefined[i].Reason, help)
}
