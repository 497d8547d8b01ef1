package models

import (
	"errors"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// pass is one more pass of the model over the same batch.
type pass struct {
	logits *G.Node
	step   *ops.Step
}

// Pass returns the logits of pass i over the batch, from 1 on, for a loss in training that compares several. Pass 0 is what the model
// returned, and has the random numbers of a training with one pass. Each further pass has streams of its own for dropout, over the same
// nodes of weights and embeddings, and its batch norms normalise by statistics of its own; the running statistics follow pass 0. A model
// that draws nothing has equal passes, which is an error.
func (in *Inputs) Pass(s *nn.Scope, i int) *G.Node {
	for len(in.passes) < i && s.Err() == nil {
		step := &ops.Step{Seed: rng.Key(s.Step.Seed, "pass", len(in.passes)+1)}
		again := s.Again(step)
		logits := in.build(again)
		s.Fail(again.Err())
		if s.Err() == nil && !step.Drawn() {
			s.Fail(errors.New("several passes: the model drops nothing in training, so that its passes would be equal: give it a dropout, such as model.net_dropout"))
		}
		in.passes = append(in.passes, pass{logits, step})
	}
	if s.Err() != nil {
		return nil
	}
	return in.passes[i-1].logits
}
