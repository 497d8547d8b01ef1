package export

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/task"
)

// measured is what the test rows tell of a run, beside its metrics.
type measured struct {
	rows      int
	intervals map[string]metric.Interval
	unknown   []unknown
	why       string // why there are no intervals
}

// unknown says how many tokens of a column the run's vocabulary does not have.
type unknown struct {
	column        string
	tokens, share float64
}

// byRow are the metrics that are means over rows.
var byRow = []string{"logloss", "accuracy", "cross_entropy"}

// measure scores the test rows of a run again. A value that is not the one that the run has is an error: the rows are others then.
func measure(ctx context.Context, r *job.Run, have map[string]float64) (*measured, error) {
	m := &measured{intervals: map[string]metric.Interval{}}
	names, err := r.Metrics()
	if err != nil {
		return nil, err
	}
	own := map[string]metric.Metric{} // of a row
	for _, name := range names {
		if slices.Contains(byRow, name) {
			if own[name], err = metric.New(name); err != nil {
				return nil, err
			}
		}
	}
	values := map[string][]float64{}
	var logits, labels []float32
	tokens, unseen := map[string]int{}, map[string]int{}
	err = r.ScoreRows(ctx, "test", func(s job.Scored) error {
		m.rows += s.Batch.N
		count(s, tokens, unseen)
		if m.why = independent(r.Task, s); m.why != "" {
			return nil
		}
		width := len(s.Logits) / s.Batch.N
		if slices.Contains(names, "auc") {
			logits, labels = append(logits, s.Logits...), append(labels, s.Batch.Label[:s.Batch.N]...)
		}
		for name, of := range own {
			for i := range s.Batch.N {
				of.Reset()
				if err := of.Add(s.Logits[i*width:(i+1)*width], s.Batch.Label[i:i+1], nil); err != nil {
					return err
				}
				v, err := of.Value()
				if err != nil {
					return err
				}
				values[name] = append(values[name], v)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for name, list := range values {
		if v, err := metric.MeanInterval(list); err == nil {
			m.intervals[name] = v
		}
	}
	if v, err := metric.AUCInterval(logits, labels); err == nil {
		m.intervals["auc"] = v
	}
	for name, v := range m.intervals {
		if was, ok := have[name]; ok && math.Abs(v.Value-was) > 1e-6*max(1, math.Abs(v.Value)) {
			return nil, bad(r, "%s of the test rows is %v, and was %v when the run was made: the rows are others now", name, v.Value, was)
		}
	}
	for _, f := range r.Map.Features {
		if n := tokens[f.Name]; n > 0 {
			m.unknown = append(m.unknown, unknown{f.Name, float64(n), float64(unseen[f.Name]) / float64(n)})
		}
	}
	return m, nil
}

// independent returns why rows have no intervals; empty if they have.
func independent(t task.Task, s job.Scored) string {
	switch t.(type) {
	case task.Binary, task.Classification:
	default:
		name, _ := task.Registry.NameOf(t)
		return fmt.Sprintf("metrics of the task %s have no intervals", name)
	}
	switch {
	case len(s.Schema.Labels) > 1:
		return "metrics of several labels have no intervals"
	case s.Batch.Weight != nil:
		return "metrics of weighted rows have no intervals"
	}
	return ""
}

// count adds up the tokens of a batch, and those that the vocabulary does not have.
func count(s job.Scored, tokens, unseen map[string]int) {
	for i := range s.Schema.Features {
		f := &s.Schema.Features[i]
		if f.Kind == data.Numeric {
			continue
		}
		for _, id := range s.Batch.IDs[f.Name][:s.Batch.N*max(1, f.MaxLen)] {
			switch id {
			case data.OOVID:
				unseen[f.Name]++
				tokens[f.Name]++
			case data.PadID:
			default:
				tokens[f.Name]++
			}
		}
	}
}
