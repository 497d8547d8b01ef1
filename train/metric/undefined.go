package metric

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Undefined is the error of a metric that has no value for the rows that it was given, whatever the model: an AUC without a negative,
// for example. It says nothing against the model or the other metrics.
type Undefined struct {
	Metric string // its name
	Reason string // what the rows lack
}

// Error names the metric and the reason.
func (e *Undefined) Error() string { return fmt.Sprintf("metric: %s: %s", e.Metric, e.Reason) }

// Values returns the value of each metric by name. It is NaN for those that are undefined, which are returned too. Any other error ends
// it.
func Values(ms []Metric) (map[string]float64, []*Undefined, error) {
	values := make(map[string]float64, len(ms))
	var undefined []*Undefined
	for _, m := range ms {
		v, err := m.Value()
		var u *Undefined
		switch {
		case errors.As(err, &u):
			v, undefined = math.NaN(), append(undefined, u)
		case err != nil:
			return nil, nil, fmt.Errorf("%s: %w", m.Name(), err)
		}
		values[m.Name()] = v
	}
	return values, undefined, nil
}

// Format writes a value with so many decimals, and NaN as n/a.
func Format(v float64, decimals int) string {
	if v != v {
		return "n/a"
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// Better reports whether a is a better value of the metric of this name than b. A number is better than NaN, and NaN is never better.
func Better(name string, a, b float64) bool {
	switch {
	case a != a || b != b:
		return a == a
	case HigherIsBetter(name):
		return a > b
	}
	return a < b
}

// Needs says what the rows must have for a metric to be defined. Every metric needs a row.
type Needs uint8

// What a metric can need.
const (
	ARow      Needs = iota // no more than a row that counts
	APositive              // a label above 0
	BothIn                 // a positive and a negative
	GroupBoth              // a group with a positive and a negative
	Varying                // two labels that differ
)

// Labels finds out from labels and groups alone which metrics are defined for them.
type Labels struct {
	n, ignored             int64 // ignored: those of label Ignored, which metrics of classes do not count
	positives, negatives   int64
	first                  float32
	varying, grouped, both bool
	groups                 map[int64]uint8 // bit 0: has a negative, bit 1: a positive
}

// Add counts rows. group may be nil.
func (l *Labels) Add(labels []float32, group []int64) {
	l.grouped = l.grouped || group != nil
	for i, y := range labels {
		if y == Ignored {
			l.ignored++
		}
		if l.n == 0 {
			l.first = y
		}
		l.n++
		l.varying = l.varying || y != l.first
		bit := uint8(1)
		if y > 0 {
			l.positives++
			bit = 2
		} else {
			l.negatives++
		}
		if group != nil && !l.both {
			if l.groups == nil {
				l.groups = map[int64]uint8{}
			}
			l.groups[group[i]] |= bit
			if l.both = l.groups[group[i]] == 3; l.both {
				l.groups = nil
			}
		}
	}
}

// Check returns what makes the metric of this name undefined for the rows so far, or nil.
func (l *Labels) Check(name string) *Undefined {
	if isSum(name) {
		list, _ := terms(name)
		for _, t := range list {
			if u := l.Check(t.name); u != nil {
				return &Undefined{name, t.name + ": " + u.Reason}
			}
		}
		return nil
	}
	m, _, err := parse(name)
	if err != nil {
		return nil // whoever makes the metric hears of it
	}
	reason := ""
	switch {
	case l.n == 0, m.Reads&Classes != 0 && l.n == l.ignored:
		reason = noRows
	case m.Needs == APositive && l.positives == 0:
		reason = noPositives(l.n)
	case m.Needs == BothIn && (l.positives == 0 || l.negatives == 0):
		reason = oneClass(l.positives, l.n)
	case m.Needs == GroupBoth && l.grouped && !l.both: // without groups, Add says that they are missing
		reason = noGroup("both classes")
	case m.Needs == Varying && !l.varying:
		reason = sameLabels(l.n)
	default:
		return nil
	}
	return &Undefined{name, reason}
}

const noRows = "no rows to predict"

func noPositives(n int64) string { return fmt.Sprintf("no positives in %d rows", n) }

func oneClass(positives, n int64) string {
	return fmt.Sprintf("needs both classes, have %d positives in %d rows", positives, n)
}

func noGroup(wants string) string { return "no group has " + wants }

func sameLabels(n int64) string { return fmt.Sprintf("the labels of %d rows are all the same", n) }
