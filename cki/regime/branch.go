package regime

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
)

// Branch are parents that go on from one run, the trunk, in other orders of the rows. The trunk is trained first, at a
// constant learning rate; each parent then makes all epochs of train with its schedule.
type Branch struct {
	Count  int   `yaml:"count"`  // parents
	Epochs int   `yaml:"epochs"` // of the common trunk
	Steps  int64 `yaml:"steps"`  // of the common trunk, in place of epochs; 0: by epochs
}

func init() { cki.RegisterRegime("branch", Branch{Count: 2, Epochs: 2}) }

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

// Make trains the trunk and the parents. No parent sees the rows in the trunk's order.
func (r Branch) Make(ctx context.Context, l *cki.Lab) (*cki.Family, error) {
	trunk, err := l.Train(ctx, cki.Training{Name: trunkName, Init: l.Seed, Seed: l.Seed, Options: trunkOptions(l, r.Epochs, r.Steps)})
	if err != nil {
		return nil, err
	}
	var trainings []cki.Training
	for k := range r.Count {
		t, err := parent(l, k+1)
		if err != nil {
			return nil, err
		}
		t.Name, t.Start = parentName(k), trunk.Params
		trainings = append(trainings, t)
	}
	return family(ctx, l, trunk, trainings)
}
