package dist

// Node is a complete subtree of the tree over virtual shards, which are a power of two: that of shards At, …, At+Size-1, where At is a
// multiple of Size, a power of two. A step may have fewer shards than the tree has leaves.
type Node struct {
	At, Size int
	Has      bool // it has a shard of the step
}

// Nodes appends to dst the largest complete subtrees that shards lo, …, hi-1 are made of, in order, of which the first have shards are
// there.
func Nodes(dst []Node, lo, hi, have int) []Node {
	first := len(dst)
	for s := lo; s < hi; s++ {
		dst = append(dst, Node{s, 1, s < have})
		for n := len(dst); n-first > 1 && siblings(dst[n-2], dst[n-1]); n = len(dst) {
			dst = dst[:n-1]
			dst[n-2].Size *= 2
		}
	}
	return dst
}

func siblings(a, b Node) bool { return a.Size == b.Size && a.At%(2*a.Size) == 0 && a.At+a.Size == b.At }

// Tree adds up values of virtual shards in the order of the complete binary tree over them: node [s, s+2d) is node [s, s+d) plus node
// [s+d, s+2d). A shard that is not there adds nothing, not even a zero.
type Tree[T any] struct {
	// Add returns a + b, in the place of either or of neither.
	Add   func(a, b T) T
	nodes []Node
	sums  []T
}

// Push takes in the next node, which follows the one before.
func (t *Tree[T]) Push(n Node, sum T) {
	t.nodes, t.sums = append(t.nodes, n), append(t.sums, sum)
	for k := len(t.nodes); k > 1 && siblings(t.nodes[k-2], t.nodes[k-1]); k = len(t.nodes) {
		a, b := &t.nodes[k-2], &t.nodes[k-1]
		switch {
		case a.Has && b.Has:
			t.sums[k-2] = t.Add(t.sums[k-2], t.sums[k-1])
		case b.Has:
			t.sums[k-2], a.Has = t.sums[k-1], true
		}
		a.Size *= 2
		t.nodes, t.sums = t.nodes[:k-1], t.sums[:k-1]
	}
}

// Nodes returns the nodes so far, and their sums, of which those without Has are undefined. They are valid until the next Push.
func (t *Tree[T]) Nodes() ([]Node, []T) { return t.nodes, t.sums }

// Reset forgets all nodes.
func (t *Tree[T]) Reset() { t.nodes, t.sums = t.nodes[:0], t.sums[:0] }
