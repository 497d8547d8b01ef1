package method

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/cki"
)

// SelectBest passes the parent through that is best on the validation rows by the monitored metric, and of equal ones the first.
// Its selected tensors are taken, and it is measured with those alone. Merging a model with itself returns it.
type SelectBest struct{}

func init() { cki.Register("select_best", SelectBest{}) }

// Merge evaluates the parents.
func (m SelectBest) Merge(ctx context.Context, in *cki.Input) (cki.Merged, error) {
	if err := errors.Join(checkParents(in, "select_best", 1, 0), needsLab(in, "select_best", "measuring parents")); err != nil {
		return cki.Merged{}, err
	}
	r := &trial{ctx: ctx, in: in, name: "select_best"}
	scores, err := r.parents()
	if err != nil {
		return cki.Merged{}, err
	}
	best := 0
	for k, v := range scores {
		if r.better(v, scores[best]) {
			best = k
		}
	}
	stats := SelectBestStats{Parent: in.Parents[best].Name, Scores: scores}
	return cki.Merged{Tensor: pass(best), Stats: func() any { return stats }}, nil
}

// SelectBestStats is what SelectBest reports.
type SelectBestStats struct {
	Parent string    `json:"parent"` // the best one
	Scores []float64 `json:"scores"` // by parent, on the validation rows
}
