package cki

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
)

// Shards are parents that saw different rows: each was trained on its own shard of the training rows, from a short common
// trunk.
type Shards struct {
	By         string  `yaml:"by"`          // what splits the rows: rows (at random), order (by time, in a file in the order of time) or a categorical feature, such as user or weekday
	Count      int     `yaml:"count"`       // parents
	Trunk      int64   `yaml:"trunk_steps"` // optimizer steps of the common trunk; 0: none, parents share initial weights alone
	TrunkShare float64 `yaml:"trunk_share"` // share of all training rows that the trunk sees
}

func init() { Regimes.Register("data", Shards{By: "rows", Count: 2, Trunk: 300, TrunkShare: .15}) }

// Validate reports every option out of range.
func (r Shards) Validate() error {
	errs := []error{checkCount(r.Count)}
	if r.By == "" {
		errs = append(errs, registry.Field("by", "must be rows, order or the name of a categorical feature"))
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
func (r Shards) Make(ctx context.Context, l *Lab) (*Family, error) {
	shards, err := data.Shard(ctx, l.Data.Train, data.ShardOptions{By: r.By, Count: r.Count, Seed: rng.Key(l.Seed, "shards")}, l.Data.Map)
	if err != nil {
		return nil, err
	}
	var trunk *Member
	if r.Trunk > 0 {
		d := *l.Data
		if d.Train, err = data.Head(l.Data.Train, r.TrunkShare, rng.Key(l.Seed, "trunk")); err != nil {
			return nil, err
		}
		trunk, err = l.grow(ctx, start{name: "trunk", init: l.Seed, seed: l.Seed, data: &d, options: l.trunkOptions(0, r.Trunk)})
		if err != nil {
			return nil, err
		}
	}
	var starts []start
	for k, src := range shards {
		d := *l.Data
		d.Train = src
		s := start{name: parentName(k), init: l.Seed, seed: l.key(k), data: &d, options: l.Options}
		if trunk != nil {
			s.params = trunk.Params
		}
		starts = append(starts, s)
	}
	f, err := l.family(ctx, trunk, starts)
	if err == nil {
		f.Apart = true
	}
	return f, err
}
