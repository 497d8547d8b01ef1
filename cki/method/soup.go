package method

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/splice-ml/splice/cki"
)

// Soup is the greedy soup (Wortsman et al. 2022, algorithm 1). Parents are taken from the best to the worst on the validation
// rows, and each stays in the mean if the monitored metric of the mean with it is not worse than without. The order in which
// parents are given matters for equal scores alone. Merging a model with itself returns it.
type Soup struct{}

func init() { cki.Register("soup", Soup{}) }

// Merge finds what goes into the soup.
func (m Soup) Merge(ctx context.Context, in *cki.Input) (cki.Merged, error) {
	if err := errors.Join(checkParents(in, "soup", 1, 0), needsLab(in, "soup", "choosing parents")); err != nil {
		return cki.Merged{}, err
	}
	r := &trial{ctx: ctx, in: in, name: "soup"}
	scores, err := r.parents()
	if err != nil {
		return cki.Merged{}, err
	}
	order := make([]int, len(scores))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case r.better(scores[i], scores[j]):
			return -1
		case r.better(scores[j], scores[i]):
			return 1
		}
		return 0
	})
	within := make([]float64, len(scores))
	within[order[0]] = 1
	best := scores[order[0]]
	for _, k := range order[1:] {
		within[k] = 1
		v, err := r.score(mean(normalised(within)))
		if err != nil {
			return cki.Merged{}, err
		}
		if keep := !math.IsNaN(v) && !r.better(best, v); keep {
			best = v
		} else {
			within[k] = 0
		}
		in.Log.Info("soup", "candidate", in.Parents[k].Name, in.Lab.Monitor(), v, "kept", within[k] > 0)
	}
	stats := SoupStats{Scores: scores, Score: best}
	for k, w := range within {
		if w > 0 {
			stats.Parents = append(stats.Parents, in.Parents[k].Name)
		}
	}
	return cki.Merged{Tensor: mean(normalised(within)), Stats: func() any { return stats }}, nil
}

// SoupStats is what Soup reports.
type SoupStats struct {
	Parents []string  `json:"parents"` // that are in the soup
	Scores  []float64 `json:"scores"`  // of all parents, on the validation rows
	Score   float64   `json:"score"`   // of the soup
}
