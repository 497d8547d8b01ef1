package ops

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// BCE is the mean over the live rows of the binary cross-entropy of logits z [B, 1] with labels y [B, 1], a scalar:
//
//	max(z, 0) − z·y + log(1 + exp(−|z|))
//
// It is summed in float64. Labels lie in [0, 1]; another value is an error of the run. The gradient of the logits is (σ(z) − y)/N,
// and zero in padding rows. Labels have none. A nil rows means that all rows are live.
func BCE(logits, label *G.Node, rows *Rows) (*G.Node, error) {
	c := checker{op: "bce"}
	B, W := c.mat("logits", logits)
	c.shape("logits", logits, "one logit per row", B, 1)
	c.shape("label", label, "one label per logit", B, W)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("bce", tensor.Shape{}, logits, label)
	o.diff = []bool{true, false}
	live := 0
	p := parts(B * bceCost)
	sums, bad := make([]float64, p), make([]int, p)
	loop := rowParts(B, p, func(i, lo, hi int) {
		z, y := o.in[0], o.in[1]
		sum := 0.0
		bad[i] = -1
		for r := lo; r < min(hi, live); r++ {
			x, t := float64(z[r]), float64(y[r])
			if !(t >= 0 && t <= 1) {
				bad[i] = r
				break
			}
			sum += max(x, 0) - x*t + math.Log1p(math.Exp(-math.Abs(x)))
		}
		sums[i] = sum
	})
	o.run = func() (err error) {
		if live, err = rows.live(B); err != nil {
			return err
		}
		loop()
		sum := 0.0
		for i, s := range sums {
			if r := bad[i]; r >= 0 {
				return fmt.Errorf("label of row %d is %v, want a number in [0, 1]", r, o.in[1][r])
			}
			sum += s
		}
		o.out[0] = float32(sum / float64(live))
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		d := make(G.Nodes, 2)
		if !need[0] {
			return d, nil
		}
		var err error
		d[0], err = bceGrad(in[0], in[1], dy, rows)
		return d, err
	}
	return o.apply(logits, label)
}

// bceCost is about how many additions the exponential and the logarithm of a row take.
const bceCost = 32

func bceGrad(logits, label, dy *G.Node, rows *Rows) (*G.Node, error) {
	B := logits.Shape()[0]
	o := newOp("bce/dz", logits.Shape(), logits, label, dy)
	live, scale := 0, 0.0
	loop := rowParts(B, parts(B*bceCost), func(_, lo, hi int) {
		z, y := o.in[0], o.in[1]
		for r := lo; r < hi; r++ {
			if r >= live {
				o.out[r] = 0
				continue
			}
			o.out[r] = float32((1/(1+math.Exp(-float64(z[r]))) - float64(y[r])) * scale)
		}
	})
	o.run = func() (err error) {
		if live, err = rows.live(B); err != nil {
			return err
		}
		scale = float64(o.in[2][0]) / float64(live)
		loop()
		return nil
	}
	return o.apply(logits, label, dy)
}
