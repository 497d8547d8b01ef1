package ops

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Target is what a loss compares the outputs of a batch with.
type Target struct {
	Label  *G.Node // [B, 1]; [B, C] of distributions over classes
	Weight *G.Node // [B, 1]: that of each row, 0 or more; nil: 1 for all rows
	Rows   *Rows   // the live rows; nil: all rows are live
}

// inputs returns xs and then the nodes of the target.
func (t Target) inputs(xs ...*G.Node) []*G.Node {
	xs = append(slices.Clip(xs), t.Label)
	if t.Weight != nil {
		xs = append(xs, t.Weight)
	}
	return xs
}

// check checks the shape of the weights.
func (t Target) check(c *checker, batch int) {
	if t.Weight != nil {
		c.shape("weight", t.Weight, "one weight per row", batch, 1)
	}
}

// isWeight reports whether a row can have the weight.
func isWeight(w float32) bool { return w >= 0 && w-w == 0 }

// weightFault is the error of a row that cannot have its weight.
func weightFault(r int, w float32) error {
	return fmt.Errorf("weight of row %d is %v, want a finite number of 0 or more", r, w)
}

// rowLoss is a loss of rows that each have a number from every one of the nodes xs [B, 1], and a label y: a scalar, the mean over the N
// live rows, w being their weights,
//
//	Σ_r w_r·loss(x_r, y_r)/N
//
// It is summed in float64. So a row counts for as much whichever rows are beside it, and a row of weight 2 is two rows for the numerator
// alone. A row of weight 0 has no part: its label may be anything. The gradient of xs[i] is w_r·slope(x_r, y_r)/N, and zero in padding
// rows. Labels and weights have none.
type rowLoss struct {
	name  string
	what  string                              // what a row of xs is: a logit
	cost  int                                 // about how many additions the loss of a row takes
	label func(y float32) bool                // reports whether a row can have the label
	want  string                              // what a label must be
	loss  func(x [][]float32, r int) float64  // of row r; the label is the last of x
	slope func(x [][]float32, r int) float64  // the derivative of loss by x[0][r]
	order func(xs []*G.Node, i int) []*G.Node // xs as slope takes them for input i; nil: there is one
}

// apply returns the node of the loss.
func (l rowLoss) apply(t Target, xs ...*G.Node) (*G.Node, error) {
	c := checker{op: l.name}
	B, _ := c.mat(l.what+"s", xs[0])
	for i, x := range xs {
		name := l.what + "s"
		if i > 0 {
			name += " of the other pass"
		}
		c.shape(name, x, "one "+l.what+" per row", B, 1)
	}
	c.shape("label", t.Label, "one label per "+l.what, B, 1)
	t.check(&c, B)
	if c.err != nil {
		return nil, c.err
	}
	n := len(xs)
	in := t.inputs(xs...)
	o := newOp(l.name, tensor.Shape{}, in...)
	o.diff = make([]bool, len(in))
	for i := range n {
		o.diff[i] = true
	}
	live := 0
	p := parts(n * B * l.cost)
	sums, bad := make([]float64, p), make([]int, p)
	loop := rowParts(B, p, func(i, lo, hi int) {
		x, y := o.in[:n+1], o.in[n]
		var w []float32
		if t.Weight != nil {
			w = o.in[n+1]
		}
		sum := 0.0
		bad[i] = -1
		for r := lo; r < min(hi, live); r++ {
			if w != nil && w[r] == 0 {
				continue
			}
			if !l.label(y[r]) || w != nil && !isWeight(w[r]) {
				bad[i] = r
				break
			}
			v := l.loss(x, r)
			if w != nil {
				v *= float64(w[r])
			}
			sum += v
		}
		sums[i] = sum
	})
	o.run = func() (err error) {
		if live, err = t.Rows.live(B); err != nil {
			return err
		}
		loop()
		sum := 0.0
		for i, s := range sums {
			if r := bad[i]; r >= 0 {
				if y := o.in[n][r]; !l.label(y) {
					return fmt.Errorf("label of row %d is %v, want %s", r, y, l.want)
				}
				return weightFault(r, o.in[n+1][r])
			}
			sum += s
		}
		o.out[0] = float32(sum / float64(live))
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		d := make(G.Nodes, len(in))
		for i := range n {
			if !need[i] {
				continue
			}
			at := []*G.Node(in[:n])
			if l.order != nil {
				at = l.order(at, i)
			}
			var err error
			if d[i], err = l.grad(t, dy, at...); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return o.apply(in...)
}

// grad returns the gradient of the first of xs.
func (l rowLoss) grad(t Target, dy *G.Node, xs ...*G.Node) (*G.Node, error) {
	B, n := xs[0].Shape()[0], len(xs)
	in := append(t.inputs(xs...), dy)
	o := newOp(l.name+"/dz", xs[0].Shape(), in...)
	live, scale := 0, 0.0
	loop := rowParts(B, parts(n*B*l.cost), func(_, lo, hi int) {
		x := o.in[:n+1]
		var w []float32
		if t.Weight != nil {
			w = o.in[n+1]
		}
		for r := lo; r < hi; r++ {
			switch {
			case r >= live || w != nil && w[r] == 0:
				o.out[r] = 0
			case w != nil:
				o.out[r] = float32(l.slope(x, r) * float64(w[r]) * scale)
			default:
				o.out[r] = float32(l.slope(x, r) * scale)
			}
		}
	})
	o.run = func() (err error) {
		if live, err = t.Rows.live(B); err != nil {
			return err
		}
		scale = float64(o.in[len(in)-1][0]) / float64(live)
		loop()
		return nil
	}
	return o.apply(in...)
}

// isShare reports whether a label is in [0, 1].
func isShare(y float32) bool { return y >= 0 && y <= 1 }

const wantShare = "a number in [0, 1]"
