package ops

import (
	"sync"

	G "gorgonia.org/gorgonia"
)

// Arena lends the same buffers to several graphs that never run at the same time, such as those of one model for several
// lengths of text. Buffers are lent in the order in which ops are made: a graph built like the one before it, for smaller
// inputs, needs no memory of its own. The zero value is empty. What a graph has computed is lost when another one runs.
type Arena struct {
	buffers [][]float32
	next    int
}

// arenas are those of the graphs under construction.
var arenas sync.Map // *G.ExprGraph → *Arena

// Share makes the ops that are built into g borrow their results' buffers from a, from its first one on, until done is called.
func Share(g *G.ExprGraph, a *Arena) (done func()) {
	a.next = 0
	arenas.Store(g, a)
	return func() { arenas.Delete(g) }
}

// buffer returns n numbers for an op over inputs like in, of any value: an op writes all of its result at each run.
func buffer(n int, in []*G.Node) []float32 {
	for _, x := range in {
		if x == nil || x.Graph() == nil {
			continue
		}
		if a, ok := arenas.Load(x.Graph()); ok {
			return a.(*Arena).lend(n)
		}
		break
	}
	return make([]float32, n)
}

// Fill sets all buffers to v, as another graph's run may: a test that an op writes all of its result.
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
