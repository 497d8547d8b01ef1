package inspect_test

import (
	"errors"
	"iter"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/train/inspect"
	"github.com/splice-ml/splice/train/task"
)

// stream is a source whose number of rows is not known: row i has the id i%7+2, the number i, the label i%2, and belongs to group i/size.
type stream struct{ rows, size int }

func (s stream) Schema() *data.Schema {
	return &data.Schema{Features: []data.Feature{
		{Name: "c", Kind: data.Categorical, Vocab: 9, Table: "c"}, {Name: "x", Kind: data.Numeric}, {Name: "y", Kind: data.Numeric, Column: 1},
	}, NumDense: 2, HasGroup: true}
}
func (s stream) Rows() int64 { return -1 }
func (s stream) Batches(_, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		for lo := 0; lo < s.rows; lo += size {
			b := data.NewBatch(s.Schema(), size)
			b.N = min(size, s.rows-lo)
			for k := range b.N {
				i := lo + k
				b.IDs["c"][k], b.Dense[2*k], b.Dense[2*k+1] = int32(i%7+2), float32(i), float32(-i)
				b.Label[k], b.Group[k] = float32(i%2), int64(i/s.size)
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// read returns the rows of a source: id, number, label and group.
func read(t *testing.T, src data.Source, size int) (list [][5]int) {
	t.Helper()
	for b, err := range src.Batches(0, size) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.N {
			list = append(list, [5]int{int(b.IDs["c"][i]), int(b.Dense[2*i]), int(b.Dense[2*i+1]), int(b.Label[i]), int(b.Group[i])})
		}
		for i := b.N; i < b.Size; i++ {
			if b.IDs["c"][i] != 0 || b.Dense[2*i] != 0 || b.Label[i] != 0 || b.Group[i] != 0 {
				t.Fatalf("row %d of padding is not zero", i)
			}
		}
	}
	return list
}

func hold(t *testing.T, src data.Source, o inspect.HoldOptions) *inspect.Rows {
	t.Helper()
	r, err := inspect.Hold(t.Context(), src, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHold(t *testing.T) {
	src := stream{10_000, 4}
	all := read(t, src, 128)
	if got := read(t, hold(t, src, inspect.HoldOptions{Most: 10_000, Key: 1}).Source(), 77); !slices.Equal(got, all) {
		t.Error("rows that fit are not those of the source")
	}
	r := hold(t, src, inspect.HoldOptions{Most: 300, Key: 1})
	got := read(t, r.Source(), 64)
	if r.Of != 10_000 || r.Held() != 300 || len(got) != 300 {
		t.Fatalf("%d of %d rows are held, %d read, want 300 of 10000", r.Held(), r.Of, len(got))
	}
	// the sample has the rows of the least numbers of the stream, in their order
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return int(math.Copysign(1, rng.Float(1, int64(a))-rng.Float(1, int64(b))))
	})
	want := slices.Sorted(slices.Values(order[:300]))
	for i, at := range want {
		if got[i] != all[at] {
			t.Fatalf("held row %d is %v, want row %d, %v", i, got[i], at, all[at])
		}
	}
	groups := read(t, hold(t, src, inspect.HoldOptions{Most: 300, Key: 1, Groups: true}).Source(), 64)
	count := map[int]int{}
	for _, row := range groups {
		count[row[4]]++
	}
	if len(groups) != 300 || len(count) != 75 {
		t.Errorf("%d rows of %d groups are held, want 300 of 75, which are whole", len(groups), len(count))
	}
	if _, err := inspect.Hold(t.Context(), src, inspect.HoldOptions{Most: 3, Key: 1, Groups: true}); !errors.Is(err, inspect.ErrGroup) {
		t.Errorf("groups of 4 rows in 3: error %v", err)
	}
}

func TestPermuted(t *testing.T) {
	r := hold(t, stream{10, 3}, inspect.HoldOptions{Most: 10, Key: 1})
	order := []int{3, 1, 4, 0, 5, 9, 2, 6, 8, 7}
	got := read(t, r.Permuted(inspect.Column{Features: []string{"c", "y"}}, order), 4)
	for i, row := range got {
		if want := [5]int{order[i]%7 + 2, i, -order[i], i % 2, i / 3}; row != want {
			t.Errorf("row %d is %v, want %v", i, row, want)
		}
	}
}

func TestColumns(t *testing.T) {
	table := func(name string, of ...int32) *data.Vocabulary { return &data.Vocabulary{Name: name, Of: of} }
	m := &data.FeatureMap{
		Features: data.MapFeatures{
			{Name: "user", Table: "user"},
			{Name: "item", Table: "item"},
			{Name: "genre", Table: "genre", From: "item"},
			{Name: "weekday", Table: "weekday", Column: "time"},
			{Name: "price", Kind: data.Numeric},
			{Name: "hour", Table: "hour", Column: "time"},
			{Name: "history", Kind: data.Sequence, Table: "item"},
			{Name: "history_genre", Kind: data.Sequence, Table: "genre", From: "history"},
			{Name: "month", Table: "month", Column: "date"},
		},
		Tables: []*data.Vocabulary{table("user"), table("item"), table("genre"), table("weekday"), table("hour"), table("month")},
	}
	want := []inspect.Column{
		{Name: "user", Features: []string{"user"}},
		{Name: "item", Features: []string{"item", "genre"}, Together: "of one column of the data", Shares: []string{"histories"}},
		{Name: "time", Features: []string{"weekday", "hour"}, Together: "of one column of the data"},
		{Name: "price", Features: []string{"price"}},
		{Name: "histories", Features: []string{"history", "history_genre"}, Together: "of one user", Shares: []string{"item"}},
		{Name: "month", Features: []string{"month"}},
	}
	got := inspect.Columns(m, m.Schema(false))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("columns\n%+v\nwant\n%+v", got, want)
	}
}

// reader is a model whose logit is the number x of a row.
type reader struct {
	batch int
	z     []float32
}

func (r *reader) Batch() int        { return r.batch }
func (r *reader) Logits() []float32 { return r.z }
func (r *reader) Run(b *data.Batch, _ int64) (float64, error) {
	r.z = make([]float32, b.Size)
	for i := range b.N {
		r.z[i] = b.Dense[2*i] / 100
	}
	return 0, nil
}

// TestImportance: of a model that reads one column, the others have the importance 0, and that column's is the one that its permutations have by
// hand.
func TestImportance(t *testing.T) {
	const n, repeats = 60, 4
	r := hold(t, stream{n, n}, inspect.HoldOptions{Most: n, Key: 1})
	tk := task.Binary{MetricNames: []string{"auc", "logloss"}}
	columns := []inspect.Column{{Name: "c", Features: []string{"c"}}, {Name: "x", Features: []string{"x"}}}
	logloss := func(order []int) (sum float64) {
		for i := range n {
			x := float64(float32(order[i]) / 100)
			sum += (math.Log1p(math.Exp(x)) - x*float64(i%2)) / n
		}
		return sum
	}
	same := make([]int, n)
	for i := range same {
		same[i] = i
	}
	p := inspect.Permutation{Metric: "logloss", Repeats: repeats, Seed: 5}
	got, whole, err := p.Measure(t.Context(), &reader{batch: 16}, r, tk, columns)
	if err != nil {
		t.Fatal(err)
	}
	if want := logloss(same); math.Abs(whole-want) > 1e-9 {
		t.Errorf("the log loss is %v, want %v", whole, want)
	}
	for _, im := range got {
		var sum, square float64
		for k := range repeats {
			want := 0.0
			if im.Name == "x" {
				want = logloss(rng.New(rng.Key(5, "importance", "x", k)).Perm(n)) - logloss(same)
			}
			sum, square = sum+want, square+want*want
			if math.Abs(im.Drops[k]-want) > 1e-9 {
				t.Errorf("%s: permutation %d costs %v, want %v", im.Name, k, im.Drops[k], want)
			}
		}
		mean := sum / repeats
		half := 3.182446305 * math.Sqrt((square/repeats-mean*mean)/(repeats-1)) // the 0.975 quantile of Student's t with 3 degrees of freedom
		if math.Abs(im.Drop-mean) > 1e-9 || math.Abs(im.Low-(mean-half)) > 1e-6 || math.Abs(im.High-(mean+half)) > 1e-6 {
			t.Errorf("%s: %v in [%v, %v], want %v ± %v", im.Name, im.Drop, im.Low, im.High, mean, half)
		}
	}
	p = inspect.Permutation{Metric: "auc", Repeats: 1, Seed: 5}
	if got, whole, err = p.Measure(t.Context(), &reader{batch: 7}, r, tk, columns[1:]); err != nil {
		t.Fatal(err)
	}
	if im := got[0]; im.Drop != im.Drops[0] || !math.IsNaN(im.Low) || whole-im.Drop < 0.2 || whole-im.Drop > 0.8 {
		t.Errorf("auc %v drops by %v in [%v, %v], want to about a half, without an interval", whole, im.Drop, im.Low, im.High)
	}
	one := hold(t, stream{1, 1}, inspect.HoldOptions{Most: n, Key: 1})
	if _, _, err := p.Measure(t.Context(), &reader{batch: 7}, one, tk, columns); err == nil || !strings.Contains(err.Error(), "auc is undefined on these rows") {
		t.Errorf("auc of a row: error %v", err)
	}
}
