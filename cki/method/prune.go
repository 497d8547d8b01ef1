package method

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
)

// Prune sets weights of the base to zero. Other parents have no say. `form: signed` is the control as published with CKI: it zeroes
// every weight w <= threshold, and so also large negative ones. `form: magnitude` zeroes weights with |w| <= threshold, or the
// round(share·n) smallest of each tensor (Han et al. 2015). Running statistics stay.
type Prune struct {
	Form      string  `yaml:"form"`      // signed: as published; magnitude
	Threshold float64 `yaml:"threshold"` // weights up to it are zero
	Share     float64 `yaml:"share"`     // form: magnitude: zero this share of each tensor instead; 0: go by threshold
}

func init() { cki.Register("prune", Prune{Form: "signed", Threshold: 0.02}) }

// Validate reports every option out of range.
func (m Prune) Validate() error {
	errs := []error{registry.Finite("threshold", m.Threshold), registry.In("share", m.Share, 0, 1)}
	if m.Form != "signed" && m.Form != "magnitude" {
		errs = append(errs, registry.Field("form", "must be signed or magnitude"))
	}
	if m.Form == "signed" && m.Share > 0 {
		errs = append(errs, registry.Field("share", "only form: magnitude has a share"))
	}
	return errors.Join(errs...)
}

// Merge prepares the pruning.
func (m Prune) Merge(_ context.Context, in *cki.Input) (cki.Merged, error) {
	if err := errors.Join(checkParents(in, "prune", 1, 0), valid("prune", m)); err != nil {
		return cki.Merged{}, err
	}
	stats := &PruneStats{}
	tensor := func(t *cki.Tensor) error {
		copy(t.Out, t.Parents[0])
		switch {
		case statistics(t.Name):
			return nil
		case m.Share > 0:
			smallest(t.Out, m.Share)
		default:
			limit := float32(m.Threshold) // so that a weight of 0.02 is pruned at 0.02
			for i, x := range t.Out {
				if x <= limit && (m.Form == "signed" || -x <= limit) {
					t.Out[i] = 0
				}
			}
		}
		stats.add(t.Out)
		return nil
	}
	return cki.Merged{Whole: m.Share > 0, Tensor: tensor, Stats: func() any { return *stats }}, nil
}

// smallest zeroes the round(share·n) values of smallest magnitude, of equal ones the first.
func smallest(w []float32, share float64) {
	order := make([]int, len(w))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := math.Abs(float64(w[i])), math.Abs(float64(w[j]))
		switch {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	})
	for _, i := range order[:int(math.Round(share*float64(len(w))))] {
		w[i] = 0
	}
}

// PruneStats is what Prune reports.
type PruneStats struct {
	Weights int64 `json:"weights"` // of the tensors that were pruned
	Zeros   int64 `json:"zeros"`   // among them, afterwards
}

func (s *PruneStats) add(w []float32) {
	s.Weights += int64(len(w))
	for _, x := range w {
		if x == 0 {
			s.Zeros++
		}
	}
}
