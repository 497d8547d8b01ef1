package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/rounds"
	"github.com/splice-ml/splice/train/run"
)

// Rounds trains one model by several workers, each on its own rows. They make the same number of steps, are merged, and all go on from
// the merge. A worker's batch is its part of BatchSize, so that a pass over all rows has as many steps of each worker as one run over all
// rows has, and a worker whose rows are fewer goes through them more often. The workers are in this process, one step after the other;
// their states are in memory together: for each worker the model, the optimizer's states, and two counts for each embedding row.
type Rounds struct {
	// Trainer says how one run over all rows is trained, and what the result is. Its Data.Train are all rows, of which only the number
	// counts; Params are the values that workers start from. Epochs are passes over all rows. Evaluations of the merged model come with the
	// first merge at or after each pass, or after EvalSteps steps of a worker, and checkpoints so too.
	Trainer
	Workers []RoundsWorker
	Rounds  rounds.Options
}

// RoundsWorker is one worker of Rounds.
type RoundsWorker struct {
	Train data.Source
	Seed  uint64     // of dropout's masks
	Start *nn.Params // values to start from; nil means those of the Trainer
}

// check reports what no rounds can be made of.
func (r *Rounds) check() error {
	switch {
	case len(r.Workers) < 1:
		return fmt.Errorf("train: rounds: no workers")
	case r.BatchSize < len(r.Workers):
		return fmt.Errorf("train: rounds: a batch of %d rows cannot be dealt to %d workers: raise train.batch_size", r.BatchSize, len(r.Workers))
	case r.Shards > 1:
		return fmt.Errorf("train: rounds: a worker's batch has no shards: leave train.shards out")
	case r.Teacher != nil:
		return fmt.Errorf("train: rounds: workers learn from no teacher")
	}
	return nil
}

// inRounds is the state of one Fit of Rounds.
type inRounds struct {
	*fit     // of the merged model: Step counts the steps of all workers together
	o        rounds.Options
	workers  []*worker
	own      bool                 // workers did not start from the same values
	local    int64                // steps of each worker at the last merge
	steps    int64                // of each worker, in all
	momentum map[string][]float32 // of the outer optimizer
}

// Fit trains until the last pass, early stopping or ctx ends it, and evaluates the best merged model once on validation and test rows, as
// [Trainer.Fit] does. If ctx ends first, the state of all workers is saved and the error is ErrInterrupted. With one worker, and its rows
// all rows, the model has the bits of Trainer.Fit.
func (r *Rounds) Fit(ctx context.Context) (_ *Result, err error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	main := r.Trainer
	if main.Params == nil {
		main.Params = nn.NewParams(main.Seed)
	}
	main.Options = main.Options.Derive(Length{Epochs: main.Epochs, MaxSteps: main.MaxSteps, Schedule: main.Schedule, Patience: r.Rounds.Patience})
	main.CacheFeatures = false
	f := &inRounds{fit: &fit{Trainer: &main, told: map[string]bool{}}, o: r.Rounds, momentum: map[string][]float32{}}
	if err := f.prepare(ctx); err != nil {
		return nil, err
	}
	defer f.close()
	f.steps = f.total
	f.total *= int64(len(r.Workers))
	if f.steps == 0 {
		return nil, fmt.Errorf("train: rounds: the number of rows is not known")
	}
	defer func() {
		for _, w := range f.workers {
			w.close()
		}
	}()
	if err := f.hire(ctx, r); err != nil {
		return nil, err
	}
	if f.place, err = run.Hold(r.Dir); err != nil {
		return nil, err
	}
	defer f.place.Close()
	resumed := false
	if r.Resume {
		if resumed, err = f.load(); err != nil {
			return nil, err
		}
	}
	defer func() {
		if e := f.emit(context.WithoutCancel(ctx), &Event{Kind: RunEnd, Err: err}); err == nil && e != nil && !errors.Is(e, ErrStop) {
			err = e
		}
	}()
	if err := f.emit(ctx, &Event{Kind: RunStart, Resumed: resumed}); err != nil {
		return nil, err
	}
	for !f.st.Done {
		if err := f.round(ctx); errors.Is(err, ErrStop) {
			if err := f.stop(ctx); err != nil {
				return nil, err
			}
		} else if err != nil {
			return nil, err
		}
	}
	return f.finish(ctx)
}

// hire makes the workers.
func (f *inRounds) hire(ctx context.Context, r *Rounds) error {
	count := len(r.Workers)
	for k, of := range r.Workers {
		t := *f.Trainer
		t.BatchSize = f.BatchSize / count
		if k < f.BatchSize%count {
			t.BatchSize++
		}
		t.LearningRate *= r.Rounds.Rate.Of(count)
		parts := *f.Data
		parts.Train = of.Train
		t.Data, t.Seed = &parts, of.Seed
		t.Params = f.Params.Clone()
		if of.Start != nil {
			t.Params, f.own = of.Start.Clone(), true
		}
		t.Callbacks = []Callback{heard{f}}
		w, err := newWorker(ctx, t, f.steps)
		if err != nil {
			return fmt.Errorf("train: worker %d: %w", k+1, err)
		}
		f.workers = append(f.workers, w)
	}
	for _, q := range f.Params.All() {
		if f.own { // the mean is what counts as the merge before the first one
			values := f.values(q.Name)
			for k := range values {
				values[k] = slices.Clone(values[k])
			}
			rounds.Mean(values, 0, len(q.Data))
			copy(q.Data, values[0])
		}
	}
	if count > 1 && f.workers[0].needShares() {
		return share(ctx, f.workers)
	}
	return nil
}

// values returns the workers' values of a parameter.
func (f *inRounds) values(name string) [][]float32 {
	var out [][]float32
	for _, w := range f.workers {
		out = append(out, w.Params.Get(name).Data)
	}
	return out
}

// heard passes on what the steps of a worker say.
type heard struct{ f *inRounds }

// On takes a step in.
func (h heard) On(ctx context.Context, e *Event) error {
	if e.Kind != StepDone {
		return nil
	}
	f := h.f
	f.st.Step++
	f.st.Batch++
	f.st.Samples += e.Rows
	f.st.LossSum += e.Loss * float64(e.Rows)
	f.st.LossCount += e.Rows
	f.lr = e.LR
	return f.emit(ctx, &Event{Kind: StepDone, Loss: e.Loss, Rows: e.Rows})
}

// round makes the steps up to the next merge, and merges.
func (f *inRounds) round(ctx context.Context) error {
	next := f.o.Next(f.local, f.perEpoch, f.steps)
	for k, w := range f.workers {
		before := w.st.Seconds
		err := w.advance(ctx, next)
		f.st.Seconds += w.st.Seconds - before
		if errors.Is(err, ErrInterrupted) {
			if err := f.checkpoint(context.WithoutCancel(ctx)); err != nil {
				return err
			}
			return run.Advise(fmt.Errorf("%w after step %d", ErrInterrupted, f.st.Step), run.GoOn)
		}
		if err != nil && !errors.Is(err, ErrStop) {
			return fmt.Errorf("train: worker %d: %w", k+1, err)
		}
		if err != nil {
			return err
		}
	}
	begin := time.Now()
	f.merge(next - f.local)
	f.st.Seconds += time.Since(begin).Seconds()
	before := f.local
	f.local = next
	return f.merged(ctx, before)
}

// merge makes the merge of the workers, who have made h steps since the last one, and forgets their counts.
func (f *inRounds) merge(h int64) {
	tables := map[string]bool{}
	for _, u := range f.prog.Tables() {
		tables[u.Param.Name] = true
	}
	trained := f.trained()
	var variances []string
	for _, q := range f.Params.All() {
		_, trains := trained[q.Name]
		workers := f.values(q.Name)
		switch {
		case tables[q.Name]:
			f.mergeTable(q, workers, trained, h)
		case strings.HasSuffix(q.Name, "running_mean") && q.Kind == nn.Buffer:
			name := strings.TrimSuffix(q.Name, "mean") + "var"
			rounds.Statistics(workers, f.values(name))
			copy(q.Data, workers[0])
			copy(f.Params.Get(name).Data, f.values(name)[0])
			variances = append(variances, name)
		case slices.Contains(variances, q.Name):
		case trains || q.Kind == nn.Buffer || f.own:
			f.mergeDense(q, workers, trained)
		}
	}
	for _, w := range f.workers {
		for i, g := range w.counts.groups {
			sum := f.counts.groups[i].n
			for row, n := range g.n {
				sum[row] += n
			}
		}
		w.forget()
	}
	f.own = false
}

// mergeParts is the number of pieces that a tensor is merged in: no element depends on it.
const mergeParts = 64

func (f *inRounds) mergeTable(q *nn.Param, workers [][]float32, trained map[string]int, h int64) {
	t := &rounds.Table{Dim: q.Dim(), Ref: q.Data, Workers: workers, States: f.slots(q, trained), Lazy: f.Embeddings != "dense"}
	for _, w := range f.workers {
		t.Counts = append(t.Counts, w.counts.table[q.Name].n)
		t.Touched = append(t.Touched, w.touched[q.Name])
		if w.shares != nil {
			t.Shares = append(t.Shares, w.shares[q.Name])
		}
	}
	if f.own {
		t.Lazy = false
	}
	kernel.Parallel(mergeParts, func(i int) {
		lo, hi := kernel.Span(q.Shape[0], mergeParts, i)
		f.o.Rows(t, h, lo, hi)
	})
}

func (f *inRounds) mergeDense(q *nn.Param, workers [][]float32, trained map[string]int) {
	d := &rounds.Dense{Ref: q.Data, Workers: workers}
	if _, trains := trained[q.Name]; trains && f.o.Outer.Momentum() {
		if f.momentum[q.Name] == nil {
			f.momentum[q.Name] = make([]float32, len(q.Data))
		}
		d.Momentum = f.momentum[q.Name]
	}
	var states [][][]float32
	if f.o.States == rounds.StatesAll {
		states = f.slots(q, trained)
	}
	kernel.Parallel(mergeParts, func(i int) {
		lo, hi := kernel.Span(len(q.Data), mergeParts, i)
		f.o.Weights(d, lo, hi)
		for _, s := range states {
			rounds.Mean(s, lo, hi)
		}
	})
}

// slots returns the optimizers' states of a parameter, by slot and worker.
func (f *inRounds) slots(q *nn.Param, trained map[string]int) [][][]float32 {
	var out [][][]float32
	for _, w := range f.workers {
		for i, s := range w.states(q, trained) {
			if i == len(out) {
				out = append(out, nil)
			}
			out[i] = append(out[i], s)
		}
	}
	return out
}

// merged does what is due after a merge; before is the local step of the one before.
func (f *inRounds) merged(ctx context.Context, before int64) error {
	last := f.local >= f.steps
	passed := f.local/f.perEpoch > before/f.perEpoch
	var stop error
	if passed || last {
		err := f.emit(ctx, &Event{Kind: EpochDone, Loss: f.st.LossSum / float64(max(1, f.st.LossCount))})
		if err != nil && !errors.Is(err, ErrStop) {
			return err
		}
		stop = err
	}
	due := passed
	if f.EvalSteps > 0 {
		due = f.local/f.EvalSteps > before/f.EvalSteps
	}
	if due = due || last; due {
		err := f.validate(ctx)
		if err != nil && !errors.Is(err, ErrStop) {
			return err
		}
		for _, w := range f.workers {
			w.sched.Eval(f.value)
		}
		if err != nil {
			stop = err
		}
	}
	if passed || last {
		f.st.Batch, f.st.LossSum, f.st.LossCount = 0, 0, 0
	}
	f.st.Epoch = int(f.local / f.perEpoch)
	f.st.Done = last || stop != nil
	save := due
	if f.CheckpointSteps > 0 {
		save = f.local/f.CheckpointSteps > before/f.CheckpointSteps
	}
	if save || f.st.Done {
		return f.checkpoint(ctx)
	}
	return nil
}

// stop ends the training in the middle of a round: what was merged last is what there is.
func (f *inRounds) stop(ctx context.Context) error {
	f.st.Done = true
	if f.lastUnseen(true) {
		if err := f.validate(ctx); err != nil && !errors.Is(err, ErrStop) {
			return err
		}
	}
	return f.checkpoint(ctx)
}

// checkpoint saves the state.
func (f *inRounds) checkpoint(ctx context.Context) error {
	if err := f.save(); err != nil {
		return err
	}
	if err := f.emit(ctx, &Event{Kind: Checkpoint}); err != nil && !errors.Is(err, ErrStop) {
		return err
	}
	return nil
}
