// Package metric measures predictions: probabilities, rankings within groups of rows, classes and numbers. A metric is one file,
// which registers its name. All metrics are exact and bounded in memory, and do not depend on the size of the batches.
package metric

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/configs/registry"
)

// Metric is a number over the rows that it was given since the last Reset.
type Metric interface {
	// Name returns the name that [New] was given.
	Name() string
	// Add counts rows. Each row has a label, and len(logits)/len(labels) logits, row by row. Its group is needed by the grouped
	// metrics alone. An error says what is wrong with the rows, such as a label or missing groups, or that the disk is full.
	Add(logits, labels []float32, group []int64) error
	// Value returns the metric. It is an error if a logit was NaN, and an [*Undefined] if the metric is not defined for the rows,
	// as an AUC without a negative. Value may be called again, and after more rows.
	Value() (float64, error)
	// Reset forgets all rows, and removes the temporary file if there is one.
	Reset()
}

// Output says what a model's outputs are, and so what a metric reads. Several kinds are joined by |.
type Output uint8

// Kinds of outputs.
const (
	Logit   Output = 1 << iota // one for each row: the logit of the probability of label 1, where the other label is 0
	Classes                    // one for each class: their softmax is the probabilities; a label is a class's number, or Ignored
	Number                     // one for each row: a number like the label
	Ranks                      // what [RankOf] makes of the scores of all items of a catalogue; a label is an item's id
)

// Direction says which of two values of a metric is the better one.
type Direction uint8

// Directions of metrics.
const (
	Lower   Direction = iota // the lower value is better
	Higher                   // the higher value is better
	Neither                  // neither is: no model can be chosen by such a metric
)

// Kind is a type of metric.
type Kind struct {
	New    func(name string, k int) Metric // returns a fresh metric; k is the cut-off
	Cutoff bool                            // the name ends in @k
	Ties   bool                            // the name may end in _pessimistic: items of equal scores come before the positive ones
	Groups bool                            // it measures within groups of rows, which the data must have
	Better Direction
	Reads  Output // all the outputs that it measures
	Needs  Needs  // what the rows must have
}

var kinds = map[string]Kind{}

// Register makes a metric known under a name, without its cut-off. It panics if the name is taken, or if the kind says too little.
func Register(name string, k Kind) {
	if _, ok := kinds[name]; ok || name == "" || strings.Contains(name, "@") {
		panic(fmt.Sprintf("metric: %q is registered already, or no name", name))
	}
	if k.New == nil || k.Reads == 0 {
		panic(fmt.Sprintf("metric: %s: a kind needs New and Reads", name))
	}
	kinds[name] = k
}

// Pessimistic ends the name of a metric that ranks a positive item behind all others of its score. Without it, every order of them is as
// likely as another.
const Pessimistic = "_pessimistic"

// maxCutoff bounds the k of ndcg@k and hr@k.
const maxCutoff = 1_000_000

// Names returns the sorted names of all metrics that read such outputs. Those with a cut-off end in @k.
func Names(of Output) []string {
	var names []string
	for n, k := range kinds {
		if k.Reads&of == 0 {
			continue
		}
		if k.Cutoff {
			n += "@k"
		}
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Check reports a name that is unknown, or that of a metric that does not read such outputs.
func Check(name string, of Output) error {
	names := []string{name}
	if isSum(name) {
		names = nil
		list, err := terms(name)
		if err != nil {
			return err
		}
		for _, t := range list {
			names = append(names, t.name)
		}
	}
	for _, n := range names {
		if own, t, marked := strings.Cut(n, taskMark); marked {
			return fmt.Errorf("metric: %s: write %s; the metrics of task %s are those under it", n, own, t)
		}
	}
	m, _, err := parse(name)
	if err == nil && m.Reads&of == 0 {
		err = fmt.Errorf("metric: %s does not measure this task: there are %s", name, strings.Join(Names(of), ", "))
	}
	return err
}

// OfTask returns the name of a metric of one of several tasks, as auc.click is. Such a name is that of the metric for everything here
// but [Check].
func OfTask(name, task string) string { return name + taskMark + task }

// taskMark separates the name of a metric from that of a task.
const taskMark = "."

// New returns the metric of a name, such as auc, ndcg@10, hr@10_pessimistic, f1, pearson or auc.click, or of a weighted sum of such metrics,
// whose greater value is the better one, such as auc - 0.5*logloss.
func New(name string) (Metric, error) {
	m, k, err := parse(name)
	if err != nil {
		return nil, err
	}
	return m.New(name, k), nil
}

// HigherIsBetter reports whether the greater value is the better one, for a name that New accepts. It is false for unknown names.
func HigherIsBetter(name string) bool {
	m, _, err := parse(name)
	return err == nil && m.Better == Higher
}

// Selectable reports whether a model may be chosen by the metric of this name.
func Selectable(name string) bool {
	m, _, err := parse(name)
	return err == nil && m.Better != Neither
}

// ByGroup reports whether the metric of this name measures within groups of rows. It is false for unknown names.
func ByGroup(name string) bool {
	m, _, err := parse(name)
	return err == nil && m.Groups
}

func parse(name string) (m Kind, k int, err error) {
	if isSum(name) {
		m, err = sumKind(name)
		return m, 0, err
	}
	own, _, _ := strings.Cut(name, taskMark)
	base, cut, at := strings.Cut(own, "@")
	m, ok := kinds[base]
	switch {
	case !ok:
		return m, 0, fmt.Errorf("metric: unknown metric %q; %s", name, hint(base, at))
	case at && !m.Cutoff:
		return m, 0, fmt.Errorf("metric: %s takes no cut-off: write %s, not %s", base, base, name)
	case !m.Cutoff:
		return m, 0, nil
	}
	if m.Ties {
		cut = strings.TrimSuffix(cut, Pessimistic)
	}
	k, err = strconv.Atoi(cut)
	if err != nil || k < 1 || k > maxCutoff || strconv.Itoa(k) != cut {
		return m, 0, fmt.Errorf("metric: %s needs a cut-off from 1 to %d, such as %s@10; have %q", base, maxCutoff, base, name)
	}
	return m, k, nil
}

// hint returns the name that may be meant, as the end of an error.
func hint(base string, at bool) string {
	var names []string
	for n := range kinds {
		names = append(names, n)
	}
	slices.Sort(names)
	n, ok := registry.Nearest(base, names)
	if !ok {
		return "there are " + strings.Join(Names(Logit|Classes|Number), ", ")
	}
	if kinds[n].Cutoff && !at {
		n += "@10"
	}
	return fmt.Sprintf("did you mean %s?", n)
}

// Sigmoid returns 1/(1 + e^−x): the probability of a logit.
func Sigmoid(x float32) float32 { return float32(sigmoid(float64(x))) }

// sigmoid keeps its relative accuracy for any x: e^x does not overflow.
func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// rows counts what every metric checks of its rows.
type rows struct {
	name    string
	n, nans int64
	total   float64 // of the weights
}

// Name implements [Metric].
func (r *rows) Name() string { return r.name }

// add checks the lengths, and counts the rows.
func (r *rows) add(logits, labels []float32) error { return r.addWeighted(logits, labels, nil) }

// addWeighted is add of rows with weights.
func (r *rows) addWeighted(logits, labels, weights []float32) error {
	if len(logits) != len(labels) {
		return fmt.Errorf("metric: %s: %d logits, %d labels", r.name, len(logits), len(labels))
	}
	if err := r.weigh(labels, weights); err != nil {
		return err
	}
	r.n += int64(len(logits))
	for i := range logits {
		r.total += at(weights, i)
	}
	for _, x := range logits {
		if x != x {
			r.nans++
		}
	}
	return nil
}

// err returns an error if there is no value for the rows.
func (r *rows) err() error {
	switch {
	case r.n == 0:
		return &Undefined{r.name, noRows}
	case r.nans > 0:
		return fmt.Errorf("metric: %s: %d of %d logits are NaN", r.name, r.nans, r.n)
	}
	return nil
}

func (r *rows) reset() { r.n, r.nans, r.total = 0, 0, 0 }

// binary checks that a label is 0 or 1.
func (r *rows) binary(y float32) error {
	if y != 0 && y != 1 {
		return fmt.Errorf("metric: %s: label %v is not 0 or 1", r.name, y)
	}
	return nil
}

// part checks that a label is in [0, 1].
func (r *rows) part(y float32) error {
	if !(y >= 0 && y <= 1) {
		return fmt.Errorf("metric: %s: label %v is not in [0, 1]", r.name, y)
	}
	return nil
}

// values checks the rows of a metric of numbers, and that the label is one.
func (r *rows) values(logits, labels, weights []float32) error {
	for _, y := range labels {
		if y-y != 0 {
			return fmt.Errorf("metric: %s: label %v is not a number", r.name, y)
		}
	}
	return r.addWeighted(logits, labels, weights)
}
