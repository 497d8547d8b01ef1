package metric

import (
	"fmt"
	"math"
	"strings"
)

// A ranking metric measures how well items are ranked. It reads one of two things.
//
// Of candidates it reads a logit for each row, and ranks the rows of a group, such as a user. See [Grouped].
//
// Of a whole catalogue it reads what [RankOf] made of the logits of all items: one row is one ranking, in which the label's item is the
// only positive.
//
// Among equal scores every order is as likely as another, and a metric is its mean over them. So a model that scores all items the same
// has the value of chance. With a name that ends in _pessimistic, a positive comes behind all others of its score instead.
type ranking struct {
	*Grouped
	of    func(place Place, k int) float64 // of the ranking of a catalogue
	k     int
	last  bool // positives come last among equal scores
	whole bool
	sum   float64
}

// Place is where an item stands in a ranking.
type Place struct {
	Above int // items of a higher score
	Level int // other items of the same score
}

// RankWidth is how many numbers of a row [RankOf] makes, without the items at the top.
const RankWidth = 3

// RankOf appends to dst what ranking metrics read of a row: the item's place, the cross-entropy, and the items at the top.
func RankOf(dst []float32, p Place, crossEntropy float64, top []int32) []float32 {
	dst = append(dst, float32(p.Above), float32(p.Level), float32(crossEntropy))
	for _, id := range top {
		dst = append(dst, float32(id))
	}
	return dst
}

func newRanking(name string, k int, group func(r *ranked, k int) (float64, bool), of func(p Place, k int) float64) Metric {
	m := &ranking{k: k, of: of, last: strings.HasSuffix(name, Pessimistic)}
	m.Grouped = newGrouped(name, "a positive", func(keys []uint64) (float64, float64) {
		v, ok := group(&ranked{keys, m.last}, k)
		if !ok {
			return 0, 0
		}
		return v, 1
	}).(*Grouped)
	return m
}

// Add implements [Metric].
func (m *ranking) Add(logits, labels []float32, group []int64) error {
	if len(labels) == 0 || len(logits) < RankWidth*len(labels) {
		return m.Grouped.Add(logits, labels, group)
	}
	m.whole = true
	C := len(logits) / len(labels)
	for i, y := range labels {
		if y == Ignored {
			continue
		}
		m.n++
		row := logits[i*C : (i+1)*C]
		if row[0] != row[0] {
			m.nans++
			continue
		}
		p := Place{int(row[0]), int(row[1])}
		if m.last {
			p = Place{Above: p.Above + p.Level}
		}
		m.sum += m.of(p, m.k)
	}
	return nil
}

// Value implements [Metric].
func (m *ranking) Value() (float64, error) {
	if !m.whole {
		return m.Grouped.Value()
	}
	if err := m.err(); err != nil {
		return 0, err
	}
	return m.sum / float64(m.n), nil
}

// Reset implements [Metric].
func (m *ranking) Reset() {
	m.Grouped.Reset()
	m.whole, m.sum = false, 0
}

// ranked is the rows of a group, by ascending score; among equal ones the positives come first.
type ranked struct {
	keys []uint64
	last bool // as ranking has it
}

// blocks calls f with each run of rows whose order is open, from the highest scores on: the rows before it, its rows, and how many of them
// are positive. It stops when f returns false.
func (r *ranked) blocks(f func(before, rows, positives int) bool) {
	n := len(r.keys)
	for i := n; i > 0; {
		j, positives := i, 0
		for j > 0 && r.keys[j-1]>>1 == r.keys[i-1]>>1 && !(r.last && j < i) {
			j--
			if r.keys[j]&1 == 0 {
				positives++
			}
		}
		if !f(n-i, i-j, positives) {
			return
		}
		i = j
	}
}

// positives returns how many rows are positive.
func (r *ranked) positives() int {
	n := 0
	for _, k := range r.keys {
		if k&1 == 0 {
			n++
		}
	}
	return n
}

// first calls f with each place, from 0, at which the first positive may stand, and the probability of it.
func (r *ranked) first(f func(place int, p float64)) {
	r.blocks(func(before, rows, positives int) bool {
		none := 1.0 // that no positive stands at an earlier place of the block
		for j := 0; j < rows && positives > 0; j++ {
			p := float64(positives) / float64(rows-j)
			f(before+j, none*min(1, p))
			if none *= 1 - p; none <= 0 {
				break
			}
		}
		return positives == 0
	})
}

// gain is what a hit at a place, from 0, counts in a discounted cumulative gain.
func gain(place int) float64 { return 1 / math.Log2(float64(place+2)) }

// mean returns the mean of f over the places that an item may have, of those below k.
func (p Place) mean(k int, f func(place int) float64) float64 {
	sum := 0.0
	for i := p.Above; i <= p.Above+p.Level && i < k; i++ {
		sum += f(i)
	}
	return sum / float64(p.Level+1)
}

func one(int) float64 { return 1 }

// entropy is the mean of the cross-entropies of rankings.
type entropy struct {
	rows
	sum float64
}

func init() {
	Register("item_cross_entropy", Kind{New: func(name string, _ int) Metric { return &entropy{rows: rows{name: name}} }, Better: Lower, Reads: Ranks})
}

// Add implements [Metric].
func (m *entropy) Add(logits, labels []float32, _ []int64) error {
	if len(labels) == 0 {
		return nil
	}
	C := len(logits) / len(labels)
	if C < RankWidth {
		return fmt.Errorf("metric: %s: %d numbers a row, want those of rankings", m.name, C)
	}
	for i, y := range labels {
		if y == Ignored {
			continue
		}
		m.n++
		if v := float64(logits[i*C+2]); v == v {
			m.sum += v
		} else {
			m.nans++
		}
	}
	return nil
}

// Value implements [Metric].
func (m *entropy) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	return m.sum / float64(m.n), nil
}

// Reset implements [Metric].
func (m *entropy) Reset() {
	m.reset()
	m.sum = 0
}
