package set

import (
	"fmt"
	"math"
	"slices"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/scan"
)

// checkLabels returns what is wrong with the options of labels and weights.
func (d CSV) checkLabels() (errs []error) {
	bad := func(key, format string, args ...any) { errs = append(errs, registry.Field(key, format, args...)) }
	if len(d.Label) == 0 {
		bad("label", "is missing; want the name of the column of the label")
	}
	for i, n := range d.Label {
		switch {
		case n == "" && len(d.Label) == 1:
			bad("label", "is missing; want the name of the column of the label")
		case n == "" || slices.Contains(d.Label[:i], n):
			bad(fmt.Sprintf("label.%d", i), "%q is blank or there twice; give every label a column of its own", n)
		case n == d.Group || n == d.Time:
			bad("label", "%s is the group or time column too", n)
		case n == d.Weight:
			bad("weight", "%s is a label", n)
		}
		if d.isFeature(n) {
			bad("columns."+n, "is the label, which cannot be a feature; remove it here")
		}
	}
	if d.Weight != "" && d.isFeature(d.Weight) {
		bad("columns."+d.Weight, "is the weight, which cannot be a feature; remove it here")
	}
	if d.Positive != "" && len(d.Label) > 1 {
		bad("positive", "is of one label; several are 0 or 1, number_labels or class_labels")
	}
	for i, n := range d.NumberLabels {
		if !slices.Contains(d.Label, n) {
			bad(fmt.Sprintf("number_labels.%d", i), "%s is not among the columns of label", n)
		} else if d.Positive != "" {
			bad("positive", "is of a label that is 0 or 1, and %s is a number", n)
		}
	}
	for _, n := range namelist.Sorted(d.ClassLabels) {
		key := "class_labels." + n
		switch {
		case !slices.Contains(d.Label, n):
			bad(key, "%s is not among the columns of label", n)
		case slices.Contains(d.NumberLabels, n):
			bad(key, "%s is among number_labels; remove it from one of them", n)
		case d.Positive != "":
			bad("positive", "is of a label that is 0 or 1, and %s is a class", n)
		}
		if len(d.ClassLabels[n]) < 2 {
			bad(key, "want the names of two classes or more, have %d", len(d.ClassLabels[n]))
		}
		for i, class := range d.ClassLabels[n] {
			if class == "" || slices.Contains(d.ClassLabels[n][:i], class) {
				bad(fmt.Sprintf("%s.%d", key, i), "%q is blank or there twice", class)
			}
		}
	}
	for _, name := range namelist.Sorted(d.Columns) {
		if from := data.From(d.Columns[name], ""); from != "" && (slices.Contains(d.Label, from) || from == d.Weight) {
			bad("columns."+name+".from", "%s is the label or the weight, of which no feature can be made", from)
		}
	}
	return errs
}

// isFeature reports whether the columns declare one by its name.
func (d CSV) isFeature(name string) bool {
	c, ok := d.Columns[name]
	return ok && c != nil && c != data.Column(data.IgnoreColumn{})
}

// beside reports whether a column is what a row has beside its features.
func (d CSV) beside(name string) bool {
	return slices.Contains(d.Label, name) || name == d.Group || name == d.Time || name == d.Weight
}

// first returns the column of the first label.
func (d CSV) first() string {
	if len(d.Label) == 0 {
		return ""
	}
	return d.Label[0]
}

// labels returns the labels of rows that have several, or one of several classes; nil for others.
func (d CSV) labels() (list []data.Label) {
	if len(d.Label) < 2 && len(d.ClassLabels) == 0 {
		return nil
	}
	for _, n := range d.Label {
		list = append(list, data.Label{Name: n, Classes: d.ClassLabels[n]})
	}
	return list
}

// lacks returns the first label whose column is not among names.
func (d CSV) lacks(names []string) string {
	for _, n := range d.Label {
		if !slices.Contains(names, n) {
			return n
		}
	}
	return ""
}

// kinds returns what the labels are, in their order.
func (d CSV) kinds() (list []csvLabel) {
	for _, n := range d.Label {
		list = append(list, csvLabel{number: slices.Contains(d.NumberLabels, n), classes: d.ClassLabels[n]})
	}
	return list
}

// weightFault says what is wrong with a cell that parseWeight refuses.
const weightFault = "weight %s; want a number of 0 or more, for each row that is trained on or measured"

// parseWeight returns the weight of a row.
func parseWeight(text []byte) (float32, bool) {
	v, ok := scan.ParseNumber(text)
	return float32(v), ok && v >= 0
}

// csvLabel says what a label is: 0 or 1, a number, or one of several classes.
type csvLabel struct {
	number  bool
	classes []string
}

// setLabel takes label i of the row.
func (r *csvRow) setLabel(k, i int, text []byte) {
	positive, label, ok := r.p.f.d.Positive, &r.p.labels[i], false
	switch {
	case len(text) == 0 && len(r.p.labels) > 1:
		r.labels[i] = float32(math.NaN()) // the row has no part in its task
	case label.number:
		v, ok := scan.ParseNumber(text)
		if r.labels[i] = float32(v); !ok || len(text) == 0 {
			r.wrong(k, "label %s; want a number in the range of float32"+r.p.trimAdvice(text), text)
		}
	case label.classes != nil:
		at := slices.IndexFunc(label.classes, func(c string) bool { return string(text) == c })
		if r.labels[i] = float32(at); at < 0 {
			r.wrong(k, "label %s; want a class of class_labels"+r.p.trimAdvice(text), text)
		}
	case positive == "":
		if r.labels[i], ok = scan.ParseLabel(text); !ok {
			r.wrong(k, r.p.labelFault(text), text)
		}
	case string(text) == positive:
		r.labels[i] = 1
	case len(text) == 0:
		r.wrong(k, "label %s; want a word, that of positive or the other one", text)
	default:
		r.word = text
	}
}

// labelFault says what is wrong with a label that is none, and what to do if it is a word or another number.
func (p *csvParser) labelFault(text []byte) string {
	v, ok := scan.ParseNumber(text)
	switch {
	case len(p.labels) > 1:
		return scan.LabelFault + ", or a blank for a row that has no part in its task" + p.trimAdvice(text) +
			" (of other labels, number_labels are numbers and class_labels are classes)"
	case len(text) == 0:
		return scan.LabelFault + ", for each row that is trained on or measured"
	case !ok && p.trimAdvice(text) != "":
		return scan.LabelFault + p.trimAdvice(text)
	case !ok:
		return scan.LabelFault + " (of labels that are words, positive is the one that counts as 1)"
	case v == math.Trunc(v):
		return scan.LabelFault + " (if the labels are two other numbers, such as 1 and -1, positive is the one that counts as 1, in quotes)"
	}
	return scan.LabelFault
}
