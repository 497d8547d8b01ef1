package models

import (
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/ops"
)

// After each position comes the next one's item, and the label after the last. An item that is not known is not predicted, nor is what
// follows a position before the last one where rows have only that to learn.
func TestFollow(t *testing.T) {
	f := &data.Feature{Name: "history", Kind: data.Sequence, Vocab: 9, MaxLen: 3}
	for last, want := range map[bool][]int32{false: {3, -1, 5, 7, -1, -1}, true: {-1, -1, 5, 7, -1, -1}} {
		h := &History{
			IDs: []int32{2, 3, data.OOVID, 4, 0, 0}, Live: &ops.Tokens{Len: []int32{3, 1}, Start: []int32{0, 3}}, next: make([]int32, 6), feature: f,
		}
		if err := h.follow(&data.Batch{N: 2, Label: []float32{5, 7}, LastOnly: last}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(h.next, want) {
			t.Errorf("last only %v: next items %v, want %v", last, h.next, want)
		}
	}
}
