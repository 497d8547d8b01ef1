package task

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Distiller is a Task that can learn from a teacher's logits.
type Distiller interface {
	Task
	// Distill returns the scalar loss of a batch's logits against a teacher's, both divided by the temperature. It is the mean over
	// the live rows, with their weights. The teacher takes no gradient.
	Distill(s *nn.Scope, logits *G.Node, in *models.Inputs, of Soft) *G.Node
}

// Soft is what a model learns from a teacher.
type Soft struct {
	Logits      *G.Node // of the teacher, like those of the model
	Temperature float64 // both logits are divided by it
}

// scaled returns a model's logits and those of the teacher, both divided by the temperature.
func (t Soft) scaled(s *nn.Scope, logits *G.Node) (z, soft *G.Node) {
	return s.Check(ops.Scale(logits, 1/t.Temperature)), s.Check(ops.Scale(t.Logits, 1/t.Temperature))
}

// Repeated is a Task whose training steps may run the model several times over a batch ([models.Inputs.Pass]). Soft labels count in each pass
// alike.
type Repeated interface {
	Task
	// Passes returns how often, at least 1.
	Passes() int
}

// Distill returns the mean binary cross-entropy of logits/T with the labels σ(teacher/T) (Hinton, Vinyals and Dean 2015, section 2).
func (t Binary) Distill(s *nn.Scope, logits *G.Node, in *models.Inputs, of Soft) *G.Node {
	if s.Err() != nil {
		return nil
	}
	if !oneOutput(s, "binary_classification", logits) {
		return nil
	}
	z, soft := of.scaled(s, logits)
	if s.Err() != nil {
		return nil
	}
	soft = s.Check(ops.Activate(soft, kernel.Sigmoid))
	if s.Err() != nil {
		return nil
	}
	return s.Check(ops.BCE(z, ops.Target{Label: soft, Weight: in.Weight, Rows: s.Rows}))
}
