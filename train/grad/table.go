package grad

import (
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/dist"
)

// table is the sum of the gradients of a table's rows.
type table struct {
	param *nn.Param
	tree  dist.Tree[*rows] // of this rank's shards
	all   dist.Tree[*rows] // of all ranks'
	spare []*rows
	empty models.RowGrad
	views []rows // of what the ranks sent
}

// rows are the gradients of a node.
type rows struct {
	models.RowGrad
	view bool // in memory of an exchange
}

func newTable(q *nn.Param) *table {
	t := &table{param: q, empty: models.RowGrad{Param: q}}
	t.tree.Add = func(a, b *rows) *rows {
		to := t.take()
		merge(&to.RowGrad, &a.RowGrad, &b.RowGrad, 1)
		t.put(a)
		t.put(b)
		return to
	}
	t.all.Add = t.tree.Add
	return t
}

func (t *table) take() *rows {
	if k := len(t.spare); k > 0 {
		r := t.spare[k-1]
		t.spare = t.spare[:k-1]
		return r
	}
	return &rows{RowGrad: models.RowGrad{Param: t.param}}
}

func (t *table) put(r *rows) {
	if !r.view {
		t.spare = append(t.spare, r)
	}
}

// begin starts a step.
func (t *table) begin() {
	for _, tree := range [...]*dist.Tree[*rows]{&t.tree, &t.all} {
		nodes, sums := tree.Nodes()
		for i, n := range nodes {
			if n.Has {
				t.put(sums[i])
			}
		}
		tree.Reset()
	}
}

// leaf takes in the gradients of a shard, times its weight.
func (t *table) leaf(n dist.Node, g *models.RowGrad, weight float32) {
	r := t.take()
	merge(&r.RowGrad, &t.empty, g, weight)
	t.tree.Push(n, r)
}

// root returns the sum over all shards, if this rank has them all.
func (t *table) root() *rows {
	_, sums := t.tree.Nodes()
	return sums[0]
}
