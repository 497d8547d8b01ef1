package cki

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/configs/registry"
)

// Independent are parents from other initial weights, in other orders of the rows.
type Independent struct {
	Count int `yaml:"count"` // parents
}

// SharedInit are parents from the same initial weights, in other orders of the rows.
type SharedInit struct {
	Count int `yaml:"count"` // parents
}

// Branch are parents that go on from one run, the trunk, in other orders of the rows. The trunk is trained first, at a
// constant learning rate; each parent then makes all epochs of train with its schedule.
type Branch struct {
	Count  int   `yaml:"count"`  // parents
	Epochs int   `yaml:"epochs"` // of the common trunk
	Steps  int64 `yaml:"steps"`  // of the common trunk, in place of epochs; 0: by epochs
}

func init() {
	Regimes.Register("independent", Independent{Count: 2})
	Regimes.Register("shared_init", SharedInit{Count: 2})
	Regimes.Register("branch", Branch{Count: 2, Epochs: 2})
}

// Validate reports every option out of range.
func (r Independent) Validate() error { return checkCount(r.Count) }

// Validate reports every option out of range.
func (r SharedInit) Validate() error { return checkCount(r.Count) }

// Validate reports every option out of range.
func (r Branch) Validate() error {
	errs := []error{checkCount(r.Count)}
	if r.Epochs < 1 {
		errs = append(errs, registry.Field("epochs", "must be at least 1"))
	}
	if r.Steps < 0 {
		errs = append(errs, registry.Field("steps", "must not be negative"))
	}
	return errors.Join(errs...)
}

// Make trains the parents.
func (r Independent) Make(ctx context.Context, l *Lab) (*Family, error) {
	return l.seeds(ctx, r.Count, false)
}

// Make trains the parents.
func (r SharedInit) Make(ctx context.Context, l *Lab) (*Family, error) {
	return l.seeds(ctx, r.Count, true)
}

func (l *Lab) seeds(ctx context.Context, count int, sameInit bool) (*Family, error) {
	var starts []start
	for k := range count {
		d, err := l.Data, error(nil)
		if k > 0 {
			if d, err = l.reordered(l.Data, l.key(k)); err != nil {
				return nil, err
			}
		}
		s := start{name: parentName(k), init: l.key(k), seed: l.key(k), data: d, options: l.Options}
		if sameInit {
			s.init = l.key(0)
		}
		starts = append(starts, s)
	}
	return l.family(ctx, nil, starts)
}

// Make trains the trunk and the parents.
func (r Branch) Make(ctx context.Context, l *Lab) (*Family, error) {
	trunk, err := l.grow(ctx, start{name: "trunk", init: l.Seed, seed: l.Seed, data: l.Data, options: l.trunkOptions(r.Epochs, r.Steps)})
	if err != nil {
		return nil, err
	}
	var starts []start
	for k := range r.Count {
		d, err := l.reordered(l.Data, l.key(k+1))
		if err != nil {
			return nil, err
		}
		starts = append(starts, start{name: parentName(k), params: trunk.Params, init: l.Seed, seed: l.key(k + 1), data: d, options: l.Options})
	}
	return l.family(ctx, trunk, starts)
}
