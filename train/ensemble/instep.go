package ensemble

import (
	"fmt"
	"iter"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// RowsError says that a member reads other rows than those of the batches.
type RowsError struct{ error }

// Unwrap returns the error that says how they differ.
func (e RowsError) Unwrap() error { return e.error }

// Member is a model of an ensemble of runs. A member whose run has another feature map reads the rows itself, in step with the
// batches that it is given.
type Member struct {
	*models.Program
	Name    string          // directory of its run
	First   string          // directory of the run that the batches are of
	Labels  bool            // rows have labels, which must be the same
	Metrics []metric.Metric // of its own logits; may be nil
	Measure *task.Measure   // hands them the rows, and keeps the logits
	rows    int64
	next    func() (*data.Batch, error, bool) // next batch of its own rows; nil if it scores the batches that it is given
	stop    func()
}

// Follow makes m read its rows from src.
func (m *Member) Follow(src data.Source) {
	m.next, m.stop = iter.Pull2(src.Batches(0, m.Batch()))
}

// End stops reading. It is an error if rows are left over.
func (m *Member) End() error {
	if m.next == nil {
		return nil
	}
	defer func() { m.stop(); m.next = nil }()
	_, err, more := m.next()
	if err != nil {
		return RowsError{err}
	}
	if more {
		return m.differ("has more than the %d rows", m.rows)
	}
	return nil
}

// differ is the error of rows that are not those of the batches.
func (m *Member) differ(format string, args ...any) error {
	err := fmt.Errorf("%s: "+format+" of %s, so that the runs do not read the same rows", append(append([]any{m.Name}, args...), m.First)...)
	const layout = "in a layout that both know"
	return RowsError{run.Advise(err, run.Remedy{
		Plain: "give rows " + layout, Flag: "data", With: "give them with --data, " + layout, Without: "give rows " + layout,
	})}
}

// Run scores the rows of b.
func (m *Member) Run(b *data.Batch, step int64) (float64, error) {
	own := b
	if m.next != nil {
		var err error
		if own, err = m.pull(b); err != nil {
			return 0, err
		}
	}
	if _, err := m.Program.Run(own, step); err != nil {
		return 0, err
	}
	z := m.Logits()
	z = z[:len(z)/m.Batch()*b.N]
	if err := train.CheckOutputs(z, b.N, m.rows); err != nil {
		return 0, fmt.Errorf("%s: %w", m.Name, err)
	}
	m.rows += int64(b.N)
	if m.Measure != nil {
		return 0, m.Measure.Add(z, own)
	}
	return 0, nil
}

// pull returns the rows of b as m's run reads them.
func (m *Member) pull(b *data.Batch) (*data.Batch, error) {
	own, err, ok := m.next()
	switch {
	case err != nil:
		return nil, RowsError{err}
	case !ok:
		return nil, m.differ("has %d rows, fewer than those", m.rows)
	case own.N != b.N:
		return nil, m.differ("has %d rows, not as many as those", m.rows+int64(own.N))
	case m.Labels && !sameLabels(own, b):
		return nil, m.differ("has other labels in rows %d to %d than those", m.rows+1, m.rows+int64(b.N))
	}
	return own, nil
}

// sameLabels reports whether the rows of both batches, of which there are as many, have the same labels.
func sameLabels(a, b *data.Batch) bool {
	same := func(x, y []float32) bool {
		return slices.EqualFunc(x[:a.N], y[:a.N], func(x, y float32) bool { return x == y || x != x && y != y }) // NaN: the row has none
	}
	if len(a.Labels) != len(b.Labels) {
		return false
	}
	for i := range a.Labels {
		if !same(a.Labels[i], b.Labels[i]) {
			return false
		}
	}
	return same(a.Label, b.Label)
}
