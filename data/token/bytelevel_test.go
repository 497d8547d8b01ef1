package token

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMergeQueue holds that the two ways to merge give the same ids, also where ranks tie and pairs overlap.
func TestMergeQueue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		p := &bytePieces{merges: map[[2]int32]merge{}}
		for next := int32(3); next < 30; next++ {
			pair := [2]int32{r.Int32N(next), r.Int32N(next)}
			if _, ok := p.merges[pair]; !ok {
				p.merges[pair] = merge{int32(len(p.merges)), next}
			}
		}
		ids := make([]int32, r.IntN(60))
		for i := range ids {
			ids[i] = r.Int32N(3)
		}
		want := p.mergeScan(slices.Clone(ids))
		if got := p.mergeQueue(slices.Clone(ids)); !slices.Equal(got, want) {
			t.Fatalf("%v with %v: got %v, want %v", ids, p.merges, got, want)
		}
	}
}
