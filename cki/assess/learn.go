package assess

import (
	"context"
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/optim"
)

// learn trains the gates by the ordinary trainer.
func (a *assessment) learn(ctx context.Context) error {
	lab := a.in.Lab
	d, err := a.rows()
	if err != nil {
		return err
	}
	rows := d.Train.Rows()
	if rows < 1 {
		return fmt.Errorf("assess: cki: there are no rows for the gates to learn on")
	}
	a.l2 = a.Prior / float64(rows)
	if err := a.read(); err != nil {
		return err
	}
	if len(a.values) == 0 && !a.Encoder {
		a.in.Log.Warn("cki: none of the selected tensors is spliced by gates: there is nothing to learn")
		return nil
	}
	name, err := a.name()
	if err != nil {
		return err
	}
	r, err := lab.Fit(ctx, cki.FitOptions{
		Name: name, Params: a.params, Options: a.options(), Data: d, Seed: a.in.Seed,
		Compile: models.CompileOptions{Reparam: a.reparam, Derive: a.derive, Freeze: a.frozen},
	})
	if err != nil {
		return err
	}
	a.values = nil
	a.learned = &Learned{Rows: a.Train.Rows, RowCount: rows, Epoch: r.BestEpoch, Steps: r.Steps, Valid: r.Valid, Encoder: a.Encoder}
	for _, q := range a.params.All() {
		if isGate(q.Name) && !a.frozen(q.Name) {
			a.learned.Values += len(q.Data)
		}
	}
	a.in.Log.Info("cki: gates learned", "values", a.learned.Values, "rows", rows, "epoch", r.BestEpoch, "valid", r.Valid)
	return nil
}

// isGate reports whether the parameter is one that the merge has added.
func isGate(name string) bool { return strings.HasPrefix(name, prefix+".") }

// frozen reports whether the parameter stays: gates without a gradient, and all but gates unless the encoder is trained.
func (a *assessment) frozen(name string) bool {
	if isGate(name) {
		return a.still()
	}
	return !a.Encoder
}

// rows returns what gates learn and are selected on.
func (a *assessment) rows() (*data.Splits, error) {
	d := a.in.Lab.Data
	if d.Valid == nil {
		return nil, fmt.Errorf("assess: cki: gates that learn need validation rows, which select them; the data has none")
	}
	parts := *d
	parts.Test = nil
	if a.Train.Rows == "valid" {
		var err error
		if parts.Train, parts.Valid, err = data.HoldOut(d.Valid, a.Train.Share, rng.Key(a.in.Seed, "cki", "rows")); err != nil {
			return nil, fmt.Errorf("assess: cki: rows: valid: %w", err)
		}
	}
	if parts.Train == nil {
		return nil, fmt.Errorf("assess: cki: there are no training rows for the gates to learn on")
	}
	return &parts, nil
}

// read loads the parents' values of what is spliced, and the mean of running statistics.
func (a *assessment) read() error {
	a.values = map[string][][]float32{}
	for _, q := range a.params.All() {
		buffer := q.Kind == nn.Buffer && (a.in.Select == nil || a.in.Select(q.Name))
		if !buffer && !a.spliced(q.Name) {
			continue
		}
		var values [][]float32
		for _, p := range a.in.Parents {
			v := make([]float32, len(q.Data))
			rows := 1
			if len(q.Shape) > 0 {
				rows = q.Shape[0]
			}
			if err := p.ReadRows(q.Name, 0, rows, v); err != nil {
				return fmt.Errorf("assess: cki: parent %s: %w", p.Name, err)
			}
			for i, x := range v {
				if x-x != 0 {
					return fmt.Errorf("assess: cki: parent %s: tensor %s: value %d is %v; a model that is not finite cannot be merged",
						p.Name, q.Name, i, x)
				}
			}
			values = append(values, v)
		}
		if buffer {
			average(q.Data, values)
			continue
		}
		a.values[q.Name] = values
	}
	return nil
}

// name returns the training's directory. It depends on all that decides what the gates become, so that an interrupted training goes
// on, and another one is not taken for it.
func (a *assessment) name() (string, error) {
	h := xxhash.New()
	fmt.Fprintf(h, "%#v %d", a.CKI, a.in.Seed) // a hash has no errors
	for _, q := range a.params.All() {
		fmt.Fprintf(h, " %s %v", q.Name, a.spliced(q.Name))
	}
	for _, p := range a.in.Parents {
		d, err := cki.Digest(p)
		if err != nil {
			return "", fmt.Errorf("assess: cki: parent %s: %w", p.Name, err)
		}
		fmt.Fprintf(h, " %s", d)
	}
	return fmt.Sprintf("gates-%016x", h.Sum64()), nil
}

// options returns how gates learn. They learn as the Lab trains, but by Adam and with what Train says.
func (a *assessment) options() train.Options {
	t := a.Train
	o := a.in.Lab.Options.Derive(train.Length{Epochs: t.Epochs, MaxSteps: t.MaxSteps, Schedule: t.Schedule, Patience: t.Patience})
	o.LearningRate, o.EvalSteps, o.Keep, o.Freeze, o.Embeddings = t.LearningRate, t.EvalSteps, "best", nil, t.Embeddings
	if t.BatchSize > 0 {
		o.BatchSize, o.Shards = t.BatchSize, 0
	}
	if adam, ok := optim.Types.Default("adam"); ok {
		o.Optimizer = adam
	}
	return o
}
