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

// History is a column of sequences in a batch: B sequences of L positions, the oldest first. A matrix over positions, [B·L, D], holds
// the positions of the first sequence, then those of the second, and so on.
//
// A row without history has one position, of padding, whose embedding is zero: so a model needs no special case for it, and what it
// computes of it is defined.
type History struct {
	L    int         // positions of a sequence
	Live *ops.Tokens // tells which positions are not padding
	IDs  []int32     // [B·L]: the ids of the batch that runs; data.PadID for padding

	items     *ops.Tokens
	appended  *Appended
	rows      []int32 // [B·L]: IDs with -1 for padding, for tables inside of the graph; nil without them
	next      []int32 // [B·L]: ids of the items after each position, -1 for none; nil unless they are predicted
	positives []int32 // the same, with PadID for none; nil unless they are looked up outside of the graph
	last      []int32 // [B]: row of the last live position in a matrix over positions; -1 for padding
	feature   *data.Feature
	batch     int
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
		h.items = &ops.Tokens{L: h.L}
		list(s, &h.items.Len, h.batch)
	}
	return h.items
}

// Last returns the rows of the last live positions, [B·L, D] → [B, D].
func (h *History) Last(s *nn.Scope, x *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.PickRows(x, &h.last)), s.SpaceOf(x))
}

// Embed returns the embeddings of columns side by side, [B, columns·dim]. The table of a column is <name>.<its table>.weight, which
// lookups of one name share. A column of several tokens has the mean or the sum of their embeddings.
func (in *Inputs) Embed(s *nn.Scope, name string, dim int, columns ...string) *G.Node {
	l := &embed.Lookup{Dim: dim}
	sp := in.fields(s.Sub(name), l, nn.Normal(in.std()), in.columns(s, columns)...)
	return s.Columns(in.add(s, inputName(name, columns), l), nn.Join(sp...))
}

// Sequence returns the embeddings of the positions of a column of sequences, [B·L, dim]. With several columns, whose sequences
// describe the same events, they lie side by side, [B·L, columns·dim]. The history is that of the first one. Tables are those of Embed.
func (in *Inputs) Sequence(s *nn.Scope, name string, dim int, columns ...string) (*G.Node, *History) {
	h := in.History(s, columns[0])
	if h == nil {
		return nil, nil
	}
	features := in.columns(s, columns)
	for _, f := range features {
		if f.Kind != data.Sequence {
			s.Fail(fmt.Errorf("column %s is %v, want a sequence", f.Name, f.Kind))
			return nil, nil
		}
	}
	if in.whole && len(columns) == 1 {
		return in.sequenceInside(s, name, dim, h), h
	}
	l := &embed.Lookup{Dim: dim, Length: h.L}
	sp := in.fields(s.Sub(name), l, nn.Normal(in.std()), features...)
	return s.Columns(in.add(s, inputName(name, columns), l), nn.Join(sp...)), h
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
	h := &History{L: in.length, feature: f, batch: s.Batch, Live: &ops.Tokens{L: in.length}}
	list(s, &h.IDs, s.Batch*in.length)
	list(s, &h.last, s.Batch)
	list(s, &h.Live.Len, s.Batch)
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
	ids, n := b.IDs[h.feature.Name], h.feature.MaxLen
	if len(ids) < len(h.Live.Len)*n {
		return fmt.Errorf("models: feature %s: batch has %d ids, want %d", h.feature.Name, len(ids), len(h.Live.Len)*n)
	}
	for r := range h.Live.Len {
		row := ids[r*n : (r+1)*n]
		live := liveIDs(row)
		if live > h.L {
			return fmt.Errorf("models: feature %s: row %d has a sequence of %d positions, the graph %d", h.feature.Name, r, live, h.L)
		}
		clear(h.IDs[r*h.L+copy(h.IDs[r*h.L:(r+1)*h.L], row) : (r+1)*h.L])
		if h.appended != nil {
			h.appended.fill(r, live, r < b.N)
		}
		h.Live.Len[r], h.last[r] = 0, -1
		if h.items != nil {
			h.items.Len[r] = 0
		}
		if r < b.N {
			if h.items != nil {
				h.items.Len[r] = int32(live)
			}
			n := int32(max(1, live))
			h.Live.Len[r], h.last[r] = n, int32(r*h.L)+n-1
		}
	}
	for i := range h.rows {
		if h.rows[i] = h.IDs[i]; h.rows[i] == data.PadID {
			h.rows[i] = -1
		}
	}
	if h.next != nil {
		return h.follow(b)
	}
	return nil
}

// liveIDs returns the number of ids up to the last one that is not padding.
func liveIDs(row []int32) int {
	n := len(row)
	for n > 0 && row[n-1] == data.PadID {
		n--
	}
	return n
}

// longest returns the positions that the batch's sequences need.
func longest(histories []*History, b *data.Batch) int {
	most := 1
	for _, h := range histories {
		n := h.feature.MaxLen
		ids := b.IDs[h.feature.Name]
		for r := 0; r < b.N && (r+1)*n <= len(ids); r++ {
			if n > most {
				most += liveIDs(ids[r*n+most : (r+1)*n])
			}
		}
	}
	return most
}

// historyLengths returns the lengths that sequences of up to n positions are padded to: n, its half, and so on.
func historyLengths(n int) []int {
	lengths := []int{n}
	for n > 2*shortestHistory {
		n = (n + 1) / 2
		lengths = append(lengths, n)
	}
	slices.Reverse(lengths)
	return lengths
}

// shortestHistory is the length under which another graph gains little.
const shortestHistory = 4
