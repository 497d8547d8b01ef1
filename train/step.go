package train

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/schedule"
)

// step makes one optimizer step.
func (f *fit) step(ctx context.Context, b *data.Batch) error {
	start := time.Now()
	f.lr = f.sched.LR(schedule.Progress{Step: f.st.Step, Total: f.total, Epoch: int64(f.st.Epoch)})
	if err := f.teach(ctx, b); err != nil {
		if ctx.Err() != nil {
			return f.interrupted(ctx)
		}
		return fmt.Errorf("train: step %d: %w", f.st.Step+1, err)
	}
	loss, err := f.prog.Run(b, f.st.Step)
	if err != nil {
		return fmt.Errorf("train: step %d: %w", f.st.Step+1, err)
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return f.diverged(fmt.Sprintf("the loss is %v", loss))
	}
	scale := 1.0
	if f.MaxGradNorm > 0 {
		n := f.norm.of(f.prog.Grads(), f.prog.RowGrads(), f.l2, f.Embeddings == "dense")
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return f.diverged(fmt.Sprintf("the gradient's norm is %v", n))
		}
		scale = min(1, f.MaxGradNorm/(n+1e-6)) // PyTorch's clip_grad_norm_
	}
	f.opt.SetScale(scale)
	f.opt.Begin()
	for _, g := range f.prog.Grads() {
		f.opt.Step(g.Param.Name, g.Param.Data, g.Grad, f.lr)
	}
	for _, r := range f.prog.RowGrads() {
		if f.Embeddings == "dense" {
			f.opt.StepTable(r.Param.Name, r.Param.Data, r.Param.Dim(), r.IDs, r.Grad, f.lr)
			clear(r.Param.Data[:r.Param.Dim()]) // the padding row stays zero
		} else {
			f.opt.StepRows(r.Param.Name, r.Param.Data, r.Param.Dim(), r.IDs, r.Grad, f.lr)
		}
	}
	if f.averages.ema != nil {
		f.averages.ema.update(1 - f.EMA)
	}
	if f.counts != nil {
		f.counts.add(b)
	}
	f.st.Step++
	f.st.Batch++
	f.st.LossSum += loss * float64(b.N)
	f.st.LossCount += int64(b.N)
	f.st.Samples += int64(b.N)
	f.st.Seconds += time.Since(start).Seconds()
	return f.emit(ctx, &Event{Kind: StepDone, Loss: loss, Rows: int64(b.N)})
}

// diverged names the first tensor that is not finite.
func (f *fit) diverged(what string) error {
	where := "no parameter or gradient: the data may hold it"
	for _, q := range f.Params.All() {
		if !finite(q.Data) {
			where = "parameter " + q.Name
			break
		}
	}
	if where[0] == 'n' {
		for _, g := range f.prog.Grads() {
			if !finite(g.Grad) {
				where = "gradient of " + g.Param.Name
				break
			}
		}
		for _, g := range f.prog.RowGrads() {
			if !finite(g.Grad) && where[0] == 'n' {
				where = "gradient of " + g.Param.Name
			}
		}
	}
	last := "there is no checkpoint yet"
	if f.savedAny {
		last = fmt.Sprintf("the last good checkpoint is step %d in %s", f.saved, filepath.Join(f.Dir, lastDir))
	}
	return fmt.Errorf("train: step %d: %s (first tensor that is not finite: %s); %s. Lower train.learning_rate or train.max_grad_norm, or look for extreme values in the data",
		f.st.Step+1, what, where, last)
}

func finite(x []float32) bool {
	for _, v := range x {
		if v-v != 0 {
			return false
		}
	}
	return true
}
