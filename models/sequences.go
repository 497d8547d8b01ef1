package models

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// Sequences is the text of a batch: B sequences of L positions. A matrix over tokens, [B·L, H], holds the positions of the
// first sequence, then those of the second, and so on.
type Sequences struct {
	L    int         // positions of a sequence
	Live *ops.Tokens // tells which positions are not padding

	batch    int
	ids      []int32 // [B·L]
	segments []int32 // [B·L]
	zeros    []int32 // [B·L], in the place of segments where a table has one row
	counted  []counted
	placed   []placed
	plan     *ops.Plan // adds up what the lists need, in their place; may be nil
	masked   int       // B·M
	at       []int32   // [B·M]: rows of the tokens to predict, -1 for none; nil without masking
	text     *data.Text
	tables   []string // names of the tables
}

// counted is the input Counted of one table, [B·L], with its offset.
type counted struct {
	places []int32
	offset int
}

// placed is a list of places in the text, from offset.
type placed struct {
	list    *[]int32
	offset  int
	counted bool
}

// TokenInput says what a table of embeddings is looked up by.
type TokenInput uint8

// The inputs of a token.
const (
	TokenIDs  TokenInput = iota // its id
	Segments                    // 1 if it belongs to the second text of a pair, else 0; always 0 for a table of one row
	Positions                   // its place in the sequence, from 0
	Counted                     // its place among the sequence's tokens that are not the padding token, from 0; -1 for padding in a text
)

// TokenTable is a table of embeddings, [rows, H].
type TokenTable struct {
	Weight *G.Node
	Of     TokenInput
	Offset int // added to positions, since RoBERTa counts them from the padding's id + 1
}

// Sequences returns the text of the batch. If the data has no text, it records an error in s.
func (in *Inputs) Sequences(s *nn.Scope) *Sequences {
	if s.Err() != nil {
		return nil
	}
	t := in.Schema.Text
	if t == nil {
		s.Fail(fmt.Errorf("the model reads text, the data has none"))
		return nil
	}
	if in.seq == nil {
		n := s.Batch * in.length
		if s.Plan != nil {
			in.seq = plannedSequences(s, in)
			return in.seq
		}
		q := &Sequences{
			L: in.length, Live: &ops.Tokens{L: in.length, Len: make([]int32, s.Batch)}, batch: s.Batch, text: t,
			ids: make([]int32, n), segments: make([]int32, n), zeros: make([]int32, n),
		}
		if m := t.Predictions(in.length); m > 0 {
			q.masked = s.Batch * m
			q.at = make([]int32, q.masked)
		}
		in.seq = q
	}
	return in.seq
}

// plannedSequences is what Sequences returns while a plan adds up what the graph needs.
func plannedSequences(s *nn.Scope, in *Inputs) *Sequences {
	t, n := in.Schema.Text, s.Batch*in.length
	q := &Sequences{L: in.length, Live: &ops.Tokens{L: in.length}, batch: s.Batch, text: t, plan: s.Plan}
	for _, list := range []*[]int32{&q.ids, &q.segments, &q.zeros} {
		s.Plan.List(list, n)
	}
	s.Plan.Count(4 * float64(s.Batch))
	if m := t.Predictions(in.length); m > 0 {
		q.masked, q.at = s.Batch*m, []int32{}
		s.Plan.List(&q.at, q.masked)
	}
	return q
}

// Embed returns the sum of the tables' rows of each token, [B·L, H].
func (q *Sequences) Embed(s *nn.Scope, tables ...TokenTable) *G.Node {
	if s.Err() != nil {
		return nil
	}
	var weights []*G.Node
	var ids []*[]int32
	for _, t := range tables {
		weights, q.tables = append(weights, t.Weight), append(q.tables, t.Weight.Name())
		switch t.Of {
		case TokenIDs:
			ids = append(ids, &q.ids)
		case Segments:
			list := &q.segments
			if t.Weight.Shape()[0] == 1 {
				list = &q.zeros
			}
			ids = append(ids, list)
		default:
			if rows := t.Weight.Shape()[0]; q.L+t.Offset > rows {
				s.Fail(fmt.Errorf("sequences of %d tokens need %d positions, the model has %d: lower data.max_length",
					q.L, q.L+t.Offset, rows))
				return nil
			}
			p := q.places(t.Offset)
			q.placed = append(q.placed, placed{p, t.Offset, t.Of == Counted})
			if t.Of == Counted {
				if t.Offset < 1 {
					s.Fail(fmt.Errorf("positions are counted from %d: want an offset of 1 or more, since padding has the place before", t.Offset))
					return nil
				}
				q.counted = append(q.counted, counted{*p, t.Offset})
			}
			ids = append(ids, p)
		}
	}
	return s.Check(ops.Lookup(weights, ids))
}

// places returns the place of each token, from offset.
func (q *Sequences) places(offset int) *[]int32 {
	if q.plan != nil {
		p := new([]int32)
		q.plan.List(p, q.batch*q.L)
		return p
	}
	p := make([]int32, q.batch*q.L)
	for i := range p {
		p[i] = int32(i%q.L + offset)
	}
	return &p
}

// Masked returns the rows of a matrix over tokens that a masked language model predicts, [B·M], with -1 for none. [ops.PickRows]
// takes them. If the data masks no tokens, Masked records an error in s.
func (q *Sequences) Masked(s *nn.Scope) *[]int32 {
	if s.Err() != nil {
		return nil
	}
	if q.at == nil {
		s.Fail(fmt.Errorf("the model predicts masked tokens, the data masks none: set data.mask_rate"))
		return nil
	}
	return &q.at
}

// Features returns the features that a frozen stem made of the batch's rows, [B, dim].
func (in *Inputs) Features(s *nn.Scope, dim int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	n, leaf := s.Input("features", s.Batch, dim)
	in.features = leaf
	return n
}

// targets returns the number of labels.
func (in *Inputs) targets(batch int) int {
	if in.seq != nil && in.seq.at != nil {
		return in.seq.masked
	}
	return batch
}

// fill writes a batch into the leaves that are not filled by lookups.
func (in *Inputs) fill(b *data.Batch, batch int) error {
	if in.features != nil {
		if len(b.Features) != len(in.features) {
			return fmt.Errorf("models: batch has %d values of features, want %d", len(b.Features), len(in.features))
		}
		copy(in.features, b.Features)
	}
	if in.seq != nil {
		if err := in.seq.fill(b); err != nil {
			return err
		}
	}
	for _, h := range in.histories {
		if err := h.fill(b); err != nil {
			return err
		}
	}
	if in.label == nil {
		return nil
	}
	if in.seq != nil && in.seq.at != nil {
		in.seq.fillTargets(in.label, b)
		return nil
	}
	if len(b.Label) < batch {
		return fmt.Errorf("models: batch has %d labels, want %d", len(b.Label), batch)
	}
	copy(in.label, b.Label[:batch])
	return in.fillWeights(b, batch)
}

// fill copies a batch's tokens, padding them to L positions.
func (q *Sequences) fill(b *data.Batch) error {
	t := b.Tokens
	if t == nil || len(t.Len) != q.batch || len(t.IDs) != q.batch*t.L || t.L > q.L {
		return fmt.Errorf("models: the batch has no tokens of %d sequences of up to %d positions", q.batch, q.L)
	}
	copy(q.Live.Len, t.Len)
	for r := range q.batch {
		to, from := r*q.L, r*t.L
		copy(q.ids[to:], t.IDs[from:from+t.L])
		copy(q.segments[to:], t.Segments[from:from+t.L])
		for i := to + t.L; i < to+q.L; i++ {
			q.ids[i], q.segments[i] = q.text.Pad, 0
		}
	}
	if q.at != nil {
		if err := q.fillMasked(t); err != nil {
			return err
		}
	}
	for _, c := range q.counted {
		q.count(c)
	}
	return nil
}

// fillMasked copies the places of the tokens to predict.
func (q *Sequences) fillMasked(t *data.Tokens) error {
	have, want := len(t.At)/q.batch, len(q.at)/q.batch
	if have == 0 || have > want || len(t.Target) != len(t.At) {
		return fmt.Errorf("models: the batch has %d tokens to predict a row, want up to %d", have, want)
	}
	for r := range q.batch {
		for k := range want {
			at := int32(-1)
			if k < have {
				if at = t.At[r*have+k]; at >= 0 {
					at = int32(r*q.L) + at - int32(r*t.L)
				}
			}
			q.at[r*want+k] = at
		}
	}
	return nil
}

// count numbers the live tokens of each sequence that are not the padding token. The others keep the place that they stand at: what is
// looked up for them counts for nothing. A padding token that was drawn in place of a token to predict counts as that token.
func (q *Sequences) count(c counted) {
	for r, n := range q.Live.Len {
		row, next := c.places[r*q.L:(r+1)*q.L], int32(c.offset)
		for i := range row {
			switch {
			case i >= int(n):
				row[i] = int32(c.offset + i)
			case q.ids[r*q.L+i] == q.text.Pad && !q.predicts(r, r*q.L+i):
				row[i] = int32(c.offset - 1)
			default:
				row[i] = next
				next++
			}
		}
	}
}

// predicts reports whether the token at place i, which is in row r, is to be predicted.
func (q *Sequences) predicts(r, i int) bool {
	n := len(q.at) / q.batch
	return slices.Contains(q.at[r*n:(r+1)*n], int32(i))
}

// fillTargets copies the ids to predict.
func (q *Sequences) fillTargets(label []float32, b *data.Batch) {
	have, want := len(b.Tokens.Target)/q.batch, len(q.at)/q.batch
	for r := range q.batch {
		for k := range want {
			label[r*want+k] = ops.Ignored
			if k < have {
				label[r*want+k] = b.Tokens.Target[r*have+k]
			}
		}
	}
}

// Rows appends to dst the indices of those rows of a node of the last run that belong to the first n rows of the batch and are not
// padding. A row is as wide as the node's last axis. Of a matrix over tokens they are the rows of live tokens, and of the tokens to
// predict the rows of those that are there. Rows reports false for a node whose rows are not those of a batch.
func (p *Program) Rows(dst []int, node *G.Node, n int) ([]int, bool) {
	batch, shape := p.options.Batch, node.Shape()
	rows := shape.TotalSize() / shape[len(shape)-1]
	for _, h := range p.last.in.histories {
		if rows == h.Rows {
			return liveRows(dst, h.Live, n), true
		}
		if h.appended != nil && rows == h.appended.Live.Rows {
			return liveRows(dst, h.appended.Live, n), true
		}
	}
	if rows%batch != 0 {
		return dst, false
	}
	per, q := rows/batch, p.last.in.seq
	for r := range n {
		for i := range per {
			if q != nil && per > 1 {
				if per == q.L && i >= int(q.Live.Len[r]) || per != q.L && per == len(q.at)/batch && q.at[r*per+i] < 0 {
					continue
				}
			}
			dst = append(dst, r*per+i)
		}
	}
	return dst, true
}

// liveRows appends the rows of the positions of the first n sequences to dst.
func liveRows(dst []int, t *ops.Tokens, n int) []int {
	for r, live := range t.Len[:n] {
		for i := range int(live) {
			dst = append(dst, int(t.Start[r])+i)
		}
	}
	return dst
}
