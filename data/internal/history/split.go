package history

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
)

// Ways to split a log.
const (
	LeaveOneOut = "leave_one_out" // of each user, the last action is for test, the one before for validation
	ByTime      = "time"          // a user's first action after one moment is for validation, that after a later moment for test
	ByUsers     = "users"         // the last actions of some users, whose other actions are not trained on
)

// Split says which actions of a log are trained on, and which are predicted to validate and test.
type Split struct {
	By    string
	Ratio []float64 // ByTime, ByUsers: shares of train, validation and test
	Seed  uint64    // ByUsers
}

// Parts is a split log.
type Parts struct {
	TrainEnd []int64                    // by user: the first action that is not trained on
	Target   [data.TestPart + 1][]int64 // by part: the actions to predict; of TrainPart none
}

// Of splits a log. A user with too few actions to be split is in the train part alone.
func (s Split) Of(l *Log) (*Parts, error) {
	p := &Parts{TrainEnd: make([]int64, len(l.Users))}
	switch s.By {
	case LeaveOneOut:
		for u := range l.Users {
			lo, hi := l.Start[u], l.Start[u+1]
			p.TrainEnd[u] = hi
			if hi-lo >= 3 {
				p.TrainEnd[u] = hi - 2
				p.Target[data.ValidPart] = append(p.Target[data.ValidPart], hi-2)
				p.Target[data.TestPart] = append(p.Target[data.TestPart], hi-1)
			}
		}
	case ByTime:
		return p, s.byTime(l, p)
	case ByUsers:
		key := rng.Key(s.Seed, "users")
		for u := range l.Users {
			lo, hi := l.Start[u], l.Start[u+1]
			p.TrainEnd[u] = hi
			part := s.part(rng.Float(key, int64(u)))
			if part != data.TrainPart && hi-lo >= 2 {
				p.TrainEnd[u] = lo
				p.Target[part] = append(p.Target[part], hi-1)
			}
		}
	default:
		return nil, fmt.Errorf("no split by %q", s.By)
	}
	return p, nil
}

// part returns the part of a number in [0, 1).
func (s Split) part(x float64) data.Part {
	sum := 0.0
	for i, r := range s.Ratio {
		if sum += r; x < sum {
			return data.Part(i)
		}
	}
	return data.TrainPart
}

// byTime cuts the log at two moments, so that the shares of the actions before, between and after them are those of the ratio. Of the
// actions between and after, each user's first one is predicted: those that follow it would be told by it.
func (s Split) byTime(l *Log, p *Parts) error {
	if l.Time == nil {
		return errors.New("the log has no times to split by")
	}
	times := slices.Sorted(slices.Values(l.Time))
	at := func(share float64) float64 {
		i := int(math.Round(share * float64(len(times))))
		if i >= len(times) {
			return math.Inf(1)
		}
		return times[i]
	}
	cuts := [3]float64{at(s.Ratio[0]), math.Inf(1), math.Inf(1)}
	if len(s.Ratio) > 2 {
		cuts[1] = at(s.Ratio[0] + s.Ratio[1])
	}
	for u := range l.Users {
		lo, hi := l.Start[u], l.Start[u+1]
		p.TrainEnd[u] = lo + int64(before(l.Time[lo:hi], cuts[0]))
		for part := data.ValidPart; part <= data.TestPart; part++ {
			from, to := lo+int64(before(l.Time[lo:hi], cuts[part-1])), lo+int64(before(l.Time[lo:hi], cuts[part]))
			if part == data.TestPart {
				to = hi
			}
			if from < to && from > lo {
				p.Target[part] = append(p.Target[part], from)
			}
		}
	}
	return nil
}

// before returns how many of the ascending times are before a moment.
func before(times []float64, moment float64) int {
	n, _ := slices.BinarySearch(times, moment)
	return n
}
