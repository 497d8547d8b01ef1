package grad

import (
	"unsafe"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/dist"
)

// dense is the sum of gradients of whole parameters, which lie one after the other in each node's vector.
type dense struct {
	group dist.Group
	n     int // values
	tree  dist.Tree[[]float32]
	spare [][]float32

	to, from []float32 // what the functions below work on
	grads    []models.Grad
	weight   float32
	add      func(part int)
	scale    func(part int)
}

func (d *dense) init(g dist.Group, shards int, weights []*nn.Param) {
	d.group = g
	for _, q := range weights {
		d.n += len(q.Data)
	}
	d.tree.Add = func(a, b []float32) []float32 {
		d.to, d.from = a, b
		kernel.Parallel(parts, d.add)
		d.spare = append(d.spare, b)
		return a
	}
	d.add = func(c int) {
		lo, hi := kernel.Span(d.n, parts, c)
		kernel.Add(d.to[lo:hi], d.from[lo:hi])
	}
	d.scale = func(c int) {
		at := 0
		for _, g := range d.grads {
			lo, hi := kernel.Span(len(g.Grad), parts, c)
			kernel.Scale(d.to[at+lo:at+hi], g.Grad[lo:hi], d.weight)
			at += len(g.Grad)
		}
	}
}

// begin starts a step.
func (d *dense) begin() {
	nodes, sums := d.tree.Nodes()
	for i, n := range nodes {
		if n.Has {
			d.spare = append(d.spare, sums[i])
		}
	}
	d.tree.Reset()
}

// leaf takes in the gradients of a shard, times its weight.
func (d *dense) leaf(n dist.Node, grads []models.Grad, weight float32) {
	var x []float32
	if k := len(d.spare); k > 0 {
		x, d.spare = d.spare[k-1], d.spare[:k-1]
	} else {
		x = floats(d.group.Alloc(4 * d.n))
	}
	d.to, d.grads, d.weight = x, grads, weight
	kernel.Parallel(parts, d.scale)
	d.tree.Push(n, x)
}

// root returns the sum over all shards, if this rank has them all.
func (d *dense) root() []float32 {
	if _, sums := d.tree.Nodes(); len(sums) > 0 {
		return sums[0]
	}
	return nil
}

// floats returns bytes as float32s, and bytesOf the reverse. Memory is aligned, and all ranks have the same order of bytes.
func floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

func bytesOf[T int32 | float32](x []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}
