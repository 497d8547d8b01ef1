package ops

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// MSE is the mean over the live rows of the squared error of predictions z [B, 1] with labels y [B, 1], a scalar:
//
//	(z − y)²
//
// It is summed in float64. A label that is not finite is an error of the run. The gradient of the predictions is 2(z − y)/N, and
// zero in padding rows. Labels have none. A nil rows means that all rows are live.
func MSE(pred, label *G.Node, rows *Rows) (*G.Node, error) {
	c := checker{op: "mse"}
	B, W := c.mat("predictions", pred)
	c.shape("predictions", pred, "one prediction per row", B, 1)
	c.shape("label", label, "one label per prediction", B, W)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("mse", tensor.Shape{}, pred, label)
	o.diff = []bool{true, false}
	live := 0
	p := parts(B)
	sums, bad := make([]float64, p), make([]int, p)
	loop := rowParts(B, p, func(i, lo, hi int) {
		z, y := o.in[0], o.in[1]
		sum := 0.0
		bad[i] = -1
		for r := lo; r < min(hi, live); r++ {
			if y[r]-y[r] != 0 {
				bad[i] = r
				break
			}
			d := float64(z[r]) - float64(y[r])
			sum += d * d
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
				return fmt.Errorf("label of row %d is %v, want a number", r, o.in[1][r])
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
		d[0], err = mseGrad(in[0], in[1], dy, rows)
		return d, err
	}
	return o.apply(pred, label)
}

func mseGrad(pred, label, dy *G.Node, rows *Rows) (*G.Node, error) {
	B := pred.Shape()[0]
	o := newOp("mse/dz", pred.Shape(), pred, label, dy)
	live, scale := 0, 0.0
	loop := rowParts(B, parts(B), func(_, lo, hi int) {
		z, y := o.in[0], o.in[1]
		for r := lo; r < hi; r++ {
			if r >= live {
				o.out[r] = 0
				continue
			}
			o.out[r] = float32((float64(z[r]) - float64(y[r])) * scale)
		}
	})
	o.run = func() (err error) {
		if live, err = rows.live(B); err != nil {
			return err
		}
		scale = 2 * float64(o.in[2][0]) / float64(live)
		loop()
		return nil
	}
	return o.apply(pred, label, dy)
}
