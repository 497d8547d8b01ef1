package session

import (
	"fmt"
	"iter"
	"slices"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train/metric"
)

// member scores batches for a Team. One with a feature map of its own reads the rows itself, in step with the batches that it
// is given.
type member struct {
	*models.Program
	name, first string          // runs' directories: its own, and that of the batches
	labels      bool            // rows have labels, which must be the same
	metrics     []metric.Metric // of its own logits; may be nil
	rows        int64
	next        func() (*data.Batch, error, bool) // nil: the given batches are its own
	stop        func()
}

// follow makes m read its rows from src.
func (m *member) follow(src data.Source) {
	m.next, m.stop = iter.Pull2(src.Batches(0, m.Batch()))
}

// end stops reading. Rows that were left over are an error.
func (m *member) end() error {
	if m.next == nil {
		return nil
	}
	defer m.stop()
	_, err, more := m.next()
	if err != nil {
		return cli.BadInput(err)
	}
	if more {
		return m.differ("has more than the %d rows", m.rows)
	}
	return nil
}

// differ is the error of rows that are not those of the batches.
func (m *member) differ(format string, args ...any) error {
	return cli.BadInput(fmt.Errorf("%s: "+format+" of %s: the runs do not read the same rows; give them with --data, in a layout that both know",
		append(append([]any{m.name}, args...), m.first)...))
}

// Run scores the rows of b.
func (m *member) Run(b *data.Batch, step int64) (float64, error) {
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
	m.rows += int64(b.N)
	z := m.Logits()
	z = z[:len(z)/m.Batch()*b.N]
	var group []int64
	if b.Group != nil {
		group = b.Group[:b.N]
	}
	for _, x := range m.metrics {
		if err := x.Add(z, b.Targets(), group); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// pull returns the rows of b as m's run reads them.
func (m *member) pull(b *data.Batch) (*data.Batch, error) {
	own, err, ok := m.next()
	switch {
	case err != nil:
		return nil, cli.BadInput(err)
	case !ok:
		return nil, m.differ("has %d rows, fewer than those", m.rows)
	case own.N != b.N:
		return nil, m.differ("has %d rows, not as many as those", m.rows+int64(own.N))
	case m.labels && !slices.Equal(own.Label[:own.N], b.Label[:b.N]):
		return nil, m.differ("has other labels in rows %d to %d than those", m.rows+1, m.rows+int64(b.N))
	}
	return own, nil
}
