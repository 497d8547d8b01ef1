package grad

import "github.com/splice-ml/splice/models/ops"

// norms are the statistics of batch norms. Each shard has its own, and the running ones move by those of one shard after the other.
type norms struct {
	running []*ops.BatchStats // over the model's memory
	n       int               // values of a shard's statistics
	start   []float32         // the running ones as the step began
	shard   [][]float32       // by shard
	moved   [][]bool          // by shard and layer
}

func (x *norms) init(shards int, stats []*ops.BatchStats) {
	x.running = stats
	for _, s := range stats {
		x.n += 2 * len(s.Mean)
	}
	x.start = make([]float32, x.n)
	for range shards {
		x.shard = append(x.shard, make([]float32, x.n))
		x.moved = append(x.moved, make([]bool, len(stats)))
	}
}

// begin keeps the running statistics.
func (x *norms) begin() { x.copyTo(x.start, x.running) }

// restore puts them back: a shard of a single row is normalised by them.
func (x *norms) restore() {
	at := 0
	for _, s := range x.running {
		at += copy(s.Mean, x.start[at:])
		at += copy(s.Var, x.start[at:])
	}
}

func (x *norms) copyTo(to []float32, stats []*ops.BatchStats) {
	at := 0
	for _, s := range stats {
		at += copy(to[at:], s.Mean)
		at += copy(to[at:], s.Var)
	}
}

// take keeps the statistics of a shard.
func (x *norms) take(shard int, stats []*ops.BatchStats) {
	x.copyTo(x.shard[shard], stats)
	for i, s := range stats {
		x.moved[shard][i] = s.Moved
	}
}

// fold moves the running statistics by those of the first have shards.
func (x *norms) fold(have int) {
	x.restore()
	for shard := range have {
		at := 0
		for i, s := range x.running {
			for _, to := range [...][]float32{s.Mean, s.Var} {
				if x.moved[shard][i] {
					for j, v := range x.shard[shard][at : at+len(to)] {
						to[j] = float32((1-s.Momentum)*float64(to[j]) + s.Momentum*float64(v))
					}
				}
				at += len(to)
			}
		}
	}
}
