package onnx

import "github.com/splice-ml/splice/models/ops"

// reshaped: the same numbers in rows of another width.
func (c *call) reshaped() (string, error) { return c.reshape(c.in[0], -1, c.out[1]), nil }

// turn transposes matrices: [B, F·D] → [B·D, F], or back.
func (c *call) turn() (string, error) {
	rows, cols := c.out[1], c.shape(0)[1]/c.out[1] // of a matrix of x
	if c.name == "turnback" {
		rows, cols = c.out[1]/c.shape(0)[1], c.shape(0)[1]
	}
	return c.reshape(c.transpose(c.reshape(c.in[0], -1, rows, cols), 0, 2, 1), -1, c.out[1]), nil
}

// take picks columns, or what else lies along axis 1.
func (b *builder) take(x string, at []int) string {
	return b.add("Gather", []string{x, b.vector(at...)}, attr{"axis", 1})
}

// arrange: groups of values in another order.
func (c *call) arrange() (string, error) {
	order := c.form.([]int)
	return c.reshape(c.take(c.reshape(c.in[0], -1, len(order)), order), -1, c.out[1]), nil
}

// inner: a [B, M·D], b [B, N·D] → [B, M·N], ⟨a_i, b_j⟩.
func (c *call) inner() (string, error) {
	return c.reshape(c.products(c.in[0], c.in[1], c.form.(int)), -1, c.out[1]), nil
}

// products are A·Bᵀ of each row, whose matrices a and b consist of vectors of that width: [B, M, N].
func (c *call) products(a, b string, dim int) string {
	shape := func(x string) string { return c.reshape(x, 0, -1, dim) }
	return c.do("MatMul", shape(a), c.transpose(shape(b), 0, 2, 1))
}

// pairs returns the first and the second one of all pairs of n, in the order of [ops.InnerPairs].
func pairs(n int) (first, second []int) {
	for i := range n {
		for j := i + 1; j < n; j++ {
			first, second = append(first, i), append(second, j)
		}
	}
	return first, second
}

// innerPairs: e [B, F·D] → [B, F·(F−1)/2], ⟨e_i, e_j⟩ for i < j.
func (c *call) innerPairs() (string, error) {
	F := c.form.(int)
	at, second := pairs(F)
	for k, j := range second {
		at[k] = at[k]*F + j
	}
	all := c.products(c.in[0], c.in[0], c.shape(0)[1]/F)
	return c.take(c.reshape(all, -1, F*F), at), nil
}

// pairProducts: u [B, (F−1)·D] or [B, P·D], v [B, F·D] → [B, P·D], u_i ⊙ v_j for i < j.
func (c *call) pairProducts() (string, error) {
	D := c.form.(int)
	first, second := pairs(c.shape(1)[1] / D)
	u, v := c.reshape(c.in[0], 0, -1, D), c.reshape(c.in[1], 0, -1, D)
	if c.shape(0)[1] != c.out[1] {
		u = c.take(u, first)
	}
	return c.reshape(c.do("Mul", u, c.take(v, second)), -1, c.out[1]), nil
}

// bilinear: a [R, M], b [R, N], w [H, M, N], bias [H] → [R, H], a·W_h·b + bias_h.
func (c *call) bilinear() (string, error) {
	w := c.shape(2)
	z := c.do("Mul", c.unsqueeze(c.in[0], 2), c.unsqueeze(c.in[1], 1)) // [R, M, N]
	return c.affine(c.reshape(z, -1, w[1]*w[2]), c.reshape(c.in[2], w[0], w[1]*w[2]), c.in[3]), nil
}

// factorized: h = [a, c] → a + a ⊙ c, or [a, a ⊙ c].
func (c *call) factorized() (string, error) {
	K := c.shape(0)[1] / 2
	a := c.columnsOf(c.in[0], 0, K)
	z := c.do("Mul", a, c.columnsOf(c.in[0], K, K))
	if c.form.(bool) {
		return c.do("Add", a, z), nil
	}
	return c.builder.add("Concat", []string{a, z}, attr{"axis", 1}), nil
}

// maskedCross: x0 ⊙ ([h, h ⊙ max(n, 0)] + b) + x.
func (c *call) maskedCross() (string, error) {
	x0, x, h, n, bias := c.in[0], c.in[1], c.in[2], c.in[3], c.in[4]
	z := c.builder.add("Concat", []string{h, c.do("Mul", h, c.do("Relu", n))}, attr{"axis", 1})
	return c.do("Add", c.do("Mul", x0, c.do("Add", z, bias)), x), nil
}

// headNorm: x [B·H, W], of which a head is a channel.
func (c *call) headNorm() (string, error) {
	heads := len(c.form.(ops.BatchNormForm).Stats.Mean)
	return c.reshape(c.normed(c.reshape(c.in[0], -1, heads, c.out[1])), -1, c.out[1]), nil
}
