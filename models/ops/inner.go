package ops

import (
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Inner has the inner products of all vectors of a with all of b, A_r·B_rᵀ for each row: a [B, M·D] and b [B, N·D], vectors of D numbers
// side by side → [B, M·N], whose column i·N + j is ⟨a_i, b_j⟩.
//
// Its backward pass is dA_r = dY_r·B_r and dB_r = dY_rᵀ·A_r. a and b may be the same node.
func Inner(a, b *G.Node, dim int) (*G.Node, error) {
	c := checker{op: "inner"}
	B, aw := c.mat("a", a)
	rows, bw := c.mat("b", b)
	if c.err == nil && (rows != B || dim < 1 || aw%dim != 0 || bw%dim != 0) {
		c.fail("a is %v and b %v, want equally many rows of vectors of %d", a.Shape(), b.Shape(), dim)
	}
	if c.err != nil {
		return nil, c.err
	}
	M, N := aw/dim, bw/dim
	precision := precisionOf(a, b)
	o := newOp(c.op, tensor.Shape{B, M * N}, a, b)
	o.form = dim
	loop := rowwise(B, M*N*dim, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			precision.GemmST(false, true, M, N, dim, o.in[0][r*aw:], dim, o.in[1][r*bw:], dim, o.out[r*M*N:], N, false)
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, need []bool) (G.Nodes, error) {
		d := make(G.Nodes, 2)
		var err error
		if need[0] {
			if d[0], err = innerGrad("inner/da", false, dy, in[1], M, N, dim, precision); err != nil {
				return nil, err
			}
		}
		if need[1] {
			d[1], err = innerGrad("inner/db", true, dy, in[0], N, M, dim, precision)
		}
		return d, err
	}
	return o.apply(a, b)
}

// innerGrad is op(dY_r)·X_r for each row, [m, k]·[k, D]; with trans dY_r is transposed.
func innerGrad(name string, trans bool, dy, x *G.Node, m, k, dim int, precision kernel.Precision) (*G.Node, error) {
	B, ld := dy.Shape()[0], k
	if trans {
		ld = m
	}
	o := newOp(name, tensor.Shape{B, m * dim}, dy, x)
	loop := rowwise(B, m*k*dim, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			precision.GemmST(trans, false, m, dim, k, o.in[0][r*m*k:], ld, o.in[1][r*k*dim:], dim, o.out[r*m*dim:], dim, false)
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	return o.apply(dy, x)
}
