package models

import (
	"math"
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// drawing returns a drawer over two histories, of three items and of one, in a catalogue of the ids 2 to 7.
func drawing(o Negatives, counts []int64) *drawer {
	h := &History{Rows: 6, IDs: []int32{2, 3, 4, 5, 0, 0}, next: []int32{3, 4, 6, 2, -1, -1}, Live: &ops.Tokens{L: 3, Len: []int32{3, 1}, Start: []int32{0, 3}}}
	d := &drawer{Negatives: o, history: h, items: 6, stream: 5}
	n := o.N
	if !o.Shared {
		n *= len(h.IDs)
	}
	d.ids, d.fill, d.used = make([]int32, n), d.own, n
	if counts != nil {
		d.weigh(counts, len(h.IDs), n)
	}
	return d
}

// Negatives of a position are items that its history does not have, and not its next item; positions without one have none. They are drawn anew at each
// step, and do not depend on the number of threads.
func TestOwnNegatives(t *testing.T) {
	const vocab, each = 8, 3 // of the items 2 to 7 the first row leaves 5, 6 and 7
	threads := kernel.Threads()
	defer kernel.SetThreads(threads)
	for _, by := range []string{Uniform, Popularity, InBatch} {
		o, counts := Negatives{N: each, By: by, Exponent: 1}, []int64{9, 9, 1, 2, 3, 4, 5, 6}
		d, again := drawing(o, counts), drawing(o, counts)
		h := d.history
		seen := map[int32]bool{}
		var last []int32
		same := 0
		for step := range int64(50) {
			kernel.SetThreads(1)
			d.draw(&ops.Step{Seed: 1, N: step})
			kernel.SetThreads(3)
			again.draw(&ops.Step{Seed: 1, N: step})
			drawn := d.ids[:d.used]
			if !slices.Equal(drawn, again.ids[:again.used]) || d.used != 4*each {
				t.Fatalf("%s: 1 thread draws %v, 3 draw %v", by, drawn, again.ids[:again.used])
			}
			if slices.Equal(drawn, last) {
				same++
			}
			last = slices.Clone(drawn)
			for i, id := range drawn { // of the first four positions: the others are padding
				p := i / each
				row := h.IDs[:3]
				if p > 2 {
					row = h.IDs[3:]
				}
				had := id == h.next[p] || slices.Contains(row, id)
				switch {
				case by == InBatch && p == 2: // its history has the batch's other next items, 2, 3 and 4
				case by == InBatch && p < 2 && id != 6:
					t.Fatalf("%s: step %d: position %d has the negative %d, want 6", by, step, p, id)
				case id < data.FirstID || id >= vocab || had:
					t.Fatalf("%s: step %d: position %d of %v, whose next item is %d, has the negative %d", by, step, p, row, h.next[p], id)
				case p < 2:
					seen[id] = true
				}
			}
		}
		if want := map[string]int{Uniform: 3, Popularity: 3, InBatch: 1}[by]; len(seen) != want || by != InBatch && same > 2 {
			t.Errorf("%s: the first positions have the negatives %v, want %d; %d steps drew as the one before", by, seen, want, same)
		}
	}
}

// TestShares compares how often items are drawn, and what is corrected, with the probabilities.
func TestShares(t *testing.T) {
	counts := []int64{50, 70, 16, 0, 4, 1, 0, 9}
	for _, c := range []struct {
		by       string
		exponent float64
		want     []float64 // in proportion, from id 2 on
	}{
		{Uniform, 1, []float64{1, 1, 1, 1, 1, 1}},
		{Popularity, 1, []float64{16, 0, 4, 1, 0, 9}},
		{Popularity, .5, []float64{4, 0, 2, 1, 0, 3}},
		{Popularity, 0, []float64{1, 0, 1, 1, 0, 1}},
		{InBatch, 1, []float64{1, 1, 1, 0, 1, 0}},
	} {
		const n = 30000
		d := drawing(Negatives{N: n, Shared: true, By: c.by, Exponent: c.exponent, LogQ: c.by != Uniform}, counts)
		d.draw(&ops.Step{Seed: 3, N: 4})
		got, sum := make([]float64, 8), 0.0
		for _, id := range d.ids {
			got[id]++
		}
		for _, v := range c.want {
			sum += v
		}
		for i, v := range c.want {
			if p := v / sum * n; math.Abs(got[2+i]-p) > 4*math.Sqrt(p) {
				t.Errorf("%s, %v: item %d was drawn %v times, want about %v", c.by, c.exponent, 2+i, got[2+i], p)
			}
		}
		if !d.LogQ {
			continue
		}
		weights := c.want
		if c.by == InBatch { // by how often the train rows have an item, not by this batch
			weights = []float64{16, 1, 4, 1, 1, 9}
			sum = 30
		}
		for i, id := range d.ids[:100] {
			if want := math.Log(weights[id-2] / sum); math.Abs(float64(d.q[1][i])-want) > 1e-6 {
				t.Fatalf("%s: the correction of item %d is %v, want %v", c.by, id, d.q[1][i], want)
			}
		}
		for i, id := range d.history.next {
			if id < 0 {
				continue
			}
			want := math.Log(1 / sum) // of an item that no train row has: as if one had it
			if w := weights[id-2]; w > 0 {
				want = math.Log(w / sum)
			}
			if math.Abs(float64(d.q[0][i])-want) > 1e-6 {
				t.Errorf("%s: the correction of the next item %d is %v, want %v", c.by, id, d.q[0][i], want)
			}
		}
	}
}
