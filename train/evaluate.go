package train

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"os"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
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
	Protocol  string              // what was ranked: see [Protocol]
	Undefined []*metric.Undefined // why metrics are undefined
}

// OutputError is the error of a model whose output for a row is no finite number.
type OutputError struct {
	Row   int64 // from 1, in the order in which the rows were read
	Value float32
}

// Error names the row.
func (e *OutputError) Error() string {
	return fmt.Sprintf("row %d: the model's output is %v: look for extreme values in the row, or in the model's weights", e.Row, e.Value)
}

// CheckOutputs returns an [*OutputError] if one of the logits of n rows, [n, outputs] row-major, is no finite number. So many rows came
// before them.
func CheckOutputs(logits []float32, n int, before int64) error {
	i := -1
	if len(logits) < manyOutputs {
		i = nn.NotFinite(logits)
	} else {
		i = firstNotFinite(logits)
	}
	if i < 0 {
		return nil
	}
	return &OutputError{before + int64(i/(len(logits)/n)) + 1, logits[i]}
}

// manyOutputs is the number of values from which looking for one that is not finite is worth several threads, as the scores of whole
// catalogues are.
const manyOutputs = 1 << 18

// firstNotFinite is nn.NotFinite by several threads.
func firstNotFinite(x []float32) int {
	const parts = 16
	var at [parts]int
	kernel.Parallel(parts, func(i int) {
		lo := len(x) * i / parts
		if at[i] = nn.NotFinite(x[lo : len(x)*(i+1)/parts]); at[i] >= 0 {
			at[i] += lo
		}
	})
	for _, i := range at {
		if i >= 0 {
			return i
		}
	}
	return -1
}

// EvaluateOptions are what an evaluation may be told. The zero value is ready to use.
type EvaluateOptions struct {
	Each func(rows int) error // called after every batch with its number of rows; its error ends the evaluation
	// Candidates, above 0, has a task that ranks all items rank each row's item among so many others instead, which are drawn.
	Candidates int
	Dir        string // of a run, for temporary files of metrics of many rows; empty: among the system's

	ranks *ranks // that share the work; nil: this one does it
}

// SpillMetrics makes metrics keep the rows that are too many for memory in the directory of the options.
func (o EvaluateOptions) SpillMetrics(ms []metric.Metric) {
	if o.Dir != "" {
		metric.SpillInto(ms, func() (*os.File, error) { return run.Spill(o.Dir) })
	}
}

// Evaluate runs prog, a models.Program compiled for evaluation or an ensemble, over all rows of src, and returns the task's metrics. A
// metric that is undefined for the rows is no error, and an output that is no finite number is an [*OutputError]. Logits of a masked
// language model are compared with the tokens to predict.
func Evaluate(ctx context.Context, prog Predictor, src data.Source, t task.Task, o EvaluateOptions) (*Scores, error) {
	ms, err := t.Metrics()
	if err != nil {
		return nil, err
	}
	o.SpillMetrics(ms)
	defer func() {
		for _, m := range ms {
			m.Reset()
		}
	}()
	measure, err := task.NewMeasure(t, src.Schema(), ms, task.MeasureOptions{Candidates: o.Candidates})
	if err != nil {
		return nil, err
	}
	var rows int64
	for of, err := range o.score(ctx, prog, src) {
		if err != nil {
			return nil, err
		}
		b, z := of.batch, of.logits
		if err := CheckOutputs(z, b.N, rows); err != nil {
			return nil, err
		}
		rows += int64(b.N)
		if err := measure.Add(z, b); err != nil {
			return nil, err
		}
		if o.Each != nil {
			if err := o.Each(b.N); err != nil {
				return nil, err
			}
		}
	}
	s := &Scores{Protocol: Protocol(src, t, o.Candidates)}
	for _, m := range ms {
		s.Order = append(s.Order, m.Name())
	}
	if s.Metrics, s.Undefined, err = metric.Values(ms); err != nil {
		return nil, fmt.Errorf("train: evaluate: %w", err)
	}
	return s, nil
}

// score returns the batches of a source with their logits.
func (o EvaluateOptions) score(ctx context.Context, prog Predictor, src data.Source) iter.Seq2[scored, error] {
	if o.ranks != nil && o.ranks.several() {
		return o.ranks.deal(prog, src)
	}
	return func(yield func(scored, error) bool) {
		for b, err := range src.Batches(0, prog.Batch()) {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				_, err = prog.Run(b, 0)
			}
			if err != nil {
				yield(scored{}, err)
				return
			}
			z := prog.Logits()
			if !yield(scored{b, z[:len(z)/prog.Batch()*b.N]}, nil) {
				return
			}
		}
	}
}

// Protocol says in words what the rankings of a task's metrics over rows are of: all items of a catalogue, or an item and others that
// were drawn. Metrics of different protocols have the same names and are not comparable. It is empty for other rows.
func Protocol(src data.Source, t task.Task, candidates int) string {
	if r, ok := t.(task.Ranking); ok {
		for _, f := range src.Schema().Features {
			if f.Kind == data.Sequence {
				return r.Protocol(f.Vocab-data.FirstID, candidates)
			}
		}
	}
	if w, ok := src.(data.Whole); ok {
		return task.AllItems(w.Items())
	}
	if s, ok := src.(data.Sampled); ok && s.Negatives() > 0 {
		return task.Candidates(s.Negatives())
	}
	return ""
}

// Undefined returns the task's metrics that are undefined for the rows of src. The labels alone decide it. They are read until all
// metrics are found to be defined, in batches of so many rows.
func Undefined(ctx context.Context, src data.Source, t task.Task, batch int) ([]*metric.Undefined, error) {
	ms, err := t.Metrics()
	if err != nil {
		return nil, err
	}
	measure, err := task.NewMeasure(t, src.Schema(), ms, task.MeasureOptions{})
	if err != nil {
		return nil, err
	}
	labels := measure.Labels()
	for b, err := range src.Batches(0, batch) {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		labels.Add(b)
		if len(labels.Undefined()) == 0 {
			return nil, nil
		}
	}
	return labels.Undefined(), nil
}

// CheckGroups reports labels of the schema that do not go with the task, and metrics that measure within groups of rows, if the rows of the
// schema have none.
func CheckGroups(s *data.Schema, t task.Task) error {
	if _, err := task.Split(t, s); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	ms, err := t.Metrics()
	if _, whole := t.(task.Ranking); err != nil || s.HasGroup || whole {
		return err
	}
	var names []string
	for _, m := range ms {
		if metric.ByGroup(m.Name()) {
			names = append(names, m.Name())
		}
	}
	if len(names) == 0 {
		return nil
	}
	measure, them := "measures", "it"
	if len(names) > 1 {
		measure, them = "measure", "them"
	}
	return fmt.Errorf("train: %s %s within groups of rows, and the data has none: name the column of the group, such as the user, in "+
		"data.group, which types csv and parquet have, or leave %s out of task.metrics", strings.Join(names, ", "), measure, them)
}

// CheckMetrics reports metrics that the data cannot have, so that a training would be in vain. These are metrics of groups without a
// group, and a monitored metric by which nothing can be selected, since it has no best direction or is undefined on the validation
// rows. Without validation rows nothing is selected.
func CheckMetrics(ctx context.Context, d *data.Splits, t task.Task, o Options) error {
	if err := CheckGroups(d.Train.Schema(), t); err != nil {
		return err
	}
	return checkMonitor(ctx, d, t, o)
}

// checkMonitor reports a monitored metric by which nothing can be selected.
func checkMonitor(ctx context.Context, d *data.Splits, t task.Task, o Options) error {
	if d.Valid == nil {
		return nil
	}
	ms, err := t.Metrics()
	if err != nil || len(ms) == 0 {
		return err
	}
	monitor := cmp.Or(o.Monitor, ms[0].Name())
	undefined, err := Undefined(ctx, d.Valid, t, o.BatchSize)
	if err != nil {
		return err
	}
	reasons := map[string]string{}
	for _, u := range undefined {
		reasons[u.Metric] = u.Reason
	}
	var others []string
	for _, m := range ms {
		if _, bad := reasons[m.Name()]; !bad && metric.Selectable(m.Name()) {
			others = append(others, m.Name())
		}
	}
	switch reason, bad := reasons[monitor]; {
	case !metric.Selectable(monitor):
		help := "add another one to task.metrics, and name it in train.monitor"
		if len(others) > 0 {
			help = fmt.Sprintf("select by another metric (train.monitor: %s)", strings.Join(others, " or "))
		}
		return fmt.Errorf("train: neither a high nor a low %s is best, so no model can be selected by it: %s", monitor, help)
	case bad:
		help := "give other validation rows (data.split, data.valid_path)"
		if len(others) > 0 {
			help = fmt.Sprintf("select by another metric (train.monitor: %s), or %s", strings.Join(others, " or "), help)
		}
		return fmt.Errorf("train: %s is undefined on the validation rows (%s), so no model can be selected by it: %s", monitor, reason, help)
	}
	return nil
}
