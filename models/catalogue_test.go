package models

import (
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/ops"
)

// Negatives of a position are items that its history does not have, and not its next item; padding has none. They are drawn anew at each
// step.
func TestDrawnNegatives(t *testing.T) {
	const vocab, each = 8, 3 // of the items 2 to 7 the first row leaves 5, 6 and 7
	h := &History{L: 3, IDs: []int32{2, 3, 4, 5, 0, 0}, next: []int32{3, 4, 6, 2, -1, -1}}
	c := &Catalogue{Size: vocab, history: h, each: each, drawn: make([]int32, len(h.IDs)*each)}
	seen := map[int32]bool{}
	for step := range int64(50) {
		c.draw(&ops.Step{Seed: 1, N: step})
		for i, id := range c.drawn {
			p := i / each
			row := h.IDs[p/h.L*h.L:][:h.L]
			switch {
			case h.next[p] < 0:
				if id != data.PadID {
					t.Fatalf("padding has the negative %d", id)
				}
			case id < data.FirstID || id >= vocab || id == h.next[p] || id == row[0] || id == row[1] || id == row[2]:
				t.Fatalf("step %d: position %d of %v, whose next item is %d, has the negative %d", step, p, row, h.next[p], id)
			case p < 2:
				seen[id] = true
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("the first positions have the negatives %v, want 5, 6 and 7 in turn", seen)
	}
}
