package models

import (
	"cmp"
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Catalogue is what a model that predicts next items leaves to the loss: the states of all positions, and the items to be scored
// against them. The logits of a position are the products of its state with the items. There are too many of them to be held at once.
type Catalogue struct {
	States *G.Node // [R, D]
	Items  *G.Node // [V, D] if the table is a weight of the graph, else nil: see CompileOptions.WholeCatalogue
	Size   int     // V, the reserved ids included

	name    string
	table   string // full name
	dim     int
	history *History
	drawer  *drawer // draws the negatives, if the loss wants any
}

// Next returns the ids of the items that come after each position, [R], which are the labels; -1 for padding. They are filled at
// each run.
func (c *Catalogue) Next() *[]int32 { return &c.history.next }

// Catalogue returns what the model of next items left to the loss, nil if the model is none.
func (in *Inputs) Catalogue() *Catalogue { return in.catalogue }

// Rank ends a model that predicts the next item after each position. states are [R, dim], and name is that of the lookups of h. In
// training it leaves the rest to the loss and returns the states. Otherwise it returns the logits of all items after each row's last
// position, [B, V].
func (in *Inputs) Rank(s *nn.Scope, name string, h *History, states *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	dim := states.Shape()[1]
	if h.feature.Dim > 0 && h.feature.Dim != dim || h.feature.Frozen {
		s.Fail(fmt.Errorf("column %s: a model that ranks the catalogue by a loss over all items trains their embeddings, of its own width: "+
			"leave embedding_dim, pretrained.dim and pretrained.freeze out, or sample negatives", h.feature.Name))
		return nil
	}
	sub, table := s.Sub(name), h.table()+".weight"
	c := &Catalogue{States: states, Size: h.feature.Vocab, name: name, table: sub.Path(table), dim: dim, history: h}
	if in.whole {
		c.Items = in.tables[sub.Path(table)]
	}
	s.Sub(name).Along(table, 1, s.SpaceOf(states))
	if s.Train {
		list(s, &h.next, h.Rows)
		in.catalogue = c
		return states
	}
	items := c.Items
	if items == nil {
		p := s.Params.Get(sub.Path(table))
		in.plan.DeriveAll(p)
		items = sub.Values("items", p)
	}
	last := h.Last(s, states)
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.Linear(last, items, nil, kernel.None)), s.Fixed(h.feature.Vocab))
}

// Within returns the catalogue of h for a loss beside that of the task, see [Inputs.AddLoss]: states, [R, dim], are compared with the item
// of the position after theirs. The last position of a history has none. name is that of the lookups of h. It is for training.
func (in *Inputs) Within(s *nn.Scope, name string, h *History, states *G.Node) *Catalogue {
	if s.Err() != nil {
		return nil
	}
	if s.IsAgain() {
		s.Fail(fmt.Errorf("several passes: the model has a loss of its own beside that of the task, of which there would be two: set aux_loss to 0"))
		return nil
	}
	list(s, &h.next, h.Rows)
	h.within = true
	in.within = &Catalogue{States: states, Size: h.feature.Vocab, name: name, dim: states.Shape()[1], history: h}
	return in.within
}

// AddLoss adds a scalar to the loss of a training.
func (in *Inputs) AddLoss(loss *G.Node) { in.losses = append(in.losses, loss) }

// table returns the name of a history's table.
func (h *History) table() string { return cmp.Or(h.feature.Table, h.feature.Name) }

// sequenceInside looks the positions of a history up in a table that is a weight of the graph.
func (in *Inputs) sequenceInside(s *nn.Scope, name string, dim int, h *History) *G.Node {
	sub, table := s.Sub(name), h.table()+".weight"
	full := sub.Path(table)
	w := in.tables[full]
	if w == nil {
		w = sub.TableParam(table, h.feature.Vocab, dim, paddedRow(nn.Normal(in.std())))
		if s.Train && in.ItemDropout > 0 {
			w = s.Check(ops.Dropout(w, in.ItemDropout, sub.Path(h.table()), s.Step))
		}
		if s.Err() != nil {
			return nil
		}
		if in.tables == nil {
			in.tables = map[string]*G.Node{}
		}
		in.tables[full] = w
		if s.Frozen == nil || !s.Frozen(full) {
			in.inside = append(in.inside, TableUse{Param: s.Params.Get(full), Features: []*data.Feature{h.feature}})
		}
		sub.Along(table, 0, s.Fixed(h.feature.Vocab))
		sub.Along(table, 1, sub.Sub(table).Units(dim))
	}
	list(s, &h.rows, h.Rows)
	x := s.Check(ops.Lookup([]*G.Node{w}, []*[]int32{&h.rows}))
	if s.Err() != nil {
		return nil
	}
	sp := sub.Sub(table).Units(dim)
	sub.Along(table, 1, sp)
	return s.Columns(x, sp)
}

// Positives returns the embeddings of the next items, [R, D], from a table outside of the graph. Those of padding are zero.
func (c *Catalogue) Positives(s *nn.Scope, in *Inputs) *G.Node {
	h := c.history
	list(s, &h.positives, h.Rows)
	return c.lookup(s, in, "next", &h.positives, h.Rows, nil)
}

// lookup looks n ids up, of which used are in use in a run; all, if that is nil.
func (c *Catalogue) lookup(s *nn.Scope, in *Inputs, what string, ids *[]int32, n int, used *int) *G.Node {
	x := in.lookup(s, s.Sub(c.name), c.name+"."+what, c.history.feature, &embed.Lookup{Dim: c.dim, IDs: *ids, Count: n, Used: used})
	return in.dropItems(s, x, s.Sub(c.name).Path(c.history.table()), ids, used)
}

// follow fills what comes after each position: the item of the next one, and after the last one the row's label, or nothing if items are
// predicted within histories.
func (h *History) follow(b *data.Batch) error {
	for i := range h.next {
		h.next[i] = -1
	}
	for r, n := range h.Live.Len {
		if n == 0 {
			continue
		}
		at := h.Live.Start[r]
		row := h.next[at : at+n]
		copy(row, h.IDs[at+1:at+n])
		if !h.within {
			y := b.Label[r]
			if !(y >= 0 && y < float32(h.feature.Vocab)) {
				return fmt.Errorf("models: row %d has the label %v, which is the id of no item: "+
					"next items need data whose labels are items, such as interactions with rows: sequences", r, y)
			}
			row[n-1] = int32(y)
		}
		for t := range row {
			if row[t] < data.FirstID || b.LastOnly && t < int(n)-1 { // an item that is not known is not predicted
				row[t] = -1
			}
		}
	}
	for i := range h.positives {
		h.positives[i] = max(h.next[i], data.PadID)
	}
	return nil
}
