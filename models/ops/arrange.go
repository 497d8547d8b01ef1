package ops

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Arrange puts the values of groups of rows in another order, and cuts them into rows anew. order is a permutation of 0 to n−1: with the
// values of x as rows v of n values,
//
//	y_j = v_{order_j}  for each row v, read as rows of cols values
//
// x [B, K] → [B·K/cols, cols]. n is a multiple of K and of cols, and so many rows of x belong together. With x the vectors of fields side by
// side, [B, F·D], an order makes rows of the fields' values in each dimension, [B·D, F], or of the heads of each field. Its backward pass is the
// inverse order.
func Arrange(x *G.Node, order []int, cols int) (*G.Node, error) {
	c := checker{op: "arrange"}
	B, K := c.mat("x", x)
	n := len(order)
	if c.err == nil && (n == 0 || n%K != 0 || B*K%n != 0 || cols < 1 || n%cols != 0) {
		c.fail("x is %v, which is not of whole groups of %d values in rows of %d", x.Shape(), n, cols)
	}
	back := make([]int, n)
	for i := range back {
		back[i] = -1
	}
	for i, from := range order {
		if c.err == nil && (from < 0 || from >= n || back[from] >= 0) {
			c.fail("place %d takes value %d of %d, which is not there or is taken twice", i, from, n)
		}
		if c.err == nil {
			back[from] = i
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	groups := B * K / n
	o := newOp(c.op, tensor.Shape{groups * n / cols, cols}, x)
	o.form = order
	loop := rowwise(groups, n, func(lo, hi int) {
		for g := lo; g < hi; g++ {
			y, v := o.out[g*n:(g+1)*n], o.in[0][g*n:(g+1)*n]
			for i, from := range order {
				y[i] = v[from]
			}
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(_ G.Nodes, _, dy *G.Node, _ []bool) (G.Nodes, error) {
		d, err := Arrange(dy, back, K)
		return G.Nodes{d}, err
	}
	return o.apply(x)
}
