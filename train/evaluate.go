package train

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/data"
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

// Evaluate runs prog, a models.Program compiled for evaluation or an ensemble, over all rows of src. It returns the task's metrics by
// name, and the names in their order. Logits of a masked language model are compared with the tokens to predict. each, if not nil,
// is called after every batch with its number of rows, and its error ends the evaluation.
func Evaluate(
	ctx context.Context, prog Predictor, src data.Source, t task.Task, each func(rows int) error,
) (map[string]float64, []string, error) {
	ms, err := t.Metrics()
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		for _, m := range ms {
			m.Reset()
		}
	}()
	for b, err := range src.Batches(0, prog.Batch()) {
		if err != nil {
			return nil, nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if _, err := prog.Run(b, 0); err != nil {
			return nil, nil, err
		}
		z := prog.Logits()
		z = z[:len(z)/prog.Batch()*b.N]
		targets := b.Targets()
		var group []int64
		if b.Group != nil && len(targets) == b.N {
			group = b.Group[:b.N]
		}
		for _, m := range ms {
			if err := m.Add(z, targets, group); err != nil {
				return nil, nil, err
			}
		}
		if each != nil {
			if err := each(b.N); err != nil {
				return nil, nil, err
			}
		}
	}
	values, order := make(map[string]float64, len(ms)), make([]string, 0, len(ms))
	for _, m := range ms {
		v, err := m.Value()
		if err != nil {
			return nil, nil, fmt.Errorf("train: evaluate: %s: %w", m.Name(), err)
		}
		values[m.Name()] = v
		order = append(order, m.Name())
	}
	return values, order, nil
}
