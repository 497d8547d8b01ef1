package ops

import (
	"sync"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// Arena lends the same buffers to several graphs that never run at the same time, such as those of one model for several
// lengths of text. Buffers are lent in the order in which ops are made: a graph built like the one before it, for smaller
// inputs, needs no memory of its own. The zero value is empty. What a graph has computed is lost when another one runs.
type Arena struct {
	Constants *Constants       // what is kept of weights that do not change; nil if they may change
	Plan      *Plan            // adds up what a graph would need; nil to build one that can run
	Precision kernel.Precision // of the graphs' matrix products
	// Lean has results of a graph take the places of others that no op reads any more. After a run, those nodes alone have values that
	// [NewSequence] is told to keep.
	Lean bool

	slab    []float32 // the results of lean graphs
	buffers [][]float32
	next    int
	tables  []*tableGrad
	table   int // the next one of them
}

// arenas are those of the graphs under construction.
var arenas sync.Map // *G.ExprGraph → *Arena

// Share makes the ops that are built into g borrow their results' buffers from a, from its first one on, until done is called.
func Share(g *G.ExprGraph, a *Arena) (done func()) {
	a.next, a.table = 0, 0
	arenas.Store(g, a)
	return func() { arenas.Delete(g) }
}

// arenaOf returns the arena of the graph of in, nil if it has none.
func arenaOf(in []*G.Node) *Arena {
	for _, x := range in {
		if x == nil || x.Graph() == nil {
			continue
		}
		if a, ok := arenas.Load(x.Graph()); ok {
			return a.(*Arena)
		}
		break
	}
	return nil
}

// precisionOf returns the precision of the products in the graph of in.
func precisionOf(in ...*G.Node) kernel.Precision {
	if a := arenaOf(in); a != nil {
		return a.Precision
	}
	return kernel.Highest
}

// buffer returns numbers for an op over inputs like in, as many as the product of the sizes and of any value: an op writes all of its
// result at each run.
func buffer(in []*G.Node, sizes ...int) []float32 {
	a := arenaOf(in)
	if a == nil {
		return make([]float32, size(sizes))
	}
	if a.Plan != nil {
		a.Plan.lent += bytesOf[float32](sizes)
		return nil
	}
	return a.lend(size(sizes))
}

// Lend returns numbers for a leaf of g, as many as the product of the sizes and of any value: all must be written before each run. With
// a plan it returns nil.
func Lend(g *G.ExprGraph, sizes ...int) []float32 {
	a, ok := arenas.Load(g)
	switch a, _ := a.(*Arena); {
	case !ok:
		return make([]float32, size(sizes))
	case a.Plan != nil:
		a.Plan.lent += bytesOf[float32](sizes)
		return nil
	default:
		return a.lend(size(sizes))
	}
}

// tableGradient returns the gradient of a table of V rows of width H, of which n are looked up, for an op over inputs like in.
func tableGradient(V, H, n int, in []*G.Node) *tableGrad {
	a := arenaOf(in)
	if a == nil {
		return newTableGrad(V, H, n)
	}
	if a.Plan != nil {
		a.Plan.lent += bytesOf[float32]([]int{V, H}) + float64(V) + 4*float64(min(V, n))
		return &tableGrad{}
	}
	if a.table == len(a.tables) {
		a.tables = append(a.tables, nil)
	}
	t := &a.tables[a.table]
	if *t == nil || len((*t).mark) != V || len((*t).values) != V*H {
		*t = newTableGrad(V, H, n)
	}
	a.table++
	return *t
}

// Fill sets all buffers to v, as the run of another graph may change them. It is for tests that an op writes all of its result.
// Gradients of tables stay: their ops keep them at zero where nothing was looked up.
func (a *Arena) Fill(v float32) {
	for _, b := range a.buffers {
		for i := range b {
			b[i] = v
		}
	}
}

func (a *Arena) lend(n int) []float32 {
	if a.next == len(a.buffers) {
		a.buffers = append(a.buffers, nil)
	}
	if cap(a.buffers[a.next]) < n {
		a.buffers[a.next] = make([]float32, n)
	}
	a.next++
	return a.buffers[a.next-1][:n]
}
