package metric

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// Grouped is the weighted mean over the groups, such as users or sessions, of a number of each group.
//
// Groups without a positive are left out, and for the AUCs those without a negative. Up to 4 million rows are held in memory, in 64 MB. The
// rows beyond them go to a temporary file, with 16 bytes a row. The rows of one group are held in memory together.
type Grouped struct {
	rows
	rankings sorter[row]
	of       func(keys []uint64) (value, weight float64) // of a group, scores ascending; weight 0 leaves it out
	wants    string
}

// row is a group and what key made of its score and label.
type row struct {
	group int64
	key   uint64
}

var groups = order[row]{
	limit: runRows, bytes: 16,
	sort: func(x []row) {
		slices.SortFunc(x, func(a, b row) int { return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.key, b.key)) })
	},
	less: func(a, b row) bool { return a.group < b.group || a.group == b.group && a.key < b.key },
	put: func(b []byte, r row) {
		binary.LittleEndian.PutUint64(b, uint64(r.group))
		binary.LittleEndian.PutUint64(b[8:], r.key)
	},
	get: func(b []byte) row {
		return row{int64(binary.LittleEndian.Uint64(b)), binary.LittleEndian.Uint64(b[8:])}
	},
}

func newGrouped(name, wants string, of func(keys []uint64) (value, weight float64)) Metric {
	return &Grouped{rows: rows{name: name}, rankings: sorter[row]{kind: &groups}, of: of, wants: wants}
}

// Add implements [Metric].
func (m *Grouped) Add(logits, labels []float32, group []int64) error {
	if group == nil && len(logits) > 0 {
		return fmt.Errorf("metric: %s: the data has no groups: name the group column in data, or leave this metric out", m.name)
	}
	if len(group) != len(logits) {
		return fmt.Errorf("metric: %s: %d logits, %d groups", m.name, len(logits), len(group))
	}
	if err := m.add(logits, labels); err != nil {
		return err
	}
	for i, x := range logits {
		if err := m.binary(labels[i]); err != nil {
			return err
		}
		if err := m.rankings.add(row{group[i], key(x, labels[i])}); err != nil {
			return fmt.Errorf("metric: %s: %w", m.name, err)
		}
	}
	return nil
}

// Value implements [Metric].
func (m *Grouped) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	var (
		sum, weight float64
		keys        []uint64
		group       int64
	)
	end := func() {
		v, w := m.of(keys)
		sum += v * w
		weight += w
		keys = keys[:0]
	}
	err := m.rankings.each(func(r row) {
		if r.group != group && len(keys) > 0 {
			end()
		}
		group = r.group
		keys = append(keys, r.key)
	})
	if err != nil {
		return 0, fmt.Errorf("metric: %s: %w", m.name, err)
	}
	end()
	if weight == 0 {
		return 0, &Undefined{m.name, noGroup(m.wants)}
	}
	return sum / weight, nil
}

func (m *Grouped) spillInto(s Spill) { m.rankings.temp = s }

// Reset implements [Metric].
func (m *Grouped) Reset() {
	m.reset()
	m.rankings.reset()
}
