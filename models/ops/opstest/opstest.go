// Package opstest checks an op against a naive float64 twin of its forward pass: values, gradients by finite
// differences, identity, fresh results at each run, equal bits for any number of threads, and memory.
package opstest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Tolerances, relative to the larger of a value and the root mean square of all values compared with it.
const (
	valueTol = 1e-5
	gradTol  = 1e-4
)

// Case is an op with its twin, at one set of input shapes.
type Case struct {
	Name   string
	Shapes [][]int // of the inputs; an empty shape is a scalar
	// Build returns the op over inputs of those shapes. It is called several times.
	Build func(x ...*G.Node) (*G.Node, error)
	// Oracle is the forward pass in float64, written as naively as possible.
	Oracle func(x ...[]float64) []float64
	// Fill draws the values of an input; nil draws them from [-1, 1).
	Fill func(input int, x []float32, r *rand.Rand)
	// Margin returns the distance of inputs from the nearest kink of the op, such as the 0 of a ReLU. Inputs nearer than 1e-3 are
	// drawn again, because differences do not approach the derivative there. It is nil if there are no kinks, or if Fill keeps
	// away from them.
	Margin func(x ...[]float64) float64
	// NoGrad lists the inputs that have no gradient.
	NoGrad []int
	// Big marks shapes with hundreds of kilobytes, where an op splits its work. Threads and memory are checked there, gradients
	// only at a few places, and an op that is used twice not at all.
	Big bool
}

// Check runs all checks of a case as a subtest.
func Check(t *testing.T, c Case) {
	t.Helper()
	t.Run(fmt.Sprintf("%s%v", c.Name, c.Shapes), func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, uint64(len(c.Shapes))))
		p := newProgram(t, c, c.Build)
		for run := range 2 { // the second run has other inputs: a result of the first must not show
			p.draw(t, c, r)
			p.run(t)
			p.compare(t, c, r, 1, fmt.Sprintf("run %d", run+1))
		}
		if c.Big {
			p.checkThreads(t)
			p.checkMemory(t)
		} else {
			checkTwice(t, c, r)
		}
	})
}

// checkTwice uses an op twice: two ops over the same inputs must stay two, and one result used twice counts twice in
// the gradients.
func checkTwice(t *testing.T, c Case, r *rand.Rand) {
	t.Helper()
	two := newProgram(t, c, func(x ...*G.Node) (*G.Node, error) {
		a, err := c.Build(x...)
		if err != nil {
			return nil, err
		}
		b, err := c.Build(x...)
		if err != nil {
			return nil, err
		}
		if a == b || a.Hashcode() == b.Hashcode() {
			t.Errorf("two ops over the same inputs are one node or have one hash: %v, %v", a, b)
		}
		return ops.Add(a, b)
	})
	two.draw(t, c, r)
	two.run(t)
	two.compare(t, c, r, 2, "two ops")
	one := newProgram(t, c, func(x ...*G.Node) (*G.Node, error) {
		a, err := c.Build(x...)
		if err != nil {
			return nil, err
		}
		return ops.Add(a, a)
	})
	one.draw(t, c, r)
	one.run(t)
	one.compare(t, c, r, 2, "result used twice")
}

// program is a compiled graph of y and the gradients of Σ dy·y.
type program struct {
	vm    G.VM
	in    [][]float32 // values of the inputs
	keep  [][]float32 // copies, to see whether an op writes into its inputs
	nodes G.Nodes
	y, dy *G.Node
	dyv   []float32
	grads G.Nodes // nil for inputs without one
	arena ops.Arena
}

func newProgram(t *testing.T, c Case, build func(x ...*G.Node) (*G.Node, error)) *program {
	t.Helper()
	g := G.NewGraph()
	p := &program{}
	defer ops.Share(g, &p.arena)()
	for i, s := range c.Shapes {
		n, v := leaf(g, fmt.Sprintf("x%d", i), s)
		p.nodes, p.in = append(p.nodes, n), append(p.in, v)
	}
	var err error
	if p.y, err = build(p.nodes...); err != nil {
		t.Fatalf("build: %v", err)
	}
	p.dy, p.dyv = leaf(g, "dy", p.y.Shape())
	var wrt G.Nodes
	for i, n := range p.nodes {
		if !slices.Contains(c.NoGrad, i) {
			wrt = append(wrt, n)
		}
	}
	d, err := ops.VJP(p.y, p.dy, wrt...)
	if err != nil {
		t.Fatalf("gradient: %v", err)
	}
	p.grads = make(G.Nodes, len(p.nodes))
	for i, k := 0, 0; i < len(p.nodes); i++ {
		if !slices.Contains(c.NoGrad, i) {
			p.grads[i] = d[k]
			k++
		}
	}
	p.vm = G.NewTapeMachine(g)
	t.Cleanup(func() { p.vm.Close() })
	return p
}

// leaf returns an input node with its values; those of a scalar are set when the program runs.
func leaf(g *G.ExprGraph, name string, s []int) (*G.Node, []float32) {
	if len(s) == 0 {
		return G.NewScalar(g, tensor.Float32, G.WithName(name)), make([]float32, 1)
	}
	v := make([]float32, tensor.Shape(s).TotalSize())
	return G.NewTensor(g, tensor.Float32, len(s), G.WithShape(s...), G.WithName(name),
		G.WithValue(tensor.New(tensor.WithShape(s...), tensor.WithBacking(v)))), v
}

func (p *program) draw(t *testing.T, c Case, r *rand.Rand) {
	t.Helper()
	for try := 0; ; try++ {
		for i, x := range p.in {
			if c.Fill != nil {
				c.Fill(i, x, r)
				continue
			}
			Uniform(x, r)
		}
		if c.Margin == nil || c.Margin(wide(p.in)...) > 1e-3 {
			break
		}
		if try == 1000 {
			t.Fatal("no inputs away from kinks in 1000 draws")
		}
	}
	Uniform(p.dyv, r)
	p.keep = nil
	for _, x := range p.in {
		p.keep = append(p.keep, slices.Clone(x))
	}
}

// Uniform draws x from [-1, 1).
func Uniform(x []float32, r *rand.Rand) {
	for i := range x {
		x[i] = 2*r.Float32() - 1
	}
}

// Grid returns a Fill that draws inputs from the odd multiples of 1/16, but for the inputs bias, drawn from the odd
// multiples of 1/1024: a sum of products of the former plus one of the latter is exact in float32 and at least 1/1024.
func Grid(bias ...int) func(input int, x []float32, r *rand.Rand) {
	return func(input int, x []float32, r *rand.Rand) {
		unit := float32(16)
		if slices.Contains(bias, input) {
			unit = 1024
		}
		for i := range x {
			x[i] = float32(2*r.IntN(16)-15) / unit
		}
	}
}

func (p *program) run(t *testing.T) {
	t.Helper()
	p.arena.Fill(float32(math.NaN())) // an op may borrow its buffer: it has to write all of it
	for i, n := range append(slices.Clone(p.nodes), p.dy) {
		if n.IsScalar() {
			v := p.dyv[0]
			if i < len(p.in) {
				v = p.in[i][0]
			}
			if err := G.Let(n, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.vm.RunAll(); err != nil {
		t.Fatalf("run: %v", err)
	}
	p.vm.Reset()
}

// compare checks value and gradients of a program whose y is factor times the op.
func (p *program) compare(t *testing.T, c Case, r *rand.Rand, factor float64, what string) {
	t.Helper()
	for i, x := range p.in {
		if !slices.Equal(x, p.keep[i]) {
			t.Errorf("%s: input %d was overwritten", what, i)
		}
	}
	in := wide(p.in)
	want := c.Oracle(in...)
	for i := range want {
		want[i] *= factor
	}
	near(t, what+": value", Values(p.y), want, nil, valueTol)
	loss := func() float64 {
		sum := 0.0
		for i, v := range c.Oracle(in...) {
			sum += factor * v * float64(p.dyv[i])
		}
		return sum
	}
	for i, d := range p.grads {
		if d == nil {
			continue
		}
		at := r.Perm(len(in[i]))
		if c.Big {
			at = at[:min(len(at), 4)]
		}
		got := Values(d)
		want := make([]float64, len(got))
		for _, j := range at {
			x := in[i][j]
			h := 1e-5 * max(1, math.Abs(x))
			in[i][j] = x + h
			up := loss()
			in[i][j] = x - h
			want[j] = (up - loss()) / (2 * h)
			in[i][j] = x
		}
		near(t, fmt.Sprintf("%s: gradient of input %d", what, i), got, want, at, gradTol)
	}
}

// near compares got with want at the given places, or everywhere if places is nil.
func near(t *testing.T, what string, got []float32, want []float64, at []int, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	if at == nil {
		for i := range got {
			at = append(at, i)
		}
	}
	scale := 0.0
	for _, i := range at {
		scale += want[i] * want[i]
	}
	scale = max(1e-3, math.Sqrt(scale/float64(len(at))))
	for _, i := range at {
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= tol*max(math.Abs(want[i]), scale)) {
			t.Errorf("%s: element %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

// checkThreads checks that results have the same bits with 1, 2 and 3 threads.
func (p *program) checkThreads(t *testing.T) {
	t.Helper()
	defer kernel.SetThreads(kernel.Threads())
	var first [][]float32
	for n := 1; n <= 3; n++ {
		kernel.SetThreads(n)
		p.run(t)
		got := [][]float32{slices.Clone(Values(p.y))}
		for _, d := range p.grads {
			if d != nil {
				got = append(got, slices.Clone(Values(d)))
			}
		}
		if n == 1 {
			first = got
			continue
		}
		for i := range got {
			for j := range got[i] {
				if math.Float32bits(got[i][j]) != math.Float32bits(first[i][j]) {
					t.Fatalf("result %d, element %d: %v with %d threads, %v with 1", i, j, got[i][j], n, first[i][j])
				}
			}
		}
	}
}

// maxBytes is what the tape itself may allocate in a run.
const maxBytes = 64 << 10

func (p *program) checkMemory(t *testing.T) {
	t.Helper()
	p.run(t)
	const runs = 5
	var a, b runtime.MemStats
	runtime.ReadMemStats(&a)
	for range runs {
		p.run(t)
	}
	runtime.ReadMemStats(&b)
	if n := (b.TotalAlloc - a.TotalAlloc) / runs; n > maxBytes {
		t.Errorf("a run allocates %d bytes, want at most %d", n, maxBytes)
	}
}

// Values returns the value of a float32 node, a scalar as one element. It is valid until the next run.
func Values(n *G.Node) []float32 {
	switch v := n.Value().(type) {
	case *tensor.Dense:
		return v.Float32s()
	case *G.F32:
		return []float32{float32(*v)}
	}
	return nil
}

func wide(x [][]float32) [][]float64 {
	out := make([][]float64, len(x))
	for i, v := range x {
		out[i] = make([]float64, len(v))
		for j, f := range v {
			out[i][j] = float64(f)
		}
	}
	return out
}
