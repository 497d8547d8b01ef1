package metric

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// term is a metric of a weighted sum.
type term struct {
	weight float64 // below 0 of metrics of which the lower value is better
	name   string
}

// isSum reports whether a name is that of a weighted sum, such as auc - 0.5*logloss. Signs between terms have blanks around them.
func isSum(name string) bool {
	return strings.Contains(name, " + ") || strings.Contains(name, " - ") || strings.Contains(name, "*")
}

// terms returns the terms of a weighted sum. The greater sum is the better one, so each term must have the sign of its metric's direction.
func terms(name string) ([]term, error) {
	var list []term
	rest, sign := name, 1.0
	if after, ok := strings.CutPrefix(rest, "-"); ok {
		rest, sign = strings.TrimSpace(after), -1
	}
	for next := 1.0; rest != ""; sign = next {
		one, after := rest, ""
		plus, minus := strings.Index(rest, " + "), strings.Index(rest, " - ")
		switch {
		case plus >= 0 && (minus < 0 || plus < minus):
			one, after, next = rest[:plus], rest[plus+3:], 1
		case minus >= 0:
			one, after, next = rest[:minus], rest[minus+3:], -1
		}
		if len(one) < len(rest) && strings.TrimSpace(after) == "" {
			return nil, fmt.Errorf("metric: %q ends in a sign; write sums such as auc - 0.5*logloss", name)
		}
		rest = strings.TrimSpace(after)
		t := term{sign, strings.TrimSpace(one)}
		if factor, of, ok := strings.Cut(t.name, "*"); ok {
			w, err := strconv.ParseFloat(strings.TrimSpace(factor), 64)
			if err != nil || !(w > 0) || math.IsInf(w, 0) {
				return nil, fmt.Errorf("metric: %q: the weight %q is no number above 0; write sums such as auc - 0.5*logloss", name, factor)
			}
			t = term{sign * w, strings.TrimSpace(of)}
		}
		k, _, err := parse(t.name)
		switch {
		case t.name == "" || isSum(t.name):
			return nil, fmt.Errorf("metric: %q is no sum of metrics; write one such as auc - 0.5*logloss", name)
		case err != nil:
			return nil, err
		case k.Better == Neither:
			return nil, fmt.Errorf("metric: %q: neither a high nor a low %s is best, so a sum with it has no best value", name, t.name)
		case (k.Better == Higher) != (t.weight > 0):
			return nil, fmt.Errorf("metric: %q: the greater sum is the better one, so %s has to have the other sign, such as in auc - 0.5*logloss", name, t.name)
		}
		list = append(list, t)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("metric: %q is no sum of metrics; write one such as auc - 0.5*logloss", name)
	}
	return list, nil
}

// sumKind returns the kind of a weighted sum.
func sumKind(name string) (Kind, error) {
	list, err := terms(name)
	if err != nil {
		return Kind{}, err
	}
	k := Kind{Better: Higher, Reads: ^Output(0)}
	for _, t := range list {
		of, _, err := parse(t.name)
		if err != nil {
			return Kind{}, err
		}
		k.Reads &= of.Reads
		k.Groups = k.Groups || of.Groups
	}
	k.New = func(name string, _ int) Metric {
		s := &sum{name: name, terms: list}
		for _, t := range list {
			of, k, _ := parse(t.name)
			s.of = append(s.of, of.New(t.name, k))
		}
		return s
	}
	return k, nil
}

// sum is the weighted sum of other metrics, of which the greater one is better.
type sum struct {
	name  string
	terms []term
	of    []Metric
}

// Name implements [Metric].
func (m *sum) Name() string { return m.name }

// Add implements [Metric].
func (m *sum) Add(logits, labels []float32, group []int64) error {
	for _, of := range m.of {
		if err := of.Add(logits, labels, group); err != nil {
			return err
		}
	}
	return nil
}

// Value implements [Metric]. It is undefined if one of the terms is.
func (m *sum) Value() (float64, error) {
	total := 0.0
	for i, of := range m.of {
		v, err := of.Value()
		var u *Undefined
		if errors.As(err, &u) {
			return 0, &Undefined{m.name, u.Metric + ": " + u.Reason}
		}
		if err != nil {
			return 0, err
		}
		total += m.terms[i].weight * v
	}
	return total, nil
}

// Reset implements [Metric].
func (m *sum) Reset() {
	for _, of := range m.of {
		of.Reset()
	}
}

func (m *sum) spillInto(s Spill) { SpillInto(m.of, s) }
