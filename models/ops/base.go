// Package ops holds the Gorgonia operations that Splice trains with. They are few and fused, and each has its backward pass
// beside it.
//
// Every function takes nodes of a float32 graph and returns a new node. Shapes are checked when the graph is built, and an error
// names the op and the shapes. Running a built graph fails only for bad values, such as a label outside of [0, 1], or for a bad
// count of live rows. Matrices are row-major [batch, width]; weights are [out, in].
//
// An op owns the buffer of its result and overwrites it at each run, so a run allocates nothing. Whoever needs a value after the
// next run copies it. An op, and so a graph, is run by one goroutine at a time. Results do not depend on the number of threads.
package ops

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"sync/atomic"

	"github.com/chewxy/hm"
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Rows is the number of live rows of a batch, shared by pointer with the ops that must skip padding. Rows N and beyond take part
// in no loss, gradient or statistic. N must lie in 1..batch when the graph runs.
type Rows struct{ N int }

// live returns the number of live rows of a batch; a nil Rows means that all of them are.
func (r *Rows) live(batch int) (int, error) {
	if r == nil {
		return batch, nil
	}
	if r.N < 1 || r.N > batch {
		return 0, fmt.Errorf("%d live rows in a batch of %d, want 1 to %d", r.N, batch, batch)
	}
	return r.N, nil
}

// backward makes the nodes of an op's input gradients from its inputs, its result and the gradient of its result; nil
// where need is false.
type backward func(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error)

// op is a Gorgonia op that owns its result. A file of this package makes one with newOp, sets run (and grad) and calls
// apply. The closures given to kernel are made beside it, once: a closure made in run would be an allocation per step.
type op struct {
	name  string
	id    uint64 // makes the hash unique: ops of equal hash are silently merged, and with them their buffers
	shape tensor.Shape
	dims  []int       // number of dimensions of each input
	in    [][]float32 // the inputs of the call that runs
	size  []int       // their lengths
	out   []float32   // the result, written by run
	later bool        // out gets its place when the graph is built: see placeAll
	spent []*op       // those whose results nothing reads after this one
	scal  []float32   // copies of scalar inputs

	val    G.Value // what Do returns: out as a tensor
	scalar *G.F32  // or as a scalar

	run  func() error // computes out from in
	grad backward     // nil if the op has no gradient
	diff []bool       // inputs that have a gradient; nil if all have
	form any          // what FormOf returns
}

var ids atomic.Uint64

// newOp returns an op of the given result shape (none: a scalar) over inputs like in.
func newOp(name string, shape tensor.Shape, in ...*G.Node) *op {
	if a := arenaOf(in); a != nil && a.Lean && len(shape) > 0 {
		o := newOpOn(name, shape, nil, in...)
		o.later = true
		return o
	}
	return newOpOn(name, shape, buffer(in, shape...), in...)
}

// newOpOn is newOp with a result buffer that belongs to another op: the way the gradients that one kernel computes
// together become nodes of their own. Such an op takes the node of the owner among its inputs, which orders it after it.
func newOpOn(name string, shape tensor.Shape, out []float32, in ...*G.Node) *op {
	o := &op{
		name: name, id: ids.Add(1), shape: shape, out: out,
		dims: make([]int, len(in)), in: make([][]float32, len(in)), size: make([]int, len(in)), scal: make([]float32, len(in)),
	}
	for i, n := range in {
		s := n.Shape()
		o.dims[i], o.size[i] = len(s), size(s)
	}
	if planOf(in) != nil {
		return o
	}
	if len(shape) == 0 {
		o.scalar = new(G.F32)
		o.val = o.scalar
	} else if out != nil {
		o.val = tensor.New(tensor.WithShape(shape...), tensor.WithBacking(out))
	}
	return o
}

// view returns a node whose value is buf, which running the node after fills.
func view(name string, shape tensor.Shape, buf []float32, after *G.Node) (*G.Node, error) {
	o := newOpOn(name, shape, buf, after)
	o.run = func() error { return nil }
	return o.apply(after)
}

// apply adds the op's node to the graph of its inputs.
func (o *op) apply(in ...*G.Node) (*G.Node, error) {
	var g *G.ExprGraph
	for _, n := range in {
		if n != nil && n.Graph() != nil {
			g = n.Graph()
			break
		}
	}
	if g != nil {
		o.distinguish(g, in)
		expect(g)
	}
	n, err := G.ApplyOp(o, in...)
	if err != nil {
		return nil, fmt.Errorf("ops: %s: %w", o.name, err)
	}
	if p := planOf(in); p != nil {
		p.Ops++
	}
	return n, nil
}

// distinguish changes the op's identity until the hash of its node differs from that of every node in the graph: the
// tape machine merges nodes by a 32-bit hash without comparing them.
func (o *op) distinguish(g *G.ExprGraph, in G.Nodes) {
	for taken(g, o.nodeHash(in)) {
		o.id = ids.Add(1)
	}
}

// nodeHash is what Node.Hashcode will answer for this op over in.
func (o *op) nodeHash(in G.Nodes) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%v%v", typeOf(len(o.shape)), o.shape)
	o.WriteHash(h)
	h.Write([]byte{byte(len(in))})
	for _, n := range in {
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], n.Hashcode())
		h.Write(b[:])
	}
	return h.Sum32()
}

// Backward makes the gradients of those inputs that are needed; the others are nil and cost nothing.
func (o *op) Backward(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	if o.grad == nil {
		return nil, fmt.Errorf("ops: %s: has no gradient", o.name)
	}
	return o.grad(in, out, dy, need)
}

// SymDiff makes the gradients of all inputs that have one, as gorgonia.Grad asks for.
func (o *op) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	return o.Backward(in, out, dy, o.DiffWRT(len(in)))
}

// DiffWRT tells which inputs have a gradient.
func (o *op) DiffWRT(n int) []bool {
	d := make([]bool, n)
	for i := range d {
		d[i] = o.grad != nil && (o.diff == nil || o.diff[i])
	}
	return d
}

// Do runs the op.
func (o *op) Do(vals ...G.Value) (G.Value, error) {
	if len(vals) != len(o.in) {
		return nil, fmt.Errorf("ops: %s: %d inputs, want %d", o.name, len(vals), len(o.in))
	}
	for i, v := range vals {
		switch v := v.(type) {
		case *tensor.Dense:
			if v.Dtype() != tensor.Float32 || v.RequiresIterator() || v.DataOrder().IsColMajor() {
				return nil, fmt.Errorf("ops: %s: input %d is not a contiguous row-major float32 tensor", o.name, i)
			}
			o.in[i] = v.Float32s()
		case *G.F32:
			o.scal[i] = float32(*v)
			o.in[i] = o.scal[i : i+1]
		default:
			return nil, fmt.Errorf("ops: %s: input %d is a %T, want a float32 tensor", o.name, i, v)
		}
		if len(o.in[i]) != o.size[i] {
			return nil, fmt.Errorf("ops: %s: input %d has %d values, want %d", o.name, i, len(o.in[i]), o.size[i])
		}
	}
	if err := o.run(); err != nil {
		return nil, fmt.Errorf("ops: %s: %w", o.name, err)
	}
	if o.scalar != nil {
		*o.scalar = G.F32(o.out[0])
	}
	return o.val, nil
}

// Type returns the op's type. It is a fresh one each time, because Gorgonia recycles what it is given.
func (o *op) Type() hm.Type {
	t := make([]hm.Type, 0, len(o.dims)+1)
	for _, d := range o.dims {
		t = append(t, typeOf(d))
	}
	return hm.NewFnType(append(t, typeOf(len(o.shape)))...)
}

// The rest of gorgonia.Op. ReturnsPtr false and OverwritesInput -1 keep the tape from writing into any of our buffers.

func (o *op) Arity() int                                     { return len(o.dims) }
func (o *op) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.shape.Clone(), nil }
func (o *op) ReturnsPtr() bool                               { return false }
func (o *op) CallsExtern() bool                              { return false }
func (o *op) OverwritesInput() int                           { return -1 }
func (o *op) String() string                                 { return fmt.Sprintf("%s#%d", o.name, o.id) }

func (o *op) WriteHash(h hash.Hash) { fmt.Fprintf(h, "splice/%s#%d", o.name, o.id) }

func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func typeOf(dims int) hm.Type {
	if dims == 0 {
		return tensor.Float32
	}
	return G.TensorType{Dims: dims, Of: tensor.Float32}
}

func size(s tensor.Shape) int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// checker collects the first mistake in the inputs of an op.
type checker struct {
	op  string
	err error
}

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("ops: %s: %w", c.op, fmt.Errorf(format, args...))
	}
}

var errNil = errors.New("is nil")

// row checks a vector with one value per column of a matrix.
func (c *checker) row(name string, n *G.Node, cols int) {
	c.shape(name, n, "one value per column", cols)
}

// any returns the shape of a float32 input of any shape.
func (c *checker) any(name string, n *G.Node) tensor.Shape {
	if n == nil {
		c.fail("%s %w", name, errNil)
		return nil
	}
	s := n.Shape()
	if n.Dtype() != tensor.Float32 {
		c.fail("%s %v is %v, want float32", name, s, n.Dtype())
	}
	for _, d := range s {
		if d < 1 {
			c.fail("%s is %v, want sizes of 1 or more", name, s)
		}
	}
	return s
}

// mat returns the two sizes of a float32 matrix input.
func (c *checker) mat(name string, n *G.Node) (rows, cols int) {
	s := c.any(name, n)
	if c.err == nil && len(s) != 2 {
		c.fail("%s is %v, want a matrix [batch, width]", name, s)
	}
	if c.err != nil {
		return 0, 0
	}
	return s[0], s[1]
}

// shape checks that a float32 input has exactly the shape want; why tells where want comes from.
func (c *checker) shape(name string, n *G.Node, why string, want ...int) {
	s := c.any(name, n)
	if c.err == nil && !same(s, want) {
		c.fail("%s is %v, want %v: %s", name, s, tensor.Shape(want), why)
	}
}

// act checks an activation.
func (c *checker) act(a kernel.Act) {
	if a > kernel.Sigmoid {
		c.fail("unknown activation %v", a)
	}
}

func same(a, b tensor.Shape) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
