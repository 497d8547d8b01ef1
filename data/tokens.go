package data

import (
	"math"
	"slices"
)

// Text is the part of a schema that describes token sequences.
type Text struct {
	Vocab    int      // token ids
	Pad      int32    // id behind the last token of a row
	Lengths  []int    // buckets' lengths, ascending; no row is longer than the last one, special tokens included
	Labels   []string // names of the classes, by label; nil if labels are numbers, or there are none
	MaskRate float64  // share of the tokens that a masked language model is to predict; 0 for other models
}

// MaxLen returns the length of the longest bucket.
func (t *Text) MaxLen() int { return t.Lengths[len(t.Lengths)-1] }

// Predictions returns how many tokens of a row of length positions are predicted at most: ⌈MaskRate·length⌉.
func (t *Text) Predictions(length int) int { return int(math.Ceil(t.MaskRate * float64(length))) }

// Tokens is the text of a batch. Each row is a sequence of ids, padded to the length of a bucket.
type Tokens struct {
	L        int       // positions of a row
	IDs      []int32   // [Size*L], row by row; Text.Pad behind the last token
	Segments []int32   // [Size*L]: 0, or 1 for what belongs to a pair's second text
	Len      []int32   // [Size]: number of tokens of each row; 0 for rows from N on
	At       []int32   // [Size*M], masked language models: rows of the [Size*L] positions to predict, M = Text.Predictions(L); -1 for none
	Target   []float32 // [Size*M], masked language models: the ids there; -1 for none
}

// NewTokenBatch returns a batch of size rows of padding, with sequences of length positions.
func NewTokenBatch(s *Schema, size, length int) *Batch {
	b := NewBatch(s, size)
	m := s.Text.Predictions(length)
	t := &Tokens{L: length, IDs: make([]int32, size*length), Segments: make([]int32, size*length), Len: make([]int32, size)}
	if m > 0 {
		t.At, t.Target = make([]int32, size*m), make([]float32, size*m)
	}
	b.Row, b.Tokens = make([]int64, size), t
	b.ClearText(s.Text, 0)
	return b
}

// ClearText makes the text of the rows from row n on padding.
func (b *Batch) ClearText(s *Text, n int) {
	t := b.Tokens
	for i := n * t.L; i < len(t.IDs); i++ {
		t.IDs[i] = s.Pad
	}
	clear(t.Segments[n*t.L:])
	clear(t.Len[n:])
	if m := len(t.At) / max(1, b.Size); m > 0 {
		for i := n * m; i < len(t.Target); i++ {
			t.At[i], t.Target[i] = -1, -1
		}
	}
}

// Targets returns what the logits of the batch's rows are compared with: the labels [N], or of a masked language model the ids
// to predict, [N*M].
func (b *Batch) Targets() []float32 {
	if b.Tokens != nil && b.Tokens.Target != nil {
		return b.Tokens.Target[:len(b.Tokens.Target)/b.Size*b.N]
	}
	return b.Label[:b.N]
}

// Resize gives the sequences of b, which was made for the longest bucket, the length of the smallest one that holds so many ids.
func (b *Batch) Resize(s *Text, longest int) {
	t := b.Tokens
	k, _ := slices.BinarySearch(s.Lengths, longest)
	t.L = s.Lengths[min(k, len(s.Lengths)-1)]
	t.IDs, t.Segments = t.IDs[:b.Size*t.L], t.Segments[:b.Size*t.L]
	if t.At != nil {
		m := s.Predictions(t.L)
		t.At, t.Target = t.At[:b.Size*m], t.Target[:b.Size*m]
	}
}
