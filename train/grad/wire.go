package grad

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/dist"
)

// wire moves the parts of a Sum between ranks. In a step it makes four calls: one of heads of fixed sizes, two of dense gradients, one of
// rows.
type wire struct {
	s     *Sum
	nodes [][]dist.Node // by rank
	block int           // values of the dense sum that travel at once

	head, allHeads []byte
	headSizes      []int
	counts         [][]int64 // by rank: rows of its nodes, node by node, table by table

	send, recv []int // bytes
	pack       []byte
	got, sum   []byte
	tree       dist.Tree[[]float32] // over this rank's span
	rowsOut    []byte
	rowsIn     []byte
	gather     func(i int)
	place      [][]int // by rank and node: where its rows begin in rowsIn
}

func (w *wire) init(s *Sum) {
	w.s = s
	size := s.group.Size()
	if size == 1 {
		return
	}
	w.send, w.recv, w.headSizes = make([]int, size), make([]int, size), make([]int, size)
	total, most := 0, 0
	for r := range size {
		lo, hi := dist.Shards(s.shards, r, size)
		nodes := dist.Nodes(nil, lo, hi, s.shards)
		w.nodes = append(w.nodes, nodes)
		w.headSizes[r] = 16 + (hi-lo)*w.leafSize() + 8*len(nodes)*len(s.tables)
		total += w.headSizes[r]
		w.counts = append(w.counts, make([]int64, len(nodes)*len(s.tables)))
		w.place = append(w.place, make([]int, len(nodes)))
		most += len(nodes)
	}
	me := s.group.Rank()
	w.block = min(s.dense.n, blockValues)
	width := 0
	for _, values := range [...]int{w.block, s.dense.n % max(1, w.block)} {
		from, to := w.span(0, values, me)
		width = max(width, to-from)
	}
	w.head, w.allHeads = s.group.Alloc(w.headSizes[me]), s.group.Alloc(total)
	w.got, w.sum = s.group.Alloc(4*width*most), s.group.Alloc(4*s.dense.n)
	if len(w.nodes[me]) > 1 {
		w.pack = s.group.Alloc(4 * w.block * len(w.nodes[me]))
	}
	w.tree.Add = func(a, b []float32) []float32 { kernel.Add(a, b); return a }
	for _, t := range s.tables {
		t.views = make([]rows, most)
	}
	w.gather = w.gatherTable
}

// leafSize returns the bytes of a shard in a head.
func (w *wire) leafSize() int { return 24 + len(w.s.norms.running) + 4*w.s.norms.n }

const stopFlag = 1

// blockValues is how many values of the dense sum travel at once: few enough for calls whose counts are of 32 bits, many enough that the
// calls' own time does not count.
const blockValues = 1 << 22

// heads exchanges what the shards are beside their gradients, and how many rows each node has.
func (w *wire) heads(stop bool) (stopped bool, err error) {
	s, le := w.s, binary.LittleEndian
	b := le.AppendUint64(w.head[:0], uint64(s.Batches))
	flags := uint64(0)
	if stop {
		flags = stopFlag
	}
	b = le.AppendUint64(b, flags)
	for shard := s.lo; shard < s.hi; shard++ {
		l := s.leaves[shard]
		b = le.AppendUint64(b, uint64(l.rows))
		b = le.AppendUint64(b, uint64(l.weight))
		b = le.AppendUint64(b, math.Float64bits(l.loss))
		for _, m := range s.norms.moved[shard] {
			flag := byte(0)
			if m {
				flag = 1
			}
			b = append(b, flag)
		}
		b = append(b, bytesOf(s.norms.shard[shard])...)
	}
	for k := range w.nodes[s.group.Rank()] {
		for _, t := range s.tables {
			n := 0
			if nodes, sums := t.tree.Nodes(); nodes[k].Has {
				n = len(sums[k].IDs)
			}
			b = le.AppendUint64(b, uint64(n))
		}
	}
	if err := s.group.Allgatherv(b, w.allHeads, w.headSizes); err != nil {
		return false, err
	}
	b = w.allHeads
	next := func() uint64 { v := le.Uint64(b); b = b[8:]; return v }
	for r := range w.nodes {
		if int(next()) != s.Batches {
			return false, &dist.Common{Err: errBatches}
		}
		stopped = next()&stopFlag != 0 || stopped
		lo, hi := dist.Shards(s.shards, r, len(w.nodes))
		for shard := lo; shard < hi; shard++ {
			s.leaves[shard] = leaf{int64(next()), int64(next()), math.Float64frombits(next())}
			for i := range s.norms.moved[shard] {
				s.norms.moved[shard][i] = b[i] == 1
			}
			b = b[len(s.norms.moved[shard]):]
			b = b[copy(bytesOf(s.norms.shard[shard]), b):]
		}
		for i := range w.counts[r] {
			w.counts[r][i] = int64(next())
		}
		for k, n := range w.nodes[r] {
			w.nodes[r][k].Has = n.At < s.Batches
		}
	}
	return stopped, nil
}

// dense makes the sum of the dense gradients, block by block: each rank sends the others their spans of its nodes, adds up its own span of
// all, and sends it round.
func (w *wire) dense() ([]float32, error) {
	n := w.s.dense.n
	for lo := 0; lo < n; lo += w.block {
		if err := w.denseBlock(lo, min(lo+w.block, n)); err != nil {
			return nil, err
		}
	}
	return floats(w.sum), nil
}

// span returns the part of values lo, …, hi-1 that a rank adds up.
func (w *wire) span(lo, hi, rank int) (from, to int) {
	from, to = kernel.Span(hi-lo, len(w.nodes), rank)
	return lo + from, lo + to
}

func (w *wire) denseBlock(lo, hi int) error {
	s, me := w.s, w.s.group.Rank()
	nodes, sums := s.dense.tree.Nodes()
	out := w.pack[:0]
	mine := present(nodes)
	for r := range w.nodes {
		from, to := w.span(lo, hi, r)
		w.send[r] = 4 * mine * (to - from)
		if mine == 1 {
			continue
		}
		for i, n := range nodes {
			if n.Has {
				out = append(out, bytesOf(sums[i][from:to])...)
			}
		}
	}
	if mine == 1 { // it is there as it travels
		for i, n := range nodes {
			if n.Has {
				out = bytesOf(sums[i][lo:hi])
			}
		}
	}
	from, to := w.span(lo, hi, me)
	width, total := to-from, 0
	for r, theirs := range w.nodes {
		w.recv[r] = 4 * width * present(theirs)
		total += w.recv[r]
	}
	if err := s.group.Alltoallv(out, w.send, w.got[:total], w.recv); err != nil {
		return err
	}
	got := floats(w.got)
	w.tree.Reset()
	for _, theirs := range w.nodes {
		for _, n := range theirs {
			if !n.Has {
				w.tree.Push(n, nil)
				continue
			}
			w.tree.Push(n, got[:width])
			got = got[width:]
		}
	}
	_, root := w.tree.Nodes()
	for r := range w.recv {
		from, to := w.span(lo, hi, r)
		w.recv[r] = 4 * (to - from)
	}
	return s.group.Allgatherv(bytesOf(root[0]), w.sum[4*lo:4*hi], w.recv)
}

func present(nodes []dist.Node) (n int) {
	for _, k := range nodes {
		if k.Has {
			n++
		}
	}
	return n
}

// tables sends the nodes' rows round. Each rank adds them all up.
func (w *wire) tables() error {
	s, me := w.s, w.s.group.Rank()
	total := 0
	for r := range w.nodes {
		w.recv[r] = 0
		for k := range w.nodes[r] {
			w.place[r][k] = total + w.recv[r]
			for i, t := range s.tables {
				w.recv[r] += int(w.counts[r][k*len(s.tables)+i]) * 4 * (1 + t.param.Dim())
			}
		}
		total += w.recv[r]
	}
	w.rowsOut, w.rowsIn = w.grow(w.rowsOut, w.recv[me]), w.grow(w.rowsIn, total)
	out := w.rowsOut[:0]
	for k, n := range w.nodes[me] {
		for _, t := range s.tables {
			if _, sums := t.tree.Nodes(); n.Has {
				out = append(append(out, bytesOf(sums[k].IDs)...), bytesOf(sums[k].Grad)...)
			}
		}
	}
	if err := s.group.Allgatherv(out, w.rowsIn, w.recv); err != nil {
		return err
	}
	kernel.Parallel(len(s.tables), w.gather)
	return nil
}

// grow returns n bytes, b's if it has as many.
func (w *wire) grow(b []byte, n int) []byte {
	if cap(b) < n {
		b = w.s.group.Alloc(n + n/2)
	}
	return b[:n]
}

// gatherTable adds up the rows of a table.
func (w *wire) gatherTable(i int) {
	s, t, v := w.s, w.s.tables[i], 0
	d := t.param.Dim()
	for r := range w.nodes {
		for k, n := range w.nodes[r] {
			if !n.Has {
				t.all.Push(n, nil)
				continue
			}
			at := w.place[r][k]
			for j := range i {
				at += int(w.counts[r][k*len(s.tables)+j]) * 4 * (1 + s.tables[j].param.Dim())
			}
			rows := int(w.counts[r][k*len(s.tables)+i])
			b := w.rowsIn[at : at+rows*4*(1+d)]
			view := &t.views[v]
			v++
			view.view, view.Param = true, t.param
			view.IDs = unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(b))), rows)
			view.Grad = floats(b[4*rows:])
			t.all.Push(n, view)
		}
	}
	_, sums := t.all.Nodes()
	s.Tables[i] = sums[0].RowGrad
}
