// Package train fits a model to a data set. It holds the loop, evaluation, the checkpoints from which a killed run goes on bit by
// bit, and the callbacks that report on a run.
package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/dist"
	"github.com/splice-ml/splice/train/grad"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/optim"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/schedule"
	"github.com/splice-ml/splice/train/task"
)

// Trainer is one training run.
type Trainer struct {
	Options
	Model     models.Model
	Task      task.Task
	Data      *data.Splits
	Params    *nn.Params // starting values; a parameter that is not there gets its initial value
	Seed      uint64     // seed of dropout's masks
	Dir       string     // the run's directory, which must exist
	Digest    string     // digest of the resolved config; --resume refuses another one
	Start     string     // digest of the weights that training starts from and of its teachers, if there are any; --resume refuses another one
	CacheDir  string     // where features of a frozen part are kept; ".cache" if empty
	Resume    bool       // go on from the run's last checkpoint, if there is one
	Compile   models.CompileOptions
	Teacher   Teacher        // gives soft labels to the training rows, in batches of Options.Program rows; may be nil
	Distill   DistillOptions // how much the Teacher counts
	Callbacks []Callback
	Log       *slog.Logger // may be nil
	// Group is the ranks that train together, each of which has the same Trainer but for Callbacks: those of rank 0 are told of the run, which it
	// alone writes. Nil is one rank.
	Group dist.Group
}

// Result says what a finished run is worth.
type Result struct {
	BestEpoch     int                           // the epoch that the model is from, from 1
	BestStep      int64                         // the step that the model is from
	Steps         int64                         // optimizer steps made
	Valid, Test   map[string]float64            // metrics of the best model; nil if there are no such rows
	SamplesPerSec float64                       // training rows a second, without evaluation and checkpoints
	Seconds       float64                       // time spent in training steps
	Averages      map[string]map[string]float64 // validation metrics of the averaged models, under ema and swa
	// Counts says how often each row of each trained table was in a training batch before the best model. It is nil if the run
	// began before rows were counted.
	Counts map[string][]int64
}

// ErrInterrupted means that the context ended the run. Its state is on disk.
var ErrInterrupted = errors.New("train: interrupted")

// ErrDiverged means that a loss, a gradient or an output became infinite or no number.
var ErrDiverged = errors.New("the training diverged")

// ErrResume means that a run cannot go on from what is in its directory.
var ErrResume = errors.New("train: resume")

// fit is the state of one Fit.
type fit struct {
	*Trainer
	st       state
	opt      *optim.Optimizer
	sched    schedule.Schedule
	prog     *models.Program // training
	eval     *models.Program
	norm     grad.Norm
	mean     *grad.Mean // of the step: chain's or sum's
	chain    grad.Chain
	sum      *grad.Sum // of shards; nil without
	ranks    ranks
	factors  map[string]float64 // of the learning rate, by parameter; 1 if it is not there
	averages *averages
	counts   *counts   // nil if the run began before rows were counted
	soft     []float32 // the teacher's logits of the batch; nil without a teacher
	l2       func(*nn.Param) float64
	monitor  string
	higher   bool
	told     map[string]bool // parts of the data on which the log has said which metrics are undefined
	perEpoch int64
	total    int64
	place    *run.Place
	kept     fs.FileInfo // of the model that was kept last; nil if the run before --resume kept it
	saved    int64       // step of the last checkpoint
	savedAny bool
	lr       float64
	value    float64 // of the monitored metric in the last evaluation

	// Of a worker in rounds: see [Rounds].
	driven   bool                   // others say how far it goes, and save it
	pause    int64                  // the step after which it pauses
	stepping func([]models.RowGrad) // hears the tables' gradients of each step
}

// Fit trains until the last epoch, early stopping or ctx ends it, and evaluates the best model once on validation and test
// rows. If ctx ends first, the state is saved and the error is ErrInterrupted.
func (t *Trainer) Fit(ctx context.Context) (_ *Result, err error) {
	if t.Params == nil {
		t.Params = nn.NewParams(t.Seed)
	}
	own := *t
	f := &fit{Trainer: &own, told: map[string]bool{}}
	if ctx, err = f.join(ctx); err != nil {
		return nil, err
	}
	if err = f.prepare(ctx); err == nil {
		defer f.close()
	}
	if err := dist.Agree(f.ranks.group, err, nil); err != nil {
		return nil, err
	}
	if f.writes() {
		if f.place, err = run.Hold(t.Dir); err != nil {
			return nil, err
		}
		defer f.place.Close()
	}
	resumed := false
	if t.Resume {
		if resumed, err = f.resume(); err != nil {
			return nil, err
		}
		if !resumed && t.Log != nil {
			t.Log.Info("nothing to resume from: starting anew", "run", t.Dir)
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
	if err := f.train(ctx); err != nil {
		return nil, err
	}
	return f.finish(ctx)
}

func (f *fit) prepare(ctx context.Context) error {
	if f.Data == nil || f.Data.Train == nil {
		return fmt.Errorf("train: no training rows")
	}
	f.GradientAccumulation, f.Shards = max(1, f.GradientAccumulation), max(1, f.Shards)
	if f.LayerDecay == 0 {
		f.LayerDecay = 1
	}
	ms, err := f.Task.Metrics()
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	f.monitor = f.Monitor
	if f.monitor == "" && len(ms) > 0 {
		f.monitor = ms[0].Name()
	}
	known := false
	for _, m := range ms {
		known = known || m.Name() == f.monitor
	}
	if !known {
		return fmt.Errorf("train: monitor %q is not among the task's metrics", f.monitor)
	}
	f.higher = metric.HigherIsBetter(f.monitor)
	if err := CheckMetrics(ctx, f.Data, f.Task, f.Options); err != nil {
		return err
	}
	if f.Shards > 1 { // from here on a batch is a shard
		f.BatchSize, f.GradientAccumulation = f.Program(), f.Shards
	}
	whole := f.Model
	if err := f.stage(ctx); err != nil {
		return err
	}
	o := f.Compile
	if o.Loss, err = f.loss(); err != nil {
		return err
	}
	if o.Freeze, err = f.frozen(); err != nil {
		return err
	}
	if w, ok := f.Task.(task.Ranking); ok {
		o.WholeCatalogue = w.WholeCatalogue()
	}
	o.Batch, o.Train, o.Seed, o.Precision, o.Lean = f.BatchSize, true, f.Seed, f.Precision, true
	o.OwnStats = f.Shards > 1
	if f.prog, err = models.Compile(f.Model, f.Params, f.Data.Schema, o); err != nil {
		return err
	}
	o.Train, o.Loss, o.Blocks = false, nil, true
	if f.eval, err = models.Compile(f.Model, f.Params, f.Data.Schema, o); err != nil {
		f.prog.Close()
		return err
	}
	if err := checkFrozen(f.Freeze, f.Params, f.prog); err != nil {
		f.close()
		return err
	}
	decays, err := f.decays()
	if err != nil {
		f.close()
		return err
	}
	if f.factors, err = f.rates(whole); err != nil {
		f.close()
		return err
	}
	f.averages = f.newAverages()
	f.counts = newCounts(f.prog.Tables())
	f.l2 = func(p *nn.Param) float64 {
		if p.L2 != nil {
			return *p.L2
		}
		if p.Embedding {
			return f.EmbeddingRegularizer
		}
		return f.NetRegularizer
	}
	f.opt = f.Optimizer.New()
	f.opt.SetL2(func(name string) float64 { return f.l2(f.Params.Get(name)) })
	f.opt.SetDecay(decays)
	f.sched = f.Schedule.New(f.LearningRate, f.higher)
	if rows := f.Data.Train.Rows(); rows > 0 {
		batches := (rows + int64(f.BatchSize) - 1) / int64(f.BatchSize)
		f.perEpoch = (batches + int64(f.GradientAccumulation) - 1) / int64(f.GradientAccumulation)
		f.total = f.perEpoch * int64(f.Epochs)
	}
	if f.MaxSteps > 0 && (f.total == 0 || f.MaxSteps < f.total) {
		f.total = f.MaxSteps
	}
	f.mean = &f.chain.Mean
	if f.Shards > 1 {
		f.sum = grad.NewSum(f.ranks.group, f.Shards, f.prog)
		f.mean = &f.sum.Mean
	}
	f.st.Digest, f.st.Start, f.st.Seed, f.st.Data = f.Digest, f.Start, f.Seed, f.Data.Origin()
	return nil
}

func (f *fit) close() {
	f.prog.Close()
	f.eval.Close()
}

// emit tells the callbacks. An ErrStop of one does not keep the others from hearing the event.
func (f *fit) emit(ctx context.Context, e *Event) error {
	e.Epoch, e.Epochs, e.Step, e.Steps, e.LR = f.st.Epoch, f.Epochs, f.st.Step, f.total, f.lr
	var stop error
	for _, c := range f.Callbacks {
		if err := c.On(ctx, e); errors.Is(err, ErrStop) {
			stop = ErrStop
		} else if err != nil {
			return err
		}
	}
	return stop
}
