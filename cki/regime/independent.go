package regime

import (
	"context"

	"github.com/splice-ml/splice/cki"
)

// Independent are parents from other initial weights, in other orders of the rows.
type Independent struct {
	Count int `yaml:"count"` // parents
}

func init() { cki.RegisterRegime("independent", Independent{Count: 2}) }

// Validate reports every option out of range.
func (r Independent) Validate() error { return checkCount(r.Count) }

// Make trains the parents.
func (r Independent) Make(ctx context.Context, l *cki.Lab) (*cki.Family, error) {
	var trainings []cki.Training
	for k := range r.Count {
		t, err := parent(l, k)
		if err != nil {
			return nil, err
		}
		t.Init = streamSeed(l, k)
		trainings = append(trainings, t)
	}
	return family(ctx, l, nil, trainings)
}
