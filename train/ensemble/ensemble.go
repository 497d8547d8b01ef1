// Package ensemble combines the predictions of several models, to score rows or to teach a model.
package ensemble

import (
	"context"
	"fmt"
	"math"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train"
)

// How an Ensemble puts its members' logits together.
const (
	MeanLogits        = "logits"        // mean of the logits
	MeanProbabilities = "probabilities" // mean of the probabilities, as logits again
)

// Ensemble scores rows by the mean of several models. It is a train.Predictor and a train.Teacher, at the cost of all its members.
type Ensemble struct {
	mode    string
	members []train.Predictor
	sum     []float64
	logits  []float32
	z       [][]float32 // members' logits of the batch
}

// New returns the ensemble of members, which must have been compiled for evaluation, with batches of one size. The caller
// closes them after the last use of the ensemble. mode is MeanLogits or MeanProbabilities. With one output a row, the latter is
//
//	ln(Σ_k σ(z_k)) − ln(Σ_k σ(−z_k))
//
// and with several, ln(Σ_k softmax(z_k)/K). Predictions of numbers have no probabilities. For them, MeanLogits is
// the mean of the numbers.
func New(mode string, members ...train.Predictor) (*Ensemble, error) {
	if mode != MeanLogits && mode != MeanProbabilities {
		return nil, fmt.Errorf("ensemble: mode %q, want %s or %s", mode, MeanLogits, MeanProbabilities)
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("ensemble: no members")
	}
	for i, m := range members {
		if m.Batch() != members[0].Batch() {
			return nil, fmt.Errorf("ensemble: member %d scores batches of %d rows, the first one of %d", i+1, m.Batch(), members[0].Batch())
		}
	}
	return &Ensemble{mode: mode, members: members, z: make([][]float32, len(members))}, nil
}

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
		e.logits, e.sum = make([]float32, n), make([]float64, n)
	}
	width := len(e.logits) / e.Batch()
	live := b.N * width
	if b.Tokens != nil && b.Tokens.Target != nil {
		width /= max(1, len(b.Tokens.Target)/b.Size) // a masked language model has several rows of logits for a row
	}
	clear(e.logits[live:])
	switch {
	case e.mode == MeanLogits:
		e.meanLogits(live)
	case width == 1:
		for r := range live {
			e.logits[r] = e.binary(r)
		}
	default:
		for lo := 0; lo < live; lo += width {
			e.classes(lo, lo+width)
		}
	}
	return 0, nil
}

func (e *Ensemble) meanLogits(n int) {
	clear(e.sum)
	for _, z := range e.z {
		for i, v := range z[:n] {
			e.sum[i] += float64(v)
		}
	}
	for i, v := range e.sum[:n] {
		e.logits[i] = float32(v / float64(len(e.z)))
	}
}

// binary returns the logit of the mean of σ(z_k[r]), in logarithms: a sure member does not round to 0 or 1.
func (e *Ensemble) binary(r int) float32 {
	pos, neg := math.Inf(-1), math.Inf(-1)
	for _, z := range e.z {
		x := float64(z[r])
		pos, neg = logAdd(pos, -softplus(-x)), logAdd(neg, -softplus(x))
	}
	return float32(pos - neg)
}

// classes sets logits[lo:hi] to the logarithm of the mean of the members' softmax.
func (e *Ensemble) classes(lo, hi int) {
	sum := e.sum[lo:hi]
	for i := range sum {
		sum[i] = math.Inf(-1)
	}
	for _, z := range e.z {
		norm := math.Inf(-1)
		for _, v := range z[lo:hi] {
			norm = logAdd(norm, float64(v))
		}
		for i, v := range z[lo:hi] {
			sum[i] = logAdd(sum[i], float64(v)-norm)
		}
	}
	for i, v := range sum {
		e.logits[lo+i] = float32(v - math.Log(float64(len(e.z))))
	}
}

// softplus is ln(1 + exp(x)).
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// logAdd is ln(exp(a) + exp(b)).
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}
