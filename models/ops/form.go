package ops

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// BatchNormForm is what [FormOf] returns of a [BatchNorm], and without an activation of a [HeadNorm].
type BatchNormForm struct {
	Stats *BatchStats
	Act   kernel.Act
}

// WeightedPoolForm is what [FormOf] returns of a [WeightedPool].
type WeightedPoolForm struct {
	Tokens  *Tokens
	Softmax bool
}

// FormOf tells what the op of a node computes, for whoever writes a graph in another form: its name, which is that of its function in small
// letters, and what the function was called with beside nodes. That is an activation (kernel.Act), a GELUForm, the options of Attention,
// GRU and Dice, the eps of a layer norm (float64), the factor of Scale (float64), the fields of Pairwise and InnerPairs, the width of a
// vector of Inner and PairProducts or the first column of Columns (int), the order of Arrange ([]int), whether Factorized adds its terms
// (bool), the lists of ids of Lookup ([]*[]int32), the list of PickRows (*[]int32), the Tokens of other ops over sequences, or nil where the
// shapes say all. ok is false for a leaf, and for a node whose op is not of this package.
func FormOf(n *G.Node) (name string, form any, ok bool) {
	o, ok := n.Op().(*op)
	if !ok {
		return "", nil, false
	}
	return o.name, o.form, true
}

// Operands returns the nodes that a node is computed from, in the order of its op's inputs; none for a leaf.
func Operands(n *G.Node) G.Nodes {
	var in G.Nodes
	for it := n.Graph().From(n.ID()); it.Next(); {
		in = append(in, it.Node().(*G.Node))
	}
	return in
}
