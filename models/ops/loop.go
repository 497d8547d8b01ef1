package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// maxParts bounds the chunks of a loop; 16 keeps some balance on up to eight cores at little cost on two.
const maxParts = 16

// grain is about the number of elements that is worth a chunk of its own.
const grain = 4096

// parts is the number of chunks that a loop over n elements is split in. It depends on n alone: with the chunks fixed
// and their results combined in order, no bit of a result depends on the number of threads.
func parts(n int) int { return max(1, min(maxParts, n/grain)) }

// flat returns a function that runs f on all chunks of n elements; chunks start at multiples of 16.
func flat(n int, f func(lo, hi int)) func() {
	p := parts(n)
	if p == 1 {
		return func() { f(0, n) }
	}
	g := func(i int) {
		if lo, hi := kernel.Span(n, p, i); lo < hi {
			f(lo, hi)
		}
	}
	return func() { kernel.Parallel(p, g) }
}

// rowwise returns a function that runs f on all chunks of the rows of a [rows, cols] matrix.
func rowwise(rows, cols int, f func(lo, hi int)) func() {
	return rowParts(rows, min(rows, parts(rows*cols)), func(_, lo, hi int) { f(lo, hi) })
}

// rowParts returns a function that runs f(i, lo, hi) on p chunks of rows.
func rowParts(rows, p int, f func(i, lo, hi int)) func() {
	g := func(i int) { f(i, rows*i/p, rows*(i+1)/p) }
	if p == 1 {
		return func() { g(0) }
	}
	return func() { kernel.Parallel(p, g) }
}

// partial is the fixed split of the rows of a matrix in chunks, with a row of width sums for each chunk.
type partial struct {
	rows, chunks, width int
	sums                []float32 // [chunks, width]
}

// newPartial returns the split for an op over inputs like in.
func newPartial(in []*G.Node, rows, cols, width int) *partial {
	c := min(rows, parts(rows*cols))
	return &partial{rows: rows, chunks: c, width: width, sums: room[float32](in, c, width)}
}

// loop returns a function that runs f(sums of the chunk, set to zero; its rows lo..hi) on all chunks.
func (p *partial) loop(f func(sum []float32, lo, hi int)) func() {
	return rowParts(p.rows, p.chunks, func(i, lo, hi int) {
		sum := p.sums[i*p.width : (i+1)*p.width]
		clear(sum)
		f(sum, lo, hi)
	})
}

// total writes columns off.. of the chunks' sums, added in order, to dst.
func (p *partial) total(dst []float32, off int) {
	copy(dst, p.sums[off:off+len(dst)])
	for i := 1; i < p.chunks; i++ {
		kernel.Add(dst, p.sums[i*p.width+off:i*p.width+off+len(dst)])
	}
}

// totals returns the node of the sums that running the node after leaves in p, from column off on.
func totals(name string, p *partial, off int, shape tensor.Shape, after *G.Node) (*G.Node, error) {
	o := newOp(name, shape, after)
	o.run = func() error {
		p.total(o.out, off)
		return nil
	}
	return o.apply(after)
}
