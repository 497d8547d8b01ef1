package ops

import (
	"fmt"

	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
)

// DropoutRows is [Dropout] of a table [V, D] of which x, [n, D], has the rows with the ids: the elements of an id that are dropped are the same
// wherever it stands, and in each op of that name, and those that Dropout of the whole table by that name drops. A row of an id below
// 0 is 0. ids, and used, which says how many rows are in use (all, if it is nil), are shared by pointer and read at each run. Rows behind
// those are neither read nor written.
func DropoutRows(x *G.Node, p float64, name string, step *Step, ids *[]int32, used *int) (*G.Node, error) {
	c := checker{op: "dropoutrows"}
	n, _ := c.mat("x", x)
	switch {
	case !(p >= 0 && p < 1):
		c.fail("%s: probability %v, want a number in [0, 1)", name, p)
	case step == nil:
		c.fail("%s: no step to draw the mask from", name)
	case c.err == nil && listLen(ids, []*G.Node{x}) != n:
		c.fail("%s: %d ids for %d rows", name, listLen(ids, []*G.Node{x}), n)
	}
	if c.err != nil {
		return nil, c.err
	}
	if p == 0 {
		return x, nil
	}
	step.drawn = true
	d := &dropRows{p: float32(p), key: rng.Key(0, "dropout", name), step: step, ids: ids, used: used}
	o := d.mask("dropoutrows", x)
	o.grad = func(_ G.Nodes, _, dy *G.Node, _ []bool) (G.Nodes, error) {
		dx, err := d.mask("dropoutrows/dx", dy).apply(dy)
		return G.Nodes{dx}, err
	}
	return o.apply(x)
}

// dropRows is what the passes of one DropoutRows share.
type dropRows struct {
	p    float32
	key  uint64
	step *Step
	ids  *[]int32
	used *int
}

// mask is the op x·mask/(1−p).
func (d *dropRows) mask(name string, x *G.Node) *op {
	n, width := x.Shape()[0], x.Shape()[1]
	o := newOp(name, x.Shape(), x)
	var k uint64
	live := n
	loop := rowwise(n, width, func(lo, hi int) {
		for i := lo; i < min(hi, live); i++ {
			y, id := o.out[i*width:(i+1)*width], (*d.ids)[i]
			if id < 0 {
				clear(y)
				continue
			}
			kernel.DropoutMask(y, o.in[0][i*width:(i+1)*width], k, uint64(id)*uint64(width), d.p)
		}
	})
	o.run = func() error {
		if len(*d.ids) != n {
			return fmt.Errorf("%d ids, want %d as when the graph was built", len(*d.ids), n)
		}
		if d.used != nil {
			live = min(n, *d.used)
		}
		k = rng.Mix(rng.Mix(d.key^d.step.Seed) + uint64(d.step.N))
		loop()
		return nil
	}
	return o
}
