package regime

import (
	"context"

	"github.com/splice-ml/splice/cki"
)

// SharedInit are parents from the same initial weights, in other orders of the rows.
type SharedInit struct {
	Count int `yaml:"count"` // parents
}

func init() { cki.RegisterRegime("shared_init", SharedInit{Count: 2}) }

// Validate reports every option out of range.
func (r SharedInit) Validate() error { return checkCount(r.Count) }

// Make trains the parents.
func (r SharedInit) Make(ctx context.Context, l *cki.Lab) (*cki.Family, error) {
	var trainings []cki.Training
	for k := range r.Count {
		t, err := parent(l, k)
		if err != nil {
			return nil, err
		}
		trainings = append(trainings, t)
	}
	return family(ctx, l, nil, trainings)
}
