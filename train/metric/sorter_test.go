package metric

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// small sets the rows in memory, for a test of the temporary file.
func small(m Metric, limit int) {
	switch m := m.(type) {
	case *AUC:
		k := *m.keys.kind
		k.limit = limit
		m.keys.kind = &k
		w := *m.weighed.kind
		w.limit = limit
		m.weighed.kind = &w
	case *Grouped:
		k := *m.rankings.kind
		k.limit = limit
		m.rankings.kind = &k
	case *Spearman:
		k := *m.pairs.kind
		k.limit = limit
		m.pairs.kind = &k
	}
}

func TestSpill(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir) // Windows
	r := rand.New(rand.NewPCG(7, 8))
	const n = 2003
	x, y, g := make([]float32, n), make([]float32, n), make([]int64, n)
	for i := range x {
		x[i] = float32(r.IntN(300)-150) / 64 // with ties
		y[i] = float32(r.IntN(2))
		g[i] = int64(r.IntN(40) - 20)
	}
	for _, name := range []string{"auc", "gauc", "user_auc", "ndcg@5", "hr@2"} {
		want, _ := New(name)
		if err := want.Add(x, y, g); err != nil {
			t.Fatal(err)
		}
		w, err := want.Value()
		if err != nil {
			t.Fatal(err)
		}
		for _, limit := range []int{20, 300, 2002, 2003} {
			m, _ := New(name)
			small(m, limit)
			for range 2 { // again after Reset
				if err := m.Add(x, y, g); err != nil {
					t.Fatal(err)
				}
				for range 2 { // Value does not use the runs up
					if v, err := m.Value(); err != nil || v != w {
						t.Fatalf("%s, %d rows in memory: %v, %v, want %v", name, limit, v, err, w)
					}
				}
				m.Reset()
			}
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestSpillFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()+"/none")
	t.Setenv("TMP", t.TempDir()+"/none")
	m, _ := New("auc")
	small(m, 1)
	if err := m.Add([]float32{1, 2}, []float32{0, 1}, nil); err == nil {
		t.Error("no error without a directory for the temporary file")
	}
}

func BenchmarkAUC(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	const n = 1 << 20
	x, y := make([]float32, n), make([]float32, n)
	for i := range x {
		x[i], y[i] = float32(r.NormFloat64()), float32(r.IntN(2))
	}
	for b.Loop() {
		m, _ := New("auc")
		if err := m.Add(x, y, nil); err != nil {
			b.Fatal(err)
		}
		if _, err := m.Value(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
}

// TestSpillWeighted: weights stay with their rows in temporary files.
func TestSpillWeighted(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 8))
	const n = 503
	x, y, w := make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range x {
		x[i], y[i], w[i] = float32(r.IntN(3)), float32(r.IntN(2)), float32(math.Exp(-40*r.Float64())) // of which a sum depends on its order
	}
	value := func(limit int) float64 {
		m, err := New("auc")
		if err != nil {
			t.Fatal(err)
		}
		defer m.Reset()
		small(m, limit)
		if err := (Rows{Logits: x, Labels: y, Weights: w}).Add(m); err != nil {
			t.Fatal(err)
		}
		v, err := m.Value()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if got, want := value(50), value(n); got != want {
		t.Errorf("%v with rows in files, %v in memory", got, want)
	}
}
