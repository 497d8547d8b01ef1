package train

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/schedule"
)

// step takes in a batch, and makes an optimizer step of it and those before if it is the last of the step.
func (f *fit) step(ctx context.Context, b *data.Batch) error {
	start := time.Now()
	whole := ctx
	if f.acc.batches == 0 {
		f.lr = f.sched.LR(schedule.Progress{Step: f.st.Step, Total: f.total, Epoch: int64(f.st.Epoch)})
	} else {
		whole = context.WithoutCancel(ctx) // a step is made whole: the state is that of whole steps
	}
	if err := f.teach(whole, b); err != nil {
		if whole.Err() != nil {
			return f.interrupted(ctx)
		}
		return fmt.Errorf("train: step %d: %w", f.st.Step+1, err)
	}
	of := int64(f.GradientAccumulation)
	loss, err := f.prog.Run(b, f.st.Step*of+int64(f.acc.batches))
	if err != nil {
		return fmt.Errorf("train: step %d: %w", f.st.Step+1, err)
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return f.diverged(f.st.Step+1, fmt.Sprintf("the loss is %v", loss))
	}
	if err := f.acc.add(f.prog, b.N, f.weight(b), loss, f.GradientAccumulation); err != nil {
		return fmt.Errorf("train: step %d: %w", f.st.Step+1, err)
	}
	if f.counts != nil {
		f.counts.add(b)
	}
	f.st.Seconds += time.Since(start).Seconds()
	if f.acc.batches < f.GradientAccumulation {
		return nil
	}
	return f.update(ctx)
}

// update makes the optimizer step of the batches that were taken in.
func (f *fit) update(ctx context.Context) error {
	start := time.Now()
	a := &f.acc
	a.finish(f.GradientAccumulation)
	if f.EmbeddingL1 > 0 || f.NetL1 > 0 {
		a.addL1(f.EmbeddingL1, f.NetL1)
	}
	scale := 1.0
	if f.MaxGradNorm > 0 {
		n := f.norm.of(a.grads, a.tables, f.l2, f.Embeddings == "dense")
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return f.diverged(f.st.Step+1, fmt.Sprintf("the gradient's norm is %v", n))
		}
		scale = min(1, f.MaxGradNorm/(n+1e-6)) // PyTorch's clip_grad_norm_
	}
	if f.stepping != nil {
		f.stepping(a.tables)
	}
	f.opt.SetScale(scale)
	f.opt.Begin()
	for _, g := range a.grads {
		f.opt.Step(g.Param.Name, g.Param.Data, g.Grad, f.rate(g.Param.Name))
	}
	for _, r := range a.tables {
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
	f.st.Batch += a.batches
	f.st.LossSum += a.loss
	f.st.LossCount += a.weight
	f.st.Samples += a.rows
	f.st.Seconds += time.Since(start).Seconds()
	a.batches = 0
	if err := f.emit(ctx, &Event{Kind: StepDone, Loss: a.loss / float64(max(1, a.weight)), Rows: a.rows}); err != nil {
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
	return fmt.Errorf("train: %w in epoch %d, step %d: %s (first tensor that is not finite: %s); %s. "+
		"Lower train.learning_rate, set or lower train.max_grad_norm, or look for extreme values in the data",
		ErrDiverged, f.st.Epoch+1, step, what, f.notFinite(), last)
}

// notFinite says which tensor is the first one with a value that is not finite: parameters come before gradients.
func (f *fit) notFinite() string {
	for _, q := range f.Params.All() {
		if nn.NotFinite(q.Data) >= 0 {
			return "parameter " + q.Name
		}
	}
	for _, g := range f.prog.Grads() {
		if nn.NotFinite(g.Grad) >= 0 {
			return "gradient of " + g.Param.Name
		}
	}
	for _, g := range f.prog.RowGrads() {
		if nn.NotFinite(g.Grad) >= 0 {
			return "gradient of " + g.Param.Name
		}
	}
	return "no parameter or gradient: the data may hold it"
}
