package train

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/schedule"
	"github.com/splice-ml/splice/train/task"
)

// step takes in a batch, and makes an optimizer step of it and those before if it is the last of the step.
func (f *fit) step(ctx context.Context, b *data.Batch) error {
	start := time.Now()
	whole := ctx
	if f.sum != nil {
		f.sum.Begin()
	}
	if f.mean.Batches == 0 {
		f.lr = f.sched.LR(schedule.Progress{Step: f.st.Step, Total: f.total, Epoch: int64(f.st.Epoch)})
	} else if f.soft != nil {
		whole = context.WithoutCancel(ctx) // a step is made whole: the state is that of whole steps
	}
	if f.sum != nil && !f.sum.Mine(f.mean.Batches) {
		f.sum.Skip()
		return f.taken(ctx)
	}
	if err := f.teach(whole, b); err != nil {
		if whole.Err() != nil {
			return f.interrupted(ctx)
		}
		return fmt.Errorf("train: step %d: %w", f.st.Step+1, err)
	}
	of := int64(f.GradientAccumulation)
	loss, err := f.prog.Run(b, f.st.Step*of+int64(f.mean.Batches))
	if err != nil {
		return fmt.Errorf("train: step %d: %w", f.st.Step+1, err)
	}
	if f.sum != nil { // a loss that is not finite shows in the sum, on all ranks
		err = f.sum.Add(f.prog, b.N, f.weight(b), loss)
	} else if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return f.diverged(f.st.Step+1, fmt.Sprintf("the loss is %v", loss))
	} else {
		err = f.chain.Add(f.prog, b.N, f.weight(b), loss, f.GradientAccumulation)
	}
	if err != nil {
		return fmt.Errorf("train: step %d: %w", f.st.Step+1, err)
	}
	if f.counts != nil {
		f.counts.add(b)
	}
	f.st.Seconds += time.Since(start).Seconds()
	return f.taken(ctx)
}

// taken makes the optimizer step if its last batch was taken in.
func (f *fit) taken(ctx context.Context) error {
	if f.mean.Batches < f.GradientAccumulation {
		return nil
	}
	return f.update(ctx)
}

// weight returns the number of rows, or tokens to predict, that the loss of a batch is the mean of.
func (f *fit) weight(b *data.Batch) int64 {
	if _, ok := f.Task.(task.Classifier); !ok {
		return int64(b.N)
	}
	n := int64(0)
	for _, y := range b.Targets() {
		if y != ops.Ignored {
			n++
		}
	}
	return n
}

// update makes the optimizer step of the batches that were taken in.
func (f *fit) update(ctx context.Context) error {
	start := time.Now()
	a := f.mean
	if f.sum == nil {
		f.chain.Finish(f.GradientAccumulation)
	} else if err := f.addUp(); err != nil {
		return err
	}
	if f.EmbeddingL1 > 0 || f.NetL1 > 0 {
		a.AddL1(f.EmbeddingL1, f.NetL1)
	}
	scale := 1.0
	if f.MaxGradNorm > 0 {
		n := f.norm.Of(a.Grads, a.Tables, f.l2, f.Embeddings == "dense")
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return f.diverged(f.st.Step+1, fmt.Sprintf("the gradient's norm is %v", n))
		}
		scale = min(1, f.MaxGradNorm/(n+1e-6)) // PyTorch's clip_grad_norm_
	}
	if f.stepping != nil {
		f.stepping(a.Tables)
	}
	f.opt.SetScale(scale)
	f.opt.Begin()
	for _, g := range a.Grads {
		f.opt.Step(g.Param.Name, g.Param.Data, g.Grad, f.rate(g.Param.Name))
	}
	for _, r := range a.Tables {
		if f.Embeddings == "dense" {
			f.opt.StepTable(r.Param.Name, r.Param.Data, r.Param.Dim(), r.IDs, r.Grad, f.rate(r.Param.Name))
			clear(r.Param.Data[:r.Param.Dim()]) // the padding row stays zero
		} else {
			f.opt.StepRows(r.Param.Name, r.Param.Data, r.Param.Dim(), r.IDs, r.Grad, f.rate(r.Param.Name))
		}
	}
	if f.averages.ema != nil {
		f.averages.ema.update(1 - f.EMA)
	}
	f.st.Step++
	f.st.Batch += a.Batches
	f.st.LossSum += a.Loss
	f.st.LossCount += a.Weight
	f.st.Samples += a.Rows
	f.st.Seconds += time.Since(start).Seconds()
	a.Batches = 0
	if err := f.emit(ctx, &Event{Kind: StepDone, Loss: a.Loss / float64(max(1, a.Weight)), Rows: a.Rows}); err != nil {
		return err
	}
	return f.stepped(ctx)
}

// diverged is the error of a training whose numbers became infinite or NaN in a step. It names the first tensor that is not finite.
func (f *fit) diverged(step int64, what string) error {
	last := "there is no checkpoint yet"
	if f.savedAny {
		last = fmt.Sprintf("the last good checkpoint is step %d in %s", f.saved, filepath.Join(f.Dir, run.LastDir))
	}
	return f.common(fmt.Errorf("train: %w in epoch %d, step %d: %s (first tensor that is not finite: %s); %s. "+
		"Lower train.learning_rate, set or lower train.max_grad_norm, or look for extreme values in the data",
		ErrDiverged, f.st.Epoch+1, step, what, f.notFinite(), last))
}

// notFinite says which tensor is the first one with a value that is not finite: parameters come before gradients.
func (f *fit) notFinite() string {
	for _, q := range f.Params.All() {
		if nn.NotFinite(q.Data) >= 0 {
			return "parameter " + q.Name
		}
	}
	for _, g := range f.gradients() {
		if nn.NotFinite(g.Grad) >= 0 {
			return "gradient of " + g.Param.Name
		}
	}
	for _, g := range f.rowGradients() {
		if nn.NotFinite(g.Grad) >= 0 {
			return "gradient of " + g.Param.Name
		}
	}
	return "no parameter or gradient: the data may hold it"
}

// gradients returns the gradients of the step, or of the batch before it is made.
func (f *fit) gradients() []models.Grad {
	if f.sum != nil {
		return f.sum.Grads
	}
	return f.prog.Grads()
}

func (f *fit) rowGradients() []models.RowGrad {
	if f.sum != nil {
		return f.sum.Tables
	}
	return f.prog.RowGrads()
}
