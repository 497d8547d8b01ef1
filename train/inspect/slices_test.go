package inspect_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/inspect"
	"github.com/splice-ml/splice/train/metric"
)

// TestInterval: the interval of the accuracy of n rows, or of n/size groups of size equal rows, is as wide as theory has it, also where the
// sample has fewer rows than there are.
func TestInterval(t *testing.T) {
	for _, tc := range []struct {
		name          string
		n, size       int
		groups        bool
		units, within float64
	}{
		{"few", 400, 1, false, 400, 0.15},
		{"groups", 2000, 5, true, 400, 0.15},
		{"many", 100_000, 1, false, 100_000, 0.2},
		{"many groups", 100_000, 5, true, 20_000, 0.2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, all, fresh := inspect.NewSample(7, tc.groups), newMetric(t, "accuracy"), newMetric(t, "accuracy")
			r := rand.New(rand.NewPCG(1, 1))
			label := float32(0)
			for i := range tc.n {
				if i%tc.size == 0 {
					label = float32(r.IntN(10) / 6)
				}
				rows := metric.Rows{Logits: []float32{-1}, Labels: []float32{label}, Group: []int64{int64(i / tc.size)}}
				s.Add(rows)
				if err := rows.Add(all); err != nil {
					t.Fatal(err)
				}
			}
			list, err := s.Estimates([]metric.Metric{all}, []metric.Metric{fresh})
			if err != nil {
				t.Fatal(err)
			}
			e := list[0]
			want := 2 * 1.96 * math.Sqrt(e.Value*(1-e.Value)/tc.units)
			if got := e.High - e.Low; math.Abs(got/want-1) > tc.within || !(e.Low < e.Value && e.Value < e.High) {
				t.Errorf("accuracy %v in [%v, %v], %v wide, want %v", e.Value, e.Low, e.High, got, want)
			}
			if n := len(s.Rows().Labels); n > 5000 || tc.n <= 5000 && n != tc.n {
				t.Errorf("%d of %d rows are kept", n, tc.n)
			}
		})
	}
}

func newMetric(t *testing.T, name string) metric.Metric {
	t.Helper()
	m, err := metric.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestNoInterval: a metric that many samples leave undefined has none, and neither has that of a single row.
func TestNoInterval(t *testing.T) {
	for _, n := range []int{1, 30} {
		s, all, fresh := inspect.NewSample(7, false), newMetric(t, "auc"), newMetric(t, "auc")
		for i := range n {
			rows := metric.Rows{Logits: []float32{float32(i)}, Labels: []float32{float32(max(0, i-n+2))}}
			s.Add(rows)
			if err := rows.Add(all); err != nil {
				t.Fatal(err)
			}
		}
		list, err := s.Estimates([]metric.Metric{all}, []metric.Metric{fresh})
		if err != nil {
			t.Fatal(err)
		}
		if e := list[0]; !math.IsNaN(e.Low) || !math.IsNaN(e.High) || n == 30 && e.Value != 1 {
			t.Errorf("auc of %d rows: %+v, want no interval", n, e)
		}
	}
}

// planned counts the rows of a batch, and plans the slices. It returns which each row is in.
func planned(t *testing.T, v *inspect.Values, b *data.Batch, cells []string) (in [][]int) {
	t.Helper()
	cell := func(i int) []byte {
		if cells == nil {
			return nil
		}
		return []byte(cells[i])
	}
	for i := range b.N {
		if err := v.Count(b, cell(i), i, nil); err != nil {
			t.Fatal(err)
		}
	}
	v.Plan()
	for i := range b.N {
		in = append(in, v.Slices(b, cell(i), i, nil, nil))
	}
	return in
}

func TestValues(t *testing.T) {
	var tokens []string
	for i := range 30 {
		tokens = append(tokens, fmt.Sprint("t", i))
	}
	tokens[3] = ""
	m := &data.FeatureMap{
		Features: data.MapFeatures{
			{Name: "c", Table: "c"},
			{Name: "m", Kind: data.Multi, Table: "c", MaxLen: 3},
			{Name: "h", Table: "h"},
			{Name: "x", Kind: data.Numeric, Transform: data.Log1p},
			{Name: "s", Kind: data.Sequence, Table: "c", MaxLen: 3},
		},
		Tables: []*data.Vocabulary{{Name: "c", Tokens: tokens}, {Name: "h", Hash: 9}},
	}
	sc := m.Schema(false)
	b := data.NewBatch(sc, 100)
	b.N = 100
	for i := range b.N {
		b.IDs["c"][i] = int32(2 + min(i%10*i/10, 29)) // the most frequent is 0
		b.IDs["h"][i] = int32(i%2) + 4
		b.Dense[i] = float32(math.Log1p(float64(i)))
		copy(b.IDs["m"][3*i:], [][]int32{{0, 0, 0}, {2, 2, 0}, {2, 5, 1}}[i%3])
		copy(b.IDs["s"][3*i:], [][]int32{{0, 0, 0}, {2, 2, 0}, {2, 5, 1}}[i%3])
	}
	of := func(k int) *inspect.Values {
		v, err := inspect.FeatureValues(m, &sc.Features[k], 1)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	c := of(0)
	in := planned(t, c, b, nil)
	count := map[int]int{}
	for i, k := range in {
		if len(k) != 1 {
			t.Fatalf("row %d is in slices %v", i, k)
		}
		count[k[0]]++
		id := b.IDs["c"][i]
		want := tokens[id-2]
		if want == "" {
			want = "(blank)"
		}
		if name := c.Names[k[0]]; name != want && k[0] != 20 {
			t.Errorf("row %d, of %q, is in %q", i, want, name)
		}
	}
	distinct := map[int32]bool{}
	for _, id := range b.IDs["c"] {
		distinct[id] = true
	}
	if rest := fmt.Sprintf("others (%d values)", len(distinct)-20); len(distinct) < 22 || c.Found != len(distinct) || len(c.Names) != 21 || c.Names[20] != rest {
		t.Errorf("%d values found in slices %q, want 20 of %d and %q", c.Found, c.Names, len(distinct), rest)
	}
	for k := 1; k < 20; k++ {
		if count[k] > count[k-1] {
			t.Errorf("slice %d has %d rows, the one before it %d", k, count[k], count[k-1])
		}
	}
	multi := of(1)
	in = planned(t, multi, b, nil)
	if want := []string{"t0", "(none)", "(unknown)", "(blank)"}; !slices.Equal(multi.Names, want) || multi.Kind != inspect.OfTokens ||
		!slices.Equal(in[0], []int{1}) || !slices.Equal(in[1], []int{0}) || !slices.Equal(in[2], []int{0, 3, 2}) {
		t.Errorf("slices %q of %s, rows %v, want %q", multi.Names, multi.Kind, in[:3], want)
	}
	if hashed := of(2); planned(t, hashed, b, nil) == nil || !slices.Equal(hashed.Names, []string{"bucket 2", "bucket 3"}) {
		t.Errorf("hashed: %q", hashed.Names)
	}
	number := of(3)
	in = planned(t, number, b, nil)
	if want := []string{"below 20", "from 20 below 40", "from 40 below 60", "from 60 below 80", "from 80"}; !slices.Equal(number.Names, want) || in[19][0] != 0 || in[20][0] != 1 || in[99][0] != 4 {
		t.Errorf("numbers: %q, want %q, with row 19 %v and row 20 %v", number.Names, want, in[19], in[20])
	}
	length := of(4)
	in = planned(t, length, b, nil)
	if want := []string{"below 2", "2", "from 3"}; !slices.Equal(length.Names, want) || in[0][0] != 0 || in[1][0] != 1 || in[2][0] != 2 {
		t.Errorf("lengths: %q, want %q; %v", length.Names, want, in[:3])
	}
	cells := slices.Repeat([]string{"b", "", "a", "b"}, 25)
	text := inspect.CellValues("z", data.TextCells, 1)
	in = planned(t, text, b, cells)
	if want := []string{"b", "(blank)", "a"}; !slices.Equal(text.Names, want) || in[2][0] != 2 {
		t.Errorf("cells: %q, want %q", text.Names, want)
	}
	cells = slices.Repeat([]string{"0.5", "", "2.5", "2.5"}, 25)
	floats := inspect.CellValues("z", data.NumberCells, 1)
	in = planned(t, floats, b, cells)
	if want := []string{"below 2.5", "from 2.5", "(blank)"}; !slices.Equal(floats.Names, want) || in[0][0] != 0 || in[1][0] != 2 || in[3][0] != 1 {
		t.Errorf("numbers of cells: %q, want %q; %v", floats.Names, want, in[:4])
	}
	if _, err := inspect.FeatureValues(m, &data.Feature{Name: "v", Kind: data.Numeric, Count: 3}, 1); err == nil || !strings.Contains(err.Error(), "v is a vector of 3 numbers") {
		t.Errorf("a vector: error %v", err)
	}
}
