package ops

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// placed is a result of a lean graph: what it needs, from when to when, and where it is.
type placed struct {
	op          *op
	size        int // rounded up to whole cache lines
	first, last int // in the order of the ops
	at          int
}

// placement is where the results of a graph are, in one piece of memory.
type placement struct {
	results []placed
	size    int
}

// placeAll finds places for the results of a lean graph whose nodes run in this order. A result is there from its op to the last op that
// reads it. Those of nodes to keep, that no op reads, or all of them, are there to the end.
//
// The largest come first, each at the lowest place that is free while it is there (the greedy way by size of Pisarchyk and Lee 2020,
// arXiv:2001.03288).
func placeAll(g *G.ExprGraph, nodes, keep G.Nodes, all bool) *placement {
	const line = 16
	at := map[int64]int{}
	for i, n := range nodes {
		at[n.ID()] = i
	}
	p := &placement{}
	for i, n := range nodes {
		o, ok := n.Op().(*op)
		if !ok || !o.later {
			continue
		}
		r := placed{op: o, size: (size(o.shape) + line - 1) / line * line, first: i, last: -1}
		for it := g.To(n.ID()); it.Next(); {
			r.last = max(r.last, at[it.Node().ID()])
		}
		if all || r.last < 0 || slices.Contains(keep, n) {
			r.last = math.MaxInt
		} else if last, ok := nodes[r.last].Op().(*op); ok {
			last.spent = append(last.spent, o)
		}
		p.results = append(p.results, r)
	}
	order := make([]*placed, len(p.results))
	for i := range order {
		order[i] = &p.results[i]
	}
	slices.SortStableFunc(order, func(a, b *placed) int { return cmp.Compare(b.size, a.size) })
	var there []*placed // placed so far, by their places
	for _, r := range order {
		r.at = 0
		for _, other := range there {
			if other.first > r.last || r.first > other.last {
				continue
			}
			if r.at+r.size <= other.at {
				break
			}
			r.at = max(r.at, other.at+other.size)
		}
		i, _ := slices.BinarySearchFunc(there, r, func(a, b *placed) int { return cmp.Compare(a.at, b.at) })
		there = slices.Insert(there, i, r)
		p.size = max(p.size, r.at+r.size)
	}
	return p
}

// fill gives the results their places in a slab.
func (p *placement) fill(slab []float32) {
	for _, r := range p.results {
		n := size(r.op.shape)
		r.op.out = slab[r.at : r.at+n : r.at+n]
		r.op.val = tensor.New(tensor.WithShape(r.op.shape...), tensor.WithBacking(r.op.out))
	}
}

// PlaceResults adds to the plan of a lean graph what its results need together, and does nothing for other graphs.
func PlaceResults(g *G.ExprGraph, keep ...*G.Node) error {
	a, _ := arenas.Load(g)
	arena, _ := a.(*Arena)
	if arena == nil || arena.Plan == nil || !arena.Lean {
		return nil
	}
	nodes, ours, err := inOrder(g)
	if err != nil {
		return err
	}
	arena.Plan.lent += 4 * float64(placeAll(g, nodes, keep, !ours).size)
	return nil
}

// Spoil has the runs of lean graphs overwrite each result with NaN after the last op that reads it. It is for tests that no op reads one
// later.
var Spoil atomic.Bool

// spoil overwrites the results that nothing reads after o.
func (o *op) spoil() {
	for _, s := range o.spent {
		kernel.Fill(s.out, float32(math.NaN()))
	}
}
