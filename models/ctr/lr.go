package ctr

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// LR is logistic regression over all features: w·x + b.
type LR struct{}

func init() { models.Register("lr", LR{}) }

// Build returns the logits, [B, 1].
func (m LR) Build(s *nn.Scope, in *models.Inputs) *G.Node { return in.Linear(s, "linear") }
