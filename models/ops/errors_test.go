package ops_test

import (
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Wrong inputs are errors when the graph is built, naming the op and the shapes.
func TestShapeErrors(t *testing.T) {
	g := G.NewGraph()
	in := func(name string, s ...int) *G.Node {
		return G.NewTensor(g, tensor.Float32, len(s), G.WithShape(s...), G.WithName(name))
	}
	x, w, b := in("x", 4, 6), in("w", 3, 6), in("b", 3)
	y, z, v := in("y", 4, 1), in("z", 5, 6), in("v", 6)
	sq := in("sq", 6, 6)
	d := G.NewMatrix(g, tensor.Float64, G.WithShape(4, 6), G.WithName("d"))
	st := &ops.BatchStats{Mean: make([]float32, 6), Var: make([]float32, 6), Momentum: .1, Eps: 1e-5}
	node := func(n *G.Node, err error) error { return err }
	nodes := func(n G.Nodes, err error) error { return err }
	for _, tc := range []struct {
		got  error
		want string
	}{
		{node(ops.Linear(nil, w, b, kernel.None)), "ops: linear: x is nil"},
		{node(ops.Linear(x, w, in("b4", 4), kernel.None)), "ops: linear: b is (4), want (3): the bias has one value per output"},
		{node(ops.Linear(x, in("w5", 3, 5), b, kernel.None)), "ops: linear: w is (3, 5), want (3, 6): x and w need the same inner width"},
		{node(ops.Linear(d, w, b, kernel.None)), "ops: linear: x (4, 6) is float64, want float32"},
		{node(ops.Linear(v, w, b, kernel.None)), "ops: linear: x is (6), want a matrix [batch, width]"},
		{node(ops.Linear(x, w, b, 9)), "ops: linear: unknown activation kernel.Act(9)"},
		{node(ops.Activate(x, 9)), "ops: activate: unknown activation kernel.Act(9)"},
		{node(ops.Pairwise(x, 4)), "ops: pairwise: e is (4, 6), want a width that 4 fields divide"},
		{node(ops.Pairwise(x, 0)), "ops: pairwise: e is (4, 6), want a width that 0 fields divide"},
		{node(ops.FieldRows(x, 4)), "ops: fieldrows: x is (4, 6), want a width that 4 fields divide"},
		{node(ops.JoinRows(x, 3)), "ops: joinrows: x is (4, 6), want a number of rows that 3 divides"},
		{node(ops.Turn(x, 4)), "ops: turn: x is (4, 6), want a width that 4 fields divide"},
		{node(ops.TurnBack(x, 3)), "ops: turnback: x is (4, 6), want a number of rows that 3 divides"},
		{node(ops.Inner(x, z, 2)), "ops: inner: a is (4, 6) and b (5, 6), want equally many rows of vectors of 2"},
		{node(ops.Inner(x, x, 4)), "ops: inner: a is (4, 6) and b (4, 6), want equally many rows of vectors of 4"},
		{node(ops.InnerPairs(x, 1)), "ops: innerpairs: e is (4, 6), want a width that 1 fields divide, of which there are at least 2"},
		{node(ops.PairProducts(x, x, 6)), "ops: pairproducts: v is (4, 6), want at least 2 vectors of 6"},
		{
			node(ops.PairProducts(in("u", 4, 3), x, 2)),
			"ops: pairproducts: u is (4, 3) for v (4, 6), want as many rows, of 4 columns, or of 6 for vectors of all pairs",
		},
		{node(ops.Bilinear(x, z, w, b)), "ops: bilinear: a is (4, 6) and b (5, 6), want equally many rows"},
		{node(ops.Bilinear(x, x, w, b)), "ops: bilinear: w is (3, 6), want [out, 6, 6]"},
		{node(ops.Bilinear(x, x, in("w3", 3, 6, 6), v)), "ops: bilinear: bias is (6), want (3): each output has a bias"},
		{node(ops.Cross(z, x, in("w1", 1, 6), v)), "ops: cross: x0 is (5, 6), want (4, 6): x0 and x have one shape"},
		{node(ops.Cross(x, x, w, v)), "ops: cross: w is (3, 6), want (1, 6): one weight per column of x"},
		{node(ops.CrossV2(x, x, w, v)), "ops: crossv2: w is (3, 6), want (6, 6): x is as wide on both sides of w"},
		{node(ops.CrossV2(x, x, sq, b)), "ops: crossv2: b is (3), want (6): one value per column"},
		{node(ops.CrossLowRank(x, x, w, w, v)), "ops: crosslowrank: u is (3, 6), want (6, 3): u is as wide as v is high"},
		{node(ops.Dropout(x, 1, "a", &ops.Step{})), "ops: dropout: a: probability 1, want a number in [0, 1)"},
		{node(ops.Dropout(x, .5, "a", nil)), "ops: dropout: a: no step to draw the mask from"},
		{node(ops.BatchNorm(x, b, v, st, kernel.None, nil, true)), "ops: batchnorm: gamma is (3), want (6): one value per column"},
		{node(ops.BatchNorm(x, v, v, nil, kernel.None, nil, true)), "ops: batchnorm: no running statistics"},
		{
			node(ops.BatchNorm(x, v, v, &ops.BatchStats{}, kernel.None, nil, true)),
			"ops: batchnorm: running statistics of 0 and 0 columns, x is (4, 6)",
		},
		{
			node(ops.BatchNorm(x, v, v, &ops.BatchStats{Mean: st.Mean, Var: st.Var}, kernel.None, nil, true)),
			"ops: batchnorm: eps 0, want a number above 0",
		},
		{node(ops.LayerNorm(x, v, v, 0)), "ops: layernorm: eps 0, want a number above 0"},
		{node(ops.Concat()), "ops: concat: no inputs"},
		{node(ops.Concat(x, z)), "ops: concat: inputs are (4, 6) and (5, 6), want equally many rows"},
		{node(ops.Add()), "ops: add: no inputs"},
		{node(ops.Add(x, z)), "ops: add: inputs are (4, 6) and (5, 6), want one shape"},
		{node(ops.Add(x, nil)), "ops: add: input is nil"},
		{node(ops.Mul(x, z)), "ops: mul: b is (5, 6), want (4, 6): a and b have one shape"},
		{node(ops.SumCols(v)), "ops: sumcols: x is (6), want a matrix [batch, width]"},
		{node(ops.BCE(x, ops.Target{Label: y})), "ops: bce: logits is (4, 6), want (4, 1): one logit per row"},
		{node(ops.BCE(y, ops.Target{Label: x})), "ops: bce: label is (4, 6), want (4, 1): one label per logit"},
		{nodes(ops.Grad(y, x)), "ops: grad: loss is (4, 1), want (): the loss is a scalar"},
		{nodes(ops.Grad(nil, x)), "ops: grad: loss is nil"},
	} {
		if tc.got == nil || tc.got.Error() != tc.want {
			t.Errorf("error %v, want %q", tc.got, tc.want)
		}
	}
}
