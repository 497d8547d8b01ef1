package datatest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
)

// Numbered writes n rows whose number is in every column.
func Numbered(t testing.TB, n int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("y,g,a,n,tags\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,%d,t%d,%d,%d|%d\n", i%2, i, i%300, i, i%5, i%7)
	}
	return WriteFile(t, "n.csv", b.String())
}

// NumberedSection is the data section of FILE, which Numbered wrote, without its closing brace.
const NumberedSection = "{type: csv, path: FILE, label: y, group: g, columns: {a: categorical, n: numeric, tags: {type: multi, max_len: 2}}"

// NumberedIn lists the numbers of rows in the order of an epoch, checking that each row is whole.
func NumberedIn(t testing.TB, m *data.FeatureMap, seq func(func(*data.Batch, error) bool)) []int {
	t.Helper()
	var rows []int
	for b, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Size {
			r := int(b.Dense[i])
			if i >= b.N {
				if r != 0 || b.Group[i] != 0 || b.Label[i] != 0 || b.IDs["a"][i] != 0 || b.IDs["tags"][2*i] != 0 {
					t.Fatalf("padding row %d is not zero", i)
				}
				continue
			}
			a, _ := m.ID("a", fmt.Sprintf("t%d", r%300))
			t0, _ := m.ID("tags", fmt.Sprint(r%5))
			t1, _ := m.ID("tags", fmt.Sprint(r%7))
			if b.Group[i] != int64(r) || b.Label[i] != float32(r%2) || b.IDs["a"][i] != a || b.IDs["tags"][2*i] != t0 || b.IDs["tags"][2*i+1] != t1 {
				t.Fatalf("row %d mixes rows", r)
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// Count returns 0 to n-1.
func Count(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
