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
// It is counted in integers, so it is exact. With weights w it is the weighted share of pairs, Σ w_i·w_j·(...) / Σ w_i·w_j, in float64. Scores are compared as float32 logits, because probabilities saturate. Up to 4 million
// rows are held in memory, in 32 MB, or 64 MB with weights. The rows beyond them go to a temporary file, with 8 or 12 bytes a row.
type AUC struct {
	rows
	positives int64
	keys      sorter[uint64]
	weighted  bool
	weighed   sorter[weighedKey] // in place of keys, of rows with weights
}

var scores = order[uint64]{
	limit: runRows, bytes: 8,
	sort: slices.Sort[[]uint64],
	less: func(a, b uint64) bool { return a < b },
	put:  binary.LittleEndian.PutUint64,
	get:  binary.LittleEndian.Uint64,
}

func newAUC(name string, _ int) Metric {
	return &AUC{rows: rows{name: name}, keys: sorter[uint64]{kind: &scores}, weighed: sorter[weighedKey]{kind: &weighedScores}}
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
	return m.AddWeighted(logits, labels, nil)
}

// AddWeighted implements [Weighted].
func (m *AUC) AddWeighted(logits, labels, weights []float32) error {
	if err := m.addWeighted(logits, labels, weights); err != nil {
		return err
	}
	if weights != nil && !m.weighted {
		if m.n > int64(len(labels)) {
			return fmt.Errorf("metric: %s: rows with weights after rows without", m.name)
		}
		m.weighted = true
	}
	for i, x := range logits {
		if err := m.binary(labels[i]); err != nil {
			return err
		}
		if labels[i] > 0 {
			m.positives++
		}
		var err error
		if m.weighted {
			err = m.weighed.add(weighedKey{key(x, labels[i]), float32(at(weights, i))})
		} else {
			err = m.keys.add(key(x, labels[i]))
		}
		if err != nil {
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
	var wr weighedRanks
	err := m.keys.each(r.add)
	if m.weighted {
		err = m.weighed.each(wr.add)
	}
	if err != nil {
		return 0, fmt.Errorf("metric: %s: %w", m.name, err)
	}
	v, ok := r.auc()
	if m.weighted {
		v, ok = wr.auc()
	}
	if !ok {
		return 0, &Undefined{m.name, oneClass(m.positives, m.n)}
	}
	return v, nil
}

func (m *AUC) spillInto(s Spill) { m.keys.temp, m.weighed.temp = s, s }

// Reset implements [Metric].
func (m *AUC) Reset() {
	m.reset()
	m.positives, m.weighted = 0, false
	m.keys.reset()
	m.weighed.reset()
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
