package ops

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// FieldRows puts the F vectors that lie side by side in a row one below the other: x [B, F·D] → [B·F, D]. So a layer over rows takes
// each of them alone. [JoinRows] undoes it. Both copy x and dy as they are.
func FieldRows(x *G.Node, fields int) (*G.Node, error) {
	c := checker{op: "fieldrows"}
	B, W := c.mat("x", x)
	c.divides(x, W, fields)
	if c.err != nil {
		return nil, c.err
	}
	return reshaped(c.op, x, B*fields, W/fields)
}

// JoinRows puts F rows at a time side by side: x [B·F, D] → [B, F·D], as [FieldRows] had them.
func JoinRows(x *G.Node, fields int) (*G.Node, error) {
	c := checker{op: "joinrows"}
	R, D := c.mat("x", x)
	if c.err == nil && (fields < 1 || R%fields != 0) {
		c.fail("x is %v, want a number of rows that %d divides", x.Shape(), fields)
	}
	if c.err != nil {
		return nil, c.err
	}
	return reshaped(c.op, x, R/fields, D*fields)
}

// divides checks that a row of x has so many vectors of one width.
func (c *checker) divides(x *G.Node, width, fields int) {
	if c.err == nil && (fields < 1 || width%fields != 0) {
		c.fail("x is %v, want a width that %d fields divide", x.Shape(), fields)
	}
}

// reshaped returns a copy of x in another shape.
func reshaped(name string, x *G.Node, rows, cols int) (*G.Node, error) {
	o := newOp(name, tensor.Shape{rows, cols}, x)
	loop := flat(rows*cols, func(lo, hi int) { copy(o.out[lo:hi], o.in[0][lo:hi]) })
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, _ []bool) (G.Nodes, error) {
		s := in[0].Shape()
		d, err := reshaped(name+"/dx", dy, s[0], s[1])
		return G.Nodes{d}, err
	}
	return o.apply(x)
}

// Turn transposes the F vectors of each row: x [B, F·D] → [B·D, F], whose row b·D + d has element d of each vector. So a layer over
// rows mixes fields and leaves the elements apart. [TurnBack] undoes it. The backward pass of each is the other one.
func Turn(x *G.Node, fields int) (*G.Node, error) {
	c := checker{op: "turn"}
	B, W := c.mat("x", x)
	c.divides(x, W, fields)
	if c.err != nil {
		return nil, c.err
	}
	return turned(c.op, x, B, fields, W/fields, tensor.Shape{B * W / fields, fields})
}

// TurnBack puts the vectors that [Turn] has transposed side by side again: x [B·D, F] → [B, F·D].
func TurnBack(x *G.Node, dim int) (*G.Node, error) {
	c := checker{op: "turnback"}
	R, F := c.mat("x", x)
	if c.err == nil && (dim < 1 || R%dim != 0) {
		c.fail("x is %v, want a number of rows that %d divides", x.Shape(), dim)
	}
	if c.err != nil {
		return nil, c.err
	}
	return turned(c.op, x, R/dim, dim, F, tensor.Shape{R / dim, F * dim})
}

// turned transposes the B matrices [m, n] that x consists of; its value has that shape.
func turned(name string, x *G.Node, B, m, n int, shape tensor.Shape) (*G.Node, error) {
	o := newOp(name, shape, x)
	loop := rowwise(B, m*n, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			x, y := o.in[0][r*m*n:(r+1)*m*n], o.out[r*m*n:(r+1)*m*n]
			for i := range m {
				for j, v := range x[i*n : (i+1)*n] {
					y[j*m+i] = v
				}
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, _ []bool) (G.Nodes, error) {
		d, err := turned(name+"/dx", dy, B, n, m, in[0].Shape())
		return G.Nodes{d}, err
	}
	return o.apply(x)
}
