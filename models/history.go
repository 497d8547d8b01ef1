package models

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// History is a column of sequences in a batch, the oldest position first. A matrix over positions, [R, D], holds the positions of the
// first sequence, then those of the second, and so on, and padding at the end: what is computed is what the batch has, not what its
// longest sequence would need.
//
// A row without history has one position, of padding, whose embedding is zero: so a model needs no special case for it, and what it
// computes of it is defined.
type History struct {
	Rows int         // R, rows of a matrix over positions
	Live *ops.Tokens // tells which rows are whose positions
	IDs  []int32     // [R]: the ids of the batch that runs; data.PadID for padding

	items     *ops.Tokens
	appended  *Appended
	places    []int32   // [R]: the place of each position in its sequence, -1 for padding; nil unless it is asked for
	back      []int32   // [R]: the same, counted from the last position
	others    []aligned // columns of the same events
	rows      []int32   // [R]: IDs with -1 for padding, for tables inside of the graph; nil without them
	next      []int32   // [R]: ids of the items after each position, -1 for none; nil unless they are predicted
	positives []int32   // the same, with PadID for none; nil unless they are looked up outside of the graph
	within    bool      // no item comes after the last position; otherwise the row's label does
	last      []int32   // [B]: row of the last live position in a matrix over positions; -1 for padding
	feature   *data.Feature
	batch     int
}

// aligned is a column of sequences that describe the same events as those of a history.
type aligned struct {
	feature *data.Feature
	ids     []int32 // [R]
}

// list makes a list of n numbers, or adds it to the plan of what a graph would need.
func list(s *nn.Scope, to *[]int32, n int) {
	if s.Plan != nil {
		s.Plan.List(to, n)
		return
	}
	*to = make([]int32, n)
}

// MaxLen returns the positions of the longest history that the data has.
func (h *History) MaxLen() int { return h.feature.MaxLen }

// Items tells which positions hold an item. They are the live ones, but for a row without history, which has none.
func (h *History) Items(s *nn.Scope) *ops.Tokens {
	if h.items == nil {
		h.items = h.tokens(s)
	}
	return h.items
}

// tokens are the sequences' rows.
func (h *History) tokens(s *nn.Scope) *ops.Tokens {
	t := &ops.Tokens{L: h.feature.MaxLen, Batch: h.batch, Rows: h.Rows}
	list(s, &t.Len, h.batch)
	list(s, &t.Start, h.batch)
	return t
}

// Positions returns the place of each position in its sequence, [R], -1 for padding. They are filled at each run.
func (h *History) Positions(s *nn.Scope) *[]int32 {
	if h.places == nil {
		list(s, &h.places, h.Rows)
	}
	return &h.places
}

// PositionsBack returns the place of each position in its sequence as Positions does, with 0 for the last one.
func (h *History) PositionsBack(s *nn.Scope) *[]int32 {
	if h.back == nil {
		list(s, &h.back, h.Rows)
	}
	return &h.back
}

// Last returns the rows of the last live positions, [R, D] → [B, D].
func (h *History) Last(s *nn.Scope, x *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.PickRows(x, &h.last)), s.SpaceOf(x))
}

// Embed returns the embeddings of columns side by side, [B, columns·dim]. The table of a column is <name>.<its table>.weight, which
// lookups of one name share. A column of several tokens has the mean or the sum of their embeddings.
func (in *Inputs) Embed(s *nn.Scope, name string, dim int, columns ...string) *G.Node {
	features := in.columns(s, columns)
	if s.Err() != nil {
		return nil
	}
	return in.embed(s, name, inputName(name, columns), dim, features)
}

// Sequence returns the embeddings of the positions of a column of sequences, [R, dim]. Its table is that of Embed. Other columns of the
// same events are looked up by Beside.
func (in *Inputs) Sequence(s *nn.Scope, name string, dim int, column string) (*G.Node, *History) {
	h := in.History(s, column)
	if h == nil {
		return nil, nil
	}
	if in.whole {
		return in.sequenceInside(s, name, dim, h), h
	}
	at := dim
	if h.feature.Project {
		at = h.feature.Dim
	}
	x := in.lookup(s, s.Sub(name), inputName(name, []string{column}), h.feature, &embed.Lookup{Dim: at, IDs: h.IDs, Count: h.Rows})
	x = in.dropItems(s, x, s.Sub(name).Path(h.table()), &h.IDs, nil)
	if h.feature.Project {
		x = projected(s.Sub(name), h.feature, x, dim)
	}
	return x, h
}

// Beside returns the embeddings of another column at the positions of h, whose sequences describe the same events: [R, dim]. A position that
// the column does not have is zero. Its table is that of Embed, and no weight of the graph, whatever that of h is.
func (in *Inputs) Beside(s *nn.Scope, name string, dim int, h *History, column string) *G.Node {
	features := in.columns(s, []string{column})
	if s.Err() != nil {
		return nil
	}
	f := features[0]
	if f.Kind != data.Sequence || f.MaxLen != h.feature.MaxLen {
		s.Fail(fmt.Errorf("column %s is %v of up to %d tokens; want a sequence of up to %d, as %s is", column, f.Kind, f.MaxLen, h.feature.MaxLen, h.feature.Name))
		return nil
	}
	return in.lookup(s, s.Sub(name), inputName(name, []string{column}), f, &embed.Lookup{Dim: dim, IDs: *h.aligned(s, f), Count: h.Rows})
}

// dropItems drops of rows of a table outside of the graph what ItemDropout says. They are the rows of ids, of which used are in use in
// a run; all, if that is nil.
func (in *Inputs) dropItems(s *nn.Scope, x *G.Node, table string, ids *[]int32, used *int) *G.Node {
	if s.Err() != nil || !s.Train || in.ItemDropout == 0 {
		return x
	}
	return s.Columns(s.Check(ops.DropoutRows(x, in.ItemDropout, table, s.Step, ids, used)), s.SpaceOf(x))
}

// sequenceOf returns the ids of the sequence of a row.
func (h *History) sequenceOf(row int) []int32 {
	next, _ := slices.BinarySearchFunc(h.Live.Start, int32(row), func(start, row int32) int {
		if start <= row {
			return -1
		}
		return 1
	})
	at := h.Live.Start[next-1]
	return h.IDs[at : at+h.Live.Len[next-1]]
}

// aligned returns the ids of a column whose sequences describe the same events.
func (h *History) aligned(s *nn.Scope, f *data.Feature) *[]int32 {
	h.others = append(h.others, aligned{feature: f})
	o := &h.others[len(h.others)-1]
	list(s, &o.ids, h.Rows)
	return &o.ids
}

// lookup returns the rows of a feature's table, which is in the scope tables, for the ids of l: [n, dim].
func (in *Inputs) lookup(s, tables *nn.Scope, name string, f *data.Feature, l *embed.Lookup) *G.Node {
	sp := in.fields(tables, l, nn.Normal(in.std()), f)
	if s.Err() != nil {
		return nil
	}
	node, leaf := s.Scratch(name, l.Count, l.Dim)
	if node == nil {
		return nil
	}
	if !s.IsAgain() {
		in.plan.Add(l, node, leaf)
	}
	return s.Columns(node, sp[0])
}

// History returns a column of sequences without its embeddings. If there is no such column, it records an error in s.
func (in *Inputs) History(s *nn.Scope, column string) *History {
	features := in.columns(s, []string{column})
	if s.Err() != nil {
		return nil
	}
	f := features[0]
	if f.Kind != data.Sequence {
		s.Fail(fmt.Errorf("column %s is %v, want a sequence: declare it as `type: sequence` under data.columns", column, f.Kind))
		return nil
	}
	for _, h := range in.histories {
		if h.feature == f {
			return h
		}
	}
	h := &History{Rows: in.length, feature: f, batch: s.Batch}
	h.Live = h.tokens(s)
	list(s, &h.IDs, h.Rows)
	list(s, &h.last, s.Batch)
	in.histories = append(in.histories, h)
	return h
}

// columns returns the features of columns.
func (in *Inputs) columns(s *nn.Scope, names []string) []*data.Feature {
	var out []*data.Feature
	for _, name := range names {
		i := slices.IndexFunc(in.Schema.Features, func(f data.Feature) bool { return f.Name == name })
		if i < 0 {
			s.Fail(fmt.Errorf("the data has no column %s", name))
			return nil
		}
		out = append(out, &in.Schema.Features[i])
	}
	return out
}

// inputName names the leaf of a lookup of columns.
func inputName(name string, columns []string) string {
	for _, c := range columns {
		name += "." + c
	}
	return name
}

// fill copies a batch's sequences.
func (h *History) fill(b *data.Batch) error {
	ids, err := h.of(h.feature, b)
	if err != nil {
		return err
	}
	n, at := h.feature.MaxLen, int32(0)
	if h.appended != nil {
		h.appended.clear()
	}
	for r := range h.Live.Len {
		row, live := ids[r*n:(r+1)*n], 0
		h.Live.Len[r], h.Live.Start[r], h.last[r] = 0, at, -1
		if r < b.N {
			live = liveIDs(row)
			h.Live.Len[r] = int32(max(1, live))
			h.last[r] = at + h.Live.Len[r] - 1
		}
		if int(h.last[r]) >= h.Rows {
			return fmt.Errorf("models: feature %s: the sequences up to row %d have %d positions, the graph %d", h.feature.Name, r, h.last[r]+1, h.Rows)
		}
		if h.items != nil {
			h.items.Len[r], h.items.Start[r] = int32(live), at
		}
		if h.appended != nil {
			h.appended.fill(r, int(at), live, r < b.N)
		}
		copy(h.IDs[at:at+h.Live.Len[r]], row)
		for t := range h.Live.Len[r] {
			if h.places != nil {
				h.places[at+t] = t
			}
			if h.back != nil {
				h.back[at+t] = h.Live.Len[r] - 1 - t
			}
		}
		at += h.Live.Len[r]
	}
	clear(h.IDs[at:])
	for _, places := range [...][]int32{h.places, h.back} {
		for i := int(at); i < len(places); i++ {
			places[i] = -1
		}
	}
	for i := range h.rows {
		if h.rows[i] = h.IDs[i]; h.rows[i] == data.PadID {
			h.rows[i] = -1
		}
	}
	for i := range h.others {
		if err := h.fillAligned(&h.others[i], b); err != nil {
			return err
		}
	}
	if h.next != nil {
		return h.follow(b)
	}
	return nil
}

// fillAligned copies the ids of another column. Those beyond the history's positions are left out.
func (h *History) fillAligned(o *aligned, b *data.Batch) error {
	ids, err := h.of(o.feature, b)
	if err != nil {
		return err
	}
	n := o.feature.MaxLen
	clear(o.ids)
	for r, live := range h.Live.Len {
		copy(o.ids[h.Live.Start[r]:h.Live.Start[r]+live], ids[r*n:(r+1)*n])
	}
	return nil
}

// of returns a batch's ids of a feature.
func (h *History) of(f *data.Feature, b *data.Batch) ([]int32, error) {
	ids := b.IDs[f.Name]
	if want := h.batch * f.MaxLen; len(ids) < want {
		return nil, fmt.Errorf("models: feature %s: batch has %d ids, want %d", f.Name, len(ids), want)
	}
	return ids, nil
}

// liveIDs returns the number of ids up to the last one that is not padding.
func liveIDs(row []int32) int {
	n := len(row)
	for n > 0 && row[n-1] == data.PadID {
		n--
	}
	return n
}

// positions returns the rows that the batch's sequences need in a matrix over positions.
func positions(histories []*History, b *data.Batch) int {
	most := 1
	for _, h := range histories {
		n, rows := h.feature.MaxLen, 0
		ids := b.IDs[h.feature.Name]
		for r := 0; r < b.N && (r+1)*n <= len(ids); r++ {
			rows += max(1, liveIDs(ids[r*n:(r+1)*n]))
		}
		most = max(most, rows)
	}
	return most
}

// historyRows returns the numbers of rows that matrices over the positions of a batch have, ascending: those of batch sequences of n
// positions, 7, 6 and 5 eighths of it, half of it and so on. Below fewRows there are halves alone.
func historyRows(batch, n int) []int {
	rows := []int{batch * n}
	for at := batch * n; at > 2*shortestHistory; at = (at + 1) / 2 {
		for eighths := 7; eighths > 4 && at >= fewRows; eighths-- {
			rows = append(rows, (at*eighths+7)/8)
		}
		rows = append(rows, (at+1)/2)
	}
	slices.Reverse(rows)
	return slices.Compact(rows)
}

const (
	shortestHistory = 4   // rows under which another graph gains little
	fewRows         = 512 // rows under which several graphs between them and their half do
)
