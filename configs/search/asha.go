package search

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/metric"
)

// at returns the rung that is reached after so many evaluations, from 0; false if none is. Rung r is at min·factor^r.
func (a *ASHA) at(evaluations int) (rung int, ok bool) {
	for n := a.Min; n <= evaluations; n *= a.Factor {
		if n == evaluations {
			return rung, true
		}
		rung++
	}
	return 0, false
}

// keeps reports whether a trial with this value at a rung goes on, beside what others had there. It does so among the best n/factor of all
// n, itself one of them; where n is less than factor, as the best. Smaller is better.
func (a *ASHA) keeps(value float64, others []float64) bool {
	n := len(others) + 1
	better := 0
	for _, v := range others {
		if v < value {
			better++
		}
	}
	return better < max(1, n/a.Factor)
}

// stopper ends a training that is worse than others at a rung. It is a callback of the training, whose state has what it counted.
type stopper struct {
	asha    *ASHA // nil: it counts, and stops nothing
	monitor string
	others  map[int][]float64               // what the trials before the horizon had, by rung
	note    func(rung int, v float64) error // keeps what the trial had at a rung

	state stopperState
}

type stopperState struct {
	Evaluations int      `json:"evaluations"`
	Best        *float64 `json:"best"` // so far; smaller is better
	Stopped     bool     `json:"stopped"`
	Rung        int      `json:"rung"` // the last one that was reached; -1 before the first
}

// Name is that of the stopper's state.
func (s *stopper) Name() string { return "asha" }

// SaveState returns what was counted.
func (s *stopper) SaveState() ([]byte, error) { return json.Marshal(s.state) }

// LoadState goes on from what was counted.
func (s *stopper) LoadState(b []byte) error { return json.Unmarshal(b, &s.state) }

// On counts the evaluations on validation rows. What a run had at a rung is its best value until then, as its model is the best one. The
// last evaluation of a training is no rung: nothing is left to be stopped.
func (s *stopper) On(_ context.Context, e *train.Event) error {
	if e.Kind != train.EvalDone || e.Split != "valid" {
		return nil
	}
	s.state.Evaluations++
	v := oriented(s.monitor, e.Metrics[s.monitor])
	if v == v && (s.state.Best == nil || v < *s.state.Best) {
		s.state.Best = &v
	}
	if s.asha == nil {
		return nil
	}
	rung, ok := s.asha.at(s.state.Evaluations)
	if !ok || s.state.Best == nil || e.Steps > 0 && e.Step >= e.Steps {
		return nil
	}
	s.state.Rung = rung
	if err := s.note(rung, *s.state.Best); err != nil {
		return err
	}
	if s.asha.keeps(*s.state.Best, s.others[rung]) {
		return nil
	}
	s.state.Stopped = true
	return train.ErrStop
}

// oriented returns a metric so that smaller is better.
func oriented(name string, v float64) float64 {
	if metric.HigherIsBetter(name) {
		return -v
	}
	return v
}

// mean returns the mean of numbers, in one order whatever theirs.
func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range slices.Sorted(slices.Values(values)) {
		sum += v
	}
	return sum / float64(len(values))
}
