package metric

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Weighted is a metric that counts each row by a weight, as scikit-learn's metrics do with sample_weight. Metrics of groups, rankings and
// correlations count each row alike.
type Weighted interface {
	Metric
	// AddWeighted is Add of rows with weights, which are finite and above 0; nil: all are 1.
	AddWeighted(logits, labels, weights []float32) error
}

// Rows are what a metric is given at once.
type Rows struct {
	Logits, Labels []float32 // as [Metric] has them
	Weights        []float32 // of each row, finite and above 0; nil: all are 1
	Group          []int64   // nil without groups
}

// Add gives a metric rows, with their weights if it is [Weighted].
func (r Rows) Add(to Metric) error {
	if s, ok := to.(*sum); ok {
		for _, of := range s.of {
			if err := r.Add(of); err != nil {
				return err
			}
		}
		return nil
	}
	if w, ok := to.(Weighted); ok && r.Weights != nil {
		return w.AddWeighted(r.Logits, r.Labels, r.Weights)
	}
	return to.Add(r.Logits, r.Labels, r.Group)
}

// weigh checks the weights of rows.
func (r *rows) weigh(labels, weights []float32) error {
	if weights == nil {
		return nil
	}
	if len(weights) != len(labels) {
		return fmt.Errorf("metric: %s: %d weights, %d labels", r.name, len(weights), len(labels))
	}
	for _, w := range weights {
		if !(w > 0) || math.IsInf(float64(w), 0) {
			return fmt.Errorf("metric: %s: a row has the weight %v, want a finite number above 0", r.name, w)
		}
	}
	return nil
}

// at returns the weight of row i.
func at(weights []float32, i int) float64 {
	if weights == nil {
		return 1
	}
	return float64(weights[i])
}

// weighedKey is what key made of a row's score and label, and its weight.
type weighedKey struct {
	key    uint64
	weight float32
}

var weighedScores = order[weighedKey]{
	limit: runRows, bytes: 12,
	sort: func(x []weighedKey) { slices.SortFunc(x, weighedKey.compare) },
	less: func(a, b weighedKey) bool { return a.compare(b) < 0 },
	put: func(b []byte, k weighedKey) {
		binary.LittleEndian.PutUint64(b, k.key)
		binary.LittleEndian.PutUint32(b[8:], math.Float32bits(k.weight))
	},
	get: func(b []byte) weighedKey {
		return weighedKey{binary.LittleEndian.Uint64(b), math.Float32frombits(binary.LittleEndian.Uint32(b[8:]))}
	},
}

// compare orders equal keys by weight, so that no sum depends on the order of the rows.
func (k weighedKey) compare(o weighedKey) int {
	return cmp.Or(cmp.Compare(k.key, o.key), cmp.Compare(k.weight, o.weight))
}

// weighedRanks sums the AUC of keys that come in ascending order, with weights.
type weighedRanks struct {
	score        uint64  // of the tie
	tiePos, tieN float64 // weights of its positives and negatives
	pos, neg     float64 // so far, the tie included
	area         float64 // Σ over the positives of weight·(weights of the negatives below + half of those equal)
}

func (r *weighedRanks) add(k weighedKey) {
	if k.key>>1 != r.score {
		r.close()
		r.score = k.key >> 1
	}
	if w := float64(k.weight); k.key&1 == 0 {
		r.tiePos += w
		r.pos += w
	} else {
		r.tieN += w
		r.neg += w
	}
}

// close ends a tie.
func (r *weighedRanks) close() {
	r.area += r.tiePos * ((r.neg - r.tieN) + r.tieN/2)
	r.tiePos, r.tieN = 0, 0
}

// auc returns the area. It reports false if a class is missing.
func (r *weighedRanks) auc() (float64, bool) {
	r.close()
	if r.pos == 0 || r.neg == 0 {
		return 0, false
	}
	return r.area / (r.pos * r.neg), true
}
