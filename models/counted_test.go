package models

import (
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/ops"
)

// TestCounted holds the places of RoBERTa's tokens: those of transformers 5.24's create_position_ids_from_input_ids with padding 1, which
// counts the tokens that are not padding. The places after a sequence stay what they were, since nothing is read from them.
func TestCounted(t *testing.T) {
	for _, tc := range []struct {
		name string
		ids  []int32
		n    int32
		at   []int32
		want []int32
	}{
		{"no padding", []int32{0, 5, 6, 2}, 4, nil, []int32{2, 3, 4, 5}},
		{"padding within", []int32{0, 5, 1, 6, 2}, 5, nil, []int32{2, 3, 1, 4, 5}},
		{"twice", []int32{0, 1, 1, 6, 2, 1}, 5, nil, []int32{2, 1, 1, 3, 4, 7}},
		{"first", []int32{1, 5, 2}, 3, nil, []int32{1, 2, 3}},
		{"drawn for a token to predict", []int32{0, 1, 6, 2}, 4, []int32{1, -1}, []int32{2, 3, 4, 5}},
		{"nothing", []int32{1, 1}, 0, nil, []int32{2, 3}},
	} {
		q := &Sequences{
			L: len(tc.ids), Live: &ops.Tokens{L: len(tc.ids), Len: []int32{tc.n}}, batch: 1, ids: tc.ids, text: &data.Text{Pad: 1}, at: tc.at,
		}
		got := make([]int32, len(tc.ids))
		q.count(counted{got, 2})
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v: places %v, want %v", tc.name, tc.ids, got, tc.want)
		}
	}
}
