package cki

import (
	"context"
	"fmt"
	"slices"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/schedule"
)

// Regime says how the parents of a merge come to be. Its fields are the options of a `regime:` section.
type Regime interface {
	// Make trains the parents, or goes on with what an interrupted call left.
	Make(ctx context.Context, l *Lab) (*Family, error)
}

// Regimes holds the regimes by the name that a config's `type` gives.
var Regimes = registry.New[Regime]("regime")

// Family is a set of parents and what they come from.
type Family struct {
	Members []*Member // Members[0] is the base
	Trunk   *Member   // what they were branched from; nil if nothing
	Apart   bool      // the members saw different rows
	Steps   int64     // optimizer steps of all trainings together, the trunk's included
}

// Member is a trained model of a Lab.
type Member struct {
	Name    string
	Params  *nn.Params
	Mixed   *nn.Params // as a parent of a merge, where rows of tokens that the member does not know are another's; nil: Params
	Counts  Counts
	Data    *data.Splits // what it was trained on
	Seed    uint64       // of its dropout
	Dir     string       // its run's files; empty if its other checkpoints do not fit the Lab
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

// start are a training's starting point and its streams.
type start struct {
	name    string
	params  *nn.Params // copied; nil: fresh values of init
	init    uint64
	seed    uint64 // of dropout and of the order of rows
	data    *data.Splits
	options train.Options
	lab     *Lab // nil: the Lab that trains
}

// grow trains one member.
func (l *Lab) grow(ctx context.Context, s start) (*Member, error) {
	in := l
	if s.lab != nil {
		in = s.lab
	}
	p, err := in.NewParams(s.init)
	if err != nil {
		return nil, err
	}
	switch {
	case s.params != nil:
		CopyParams(p, s.params)
	case l.Start != nil:
		CopyParams(p, l.Start)
	}
	r, err := in.Fit(ctx, FitOptions{Name: s.name, Params: p, Options: s.options, Data: s.data, Seed: s.seed})
	if err != nil {
		return nil, err
	}
	d := s.data
	if d == nil {
		d = l.Data
	}
	return &Member{
		Name: s.name, Params: p, Counts: r.Counts, Data: d, Seed: s.seed, Dir: in.path(s.name), Valid: r.Valid, Seconds: r.Seconds, Steps: r.Steps,
	}, nil
}

// key returns the seed of a stream of the Lab; stream 0 is the Lab's own.
func (l *Lab) key(k int) uint64 {
	if k == 0 {
		return l.Seed
	}
	return rng.Key(l.Seed, "parent", k)
}

// reordered returns the Lab's data with its training rows in the order of another seed.
func (l *Lab) reordered(d *data.Splits, seed uint64) (*data.Splits, error) {
	src, err := data.Reorder(d.Train, seed)
	if err != nil {
		return nil, fmt.Errorf("cki: %w", err)
	}
	out := *d
	out.Train = src
	return &out, nil
}

// ownDecay is the decay of the moving average that the base keeps for the comparison.
const ownDecay = 0.99

func parentName(k int) string { return fmt.Sprintf("parent-%c", 'a'+k) }

// family trains the members one after another.
func (l *Lab) family(ctx context.Context, trunk *Member, starts []start) (*Family, error) {
	f := &Family{Trunk: trunk}
	if trunk != nil {
		f.Steps = trunk.Steps
	}
	for i, s := range starts {
		if i == 0 && l.Own {
			s.options.KeepEpochs, s.options.EMA = true, ownDecay
		}
		m, err := l.grow(ctx, s)
		if err != nil {
			return nil, err
		}
		f.Members = append(f.Members, m)
		f.Steps += m.Steps
	}
	return f, nil
}

// trunkOptions are the Lab's options for n epochs or n steps at a constant rate, of which the last parameters are kept.
func (l *Lab) trunkOptions(epochs int, steps int64) train.Options {
	o := l.Options
	o.Epochs, o.MaxSteps = max(1, epochs), steps
	if steps > 0 {
		o.Epochs = 1 << 20
	}
	constant, _ := schedule.Types.Default("constant")
	o.Schedule, o.Patience, o.Keep = constant, 0, "last"
	return o
}

func checkCount(n int) error {
	if n < 2 || n > 26 {
		return registry.Field("count", "must be in [2, 26]")
	}
	return nil
}

// CopyParams copies the values of the parameters that both have, with equal sizes.
func CopyParams(dst, src *nn.Params) {
	for _, q := range dst.All() {
		if s := src.Get(q.Name); s != nil && len(s.Data) == len(q.Data) {
			copy(q.Data, s.Data)
		}
	}
}

// clone returns parameters of the same names and values.
func clone(p *nn.Params) *nn.Params {
	c := nn.NewParams(p.Seed)
	for _, q := range p.All() {
		r := *q
		r.Shape, r.Data = slices.Clone(q.Shape), slices.Clone(q.Data)
		if err := c.Add(&r); err != nil {
			panic(err) // names of a store are distinct
		}
	}
	return c
}
