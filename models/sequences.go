package models

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// Sequences is the text of a batch: B sequences of L positions. A matrix over tokens, [B·L, H], holds the positions of the
// first sequence, then those of the second, and so on.
type Sequences struct {
	L    int
	Live *ops.Tokens // which positions are no padding

	batch    int
	ids      []int32 // [B·L]
	segments []int32 // [B·L]
	zeros    []int32 // [B·L], in the place of segments where a table has one row
	at       []int32 // [B·M]: rows to predict, -1 for none; nil without masking
	text     *data.Text
}

// TokenInput is what a table of embeddings is looked up by.
type TokenInput uint8

const (
	TokenIDs  TokenInput = iota // the tokens
	Segments                    // 0, or 1 for what belongs to a pair's second text; always 0 of a table of one row
	Positions                   // places in the sequence, from 0
)

// TokenTable is a table of embeddings, [rows, H].
type TokenTable struct {
	Weight *G.Node
	Of     TokenInput
	Offset int // added to positions: RoBERTa counts them from the padding's id + 1
}

// Sequences returns the batch's text. Data without text is an error of the scope.
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
		q := &Sequences{
			L: in.length, Live: &ops.Tokens{L: in.length, Len: make([]int32, s.Batch)}, batch: s.Batch, text: t,
			ids: make([]int32, n), segments: make([]int32, n), zeros: make([]int32, n),
		}
		if m := t.Predictions(in.length); m > 0 {
			q.at = make([]int32, s.Batch*m)
		}
		in.seq = q
	}
	return in.seq
}

// Embed is the sum of the tables' rows of each token: [B·L, H].
func (q *Sequences) Embed(s *nn.Scope, tables ...TokenTable) *G.Node {
	if s.Err() != nil {
		return nil
	}
	var weights []*G.Node
	var ids []*[]int32
	for _, t := range tables {
		weights = append(weights, t.Weight)
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
				s.Fail(fmt.Errorf("sequences of %d tokens need %d positions, the model has %d: lower data.max_length", q.L, q.L+t.Offset, rows))
				return nil
			}
			p := make([]int32, q.batch*q.L)
			for i := range p {
				p[i] = int32(i%q.L + t.Offset)
			}
			ids = append(ids, &p)
		}
	}
	return s.Check(ops.Lookup(weights, ids))
}

// Masked returns the rows of a matrix over tokens that a masked language model predicts, for [ops.PickRows]: [B·M], -1 for none.
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

// Features returns what a frozen stem made of the batch's rows, [B, dim].
func (in *Inputs) Features(s *nn.Scope, dim int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	n, leaf := s.Input("features", s.Batch, dim)
	in.features = leaf
	return n
}

// targets returns the rows of the labels.
func (in *Inputs) targets(batch int) int {
	if in.seq != nil && in.seq.at != nil {
		return len(in.seq.at)
	}
	return batch
}

// fill writes a batch into the leaves that are no lookups.
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
	return nil
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
	if q.at == nil {
		return nil
	}
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

// fillTargets copies the ids to predict.
func (q *Sequences) fillTargets(label []float32, b *data.Batch) {
	have, want := len(b.Tokens.Target)/q.batch, len(q.at)/q.batch
	for r := range q.batch {
		for k := range want {
			if label[r*want+k] = ops.Ignored; k < have {
				label[r*want+k] = b.Tokens.Target[r*have+k]
			}
		}
	}
}

// Rows appends to dst the rows of a node of the last run, as wide as its last axis, that belong to the first n rows of the batch
// and are no padding: of a matrix over tokens those of live tokens, of the tokens to predict those that are there. It reports
// false for a node whose rows are not those of a batch.
func (p *Program) Rows(dst []int, node *G.Node, n int) ([]int, bool) {
	batch, shape := p.o.Batch, node.Shape()
	rows := shape.TotalSize() / shape[len(shape)-1]
	if rows%batch != 0 {
		return dst, false
	}
	per, q := rows/batch, p.cur.in.seq
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
