package cki

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
)

// Regime trains the parents of a merge. Its fields are the options of a `regime:` section. The regimes are in
// cki/regime.
type Regime interface {
	// Make trains the parents. It goes on with trainings that an interrupted call left.
	Make(ctx context.Context, l *Lab) (*Family, error)
}

// Sharder is a Regime that deals the training rows to its parents, so that one model can be trained on the shards in rounds.
type Sharder interface {
	// Deal returns the number of shards, and whether there is a trunk.
	Deal() (shards int, trunk bool)
	// Shards returns the trainings of the parents, which start from the Lab's weights, or fresh ones.
	Shards(ctx context.Context, l *Lab) ([]Training, error)
	// MakeTrunk trains the trunk. It returns nil if there is none.
	MakeTrunk(ctx context.Context, l *Lab) (*Member, error)
	// Split returns how the rows are split: see [Family].
	Split() string
}

// Regimes holds the regimes by the name that a config's `type` gives.
var Regimes = registry.New[Regime]("regime")

// RegisterRegime makes a regime known under a name, with its default options. It panics if the name is taken.
func RegisterRegime(name string, defaults Regime) { Regimes.Register(name, defaults) }

// Family is a set of parents and what they come from.
type Family struct {
	Members []*Member // Members[0] is the base
	Trunk   *Member   // the run that they branch from; nil if there is none
	SplitBy string    // how the rows were split among the members: by rows (at random), order or a feature; empty if all saw the same rows
	Steps   int64     // optimizer steps of all trainings together, the trunk's included
}

// Member is a trained model of a Lab.
type Member struct {
	Name    string
	Params  *nn.Params
	Mixed   *nn.Params // Params for a merge: rows of tokens that the member does not know are another member's; nil means Params
	Counts  Counts
	Data    *data.Splits // what it was trained on
	Seed    uint64       // of its dropout
	Dir     string       // of its run; empty if the checkpoints there do not fit the Lab
	Valid   map[string]float64
	Seconds float64 // of training
	Steps   int64
}

// Parent returns the member as a parent of a merge.
func (m *Member) Parent(f *data.FeatureMap) *Parent {
	return &Parent{Name: m.Name, Reader: Memory(m.Merged()), Counts: m.Counts, Map: f}
}

// Merged returns the member's values as a merge reads them.
func (m *Member) Merged() *nn.Params {
	if m.Mixed != nil {
		return m.Mixed
	}
	return m.Params
}

// Training describes the training of a Member.
type Training struct {
	Name    string        // of the member, for messages and its directory
	Start   *nn.Params    // starting values, which are copied; nil means the Lab's, or fresh ones
	Init    uint64        // seed of fresh values
	Seed    uint64        // of dropout's masks
	Data    *data.Splits  // rows to train on; nil means the Lab's
	Options train.Options // how to train
	Model   models.Model  // nil means the Lab's
}

// Train trains a member. It goes on with a training that was interrupted.
func (l *Lab) Train(ctx context.Context, t Training) (*Member, error) {
	in := *l
	if t.Model != nil {
		in.Model = t.Model
	}
	if t.Data != nil {
		in.Data = t.Data
	}
	p, err := in.NewParams(t.Init)
	if err != nil {
		return nil, err
	}
	switch {
	case t.Start != nil:
		CopyParams(p, t.Start)
	case l.Start != nil:
		CopyParams(p, l.Start)
	}
	r, err := in.Fit(ctx, FitOptions{Name: t.Name, Params: p, Options: t.Options, Seed: t.Seed})
	if err != nil {
		return nil, err
	}
	return &Member{
		Name: t.Name, Params: p, Counts: r.Counts, Data: in.Data, Seed: t.Seed, Dir: in.path(t.Name), Valid: r.Valid, Seconds: r.Seconds,
		Steps: r.Steps,
	}, nil
}

// Reordered returns the same data, whose training rows come in the orders of another seed.
func Reordered(d *data.Splits, seed uint64) (*data.Splits, error) {
	src, err := data.Reorder(d.Train, seed)
	if err != nil {
		return nil, fmt.Errorf("cki: %w", err)
	}
	out := *d
	out.Train = src
	return &out, nil
}

// CopyParams copies the values of those parameters that both have in one size.
func CopyParams(dst, src *nn.Params) {
	for _, q := range dst.All() {
		if s := src.Get(q.Name); s != nil && len(s.Data) == len(q.Data) {
			copy(q.Data, s.Data)
		}
	}
}
