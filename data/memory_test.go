package data_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/data"

	_ "github.com/splice-ml/splice/data/set"
)

func memory(t *testing.T, n int) *data.Memory {
	t.Helper()
	s := &data.Schema{
		Features: []data.Feature{
			{Name: "user", Kind: data.Categorical, Vocab: n + 2, Table: "user"},
			{Name: "age", Kind: data.Numeric, Table: "age"},
			{Name: "tags", Kind: data.Multi, Vocab: 5, MaxLen: 3, Table: "tags"},
		},
		NumDense: 1, HasGroup: true,
	}
	rows := make([]data.Row, n)
	for i := range rows {
		rows[i] = data.Row{
			IDs:   map[string][]int32{"user": {int32(i + 2)}, "tags": slices.Repeat([]int32{2}, i%4)},
			Dense: []float32{float32(i) / 2}, Label: float32(i % 2), Group: int64(i),
		}
	}
	m, err := data.FromRows(s, rows)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// groups lists the rows of an epoch and checks that every column of a batch tells of the same row.
func groups(t *testing.T, seq func(func(*data.Batch, error) bool)) (rows []int64, last *data.Batch) {
	t.Helper()
	for b, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Size {
			g := b.Group[i]
			if i >= b.N {
				if b.IDs["user"][i] != 0 || b.Dense[i] != 0 || b.Label[i] != 0 || g != 0 {
					t.Fatalf("row %d of %d is padding but not zero", i, b.N)
				}
				continue
			}
			tags := slices.Concat(slices.Repeat([]int32{2}, int(g%4)), make([]int32, 3-g%4))
			if b.IDs["user"][i] != int32(g)+2 || b.Dense[i] != float32(g)/2 || b.Label[i] != float32(g%2) ||
				!slices.Equal(b.IDs["tags"][i*3:i*3+3], tags) {
				t.Fatalf("row %d mixes examples: %v", g, b)
			}
			rows = append(rows, g)
		}
		last = b
	}
	return rows, last
}

func TestMemory(t *testing.T) {
	m := memory(t, 10)
	rows, last := groups(t, m.Batches(0, 4))
	if want := []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(rows, want) {
		t.Errorf("rows = %v, want %v", rows, want)
	}
	if last.N != 2 || last.Size != 4 {
		t.Errorf("last batch has N %d, Size %d, want 2, 4", last.N, last.Size)
	}
	m.Shuffle = true
	one, _ := groups(t, m.Batches(1, 4))
	two, _ := groups(t, m.Batches(2, 4))
	again, _ := groups(t, m.Batches(1, 3))
	if slices.Equal(one, rows) || slices.Equal(one, two) || !slices.Equal(one, again) {
		t.Errorf("orders %v, %v, %v: want the first and last equal, the second another", one, two, again)
	}
	if rest, _ := groups(t, m.BatchesFrom(1, 3, 2)); !slices.Equal(rest, one[6:]) {
		t.Errorf("BatchesFrom = %v, want %v", rest, one[6:])
	}
	m.DropLast = true
	if full, _ := groups(t, m.Batches(1, 4)); !slices.Equal(full, one[:8]) {
		t.Errorf("DropLast = %v, want %v", full, one[:8])
	}
	for _, err := range m.Batches(1, 11) {
		if err == nil || !strings.Contains(err.Error(), "drop_last leaves out all 10 train rows") ||
			!strings.Contains(err.Error(), "batch_size at most 10") {
			t.Errorf("DropLast with fewer rows than a batch: error = %v", err)
		}
	}
	slices.Sort(one)
	if diff := cmp.Diff(rows, one); diff != "" {
		t.Errorf("a shuffled epoch is not a permutation: %s", diff)
	}
}

func TestMemoryRefuses(t *testing.T) {
	s := &data.Schema{Features: []data.Feature{{Name: "a", Vocab: 3, Table: "a"}}}
	for _, c := range []struct {
		name string
		row  data.Row
	}{
		{"id too large", data.Row{IDs: map[string][]int32{"a": {3}}}},
		{"negative id", data.Row{IDs: map[string][]int32{"a": {-1}}}},
		{"no id", data.Row{}},
		{"two ids", data.Row{IDs: map[string][]int32{"a": {1, 2}}}},
		{"numbers", data.Row{IDs: map[string][]int32{"a": {1}}, Dense: []float32{1}}},
	} {
		if _, err := data.FromRows(s, []data.Row{c.row}); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}
