package task

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Distiller is a Task that can learn from a teacher's logits.
type Distiller interface {
	Task
	// Distill returns the scalar loss of a batch's logits against a teacher's, both divided by the temperature. It is the mean over
	// the live rows. The teacher takes no gradient.
	Distill(s *nn.Scope, logits, teacher *G.Node, temperature float64) *G.Node
}

// Repeated is a Task whose training steps may run the model several times over a batch ([models.Inputs.Pass]). Soft labels count in each pass
// alike.
type Repeated interface {
	Task
	// Passes returns how often, at least 1.
	Passes() int
}

// Distill returns the mean binary cross-entropy of logits/T with the labels σ(teacher/T) (Hinton, Vinyals and Dean 2015, section 2).
func (t Binary) Distill(s *nn.Scope, logits, teacher *G.Node, temperature float64) *G.Node {
	if s.Err() != nil {
		return nil
	}
	if !oneOutput(s, "binary_classification", logits) {
		return nil
	}
	z, soft := s.Check(ops.Scale(logits, 1/temperature)), s.Check(ops.Scale(teacher, 1/temperature))
	if s.Err() != nil {
		return nil
	}
	soft = s.Check(ops.Activate(soft, kernel.Sigmoid))
	if s.Err() != nil {
		return nil
	}
	return s.Check(ops.BCE(z, ops.Target{Label: soft, Rows: s.Rows}))
}
