package train

import (
	"context"
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train/task"
)

// Teacher gives soft labels. An ensemble is one.
type Teacher interface {
	// Teach returns the logits of a batch, b.Size rows row-major, valid until the next call. Rows from b.N on are not read.
	Teach(ctx context.Context, b *data.Batch) ([]float32, error)
}

// DistillOptions says how much a teacher's soft labels count. With the logits z of the model and z' of the teacher, the weight w and
// the temperature T, the loss is
//
//	(1−w)·loss(z, label) + w·T²·soft(z/T, z'/T)
//
// where soft is the task's loss of soft labels, such as the cross-entropy with the teacher's probabilities (Hinton, Vinyals and Dean
// 2015, section 2).
type DistillOptions struct {
	Weight      float64 `yaml:"weight"`      // share of the soft labels in the loss, from 0 (the true labels alone) to 1
	Temperature float64 `yaml:"temperature"` // both models' logits are divided by it for the soft labels' loss
}

// DistillDefaults returns the options of a config that leaves them out.
func DistillDefaults() DistillOptions { return DistillOptions{Weight: 0.5, Temperature: 1} }

// Validate reports every option out of range.
func (o DistillOptions) Validate() error {
	return errors.Join(registry.In("weight", o.Weight, 0, 1), registry.Above("temperature", o.Temperature, 0))
}

// loss returns the function of the loss: the task's, with the teacher's part if there is one.
func (f *fit) loss() (models.LossFunc, error) {
	if f.Teacher == nil {
		return f.Task.Loss, nil
	}
	if err := f.Distill.Validate(); err != nil {
		return nil, fmt.Errorf("train: distill: %w", err)
	}
	w, temp := f.Distill.Weight, f.Distill.Temperature
	if w == 0 {
		return f.Task.Loss, nil
	}
	d, ok := f.Task.(task.Distiller)
	if !ok {
		return nil, fmt.Errorf("train: distill: task %T has no loss for soft labels: train it without a teacher", f.Task)
	}
	return func(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
		if s.Err() != nil {
			return nil
		}
		teacher := f.teacherLogits(s, logits.Shape())
		if s.Err() != nil {
			return nil
		}
		soft := f.soften(s, d, logits, teacher, in)
		if s.Err() != nil {
			return nil
		}
		soft = s.Check(ops.Scale(soft, w*temp*temp))
		if s.Err() != nil || w == 1 {
			return soft
		}
		hard := f.Task.Loss(s, logits, in)
		if s.Err() != nil {
			return nil
		}
		hard = s.Check(ops.Scale(hard, 1-w))
		if s.Err() != nil {
			return nil
		}
		return s.Check(ops.Add(hard, soft))
	}, nil
}

// soften returns the loss of the soft labels, the mean over the task's passes.
func (f *fit) soften(s *nn.Scope, d task.Distiller, logits, teacher *G.Node, in *models.Inputs) *G.Node {
	of := task.Soft{Logits: teacher, Temperature: f.Distill.Temperature}
	soft, n := d.Distill(s, logits, in, of), 1
	if r, ok := f.Task.(task.Repeated); ok {
		n = r.Passes()
	}
	if n == 1 {
		return soft
	}
	sum := G.Nodes{soft}
	for i := 1; i < n; i++ {
		sum = append(sum, d.Distill(s, in.Pass(s, i), in, of))
	}
	if s.Err() != nil {
		return nil
	}
	total := s.Check(ops.Add(sum...))
	if s.Err() != nil {
		return nil
	}
	return s.Check(ops.Scale(total, 1/float64(n)))
}

// teacherLogits returns the leaf of the teacher's logits. All graphs of the program, one for each length of text, share its values.
func (f *fit) teacherLogits(s *nn.Scope, shape []int) *G.Node {
	if f.soft == nil {
		node, values := s.Input("teacher", shape...)
		f.soft = values
		return node
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	if n != len(f.soft) {
		s.Fail(fmt.Errorf("distill: logits of shape %v, of another length of text %d: the soft loss wants one size", shape, len(f.soft)))
		return nil
	}
	return s.Constant("input.teacher", f.soft, shape...)
}

// teach gives the program the teacher's logits of a batch.
func (f *fit) teach(ctx context.Context, b *data.Batch) error {
	if f.soft == nil {
		return nil
	}
	z, err := f.Teacher.Teach(ctx, b)
	if err != nil {
		return fmt.Errorf("teacher: %w", err)
	}
	if len(z) != len(f.soft) {
		return fmt.Errorf("teacher: %d logits for a batch of %d rows, the model gives %d", len(z), b.Size, len(f.soft))
	}
	live := len(z) / b.Size * b.N
	if nn.NotFinite(z[:live]) >= 0 {
		return errors.New("teacher: its logits are not finite")
	}
	copy(f.soft, z[:live])
	clear(f.soft[live:])
	return nil
}
