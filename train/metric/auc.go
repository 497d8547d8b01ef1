package metric

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

func init() { Register("auc", Kind{New: newAUC, Better: Higher, Reads: Logit, Needs: BothIn}) }

// AUC is the area under the ROC curve. It is the probability that a random positive is scored above a random negative, where a tie
// counts half (Mann and Whitney 1947):
//
//	AUC = (1/PN) Σ_{i positive, j negative} [s_i > s_j] + ½[s_i = s_j]
//
// It is counted in integers, so it is exact. Scores are compared as float32 logits, because probabilities saturate. Up to 4 million
// rows are held in memory, in 32 MB. The rows beyond them go to a temporary file, with 8 bytes a row.
type AUC struct {
	rows
	keys sorter[uint64]
}

var scores = order[uint64]{
	limit: runRows, bytes: 8,
	sort: slices.Sort[[]uint64],
	less: func(a, b uint64) bool { return a < b },
	put:  binary.LittleEndian.PutUint64,
	get:  binary.LittleEndian.Uint64,
}

func newAUC(name string, _ int) Metric {
	return &AUC{rows: rows{name: name}, keys: sorter[uint64]{kind: &scores}}
}

// key packs a score and a label into a number that is greater for a greater score. Of equal scores the negative is the
// greater: a list from the top has it first.
func key(score, label float32) uint64 {
	b := math.Float32bits(score + 0) // −0 + 0 is 0
	if b>>31 == 1 {
		b = ^b
	} else {
		b |= 1 << 31
	}
	k := uint64(b) << 1
	if label == 0 {
		k |= 1
	}
	return k
}

// Add implements [Metric].
func (m *AUC) Add(logits, labels []float32, _ []int64) error {
	if err := m.add(logits, labels); err != nil {
		return err
	}
	for i, x := range logits {
		if err := m.binary(labels[i]); err != nil {
			return err
		}
		if err := m.keys.add(key(x, labels[i])); err != nil {
			return fmt.Errorf("metric: %s: %w", m.name, err)
		}
	}
	return nil
}

// Value implements [Metric].
func (m *AUC) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	var r ranks
	if err := m.keys.each(r.add); err != nil {
		return 0, fmt.Errorf("metric: %s: %w", m.name, err)
	}
	v, ok := r.auc()
	if !ok {
		return 0, &Undefined{m.name, oneClass(int64(r.pos), m.n)}
	}
	return v, nil
}

func (m *AUC) spillInto(s Spill) { m.keys.temp = s }

// Reset implements [Metric].
func (m *AUC) Reset() {
	m.reset()
	m.keys.reset()
}

// ranks sums the AUC of keys that come in ascending order. Integers of 64 bits are exact up to 2^31 rows of each class.
type ranks struct {
	score        uint64 // of the tie
	tiePos, tieN uint64 // positives and negatives of it
	pos, neg     uint64 // so far, the tie included
	twice        uint64 // 2·Σ over the positives of (negatives below + half of those equal)
}

func (r *ranks) add(k uint64) {
	if k>>1 != r.score {
		r.close()
		r.score = k >> 1
	}
	if k&1 == 0 {
		r.tiePos++
		r.pos++
	} else {
		r.tieN++
		r.neg++
	}
}

// close ends a tie.
func (r *ranks) close() {
	r.twice += r.tiePos * (2*(r.neg-r.tieN) + r.tieN)
	r.tiePos, r.tieN = 0, 0
}

// auc returns the area. It reports false if a class is missing.
func (r *ranks) auc() (float64, bool) {
	r.close()
	if r.pos == 0 || r.neg == 0 {
		return 0, false
	}
	return float64(r.twice) / 2 / float64(r.pos) / float64(r.neg), true
}
