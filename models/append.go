package models

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// Appended is a history with a row's item behind its own. Positions are those of the items of the history, the oldest first, and then
// that of the row's item, which stands alone if there is no history.
type Appended struct {
	Live *ops.Tokens // tells which rows are whose positions

	back []int32 // [R]: how many positions each stands before that of the row's item; -1 for padding
	last []int32 // [B]: row of the item's position in a matrix over positions; -1 for padding
}

// Append puts the rows of items, [B, D], behind the positions of the history, [R, D] → [R+B, D].
func (h *History) Append(s *nn.Scope, x, items *G.Node) (*G.Node, *Appended) {
	if s.Err() != nil {
		return nil, nil
	}
	if h.appended == nil {
		a := &Appended{Live: &ops.Tokens{L: h.MaxLen() + 1, Batch: h.batch, Rows: h.Rows + h.batch}}
		list(s, &a.Live.Len, h.batch)
		list(s, &a.Live.Start, h.batch)
		list(s, &a.back, a.Live.Rows)
		list(s, &a.last, h.batch)
		h.appended = a
	}
	s.Tie(s.SpaceOf(x), s.SpaceOf(items))
	return s.Columns(s.Check(ops.Append(x, items, h.Items(s))), s.SpaceOf(x)), h.appended
}

// Places returns a learned embedding of how far each position stands from that of the row's item, [R+B, dim]. Its parameter is weight,
// [places, dim], in which the row's item has row 0 and the action before it row 1.
func (h *History) Places(s *nn.Scope, a *Appended, dim int, init nn.Init) *G.Node {
	return nn.Places(s, &a.back, h.MaxLen()+1, dim, init)
}

// Last returns the rows of the positions of the rows' items, [R+B, D] → [B, D].
func (a *Appended) Last(s *nn.Scope, x *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.PickRows(x, &a.last)), s.SpaceOf(x))
}

// clear makes all positions padding.
func (a *Appended) clear() {
	for i := range a.back {
		a.back[i] = -1
	}
}

// fill sets row r, whose history of so many items begins at row at; live is false for padding of the batch.
func (a *Appended) fill(r, at, items int, live bool) {
	at += r
	a.Live.Len[r], a.Live.Start[r], a.last[r] = 0, int32(at), -1
	if live {
		a.Live.Len[r], a.last[r] = int32(items+1), int32(at+items)
	}
	for i := range int(a.Live.Len[r]) {
		a.back[at+i] = int32(items - i)
	}
}
