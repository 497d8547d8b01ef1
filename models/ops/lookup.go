package ops

import (
	"fmt"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Lookup is the sum of rows of tables W_k [V_k, H], with one row of each table for every entry of its ids. The result is [n, H]:
//
//	y_i = Σ_k W_k[ids_k[i]]
//
// So the embeddings of a transformer are the sum of those of token, position and segment. ids are shared by pointer and read at
// each run; their length n must not change. An id of -1 stands for a row of zeros. Any other id outside of its table is an error of
// the run.
//
// The gradient of a table is a whole matrix, with zeros in the rows that were not looked up. Lookup is for tables of words, whose
// optimizer moves every row anyway. Tables of recommenders stay outside of the graph, in package embed.
func Lookup(tables []*G.Node, ids []*[]int32) (*G.Node, error) {
	c := checker{op: "lookup"}
	if len(tables) == 0 || len(tables) != len(ids) || ids[0] == nil || listLen(ids[0], tables) == 0 {
		return nil, fmt.Errorf("ops: lookup: %d tables and %d lists of ids, want one list for each, none empty", len(tables), len(ids))
	}
	_, H := c.mat("table", tables[0])
	l := &lookup{ids: ids, n: listLen(ids[0], tables), H: H, V: make([]int, len(tables))}
	for k, t := range tables {
		l.V[k], _ = c.mat("table", t)
		if c.err == nil {
			c.shape("table", t, "tables of one width", l.V[k], H)
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("lookup", tensor.Shape{l.n, H}, tables...)
	o.form = ids
	loop := rowwise(l.n, H, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y := o.out[i*H : (i+1)*H]
			for k, w := range o.in {
				at := int((*ids[k])[i]) * H
				switch {
				case at < 0 && k == 0:
					clear(y)
				case at < 0:
				case k == 0:
					copy(y, w[at:at+H])
				default:
					kernel.Add(y, w[at:at+H])
				}
			}
		}
	})
	o.run = func() error {
		if err := l.check(); err != nil {
			return err
		}
		loop()
		return nil
	}
	o.grad = l.grad
	return o.apply(tables...)
}

// lookup is what the passes of one op share.
type lookup struct {
	ids  []*[]int32
	n, H int
	V    []int // rows of each table
}

// check reports ids outside of their tables.
func (l *lookup) check() error {
	for k, list := range l.ids {
		if len(*list) != l.n {
			return fmt.Errorf("%d ids of table %d, want %d as when the graph was built", len(*list), k+1, l.n)
		}
		for i, id := range *list {
			if id < -1 || int(id) >= l.V[k] {
				return fmt.Errorf("id %d of row %d is outside of table %d, which has %d rows: "+
					"was the text encoded with another vocabulary?", id, i, k+1, l.V[k])
			}
		}
	}
	return nil
}

// grad is dW_k[id] = Σ dy_i over the rows i with that id, in the order of the rows. Each chunk has a range of ids.
func (l *lookup) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	grads := make(G.Nodes, len(in))
	for k := range in {
		if !need[k] {
			continue
		}
		V, ids := l.V[k], l.ids[k]
		t := tableGradient(V, l.H, l.n, in)
		o := newOpOn("lookup/dtable", in[k].Shape(), t.values, dy, out) // out: only to run after it, which checks the ids
		p := min(V, parts(l.n*l.H))
		loop := rowParts(V, p, func(_, lo, hi int) {
			for i, id := range *ids {
				if r := int(id); r >= lo && r < hi {
					kernel.Add(o.out[r*l.H:(r+1)*l.H], o.in[0][i*l.H:(i+1)*l.H])
				}
			}
		})
		o.run = func() error {
			t.begin(*ids)
			loop()
			return nil
		}
		var err error
		if grads[k], err = o.apply(dy, out); err != nil {
			return nil, err
		}
	}
	return grads, nil
}

// tableGrad is the gradient of a table. Its rows that were not looked up stay zero without being written. Whoever runs next clears
// those that were, so that graphs can share it.
type tableGrad struct {
	values  []float32 // [V, H]
	touched []int32   // rows of the last run that are not zero
	mark    []bool    // [V]: the same rows
}

func newTableGrad(V, H, n int) *tableGrad {
	return &tableGrad{values: make([]float32, V*H), touched: make([]int32, 0, min(V, n)), mark: make([]bool, V)}
}

// begin clears what the last run left, and notes the rows of this one.
func (t *tableGrad) begin(ids []int32) {
	H := len(t.values) / len(t.mark)
	for _, r := range t.touched {
		clear(t.values[int(r)*H : int(r+1)*H])
		t.mark[r] = false
	}
	t.touched = t.touched[:0]
	for _, id := range ids {
		if id >= 0 && !t.mark[id] {
			t.mark[id] = true
			t.touched = append(t.touched, id)
		}
	}
}
