package train

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/run"
)

// train runs epochs until training is done.
func (f *fit) train(ctx context.Context) error {
	for !f.st.Done {
		err := f.epoch(ctx)
		switch {
		case errors.Is(err, ErrStop):
			f.st.Done = true
			if f.lastUnseen(true) {
				if err := f.validate(ctx); err != nil && !errors.Is(err, ErrStop) {
					return err
				}
			}
		case err != nil:
			return err
		}
		if f.st.Epoch >= f.Epochs {
			f.st.Done = true
		}
		if f.st.Done || f.CheckpointSteps == 0 {
			if err := f.checkpoint(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// epoch makes the steps of the current epoch, from the batch on where the state is.
func (f *fit) epoch(ctx context.Context) error {
	for b, err := range f.batches() {
		if err != nil {
			return fmt.Errorf("train: epoch %d: %w", f.st.Epoch+1, err)
		}
		if f.mean.Batches == 0 && f.stopped(ctx) {
			return f.interrupted(ctx)
		}
		if err := f.step(ctx, b); err != nil {
			return err
		}
	}
	if f.mean.Batches > 0 {
		if err := f.update(ctx); err != nil {
			return err
		}
	}
	if f.st.Batch == 0 {
		return fmt.Errorf("train: epoch %d has no rows", f.st.Epoch+1)
	}
	stop := f.emit(ctx, &Event{Kind: EpochDone, Loss: f.st.LossSum / float64(max(1, f.st.LossCount))})
	if stop != nil && !errors.Is(stop, ErrStop) {
		return stop
	}
	if f.EvalSteps == 0 || f.lastUnseen(f.st.Epoch+1 >= f.Epochs) {
		if err := f.validate(ctx); errors.Is(err, ErrStop) {
			stop = err
		} else if err != nil {
			return err
		}
	}
	if err := f.endEpoch(); err != nil {
		return err
	}
	f.st.Epoch++
	f.st.Batch, f.st.LossSum, f.st.LossCount = 0, 0, 0
	return stop
}

// stepped does what is due after an optimizer step.
func (f *fit) stepped(ctx context.Context) error {
	if f.driven && f.st.Step >= f.pause {
		return errPaused
	}
	if f.EvalSteps > 0 && f.st.Step%f.EvalSteps == 0 {
		if err := f.validate(ctx); err != nil {
			return err
		}
		if f.CheckpointSteps == 0 {
			if err := f.checkpoint(ctx); err != nil {
				return err
			}
		}
	}
	if f.CheckpointSteps > 0 && f.st.Step%f.CheckpointSteps == 0 {
		if err := f.checkpoint(ctx); err != nil {
			return err
		}
	}
	if f.MaxSteps > 0 && f.st.Step >= f.MaxSteps {
		if f.EvalSteps == 0 || f.st.Step%f.EvalSteps != 0 {
			if err := f.validate(ctx); err != nil {
				return err
			}
		}
		return ErrStop
	}
	return nil
}

// lastUnseen reports whether the parameters are the last ones and are kept, and were not evaluated yet. In a training of fewer steps than
// EvalSteps they are kept as the only ones.
func (f *fit) lastUnseen(last bool) bool {
	return last && (f.Keep == "last" && f.st.Best.Step != f.st.Step || !f.st.Best.Seen)
}

func (f *fit) batches() iter.Seq2[*data.Batch, error] {
	if d, ok := f.Data.Train.(data.Dealer); ok && f.ranks.several() {
		return d.BatchesOf(f.st.Epoch, f.BatchSize, f.st.Batch, func(batch int) bool { return f.sum.Mine(batch % f.Shards) })
	}
	return batchesFrom(f.Data.Train, f.st.Epoch, f.BatchSize, f.st.Batch)
}

// batchesFrom returns the batches of an epoch without the first skip.
func batchesFrom(src data.Source, epoch, size, skip int) iter.Seq2[*data.Batch, error] {
	if s, ok := src.(data.Skipper); ok {
		return s.BatchesFrom(epoch, size, skip)
	}
	return func(yield func(*data.Batch, error) bool) {
		i := 0
		for b, err := range src.Batches(epoch, size) {
			if i++; i <= skip && err == nil {
				continue
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

func (f *fit) checkpoint(ctx context.Context) error {
	if err := f.collectCounts(); err != nil {
		return err
	}
	if !f.writes() {
		f.saved, f.savedAny = f.st.Step, true
	} else if err := f.save(); err != nil {
		return err
	}
	if err := f.emit(ctx, &Event{Kind: Checkpoint}); err != nil && !errors.Is(err, ErrStop) {
		return err
	}
	return nil
}

// interrupted saves the state and says so.
func (f *fit) interrupted(ctx context.Context) error {
	if f.driven {
		return ErrInterrupted
	}
	if err := f.checkpoint(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return f.common(run.Advise(fmt.Errorf("%w after step %d", ErrInterrupted, f.st.Step), run.GoOn))
}
