package embed_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// TestGatherInt8: tables of int8 fill the leaves with the bits of tables that have the same values in float32, whether rows lie side by side, are
// pooled or are summed, and whatever their width.
func TestGatherInt8(t *testing.T) {
	for _, dims := range [][2]int{{5, 3}, {16, 1}, {600, 2}} {
		const n, size = 9, 11
		want, got := newWorldOf(t, size, dims), newWorldOf(t, size, dims)
		for name, p := range got.params {
			if p.Shape[0] == 1 { // of the numeric feature, or the bias
				continue
			}
			d := p.Dim()
			p.Int8 = make([]byte, p.Shape[0]*kernel.Int8RowBytes(d))
			kernel.QuantizeInt8(p.Int8, p.Data, d)
			ids := []int32{0, 1, 2, 3, 4, 5}[:p.Shape[0]]
			kernel.GatherInt8RowsRef(want.params[name].Data, d, p.Int8, d, ids)
			p.Data = nil
		}
		b := want.batch(n, size)
		for _, w := range []*world{want, got} {
			if err := w.plan.Gather(b); err != nil {
				t.Fatal(err)
			}
		}
		for k := range want.leaves {
			if !slices.EqualFunc(got.leaves[k], want.leaves[k], func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
				t.Errorf("dims %v: leaf %d differs from that of float32 tables", dims, k)
			}
		}
		b.IDs["m"][4] = 5
		if err := got.plan.Gather(b); err == nil || !strings.Contains(err.Error(), "row 1 of the batch has id 5, table m has 5 rows") {
			t.Errorf("an id outside of the table: error %v", err)
		}
	}
}
