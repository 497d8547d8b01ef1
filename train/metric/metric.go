// Package metric measures predictions: auc, logloss, calibration and ece of probabilities; gauc, user_auc, ndcg@k and hr@k over
// groups of rows; accuracy, cross_entropy, perplexity, f1, macro_f1 and mcc of classes; mse, rmse, mae, pearson and spearman of
// numbers. All are exact, the same for any size of the batches, and bounded in memory.
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
	// Name is the name that [New] was given.
	Name() string
	// Add counts rows: a label each and, row by row, len(logits)/len(labels) logits, and their groups, which only the grouped
	// metrics need. An error says what is wrong with the rows (lengths, a label, no groups) or that the disk is full.
	Add(logits, labels []float32, group []int64) error
	// Value returns the metric. It is an error if a logit was NaN, or if the metric is not defined for the rows (an AUC
	// without a negative). Value may be called again, also after more rows.
	Value() (float64, error)
	// Reset forgets all rows, and removes the temporary file if there is one.
	Reset()
}

// Output says what a model's outputs are, and so what a metric reads.
type Output uint8

// Kinds of outputs.
const (
	Logit   Output = 1 << iota // one a row: of the probability of label 1, the other label is 0
	Classes                    // one a class: the softmax is the probabilities; a label is a class's number, or Ignored
	Number                     // one a row: a number like the label
)

// kind is a row of the table of metrics.
type kind struct {
	make   func(name string, k int) Metric
	cutoff bool // the name ends in @k
	higher bool
	reads  Output
}

var kinds = map[string]kind{
	"auc":           {make: newAUC, higher: true, reads: Logit},
	"gauc":          {make: newGAUC, higher: true, reads: Logit},
	"user_auc":      {make: newUserAUC, higher: true, reads: Logit},
	"ndcg":          {make: newNDCG, cutoff: true, higher: true, reads: Logit},
	"hr":            {make: newHR, cutoff: true, higher: true, reads: Logit},
	"logloss":       {make: newLogloss, reads: Logit},
	"calibration":   {make: newCalibration, reads: Logit},
	"ece":           {make: newECE, reads: Logit},
	"accuracy":      {make: newAccuracy, higher: true, reads: Logit | Classes},
	"f1":            {make: newConfusion(f1), higher: true, reads: Logit | Classes},
	"macro_f1":      {make: newConfusion(macroF1), higher: true, reads: Logit | Classes},
	"mcc":           {make: newConfusion(mcc), higher: true, reads: Logit | Classes},
	"cross_entropy": {make: newCrossEntropy(false), reads: Classes},
	"perplexity":    {make: newCrossEntropy(true), reads: Classes},
	"mse":           {make: newDeviation(square, identity), reads: Number},
	"rmse":          {make: newDeviation(square, math.Sqrt), reads: Number},
	"mae":           {make: newDeviation(math.Abs, identity), reads: Number},
	"pearson":       {make: newPearson, higher: true, reads: Number},
	"spearman":      {make: newSpearman, higher: true, reads: Number},
}

// maxCutoff bounds the k of ndcg@k and hr@k.
const maxCutoff = 1_000_000

// Names returns the names of all metrics that read such outputs, sorted; those with a cut-off end in @k.
func Names(of Output) []string {
	var names []string
	for n, k := range kinds {
		if k.reads&of == 0 {
			continue
		}
		if k.cutoff {
			n += "@k"
		}
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Check reports an unknown name, and that of a metric that does not read such outputs.
func Check(name string, of Output) error {
	m, _, err := parse(name)
	if err == nil && m.reads&of == 0 {
		err = fmt.Errorf("metric: %s does not measure this task: there are %s", name, strings.Join(Names(of), ", "))
	}
	return err
}

// New returns the metric of a name, such as auc, ndcg@10, f1 or pearson.
func New(name string) (Metric, error) {
	m, k, err := parse(name)
	if err != nil {
		return nil, err
	}
	return m.make(name, k), nil
}

// HigherIsBetter says of a name that New accepts whether the greater value is the better one. Of calibration neither is
// (see [Selectable]); the answer is false for it, and for unknown names.
func HigherIsBetter(name string) bool {
	m, _, err := parse(name)
	return err == nil && m.higher
}

// Selectable says whether a model may be chosen by the metric of this name: by all but calibration, whose best value, 1, is
// neither its greatest nor its least.
func Selectable(name string) bool {
	_, _, err := parse(name)
	return err == nil && name != "calibration"
}

func parse(name string) (m kind, k int, err error) {
	base, cut, at := strings.Cut(name, "@")
	m, ok := kinds[base]
	switch {
	case !ok:
		return m, 0, fmt.Errorf("metric: unknown metric %q; %s", name, hint(base, at))
	case at && !m.cutoff:
		return m, 0, fmt.Errorf("metric: %s takes no cut-off: write %s, not %s", base, base, name)
	case !m.cutoff:
		return m, 0, nil
	}
	k, err = strconv.Atoi(cut)
	if err != nil || k < 1 || k > maxCutoff || strconv.Itoa(k) != cut {
		return m, 0, fmt.Errorf("metric: %s needs a cut-off from 1 to %d, such as %s@10; have %q", base, maxCutoff, base, name)
	}
	return m, k, nil
}

// hint names what may be meant.
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
	if kinds[n].cutoff && !at {
		n += "@10"
	}
	return fmt.Sprintf("did you mean %s?", n)
}

// Sigmoid returns 1/(1 + e^−x), the probability of a logit.
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
}

// Name implements [Metric].
func (r *rows) Name() string { return r.name }

// add checks the lengths and counts.
func (r *rows) add(logits, labels []float32) error {
	if len(logits) != len(labels) {
		return fmt.Errorf("metric: %s: %d logits, %d labels", r.name, len(logits), len(labels))
	}
	r.n += int64(len(logits))
	for _, x := range logits {
		if x != x {
			r.nans++
		}
	}
	return nil
}

// err reports rows for which there is no value.
func (r *rows) err() error {
	switch {
	case r.n == 0:
		return fmt.Errorf("metric: %s: no rows", r.name)
	case r.nans > 0:
		return fmt.Errorf("metric: %s: %d of %d logits are NaN", r.name, r.nans, r.n)
	}
	return nil
}

func (r *rows) reset() { r.n, r.nans = 0, 0 }

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
