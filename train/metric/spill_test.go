package metric

import (
	"os"
	"testing"
)

// TestSpillInto: the rows that are too many for memory are in files of the caller's, also those that are sorted for a second time, and
// nowhere else.
func TestSpillInto(t *testing.T) {
	none := t.TempDir() + "/none"
	t.Setenv("TMPDIR", none)
	t.Setenv("TMP", none) // Windows
	for _, name := range []string{"auc", "gauc", "spearman"} {
		dir := t.TempDir()
		made := 0
		m, err := New(name)
		if err != nil {
			t.Fatal(err)
		}
		small(m, 2)
		SpillInto([]Metric{m}, func() (*os.File, error) {
			made++
			return os.CreateTemp(dir, "x")
		})
		if err := m.Add([]float32{1, 2, 3, 4, 5, 6}, []float32{0, 1, 1, 0, 1, 0}, []int64{1, 1, 1, 2, 2, 2}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := m.Value(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want := 1
		if name == "spearman" { // it sorts by the prediction, then by the label
			want = 2
		}
		if made != want {
			t.Errorf("%s made %d files, want %d", name, made, want)
		}
		m.Reset()
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s leaves %v, %v", name, left, err)
		}
	}
}
