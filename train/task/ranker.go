package task

import (
	"fmt"
	"math"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/metric"
)

// Ranker ranks the items of a batch's rows by their logits.
type Ranker interface {
	// Rank returns what ranking metrics read of the logits, [N, items], and the labels: see [metric.RankOf]. The
	// logits are numbers. It overwrites them.
	// The result is valid until the next call.
	Rank(logits []float32, b *data.Batch) (ranks, labels []float32)
}

// Ranking is a Task whose models score all items of a catalogue for each row.
type Ranking interface {
	Task
	// Ranker returns a ranker of all items or, with candidates above 0, of the label's item among so many others that are drawn for each row.
	Ranker(candidates int) Ranker
	// Protocol says in words what such a ranker ranks, of a catalogue of so many items.
	Protocol(items, candidates int) string
	// Recommend appends the ids of the k items that a row's logits rank highest to dst, the highest first. seen are those that its user had
	// before. It overwrites the logits.
	Recommend(dst []int32, logits []float32, seen []int32, k int) []int32
	// WholeCatalogue reports whether the loss is over all items, so that each step moves all of them.
	WholeCatalogue() bool
}

type ranker struct {
	candidates    int // 0: all items
	seen, entropy bool
	top           int // items at the top of each ranking that metrics want
	row           func(i int)
	width         int
	logits        []float32
	batch         *data.Batch
	before        int64 // rows that were ranked
	ranks         []float32
	best          [][]int32 // by row
	drawn         [][]int32 // by row: the candidates, ascending
	scores        [][]float32
	ones          []float32 // as many as there are ids, for the cross-entropy
}

// Rank implements [Ranker].
func (r *ranker) Rank(logits []float32, b *data.Batch) (ranks, labels []float32) {
	r.width, r.logits, r.batch = len(logits)/b.N, logits, b
	per := metric.RankWidth + r.top
	if len(r.best) < b.Size {
		r.ranks, r.best = make([]float32, b.Size*per), make([][]int32, b.Size)
		r.drawn, r.scores = make([][]int32, b.Size), make([][]float32, b.Size)
	}
	if r.entropy && len(r.ones) < r.width {
		r.ones = slices.Repeat([]float32{1}, r.width)
	}
	kernel.Parallel(b.N, r.row)
	r.before += int64(b.N)

	return r.ranks[:b.N*per], b.Label[:b.N]
}

var never = float32(math.Inf(-1))

// rankRow ranks the items of a row. An item that the model does not know comes last.
func (r *ranker) rankRow(i int) {
	z, y := r.logits[i*r.width:(i+1)*r.width], int(r.batch.Label[i])
	for id := range min(data.FirstID, len(z)) {
		z[id] = never
	}
	if r.candidates > 0 {
		r.sample(i, z, y)
	} else if r.seen && r.batch.Seen != nil {
		for _, id := range r.batch.Seen[i] {
			if int(id) != y {
				z[id] = never
			}
		}
	}
	target := never
	p := metric.Place{Above: len(z)}
	if known := y >= data.FirstID && y < len(z); known {
		target = z[y]
		p = place(z, target)
		p.Level-- // the target is level with itself
	}
	r.best[i] = Top(r.best[i][:0], z, r.top)
	entropy := 0.0
	if r.entropy {
		entropy = crossEntropy(z, target, r.ones)
	}
	per := metric.RankWidth + r.top
	out := metric.RankOf(r.ranks[i*per:i*per:(i+1)*per], p, entropy, r.best[i])
	clear(r.ranks[i*per+len(out) : (i+1)*per])
}

// sample leaves the scores of the label's item and of the candidates of row i in z, and sets all others to −∞.
func (r *ranker) sample(i int, z []float32, y int) {
	var seen []int32
	if r.batch.Seen != nil {
		seen = r.batch.Seen[i]
	}
	drawn, key := r.drawn[i][:0], rng.Key(0, "candidates", r.before+int64(i))
	free := len(z) - data.FirstID
	for try := int64(0); len(drawn) < min(r.candidates, free-1) && try < 100*int64(len(z)); try++ {
		id := data.FirstID + int32(rng.Float(key, try)*float64(free))
		if at, had := slices.BinarySearch(drawn, id); !had && int(id) != y && !slices.Contains(seen, id) {
			drawn = slices.Insert(drawn, at, id)
		}
	}
	scores := r.scores[i][:0]
	for _, id := range drawn {
		scores = append(scores, z[id])
	}
	target := never
	if y >= data.FirstID && y < len(z) {
		target = z[y]
	}
	for id := range z {
		z[id] = never
	}
	for k, id := range drawn {
		z[id] = scores[k]
	}
	if y >= data.FirstID && y < len(z) {
		z[y] = target
	}
	r.drawn[i], r.scores[i] = drawn, scores
}

// place counts the scores above the target, and those equal to it. Scores are numbers or −∞, and the target is a number.
func place(z []float32, target float32) (p metric.Place) {
	if target == 0 { // of which there are two
		for _, v := range z {
			if v > target {
				p.Above++
			} else if v == target {
				p.Level++
			}
		}
		return p
	}
	var above, below uint64 // by the signs of differences, since branches that go either way are slow
	for _, v := range z {
		above += uint64(math.Float32bits(target-v) >> 31)
		below += uint64(math.Float32bits(v-target) >> 31)
	}
	return metric.Place{Above: int(above), Level: len(z) - int(above+below)}
}

// crossEntropy returns log Σ exp(z) − target. It overwrites z. ones are as many as z.
func crossEntropy(z []float32, target float32, ones []float32) float64 {
	most := kernel.Max(z)
	kernel.Axpy(z, -most, ones)
	kernel.Exp(z, z)
	return math.Log(float64(kernel.Sum(z))) - float64(target-most)
}

// Top appends the ids of the k highest scores to dst, the highest first; of equal scores the lower id comes first. Scores of −∞ are left
// out, and so there may be fewer.
func Top(dst []int32, z []float32, k int) []int32 {
	n := len(dst)
	if k < 1 {
		return dst
	}
	for id, v := range z {
		if math.IsInf(float64(v), -1) || len(dst)-n == k && !(v > z[dst[len(dst)-1]]) {
			continue
		}
		at, _ := slices.BinarySearchFunc(dst[n:], v, func(have int32, v float32) int {
			if z[have] >= v {
				return -1
			}
			return 1
		})
		if len(dst)-n == k {
			dst = dst[:len(dst)-1]
		}
		dst = slices.Insert(dst, n+at, int32(id))
	}
	return dst
}

// Candidates says in words that an item is ranked among n that were drawn.
func Candidates(n int) string { return fmt.Sprintf("1 + %s sampled candidates a user", grouped(n)) }

// AllItems says in words that an item is ranked among all n of a catalogue, but those that its user had.
func AllItems(n int) string {
	return fmt.Sprintf("all %s items, without those that the user had", grouped(n))
}

// grouped writes a number with commas, such as 54,542.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
