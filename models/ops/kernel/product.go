package kernel

import (
	"sync"
	"sync/atomic"
)

// product is a matrix product in flight with its workspaces. Products are kept for reuse, so that a training step, which
// repeats the same ones, allocates nothing.
type product struct {
	transA, transB bool
	m, n, k        int
	a, b, c        []float32
	lda, ldb, ldc  int
	acc            bool
	epi            func(r0, r1 int)
	each           func(n int, f func(i int)) // Parallel or serial
	workers        int                        // goroutines that each has at most

	plan
	kept   []float32      // all of B as packed would be, by a Transposed; nil if it is to be packed
	packed []float32      // B of the current block: for each block of k, for each panel, [k][nr]
	shared []float32      // A of the current block likewise, if plan.share
	left   []atomic.Int32 // column groups that are not done yet, for each row block

	tiling
	rounds         rounding
	roundA, roundB []float32 // rounded factors

	lines
	x, part []float32 // of vector and outer: the operand, made contiguous, and partial sums

	packTask, tileTask, outerTask, dotTask, sumTask, roundTask, splitTask, panelTask, columnTask func(i int) // bound once
}

func newProduct() *product {
	g := new(product)
	g.packTask, g.tileTask, g.outerTask, g.dotTask, g.sumTask = g.pack, g.tile, g.outerRows, g.dotRows, g.sumRows
	g.roundTask, g.splitTask, g.panelTask, g.columnTask = g.rounds.task, g.splitB, g.panels, g.columns
	return g
}

// tileSpace is the workspace of one running tile.
type tileSpace struct {
	packed []float32 // panels of A
	edge   []float32 // a tile of C that sticks out of it

	a, b  []uint16  // panels of tiles
	piece []float32 // factors that do not fill a tile, with zeros
}

var (
	products = stock[product]{make: newProduct}
	spaces   = stock[tileSpace]{make: func() *tileSpace { return &tileSpace{edge: room[float32](nil, 32*32)} }}
)

// stock keeps values for reuse, as many as were ever used at once. Unlike sync.Pool's, its values outlive a collection.
type stock[T any] struct {
	mu   sync.Mutex
	free []*T
	make func() *T
}

func (s *stock[T]) take() *T {
	s.mu.Lock()
	if n := len(s.free); n > 0 {
		x := s.free[n-1]
		s.free = s.free[:n-1]
		s.mu.Unlock()
		return x
	}
	s.mu.Unlock()
	return s.make()
}

func (s *stock[T]) put(x *T) {
	s.mu.Lock()
	s.free = append(s.free, x)
	s.mu.Unlock()
}
