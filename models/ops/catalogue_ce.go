package ops

import (
	"fmt"
	"math"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// CatalogueOptions describes a cross-entropy over a catalogue.
type CatalogueOptions struct {
	From int // the first id that is an item: those before it, such as that of padding, take no part
}

// CatalogueCE is the mean cross-entropy of the softmax over a catalogue of items with each row's next item, as SASRec trains best
// (Klenitskiy & Vasilev 2023, arXiv:2309.07602): x [R, D] and items [V, D] → a scalar,
//
//	log Σ_{v ≥ From} exp(x·items_v) − x·items_target
//
// over the rows that have a target, or 0 if there are none. Targets are shared by pointer and read at each run; their number R must
// not change. A row whose target is [Ignored] or lies before From has none: it is not read and takes no gradient. A target
// beyond the catalogue is an error of the run. The loss is summed in float64, and depends on the rows with a target alone: their
// number decides how the work is cut.
//
// The logits [R, V] never exist as a whole. They are computed tile by tile, once for the sums and once more for the
// gradients, each tile of which goes at once into both products:
//
//	P = exp(x·itemsᵀ − log Σ exp) − onehot(target), dx = P·items/N, ditems = Pᵀ·x/N
//
// for N rows with a target. So it takes four products of N·V·D multiplications and, beside the gradients, some megabytes.
func CatalogueCE(x, items *G.Node, target *[]int32, opt CatalogueOptions) (*G.Node, error) {
	c := checker{op: "cataloguece"}
	R, D := c.mat("x", x)
	V, width := c.mat("items", items)
	switch {
	case c.err != nil:
	case width != D:
		c.fail("items is %v, want a width of %d as x", items.Shape(), D)
	case opt.From < 0 || opt.From >= V:
		c.fail("items from %d on in a catalogue of %d", opt.From, V)
	case target == nil || listLen(target, []*G.Node{x}) != R:
		n := 0
		if target != nil {
			n = len(*target)
		}
		c.fail("%d targets, want one for each of the %d rows of x", n, R)
	}
	if c.err != nil {
		return nil, c.err
	}
	n := newCatalogue(x, items, target, opt)
	o := newOp(c.op, tensor.Shape{}, x, items)
	o.run = func() error {
		if err := n.plan(); err != nil {
			return err
		}
		n.in = o.in
		loss := 0.0
		for n.lo = 0; n.lo < n.live; n.lo = n.hi {
			n.gather()
			n.sumLoop()
			for i := n.lo; i < n.hi; i++ {
				n.lse[i] = n.combine(i - n.lo)
				r := int(n.at[i])
				t := int((*target)[r])
				loss += n.lse[i] - float64(kernel.Dot(o.in[0][r*D:(r+1)*D], o.in[1][t*D:]))
			}
		}
		o.out[0] = float32(loss / float64(max(1, n.live)))
		return nil
	}
	o.grad = n.grad
	return o.apply(x, items)
}

const (
	catalogueGroup = 2048 // rows whose sums and gradients are in work at once
	catalogueRows  = 256  // of a tile, at most: with as many columns, half of a core's second-level cache
	catalogueCols  = 512
	catalogueSpans = 16 // pieces of the catalogue, at most: each has its own sums and gradients of rows
)

// catalogue is what the passes of one op share. Its work is cut into spans of the catalogue, which run in parallel, and groups of
// rows, one after the other. A span of a group is worked through in tiles.
type catalogue struct {
	R, V, D   int
	precision kernel.Precision
	group     int // rows of a group, at most
	target    *[]int32
	CatalogueOptions

	span  int     // items of a span
	spans int     // that have any
	at    []int32 // [R]: the rows that have a target
	live  int     // their number in this run
	lse   []float64

	in       [][]float32
	lo, hi   int       // the group in work, as places in at
	x        []float32 // [group, D]: its rows
	tiles    []tile    // the one in work of each span
	max      []float32 // [spans, group]: the greatest logits
	sum      []float64 // [spans, group]: Σ exp(logit − max)
	ones     []float32
	sumLoop  func()
	copyLoop func()
}

func newCatalogue(x, items *G.Node, target *[]int32, opt CatalogueOptions) *catalogue {
	R, V, D := x.Shape()[0], items.Shape()[0], x.Shape()[1]
	in := G.Nodes{x, items}
	n := &catalogue{R: R, V: V, D: D, target: target, CatalogueOptions: opt, precision: precisionOf(in...)}
	const align = 32 // columns of the micro-kernel
	n.span = (ceilDiv(V-opt.From, catalogueSpans) + align - 1) / align * align
	n.spans = ceilDiv(V-opt.From, n.span)
	group := min(R, catalogueGroup)
	n.group = group
	n.at, n.lse = room[int32](in, R), room[float64](in, R)
	n.x, n.max, n.sum = buffer(in, group, D), room[float32](in, n.spans, group), room[float64](in, n.spans, group)
	n.ones = room[float32](in, catalogueCols)
	kernel.Fill(n.ones, 1)
	n.tiles = make([]tile, n.spans)
	for s := range n.tiles {
		n.tiles[s].span = s
		n.tiles[s].space = buffer(in, min(group, catalogueRows), min(n.span, catalogueCols))
	}
	n.sumLoop = rowParts(n.spans, n.spans, func(s, _, _ int) { n.each(s, n.addUp) })
	n.copyLoop = rowParts(group, parts(group*D), func(_, lo, hi int) {
		for i := lo; i < min(hi, n.hi-n.lo); i++ {
			copy(n.x[i*D:(i+1)*D], n.in[0][int(n.at[n.lo+i])*D:])
		}
	})
	return n
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// plan finds the rows of the run that have a target.
func (n *catalogue) plan() error {
	if len(*n.target) != n.R {
		return fmt.Errorf("%d targets, want %d as when the graph was built", len(*n.target), n.R)
	}
	n.live = 0
	for r, t := range *n.target {
		if t < Ignored || int(t) >= n.V {
			return fmt.Errorf("target of row %d is %d, want an item from %d to %d, or %d to leave the row out", r, t, n.From, n.V-1, Ignored)
		}
		if int(t) >= n.From && t != Ignored {
			n.at[n.live] = int32(r)
			n.live++
		}
	}
	return nil
}

// gather begins the group of rows from lo on.
func (n *catalogue) gather() {
	groups := ceilDiv(n.live, catalogueGroup)
	g := n.lo * groups / n.live // groups of nearly one size: the g-th begins at or just before lo
	for n.live*g/groups <= n.lo {
		g++
	}
	n.hi = n.live * g / groups
	n.copyLoop()
}

// tile is a part of the logits: rows [r0, r1) of the group, items [j0, j1).
type tile struct {
	span           int
	r0, r1, j0, j1 int
	first          bool // of its rows in the span
	z              []float32
	space          []float32 // where z lies
}

// each runs f on the tiles of a span of the group, with the logits in z. All rows of a tile's items come one after the other.
func (n *catalogue) each(s int, f func(t *tile)) {
	t := &n.tiles[s]
	lo, hi := n.From+s*n.span, min(n.V, n.From+(s+1)*n.span)
	cols, rows := ceilDiv(hi-lo, catalogueCols), ceilDiv(n.hi-n.lo, catalogueRows)
	for c := range cols {
		t.j0, t.j1, t.first = lo+(hi-lo)*c/cols, lo+(hi-lo)*(c+1)/cols, c == 0
		for r := range rows {
			t.r0, t.r1 = (n.hi-n.lo)*r/rows, (n.hi-n.lo)*(r+1)/rows
			m, w := t.r1-t.r0, t.j1-t.j0
			t.z = t.space[:m*w]
			n.precision.GemmST(false, true, m, w, n.D, n.x[t.r0*n.D:], n.D, n.in[1][t.j0*n.D:], n.D, t.z, w, false)
			f(t)
		}
	}
}

// addUp adds the exponentials of a tile to the sums of its rows.
func (n *catalogue) addUp(t *tile) {
	w, group := t.j1-t.j0, n.group
	for r := t.r0; r < t.r1; r++ {
		z := t.z[(r-t.r0)*w:][:w]
		top, sum := &n.max[t.span*group+r], &n.sum[t.span*group+r]
		m := kernel.Max(z)
		if t.first {
			*top, *sum = m, 0
		} else if m > *top {
			*sum *= math.Exp(float64(*top) - float64(m))
			*top = m
		}
		kernel.Axpy(z, -*top, n.ones[:w])
		kernel.Exp(z, z)
		*sum += float64(kernel.Sum(z))
	}
}

// combine returns log Σ exp of the logits of row i of the group.
func (n *catalogue) combine(i int) float64 {
	group := n.group
	top := math.Inf(-1)
	for s := range n.spans {
		top = max(top, float64(n.max[s*group+i]))
	}
	sum := 0.0
	for s := range n.spans {
		sum += n.sum[s*group+i] * math.Exp(float64(n.max[s*group+i])-top)
	}
	return top + math.Log(sum)
}

// grad makes the gradients of x and of the items in one pass over the tiles.
func (n *catalogue) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	D, group := n.D, n.group
	o := newOp("cataloguece/dx", in[0].Shape(), in[0], in[1], dy, out) // out: only to run after it
	var ditems, dx, scaled []float32
	if need[0] {
		dx = buffer(in, n.spans, group, D) // of the group, from each span
	}
	if need[1] {
		ditems, scaled = buffer(in, n.V, D), buffer(in, group, D)
	}
	scale := float32(0)
	slopes := func(t *tile) {
		w := t.j1 - t.j0
		for r := t.r0; r < t.r1; r++ {
			kernel.Axpy(t.z[(r-t.r0)*w:][:w], float32(-n.lse[n.lo+r]), n.ones[:w])
		}
		kernel.Exp(t.z, t.z)
		for r := t.r0; r < t.r1; r++ {
			if j := int((*n.target)[n.at[n.lo+r]]); j >= t.j0 && j < t.j1 {
				t.z[(r-t.r0)*w+j-t.j0]--
			}
		}
		if dx != nil {
			n.precision.GemmST(false, false, t.r1-t.r0, D, w, t.z, w, n.in[1][t.j0*D:], D, dx[(t.span*group+t.r0)*D:], D, !t.first)
		}
		if ditems != nil {
			first := n.lo == 0 && t.r0 == 0
			n.precision.GemmST(true, false, w, D, t.r1-t.r0, t.z, w, scaled[t.r0*D:], D, ditems[t.j0*D:], D, !first)
		}
	}
	loop := rowParts(n.spans, n.spans, func(s, _, _ int) { n.each(s, slopes) })
	clearRows := flat(n.R*D, func(lo, hi int) { clear(o.out[lo:hi]) })
	finish := rowParts(group, parts(group*D), func(_, lo, hi int) {
		for i := lo; i < min(hi, n.hi-n.lo); i++ {
			sum := o.out[int(n.at[n.lo+i])*D:][:D]
			for s := range n.spans {
				kernel.Add(sum, dx[(s*group+i)*D:][:D])
			}
			kernel.Scale(sum, sum, scale)
		}
	})
	o.run = func() error {
		n.in = o.in
		scale = float32(float64(o.in[2][0]) / float64(max(1, n.live)))
		if dx != nil {
			clearRows()
		}
		if n.live == 0 {
			clear(ditems)
		} else if ditems != nil {
			clear(ditems[:n.From*D])
		}
		for n.lo = 0; n.lo < n.live; n.lo = n.hi {
			n.gather()
			if ditems != nil {
				kernel.Scale(scaled[:(n.hi-n.lo)*D], n.x, scale)
			}
			loop()
			if dx != nil {
				finish()
			}
		}
		return nil
	}
	return withViews(o, in, need, [][]float32{nil, ditems}, in[0], in[1], dy, out)
}
