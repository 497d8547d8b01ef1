package models

import (
	"fmt"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// How negatives are drawn. All draws are with replacement.
const (
	Uniform    = "uniform"    // each item is as likely as another
	Popularity = "popularity" // by how often the train rows have an item, to a power
	InBatch    = "batch"      // the next item of a random position of the batch, so that an item is as likely as it is frequent
)

// Negatives says which items are drawn at each step of a training, for a loss that compares the next item with some others.
type Negatives struct {
	N        int     // how many
	Shared   bool    // all positions have the same N; otherwise each position has N of its own, none of which its history has
	By       string  // Uniform, Popularity or InBatch
	Exponent float64 // of Popularity: the power of the counts
	LogQ     bool    // also fill the corrections of a sampled softmax; not for Uniform, which needs none
}

// Drawn is what [Catalogue.Negatives] draws. Lists are filled at each run.
type Drawn struct {
	// [N, D] if all positions share them, else [R·N, D]: those of the positions that have a next item, one after the other, and behind
	// them what is left of other runs
	Embeddings *G.Node
	IDs        *[]int32 // of its rows
	// LogQ holds the logs of the probabilities of the next items and of the negatives, if they were asked for. An item that
	// no train row has counts as had once. That those of a history are drawn again is not corrected.
	LogQ ops.LogQ
}

// drawer draws the negatives of a catalogue. What it draws depends on the seed, the step and the batch alone.
type drawer struct {
	Negatives
	history *History
	items   int          // of the catalogue: the ids from data.FirstID on
	places  []int32      // the positions that have a next item, unless they share the negatives
	used    int          // of ids
	ids     []int32      // drawn: of all positions, or those of the first one first
	stream  uint64       // of all steps
	run     uint64       // of this one
	had     []int32      // the items that train rows have, of Popularity
	law     rng.Alias    // among them
	live    []int32      // the next items of the batch, of InBatch
	logq    []float32    // by id
	q       [2][]float32 // of the next items and the negatives
	fill    func(part int)
}

// Negatives draws items anew at each step, and looks them up in a table outside of the graph.
func (c *Catalogue) Negatives(s *nn.Scope, in *Inputs, o Negatives) *Drawn {
	if s.Err() != nil {
		return nil
	}
	positions := c.history.Rows
	n := o.N
	if !o.Shared {
		n *= positions
	}
	d := &drawer{Negatives: o, history: c.history, items: c.Size - data.FirstID, stream: rng.Key(0, "negatives", c.name)}
	d.fill = d.own
	c.drawer = d
	list(s, &d.ids, n)
	if d.used = n; !o.Shared {
		list(s, &d.places, positions)
	}
	if o.By == Popularity || o.LogQ {
		counts := in.Schema.Counts[c.history.table()]
		if counts == nil {
			s.Fail(fmt.Errorf("items are drawn by how often train rows have them, which this data does not tell: " +
				"draw uniformly, or take data of type interactions"))
			return nil
		}
		if s.Plan != nil {
			s.Plan.Count(float64(20*c.Size + 4*(positions+n)))
		} else {
			d.weigh(counts, positions, n)
		}
	}
	if o.By == InBatch {
		list(s, &d.live, positions)
	}
	out := &Drawn{Embeddings: c.lookup(s, in, "negatives", &d.ids, n, &d.used), IDs: &d.ids}
	if o.LogQ {
		out.LogQ = ops.LogQ{Target: &d.q[0], Negative: &d.q[1]}
	}
	return out
}

// Drawn returns the ids of the items that the last run compared with the next ones; nil if the loss draws none.
func (c *Catalogue) Drawn() []int32 {
	if c.drawer == nil {
		return nil
	}
	return c.drawer.ids[:c.drawer.used]
}

// weigh prepares draws by counts, and corrections for them.
func (d *drawer) weigh(counts []int64, positions, n int) {
	power := 1.0 // of draws from the batch
	if d.By == Popularity {
		power = d.Exponent
	}
	var weights []float64
	sum := 0.0
	for id := data.FirstID; id < data.FirstID+d.items; id++ {
		if id < len(counts) && counts[id] > 0 {
			d.had = append(d.had, int32(id))
			weights = append(weights, math.Pow(float64(counts[id]), power))
			sum += weights[len(weights)-1]
		}
	}
	if len(d.had) > 0 {
		d.law = rng.NewAlias(weights, sum)
	}
	if !d.LogQ {
		return
	}
	d.logq = make([]float32, data.FirstID+d.items)
	d.q = [2][]float32{make([]float32, positions), make([]float32, n)}
	kernel.Fill(d.logq, float32(-math.Log(max(1, sum))))
	for i, id := range d.had {
		d.logq[id] = float32(math.Log(weights[i] / sum))
	}
}

// draw draws the negatives of a step.
func (d *drawer) draw(step *ops.Step) {
	d.run = rng.Mix(rng.Mix(d.stream^step.Seed) + uint64(step.N))
	if d.By == InBatch {
		d.live = d.live[:0]
		for _, id := range d.history.next {
			if id >= 0 {
				d.live = append(d.live, id)
			}
		}
	}
	if d.Shared {
		for i := range d.ids {
			d.ids[i] = d.item(d.run, int64(i))
		}
	} else {
		d.places = d.places[:0]
		for p, id := range d.history.next {
			if id >= 0 {
				d.places = append(d.places, int32(p))
			}
		}
		d.used = len(d.places) * d.N
		kernel.Parallel(drawParts, d.fill)
	}
	if d.LogQ {
		for i, id := range d.history.next {
			d.q[0][i] = d.logq[max(id, data.PadID)]
		}
		for i, id := range d.ids[:d.used] {
			d.q[1][i] = d.logq[id]
		}
	}
}

// drawParts is into how many parts the sequences are cut whose positions have negatives of their own.
const drawParts = 64

// own draws the negatives of each position of a part.
func (d *drawer) own(part int) {
	h := d.history
	for i := part * len(d.places) / drawParts; i < (part+1)*len(d.places)/drawParts; i++ {
		p := int(d.places[i])
		next, row, to := h.next[p], h.sequenceOf(p), d.ids[i*d.N:(i+1)*d.N]
		for k := range to {
			own := rng.Mix(d.run + uint64(p*d.N+k))
			for try := int64(0); ; try++ {
				if id := d.item(own, try); try == mostTries-1 || id != next && !slices.Contains(row, id) {
					to[k] = id
					break
				}
			}
		}
	}
}

// mostTries bounds how often a negative is drawn again: a history may have nearly all items.
const mostTries = 100

// item returns the i-th item of a stream.
func (d *drawer) item(key uint64, i int64) int32 {
	switch {
	case d.By == Popularity && len(d.had) > 0:
		return d.had[d.law.At(rng.Word(key, i))]
	case d.By == InBatch && len(d.live) > 0:
		return d.live[int(rng.Float(key, i)*float64(len(d.live)))]
	}
	return data.FirstID + int32(rng.Float(key, i)*float64(d.items))
}
