package data_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
)

// squares is a source as a package outside of the module could have it: row i has the id i%7 of the feature k and the label i.
type squares struct {
	places  []uint32 // of the rows
	seed    uint64
	shuffle bool
}

var squareSchema = &data.Schema{Features: []data.Feature{{Name: "k", Kind: data.Categorical, Vocab: 9, Table: "k"}}}

func (s *squares) Schema() *data.Schema { return squareSchema }
func (s *squares) Rows() int64          { return int64(len(s.places)) }
func (s *squares) Shuffles() bool       { return s.shuffle }

func (s *squares) Batches(epoch, size int) iter.Seq2[*data.Batch, error] {
	return s.BatchesFrom(epoch, size, 0)
}

func (s *squares) BatchesFrom(epoch, size, skip int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		order := slices.Clone(s.places)
		if s.shuffle {
			r := rand.New(rand.NewPCG(s.seed, uint64(epoch)))
			r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		for rows := range slices.Chunk(order[min(skip*size, len(order)):], size) {
			b := data.NewBatch(squareSchema, size)
			b.N = len(rows)
			for i, r := range rows {
				b.IDs["k"][i], b.Label[i] = int32(2+r%7), float32(r)
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

func (s *squares) View(o data.ViewOptions) data.Viewer {
	return &squares{places: data.Places(s.places, o.Keep), seed: o.Seed, shuffle: s.shuffle || o.Window > 0}
}

func (s *squares) EachID(_ context.Context, f *data.Feature, do func(id int32)) error {
	if f.Name != "k" {
		return fmt.Errorf("no feature %s", f.Name)
	}
	for _, r := range s.places {
		do(int32(2 + r%7))
	}
	return nil
}

// labels returns the labels of an epoch.
func labels(t *testing.T, src data.Source, epoch int) (out []int) {
	t.Helper()
	for b, err := range src.Batches(epoch, 5) {
		if err != nil {
			t.Fatal(err)
		}
		for _, y := range b.Label[:b.N] {
			out = append(out, int(y))
		}
	}
	return out
}

// A source of another package is dealt, cut and put in another order like those of this module.
func TestOwnSource(t *testing.T) {
	own := &squares{shuffle: true, seed: 1}
	want := make([]int, 40)
	for i := range want {
		own.places, want[i] = append(own.places, uint32(i)), i
	}
	for _, by := range []string{data.ByRows, data.ByOrder, "k"} {
		shards, err := data.Shard(t.Context(), own, data.ShardOptions{By: by, Count: 3, Seed: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		owner := map[int]int{}
		for k, s := range shards {
			rows := labels(t, s, 2)
			got = append(got, rows...)
			for _, r := range rows {
				if o, ok := owner[r%7]; by == "k" && ok && o != k {
					t.Errorf("rows of id %d are in shards %d and %d", r%7, o, k)
				}
				owner[r%7] = k
			}
		}
		if got := sorted(got); !slices.Equal(got, want) {
			t.Errorf("shards by %s have the rows %v", by, got)
		}
	}
	head, err := data.Head(own, .25, 1)
	if err != nil {
		t.Fatal(err)
	}
	if rows := labels(t, head, 0); len(rows) != 10 {
		t.Errorf("a quarter of 40 rows is %d rows", len(rows))
	}
	own.shuffle = false
	chosen, rest, err := data.HoldOut(own, .5, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := sorted(append(labels(t, chosen, 0), labels(t, rest, 0)...)); !slices.Equal(got, want) {
		t.Errorf("the chosen rows and the rest are %v", got)
	}
	if slices.Equal(labels(t, chosen, 0), labels(t, chosen, 1)) || !slices.IsSorted(labels(t, rest, 1)) {
		t.Error("the chosen rows must be shuffled, the rest be in the order of the source")
	}
	if _, err := data.Reorder(own, 7); err == nil {
		t.Error("a source that does not shuffle has another order")
	}
	own.shuffle = true
	other, err := data.Reorder(own, 7)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := labels(t, own, 1), labels(t, other, 1); slices.Equal(a, b) || !slices.Equal(sorted(b), want) {
		t.Errorf("reordered: %v, before %v", b, a)
	}
	if _, err := data.Head(struct{ data.Source }{own}, .5, 1); err == nil {
		t.Error("a source that cannot be viewed is taken apart")
	}
}
