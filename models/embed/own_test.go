package embed_test

import (
	"math"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// TestOwnIDs looks a table up by ids that are not the batch's, and by more of those than are in use: only
// those in use are gathered, and have gradients. Widths of which the columns are merged in parts have the sums of others, for any
// number of threads, and nothing is allocated.
func TestOwnIDs(t *testing.T) {
	threads := kernel.Threads()
	defer kernel.SetThreads(threads)
	const batch, n, vocab, count = 5, 4, 9, 40
	for _, d := range []int{6, 32, 64, 96, 130, 256} {
		sc := &data.Schema{Features: []data.Feature{{Name: "h", Kind: data.Sequence, Vocab: vocab, MaxLen: 3}}}
		r := rng.New(rng.Key(1, "own", d))
		p := &nn.Param{Name: "h.weight", Shape: []int{vocab, d}, Data: make([]float32, vocab*d), Kind: nn.Table}
		for i := range p.Data[d:] {
			p.Data[d+i] = float32(r.NormFloat64())
		}
		used := 0
		all, some := make([]int32, count), make([]int32, count)
		field := []embed.Field{{Feature: &sc.Features[0], Param: p}}
		lookups := []*embed.Lookup{
			{Dim: d, IDs: all, Count: count, Fields: slices.Clone(field)},
			{Dim: d, IDs: some, Count: count, Used: &used, Fields: slices.Clone(field)},
		}
		plan := embed.NewPlan(sc, batch)
		var leaves, grads [][]float32
		for _, l := range lookups {
			leaves, grads = append(leaves, make([]float32, l.Count*d)), append(grads, make([]float32, l.Count*d))
			plan.Add(l, (*G.Node)(nil), leaves[len(leaves)-1])
		}
		b := data.NewBatch(sc, batch)
		b.N = n
		for step, u := range []int{0, 7, count, 11} {
			used = u
			for i := range count {
				all[i], some[i] = int32(r.IntN(vocab-2)), int32(r.IntN(vocab-2))
			}
			for i := used; i < count; i++ {
				some[i] = vocab - 1 // of which nothing else has a part
			}
			for i := range grads {
				for k := range grads[i] {
					grads[i][k] = float32(r.NormFloat64())
				}
			}
			want, touched := make([]float64, vocab*d), map[int32]bool{}
			mark := float32(step) + .5
			for i, ids := range [][]int32{all, some[:used]} {
				for k, id := range ids {
					if id == 0 {
						continue
					}
					touched[id] = true
					for c := range d {
						want[int(id)*d+c] += float64(grads[i][k*d+c])
					}
				}
			}
			for k := range leaves[1] {
				leaves[1][k] = mark
			}
			var first []float32
			for _, k := range []int{1, 2, 3} {
				kernel.SetThreads(k)
				if err := plan.Gather(b); err != nil {
					t.Fatal(err)
				}
				rows, _ := plan.Scatter(b, grads)
				if len(rows) != 1 || len(rows[0].IDs) != len(touched) || !slices.IsSorted(rows[0].IDs) {
					t.Fatalf("d %d, %d used: rows %v, want those of %v", d, used, rows[0].IDs, touched)
				}
				for i, id := range rows[0].IDs {
					for c := range d {
						if got := float64(rows[0].Grad[i*d+c]); math.Abs(got-want[int(id)*d+c]) > 1e-4 {
							t.Fatalf("d %d, %d used: gradient of row %d, column %d is %v, want %v", d, used, id, c, got, want[int(id)*d+c])
						}
					}
				}
				if first == nil {
					first = slices.Clone(rows[0].Grad)
				} else if !slices.Equal(first, rows[0].Grad) {
					t.Errorf("d %d: %d threads have other gradients than 1", d, k)
				}
			}
			for k, id := range some {
				row := leaves[1][k*d : (k+1)*d]
				if k < used && !slices.Equal(row, p.Data[int(id)*d:int(id+1)*d]) || k >= used && slices.ContainsFunc(row, func(v float32) bool { return v != mark }) {
					t.Errorf("d %d, %d used: row %d of the leaf, of id %d, is %v", d, used, k, id, row[:1])
				}
			}
		}
		if allocs := testing.AllocsPerRun(5, func() {
			if err := plan.Gather(b); err != nil {
				t.Fatal(err)
			}
			plan.Scatter(b, grads)
		}); allocs != 0 {
			t.Errorf("d %d: %v allocations", d, allocs)
		}
	}
}
