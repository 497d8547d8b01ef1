package ops

import (
	"unsafe"

	G "gorgonia.org/gorgonia"
)

// Plan is what the ops of a graph need. With a Plan in its [Arena] a graph is built of shapes alone: nothing is allocated for values, and
// it cannot run. Bytes are floating point numbers, which do not overflow.
type Plan struct {
	Ops   int              // nodes made by this package
	lent  float64          // buffers that graphs share
	own   float64          // buffers that a graph has for itself
	lists map[*[]int32]int // lengths of lists that are not made
}

// nodeBytes is about what an op takes beside its buffers: its node, its closures, its place in the graph.
const nodeBytes = 6 << 10

// Shared returns the bytes that graphs of an arena share.
func (p *Plan) Shared() float64 { return p.lent }

// Own returns the bytes that each graph has for itself.
func (p *Plan) Own() float64 { return p.own + float64(p.Ops)*nodeBytes }

// Count adds the bytes of something that a graph has for itself.
func (p *Plan) Count(bytes float64) { p.own += bytes }

// List tells the length of a list that is not made.
func (p *Plan) List(list *[]int32, n int) {
	if p.lists == nil {
		p.lists = map[*[]int32]int{}
	}
	p.lists[list] = n
	p.Count(4 * float64(n))
}

// listLen returns the length of a list that an op over inputs like in reads.
func listLen(list *[]int32, in []*G.Node) int {
	if p := planOf(in); p != nil {
		if n, ok := p.lists[list]; ok {
			return n
		}
	}
	return len(*list)
}

// planOf returns the plan of the graph of in, nil if it is built to run.
func planOf(in []*G.Node) *Plan {
	if a := arenaOf(in); a != nil {
		return a.Plan
	}
	return nil
}

// room returns zeros that an op over inputs like in keeps for itself, as many as the product of the sizes.
func room[T any](in []*G.Node, sizes ...int) []T {
	if p := planOf(in); p != nil {
		p.own += bytesOf[T](sizes)
		return nil
	}
	return make([]T, size(sizes))
}

// bytesOf returns the bytes of as many values as the product of the sizes.
func bytesOf[T any](sizes []int) float64 {
	var v T
	n := float64(unsafe.Sizeof(v))
	for _, d := range sizes {
		n *= float64(d)
	}
	return n
}
