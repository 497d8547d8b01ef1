// Package ensemble combines the predictions of several models, to score rows or to teach a model.
package ensemble

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/task"
)

// How an Ensemble puts its members' logits together.
const (
	MeanLogits        = "logits"        // mean of the logits
	MeanProbabilities = "probabilities" // mean of the probabilities, as logits again
)

// Ensemble scores rows by the mean of several models. It is a train.Predictor and a train.Teacher, at the cost of all its members.
type Ensemble struct {
	mean    Mean
	members []train.Predictor
	logits  []float32
	z       [][]float32 // members' logits of the batch
}

// New returns the ensemble of members, which must have been compiled for evaluation, with batches of one size. The caller
// closes them after the last use of the ensemble. mode is that of a [Mean].
func New(mode string, members ...train.Predictor) (*Ensemble, error) {
	mean, err := NewMean(mode)
	if err != nil {
		return nil, err
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("ensemble: no members")
	}
	for i, m := range members {
		if m.Batch() != members[0].Batch() {
			return nil, fmt.Errorf("ensemble: member %d scores batches of %d rows, the first one of %d", i+1, m.Batch(), members[0].Batch())
		}
	}
	return &Ensemble{mean: mean, members: members, z: make([][]float32, len(members))}, nil
}

// Tasks makes e one of models of several tasks, or of one.
func (e *Ensemble) Tasks(parts []task.Part) { e.mean.Tasks(parts) }

// Batch returns the members' batch size.
func (e *Ensemble) Batch() int { return e.members[0].Batch() }

// Logits returns the last run's logits.
func (e *Ensemble) Logits() []float32 { return e.logits }

// Teach returns the ensemble's logits of a batch.
func (e *Ensemble) Teach(ctx context.Context, b *data.Batch) ([]float32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if b.Size != e.Batch() {
		return nil, fmt.Errorf("ensemble: a batch of %d rows, the members score %d", b.Size, e.Batch())
	}
	_, err := e.Run(b, 0)
	return e.logits, err
}

// Run scores a batch. An ensemble has no loss, so the number is always 0.
func (e *Ensemble) Run(b *data.Batch, step int64) (float64, error) {
	for i, m := range e.members {
		if _, err := m.Run(b, step); err != nil {
			return 0, fmt.Errorf("ensemble: member %d: %w", i+1, err)
		}
		if e.z[i] = m.Logits(); len(e.z[i]) != len(e.z[0]) {
			return 0, fmt.Errorf("ensemble: member %d gives %d logits a row, the first one %d", i+1, len(e.z[i])/e.Batch(), len(e.z[0])/e.Batch())
		}
	}
	if n := len(e.z[0]); len(e.logits) != n {
		e.logits = make([]float32, n)
	}
	width := len(e.logits) / e.Batch()
	live := b.N * width
	if b.Tokens != nil && b.Tokens.Target != nil {
		width /= max(1, len(b.Tokens.Target)/b.Size) // a masked language model has several rows of logits for a row
	}
	clear(e.logits[live:])
	e.mean.Of(e.logits[:live], e.z, width)
	return 0, nil
}
