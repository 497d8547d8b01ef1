package regime

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
)

// Shards are parents that saw different rows: each was trained on its own shard of the training rows, from a short common
// trunk.
type Shards struct {
	// what splits the rows: rows (at random), order (by time, in a file in the order of time), a categorical feature, such as
	// user or weekday, or user for a log of interactions
	By         string  `yaml:"by"`
	Count      int     `yaml:"count"`       // parents
	Trunk      int64   `yaml:"trunk_steps"` // optimizer steps of the common trunk; 0: none, parents share initial weights alone
	TrunkShare float64 `yaml:"trunk_share"` // share of all training rows that the trunk sees
}

func init() { cki.RegisterRegime("data", Shards{By: "rows", Count: 2, Trunk: 300, TrunkShare: .15}) }

// Validate reports every option out of range.
func (r Shards) Validate() error {
	errs := []error{checkCount(r.Count)}
	if r.By == "" {
		errs = append(errs, registry.Field("by", "must be rows, order, user for a log of interactions, or the name of a categorical feature"))
	}
	if r.Trunk < 0 {
		errs = append(errs, registry.Field("trunk_steps", "must not be negative"))
	}
	if !(r.TrunkShare > 0 && r.TrunkShare <= 1) {
		errs = append(errs, registry.Field("trunk_share", "must be in (0, 1]"))
	}
	return errors.Join(errs...)
}

// Make trains the trunk and the parents.
func (r Shards) Make(ctx context.Context, l *cki.Lab) (*cki.Family, error) {
	trainings, err := r.Shards(ctx, l)
	if err != nil {
		return nil, err
	}
	trunk, err := r.MakeTrunk(ctx, l)
	if err != nil {
		return nil, err
	}
	for k := range trainings {
		if trunk != nil {
			trainings[k].Start = trunk.Params
		}
	}
	f, err := family(ctx, l, trunk, trainings)
	if err != nil {
		return nil, err
	}
	f.SplitBy = r.By
	return f, nil
}

// Deal implements [cki.Sharder].
func (r Shards) Deal() (shards int, trunk bool) { return r.Count, r.Trunk > 0 }

// Split implements [cki.Sharder].
func (r Shards) Split() string { return r.By }

// Shards implements [cki.Sharder].
func (r Shards) Shards(ctx context.Context, l *cki.Lab) ([]cki.Training, error) {
	shards, err := data.Shard(ctx, l.Data.Train, data.ShardOptions{By: r.By, Count: r.Count, Seed: rng.Key(l.Seed, "shards")}, l.Data.Map)
	if err != nil {
		return nil, err
	}
	var trainings []cki.Training
	for k, src := range shards {
		d := *l.Data
		d.Train = src
		trainings = append(trainings, cki.Training{Name: parentName(k), Init: l.Seed, Seed: streamSeed(l, k), Data: &d, Options: l.Options})
	}
	return trainings, nil
}

// MakeTrunk trains the model that the parents start from. It returns nil if they share only initial weights.
func (r Shards) MakeTrunk(ctx context.Context, l *cki.Lab) (*cki.Member, error) {
	if r.Trunk == 0 {
		return nil, nil
	}
	d := *l.Data
	var err error
	if d.Train, err = data.Head(l.Data.Train, r.TrunkShare, rng.Key(l.Seed, "trunk")); err != nil {
		return nil, err
	}
	return l.Train(ctx, cki.Training{Name: trunkName, Init: l.Seed, Seed: l.Seed, Data: &d, Options: trunkOptions(l, 0, r.Trunk)})
}
