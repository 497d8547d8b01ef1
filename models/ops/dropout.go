package ops

import (
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// Step is the seed of a run and the number of its current step, shared by pointer with the ops that draw random numbers. The same
// seed, step and name of an op give the same numbers on any machine.
type Step struct {
	Seed  uint64
	N     int64
	drawn bool
}

// Drawn reports whether an op that was built draws numbers from the step.
func (s *Step) Drawn() bool { return s.drawn }

// Dropout sets each element of x, of any shape, to 0 with probability p and scales the others by 1/(1−p) (Srivastava et al. 2014).
// The mask depends on (step.Seed, name, step.N) alone, where name is the path of the layer. The backward pass recomputes the mask,
// so the step must not change while the graph runs. With p = 0 the result is x itself. A graph for evaluation leaves the op out.
func Dropout(x *G.Node, p float64, name string, step *Step) (*G.Node, error) {
	c := checker{op: "dropout"}
	c.any("x", x)
	if !(p >= 0 && p < 1) {
		c.fail("%s: probability %v, want a number in [0, 1)", name, p)
	}
	if step == nil {
		c.fail("%s: no step to draw the mask from", name)
	}
	if c.err != nil {
		return nil, c.err
	}
	if p == 0 {
		return x, nil
	}
	step.drawn = true
	key := rng.Key(0, "dropout", name) // hashed once: a run mixes in the seed and the step without allocating
	o := dropMask("dropout", x, p, key, step)
	o.grad = func(_ G.Nodes, _, dy *G.Node, _ []bool) (G.Nodes, error) {
		d, err := dropMask("dropout/dx", dy, p, key, step).apply(dy)
		return G.Nodes{d}, err
	}
	return o.apply(x)
}

// dropMask is the op x·mask/(1−p).
func dropMask(name string, x *G.Node, p float64, key uint64, step *Step) *op {
	o := newOp(name, x.Shape(), x)
	var k uint64
	loop := flat(size(o.shape), func(lo, hi int) {
		kernel.DropoutMask(o.out[lo:hi], o.in[0][lo:hi], k, uint64(lo), float32(p))
	})
	o.run = func() error {
		k = rng.Mix(rng.Mix(key^step.Seed) + uint64(step.N))
		loop()
		return nil
	}
	return o
}
