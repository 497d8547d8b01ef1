package compare

import (
	"fmt"
	"slices"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/cki/assess"
	"github.com/splice-ml/splice/cki/method"
)

// list returns the rows of the comparison in their order. A row stands after the row that it starts from.
func (c *comparison) list() []*entry {
	epochs, average := c.checkpoints()
	var (
		o         = c.options
		parents   = c.family.Members
		baseAlone = parents[:1]
		controls  = o.Controls
		heads     = controls && c.hasHead()
		aligned   = controls && o.Align.Match != align.None
		otherRows = controls && c.family.SplitBy != ""
		trains    = o.Finetune.Epochs > 0
		trained   = controls && trains
		hard      = o.Finetune.With(cki.NoTeacher)
		count     = len(parents)
		form      = c.publishedForm()
	)
	var rows []*entry
	add := func(when bool, more ...*entry) {
		if when {
			rows = append(rows, more...)
		}
	}

	base := always(row(RowBase, parents[0].Name, given(parents[0])))
	add(true, base)
	for k, m := range parents[1:] {
		add(true, always(row(OtherRow(k+1, count), m.Name, given(m))))
	}
	add(true, always(row(RowBestParent, "", c.best(rows))))
	add(count > 2, row(RowEnsembleOfTwo, cost(2), c.ensemble(parents[:2])))
	add(true, row(RowEnsemble, cost(count), c.ensemble(parents)))

	mean := row(RowAverage, "all weights", c.merging(parents, all, defaults[method.Average]()))
	published := row(RowCKI, "heads; as published", c.merging(parents, c.head, publishedCKI(form, publishedEpochs)))
	add(controls, mean)
	add(heads, row(RowHeadAverage, "the base's encoder", c.merging(parents, c.head, defaults[method.Average]())))
	add(controls,
		row(RowCounts, "embedding rows by how often each parent trained them", c.merging(parents, all, byCounts())),
		row(RowSoup, "", c.merging(parents, all, method.Soup{})))
	add(heads,
		row(RowGraft, "heads; entropy gate alone", c.merging(parents, c.head, defaults[method.Graft]())),
		row(RowPruneSigned, "heads; every weight <= 0.02 is zero, as published", c.merging(baseAlone, c.head, defaults[method.Prune]())),
		row(RowPruneMagnitude, "heads", c.merging(baseAlone, c.head, byMagnitude())),
		row(RowCKIUntrained, "heads; assessors at their start", c.merging(parents, c.head, publishedCKI(form, 0))),
		published)
	add(aligned, row(RowAverageAligned, "all weights", c.merging(c.aligned, all, defaults[method.Average]())))
	add(aligned && heads,
		row(RowCKIAligned, "heads; as published", c.merging(c.aligned, c.head, publishedCKI(form, publishedEpochs))))
	add(otherRows, row(RowGates, "of rows and units, learned on held-out rows from the counts on", c.merging(parents, all, heldOutGates())))
	add(trained && heads, row(RowCKITrained, "", c.trained(published.model, hard)).from(published))

	merge := always(result(row(RowMerge, "the configured method", c.configured())))
	results := append([]*entry{merge}, c.rounds(merge)...)
	if trains {
		results = append(results, result(row(RowMergeTrained, labels(o.Finetune.Teacher), c.trained(merge.model, o.Finetune))))
	}
	add(true, results...)

	add(trained,
		row(RowBaseTrained, "control: the same training", c.trained(base.model, o.Finetune)),
		row(RowAverageTrained, "control: the same training", c.trained(mean.model, o.Finetune)).from(mean))
	add(trained && o.Finetune.Teacher != cki.NoTeacher,
		row(RowMergeHardLabels, "control: no teacher", c.trained(merge.model, hard)))
	add(trained && o.Finetune.Teacher == cki.TeacherParents,
		row(RowMergeSelfTeacher, "control: its own soft labels", c.trained(merge.model, o.Finetune.With(cki.TeacherSelf))))
	add(trained && heads, row(RowHalfHeadTrained, "control: restart of the base's head", c.trained(c.halfHead, o.Finetune)))
	add(trained,
		row(RowPermutedTrained, "control: the base averaged with its own permuted copy", c.trained(c.permuted, o.Finetune)))
	add(controls, row(RowLonger, fmt.Sprintf("control: %d times the epochs", count), c.longer(count)))
	add(controls, row(RowEqualCompute, "control: one run of as many steps as all trainings together", c.equalCompute(results)).from(results...))
	add(controls && len(epochs) > 1,
		row(RowEpochSoup, fmt.Sprintf("control: greedy soup of the base's %d epochs", len(epochs)), c.epochSoup(epochs)))
	add(controls && average != "", row(RowBaseMovingAverage, "control: EMA of the base's steps", c.stored(average)))
	add(otherRows, row(RowAllData, "upper bound: one model on all rows", c.allData))
	return rows
}

func row(name RowName, note string, m maker) *entry { return &entry{name: name, note: note, make: m} }

// from says which rows an entry starts from, beside those that are always made.
func (e *entry) from(rows ...*entry) *entry {
	e.after = append(e.after, rows...)
	return e
}

// always marks an entry as one that every comparison has.
func always(e *entry) *entry {
	e.always = true
	return e
}

// wanted returns the rows of a list that the options ask for, with those that they start from, in the list's order.
func (c *comparison) wanted(all []*entry) ([]*entry, error) {
	wants, err := c.options.WantsRow()
	if err != nil {
		return nil, fmt.Errorf("cki: merge.rows: %w", err)
	}
	made := map[*entry]bool{}
	for _, e := range slices.Backward(all) { // a row stands after those that it starts from
		made[e] = made[e] || e.always || wants(string(e.name))
		for _, from := range e.after {
			made[from] = made[from] || made[e]
		}
	}
	return slices.DeleteFunc(all, func(e *entry) bool { return !made[e] }), nil
}

// result marks an entry as one that may be passed on.
func result(e *entry) *entry {
	e.result = true
	return e
}

func cost(models int) string { return fmt.Sprintf("mean logits, %d models' cost", models) }

func labels(teacher string) string {
	if teacher == cki.NoTeacher {
		return ""
	}
	return "soft labels: " + teacher
}

// defaults returns a registered method with its default options.
func defaults[M cki.Method]() M {
	var m M
	name, _ := cki.Registry.NameOf(m)
	d, _ := cki.Registry.Default(name)
	return d.(M) // the package of the method, which registers it, is imported
}

func byCounts() method.Average {
	m := defaults[method.Average]()
	m.Rows = "counts"
	return m
}

func byMagnitude() method.Prune {
	m := defaults[method.Prune]()
	m.Form = "magnitude"
	return m
}

// publishedEpochs is how many epochs the assessors learn in the comparison's rows of the published method.
const publishedEpochs = 3

// publishedCKI returns the published method, in which the assessors alone learn, for the given epochs.
func publishedCKI(form string, epochs int) assess.CKI {
	m := defaults[assess.CKI]()
	m.Form, m.Train.Epochs = form, epochs
	return m
}

// publishedForm returns the form of the published method, which is another one for text.
func (c *comparison) publishedForm() string {
	if c.lab.Data.Schema.Text != nil {
		return "language"
	}
	return "recommendation"
}

// heldOutGates returns gates that start where the counts put them. They learn on four fifths of the validation rows, until they no
// longer get better on the last fifth.
func heldOutGates() assess.CKI {
	m := defaults[assess.CKI]()
	m.Perspective, m.Granularity, m.Tables, m.Start, m.Prior = "local", "unit", "row", "counts", 1
	m.Train.Rows, m.Train.Share = "valid", 0.8
	m.Train.Epochs, m.Train.LearningRate, m.Train.BatchSize, m.Train.Patience = 40, 0.05, 1024, 3
	return m
}
