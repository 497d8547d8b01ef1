package ops

import (
	"fmt"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// SmoothLabels is the distribution over C classes [B, C] of each label y [B, 1], of which epsilon is spread over all classes:
//
//	(1 − ε)·onehot(y) + ε/C
//
// (Szegedy et al. 2016, section 7). A label of a live row that is no class is an error of the run. Padding rows are zero.
// SmoothLabels has no gradient. A nil rows means that all rows are live.
func SmoothLabels(label *G.Node, classes int, epsilon float64, rows *Rows) (*G.Node, error) {
	c := checker{op: "smooth"}
	B, _ := c.mat("label", label)
	c.shape("label", label, "one class per row", B, 1)
	if c.err != nil {
		return nil, c.err
	}
	if classes < 1 || !(epsilon >= 0 && epsilon <= 1) {
		return nil, fmt.Errorf("ops: smooth: %d classes smoothed by %v, want at least 1 and a number in [0, 1]", classes, epsilon)
	}
	o := newOp("smooth", tensor.Shape{B, classes}, label)
	o.run = func() error {
		live, err := rows.live(B)
		if err != nil {
			return err
		}
		kernel.Fill(o.out[:live*classes], float32(epsilon/float64(classes)))
		clear(o.out[live*classes:])
		for r, y := range o.in[0][:live] {
			if !(y >= 0 && y < float32(classes)) || y != float32(int(y)) {
				return fmt.Errorf("label of row %d is %v, want a class from 0 to %d", r, y, classes-1)
			}
			o.out[r*classes+int(y)] = float32(1 - epsilon + epsilon/float64(classes))
		}
		return nil
	}
	return o.apply(label)
}

// SmoothShares is the label y [B, 1] of two classes, of which epsilon is spread over both:
//
//	(1 − ε)·y + ε/2
//
// (Szegedy et al. 2016, section 7, for two classes). Labels lie in [0, 1]; another value in a live row is an error of the run. Padding rows
// are zero. SmoothShares has no gradient. A nil rows means that all rows are live.
func SmoothShares(label *G.Node, epsilon float64, rows *Rows) (*G.Node, error) {
	c := checker{op: "smooth"}
	B, _ := c.mat("label", label)
	c.shape("label", label, "one label per row", B, 1)
	if c.err != nil {
		return nil, c.err
	}
	if !(epsilon >= 0 && epsilon <= 1) {
		return nil, fmt.Errorf("ops: smooth: labels smoothed by %v, want a number in [0, 1]", epsilon)
	}
	o := newOp("smooth", tensor.Shape{B, 1}, label)
	o.run = func() error {
		live, err := rows.live(B)
		if err != nil {
			return err
		}
		clear(o.out[live:])
		for r, y := range o.in[0][:live] {
			if !isShare(y) {
				return fmt.Errorf("label of row %d is %v, want %s", r, y, wantShare)
			}
			o.out[r] = float32((1-epsilon)*float64(y) + epsilon/2)
		}
		return nil
	}
	return o.apply(label)
}
