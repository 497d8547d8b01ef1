package table

import (
	"math"
	"slices"
	"strconv"

	"github.com/splice-ml/splice/data"
)

// summarySize is how many values a buffer of quantiles has. Up to twice as many values are all kept, so that their quantiles are exact.
const summarySize = 1 << 16

// quantiles is a summary of numbers that come one after the other, in bounded memory (Munro and Paterson 1980, section 3; Manku,
// Rajagopalan and Lindsay 1998). Each value of level l stands for 2^l numbers. When a level has two full buffers, they are merged, and
// every second value goes on to the next level: the even and the odd ones in turn, so that errors do not add up on one side. The rank of a
// quantile of N numbers is off by at most N·L/(2·summarySize), with L levels above the first one: less than 1e-4·N for 10^9 numbers.
//
// The result depends on the order of the numbers alone, which is that of the files, whatever the number of threads.
type quantiles struct {
	levels [][]float64 // values of each level, sorted in halves above the first one
	odd    []bool      // by level: which values go on
	n      int64       // numbers
	blanks int64
}

// add takes a number. NaN is a blank.
func (q *quantiles) add(v float64) {
	if math.IsNaN(v) {
		q.blanks++
		return
	}
	q.n++
	if len(q.levels) == 0 {
		q.levels, q.odd = [][]float64{nil}, []bool{false}
	}
	q.levels[0] = append(q.levels[0], v)
	for l := 0; len(q.levels[l]) > 2*summarySize; l++ {
		q.compact(l)
	}
}

// compact hands half of the values of a level to the next one. Those beyond the two buffers stay.
func (q *quantiles) compact(l int) {
	if l+1 == len(q.levels) {
		q.levels, q.odd = append(q.levels, nil), append(q.odd, false)
	}
	full := q.levels[l][:2*summarySize]
	slices.Sort(full)
	at := 0
	if q.odd[l] {
		at = 1
	}
	q.odd[l] = !q.odd[l]
	for ; at < len(full); at += 2 {
		q.levels[l+1] = append(q.levels[l+1], full[at])
	}
	q.levels[l] = append(q.levels[l][:0], q.levels[l][2*summarySize:]...)
}

// weighted is a value that stands for several numbers.
type weighted struct {
	v float64
	n int64
}

// values returns the values in ascending order.
func (q *quantiles) values() []weighted {
	var list []weighted
	for l, values := range q.levels {
		for _, v := range values {
			list = append(list, weighted{v, 1 << l})
		}
	}
	slices.SortFunc(list, func(a, b weighted) int {
		switch {
		case a.v < b.v:
			return -1
		case a.v > b.v:
			return 1
		}
		return 0
	})
	return list
}

// edges returns the numbers between so many parts of equally many values, ascending and each once: the quantiles i/parts, with numpy's
// linear interpolation between the two values beside a place.
func edges(list []weighted, parts int) []float64 {
	total := int64(0)
	for _, w := range list {
		total += w.n
	}
	var out []float64
	at, before := 0, int64(0) // list[at] is of the places from before on
	value := func(place int64) float64 {
		for before+list[at].n <= place {
			before += list[at].n
			at++
		}
		return list[at].v
	}
	for i := 1; i < parts && total > 0; i++ {
		place := float64(total-1) * float64(i) / float64(parts)
		low := int64(place)
		v := value(low)
		if part := place - float64(low); part > 0 {
			v += (peek(list, at, before, low+1) - v) * part
		}
		if n := len(out); n == 0 || v > out[n-1] {
			out = append(out, v)
		}
	}
	return out
}

// peek returns the value of a place that is at list[at] or the one behind it.
func peek(list []weighted, at int, before, place int64) float64 {
	if before+list[at].n <= place {
		at++
	}
	return list[at].v
}

// vocabulary returns the edges of the buckets, and their table: the buckets in their order, whether a row has one or not, and the blank
// if a row has it. The counts are those of the summary.
func (q *quantiles) vocabulary(name string, buckets int) ([]float64, *data.Vocabulary) {
	list := q.values()
	f := data.MapFeature{Transform: data.QuantileBucket, Edges: edges(list, buckets)}
	v := &data.Vocabulary{Name: name, Counts: make([]int64, data.FirstID+len(f.Edges)+1)}
	for i := range len(f.Edges) + 1 {
		v.Tokens = append(v.Tokens, strconv.Itoa(i))
	}
	for _, w := range list {
		at, equal := slices.BinarySearch(f.Edges, w.v)
		if equal {
			at++
		}
		v.Counts[data.FirstID+at] += w.n
	}
	if q.blanks > 0 {
		v.Tokens, v.Counts = append(v.Tokens, ""), append(v.Counts, q.blanks)
	}
	return f.Edges, v
}
