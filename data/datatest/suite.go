package datatest

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splice-ml/splice/data"
)

// Case is a data set over small files, of which Check tests that it keeps the promises of package data. It has a train, a
// validation and a test part of 5 rows or more each.
type Case struct {
	Data data.Dataset
	// Test returns a file that has the rows of the test part in their order, and the same rows in memory. The rows are nil where
	// the data set encodes none.
	Test func(t testing.TB, s *data.Splits) (path string, rows []map[string]any)
	// Grow returns the bytes of a file that has grown; with the last line once more if it is nil.
	Grow func(file []byte) []byte
}

// Check tests a data set:
//
//   - batches have their size, and what is beyond N is zero;
//   - each epoch of the train part has the same rows in another order; other parts keep theirs;
//   - BatchesFrom is Batches without its first ones;
//   - views and shards have each row once;
//   - the number of threads changes nothing;
//   - the cache has the same bytes if the rows are read again, by the fitted feature map;
//   - its origin names the files that it reads, and changes with their content alone;
//   - Stream reads the rows that Open reads, with or without their labels;
//   - Encoder makes of rows in memory what Stream makes of the file.
func Check(t *testing.T, c Case) {
	o := data.OpenOptions{CacheDir: t.TempDir(), Seed: 3}
	s := Open(t, c.Data, o)
	parts := map[string]data.Source{"train": s.Train, "valid": s.Valid, "test": s.Test}
	for name, src := range parts {
		if src == nil || src.Rows() < 5 {
			t.Fatalf("the case has no %s part of 5 rows; give it one", name)
		}
	}
	for name, src := range parts {
		t.Run(name+"/batches", func(t *testing.T) { checkBatches(t, src) })
		t.Run(name+"/epochs", func(t *testing.T) { checkEpochs(t, src, name == "train") })
		t.Run(name+"/skip", func(t *testing.T) { checkSkip(t, src) })
		t.Run(name+"/views", func(t *testing.T) { checkViews(t, src, s.Map) })
	}
	t.Run("threads", func(t *testing.T) { checkThreads(t, c.Data, s) })
	file, rows := c.Test(t, s)
	t.Run("stream", func(t *testing.T) { checkStream(t, c.Data, s, file) })
	t.Run("encode", func(t *testing.T) { checkEncode(t, c.Data, s, file, rows) })
	t.Run("cache", func(t *testing.T) { checkCache(t, c.Data, o) })
	t.Run("origin", func(t *testing.T) { checkOrigin(t, c, s, o) })
}

// checkCache removes the rows from the cache, but not what was fitted: they were written while it was fitted, and now are by another pass.
func checkCache(t *testing.T, d data.Dataset, o data.OpenOptions) {
	want := Files(t, o.CacheDir)
	for name := range want {
		if key, part, ok := strings.Cut(name, "-"); ok && strings.HasSuffix(part, ".bin") {
			for _, name := range []string{name, key + ".json"} {
				if err := os.Remove(filepath.Join(o.CacheDir, name)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
		}
	}
	Open(t, d, o)
	got := Files(t, o.CacheDir)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s has other bytes: %d, had %d", name, len(got[name]), len(want[name]))
		}
	}
	if len(got) != len(want) {
		t.Errorf("there are %d files, were %d", len(got), len(want))
	}
}

// Files returns the content of the files in a directory, by their names.
func Files(t testing.TB, dir string) map[string]string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range list {
		if e.IsDir() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(text)
	}
	return out
}

// rowsOf returns the rows of an epoch as text, all their bits, and checks the shape of the batches and their padding.
func rowsOf(t testing.TB, s *data.Schema, seq iter.Seq2[*data.Batch, error], size int) []string {
	t.Helper()
	var out []string
	ended := false
	for b, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		if b.Size != size || b.N < 1 || b.N > size || ended {
			t.Fatalf("a batch has N %d of Size %d, want at most %d, and fewer in the last one only", b.N, b.Size, size)
		}
		ended = b.N < size
		for i := range b.Size {
			row, zero := rowText(s, b, i)
			if i < b.N {
				out = append(out, row)
			} else if !zero {
				t.Fatalf("row %d is padding but not zero: %s", i, row)
			}
		}
	}
	return out
}

// rowText returns row i as text and whether it is padding.
func rowText(s *data.Schema, b *data.Batch, i int) (text string, padding bool) {
	label := b.Label[i]
	zero := label == 0
	text = fmt.Sprintf("label %x", math.Float32bits(label))
	for _, v := range b.Dense[i*s.NumDense : (i+1)*s.NumDense] {
		text += fmt.Sprintf(" %x", math.Float32bits(v))
		zero = zero && math.Float32bits(v) == 0
	}
	for _, f := range s.Features {
		if f.Kind == data.Numeric {
			continue
		}
		ids := b.IDs[f.Name][i*f.Width() : (i+1)*f.Width()]
		text += fmt.Sprintf(" %s %v", f.Name, ids)
		zero = zero && !slices.ContainsFunc(ids, func(id int32) bool { return id != data.PadID })
	}
	if b.Group != nil {
		text += fmt.Sprintf(" group %d", b.Group[i])
		zero = zero && b.Group[i] == 0
	}
	for _, y := range b.Labels {
		text += fmt.Sprintf(" label %x", math.Float32bits(y[i]))
		zero = zero && y[i] == 0
	}
	if b.Weight != nil {
		text += fmt.Sprintf(" weight %g", b.Weight[i])
		zero = zero && b.Weight[i] == 0
	}
	if t := b.Tokens; t != nil {
		ids, segments, n := t.IDs[i*t.L:(i+1)*t.L], t.Segments[i*t.L:(i+1)*t.L], t.Len[i]
		text += fmt.Sprintf(" row %d tokens %v segments %v", b.Row[i], ids[:n], segments[:n])
		zero = zero && n == 0 && b.Row[i] == 0
		for k := int(n); k < t.L; k++ {
			if ids[k] != s.Text.Pad || segments[k] != 0 {
				return text + fmt.Sprintf(" but token %d behind its end is %d", k, ids[k]), false
			}
		}
		m := len(t.At) / b.Size
		for k := i * m; k < (i+1)*m; k++ {
			text += fmt.Sprintf(" %d:%g", t.At[k]-int32(i*t.L), t.Target[k])
			zero = zero && t.At[k] == -1 && t.Target[k] == -1
		}
		if m > 0 { // masks differ from epoch to epoch: the row's number stands for its tokens
			return fmt.Sprintf("row %d", b.Row[i]), zero
		}
	}
	return text, zero
}

func checkBatches(t *testing.T, src data.Source) {
	n := int(src.Rows())
	for _, size := range []int{1, 3, n, n + 4} {
		if got := len(rowsOf(t, src.Schema(), src.Batches(1, size), size)); got != n {
			t.Errorf("batches of %d have %d rows, want %d", size, got, n)
		}
	}
	for _, err := range src.Batches(0, 0) {
		if err == nil {
			t.Error("batches of 0 rows are no error")
		}
	}
}

func checkEpochs(t *testing.T, src data.Source, shuffles bool) {
	const size = 4
	epoch := func(e int) []string { return rowsOf(t, src.Schema(), src.Batches(e, size), size) }
	first := epoch(1)
	if again := epoch(1); !slices.Equal(again, first) {
		t.Error("the same epoch has another order when it is read again")
	}
	differ := false
	for e := range 4 {
		other := epoch(e)
		if !sameRows(other, first) {
			t.Fatalf("epoch %d has other rows than epoch 1", e)
		}
		differ = differ || !slices.Equal(other, first)
	}
	if differ != shuffles {
		t.Errorf("epochs have different orders: %v, want %v", differ, shuffles)
	}
}

// sameRows reports whether two lists have the same rows, in whatever order.
func sameRows(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func checkSkip(t *testing.T, src data.Source) {
	s, ok := src.(data.Skipper)
	if !ok {
		t.Fatalf("a %T is no data.Skipper", src)
	}
	const size = 3
	all := rowsOf(t, src.Schema(), s.Batches(2, size), size)
	for skip := 0; skip*size <= len(all)+size; skip++ {
		want := all[min(skip*size, len(all)):]
		if got := rowsOf(t, src.Schema(), s.BatchesFrom(2, size, skip), size); !slices.Equal(got, want) {
			t.Errorf("without the first %d batches there are %d rows, or others than the last %d", skip, len(got), len(want))
		}
	}
	if d, ok := src.(data.Dealer); ok {
		checkDeal(t, d, all)
	}
}

// checkDeal deals the batches of an epoch to three: each gets its own as they are in the whole, and knows how many rows the others have.
func checkDeal(t *testing.T, src data.Dealer, all []string) {
	const size, of, skip = 3, 3, 1
	for k := range of {
		at, n := skip*size, skip
		for b, err := range src.BatchesOf(2, size, skip, func(batch int) bool { return batch%of == k }) {
			if err != nil {
				t.Fatal(err)
			}
			if n%of == k {
				for i := range b.N {
					if got, _ := rowText(src.Schema(), b, i); got != all[at+i] {
						t.Fatalf("row %d of the epoch is %s where batches are dealt, else %s", at+i, got, all[at+i])
					}
				}
			}
			at += b.N
			n++
		}
		if at != max(len(all), min(skip*size, len(all))) {
			t.Errorf("dealt batches have %d rows, all of them %d", at, len(all))
		}
	}
}

func checkViews(t *testing.T, src data.Source, m *data.FeatureMap) {
	const size = 4
	read := func(src data.Source) []string { return rowsOf(t, src.Schema(), src.Batches(1, size), size) }
	want := read(src)
	partition := func(what string, views ...data.Source) {
		t.Helper()
		var got []string
		for _, v := range views {
			rows := read(v)
			if int64(len(rows)) != v.Rows() {
				t.Errorf("%s: a view has %d rows and says %d", what, len(rows), v.Rows())
			}
			got = append(got, rows...)
		}
		if !sameRows(got, want) {
			t.Errorf("%s: the %d rows of the views are not the %d rows of the source", what, len(got), len(want))
		}
	}
	by := []string{data.ByRows, data.ByOrder}
	for _, f := range src.Schema().Features {
		if f.Kind == data.Categorical && distinct(src, f.Name) >= 2 {
			by = append(by, f.Name)
			break
		}
	}
	for _, b := range by {
		shards, err := data.Shard(t.Context(), src, data.ShardOptions{By: b, Count: 2, Seed: 1}, m)
		if err != nil {
			t.Fatal(err)
		}
		partition("shards by "+b, shards...)
		if shards[0].Rows() < 2 {
			continue
		}
		again, err := data.Shard(t.Context(), shards[0], data.ShardOptions{By: data.ByRows, Count: 2, Seed: 2}, m)
		if err != nil {
			t.Fatal(err)
		}
		partition("shards of a shard by "+b, append(again, shards[1])...)
	}
	chosen, rest, err := data.HoldOut(src, .4, 5)
	if err != nil {
		t.Fatal(err)
	}
	partition("rows held out", chosen, rest)
	head, err := data.Head(src, .5, 1)
	if err != nil {
		t.Fatal(err)
	}
	if rows := read(head); len(rows) >= len(want) || slices.ContainsFunc(rows, func(r string) bool { return !slices.Contains(want, r) }) {
		t.Errorf("half of the %d rows are %d, or rows of another source", len(want), len(rows))
	}
}

// distinct returns how many ids of a feature occur.
func distinct(src data.Source, feature string) int {
	ids := map[int32]bool{}
	for b, err := range src.Batches(0, 8) {
		if err != nil {
			return 0
		}
		for _, id := range b.IDs[feature][:b.N] {
			ids[id] = true
		}
	}
	return len(ids)
}

func checkThreads(t *testing.T, d data.Dataset, want *data.Splits) {
	for _, threads := range []int{1, 3} {
		got := Open(t, d, data.OpenOptions{CacheDir: t.TempDir(), Seed: 3, Threads: threads})
		if got.Map.Digest() != want.Map.Digest() {
			t.Errorf("%d threads fit another feature map", threads)
		}
		for _, p := range []struct {
			name      string
			got, want data.Source
		}{{"train", got.Train, want.Train}, {"valid", got.Valid, want.Valid}, {"test", got.Test, want.Test}} {
			const size = 5
			a, b := rowsOf(t, p.got.Schema(), p.got.Batches(1, size), size), rowsOf(t, p.want.Schema(), p.want.Batches(1, size), size)
			if !slices.Equal(a, b) {
				t.Errorf("%d threads read other %s rows", threads, p.name)
			}
		}
	}
}

// checkOrigin changes the files of the data set, and puts them back.
func checkOrigin(t *testing.T, c Case, s *data.Splits, o data.OpenOptions) {
	was := s.Origin()
	again := func(o data.OpenOptions) []string {
		t.Helper()
		return was.Changes(Open(t, c.Data, o).Origin())
	}
	if c := again(data.OpenOptions{CacheDir: t.TempDir(), Seed: 7, Threads: 1}); len(c) > 0 {
		t.Errorf("opened with another cache and seed, the origin is another one: %q", c)
	}
	if len(was.Sources) == 0 && s.Synthetic == nil {
		t.Error("no files are named, though the rows were not generated")
	}
	for _, f := range was.Sources {
		if strings.HasPrefix(f.Path, o.CacheDir) {
			t.Errorf("%s is in the cache: want the files that the user has", f.Path)
		}
		text, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if f.Size != int64(len(text)) {
			t.Errorf("%s: %d bytes, want %d", f.Path, f.Size, len(text))
		}
		if err := os.Chtimes(f.Path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		if c := again(o); len(c) > 0 {
			t.Errorf("%s was touched, and the origin is another one: %q", f.Path, c)
		}
		grow := c.Grow
		if grow == nil {
			grow = lastTwice
		}
		if err := os.WriteFile(f.Path, grow(bytes.Clone(text)), 0o666); err != nil {
			t.Fatal(err)
		}
		if c := again(o); len(c) == 0 || !strings.Contains(c[0], f.Path+" has ") {
			t.Errorf("%s has grown: changes %q, want them to name it", f.Path, c)
		}
		if err := os.WriteFile(f.Path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		if c := again(o); len(c) > 0 {
			t.Errorf("%s was put back, and the origin is another one: %q", f.Path, c)
		}
	}
}

// lastTwice returns a text with its last line once more.
func lastTwice(text []byte) []byte {
	last := bytes.LastIndexByte(bytes.TrimRight(text, "\n"), '\n') + 1
	return append(text, text[last:]...)
}

// inOrder returns the rows of the first epoch in the order of their file.
func inOrder(t testing.TB, src data.Source) []string {
	t.Helper()
	const size = 4
	rows := rowsOf(t, src.Schema(), src.Batches(0, size), size)
	if src.Schema().Text == nil {
		return rows
	}
	var at []int64
	for b, err := range src.Batches(0, size) {
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, b.Row[:b.N]...)
	}
	out := make([]string, len(rows))
	for i, r := range rows {
		out[at[i]] = r
	}
	return out
}

func checkStream(t *testing.T, d data.Dataset, s *data.Splits, file string) {
	want := inOrder(t, s.Test)
	for _, threads := range []int{1, 3} {
		src := d.Stream(t.Context(), file, s.Map, data.StreamOptions{Threads: threads, Labels: true})
		if src.Rows() != -1 {
			t.Errorf("a stream says that it has %d rows, want -1", src.Rows())
		}
		for range 2 { // it can be read again
			if got := inOrder(t, src); !slices.Equal(got, want) {
				t.Fatalf("%d threads stream %d rows, or others than the %d of the test part:\n%v\n%v", threads, len(got), len(want), got, want)
			}
		}
	}
}

func checkEncode(t *testing.T, d data.Dataset, s *data.Splits, file string, rows []map[string]any) {
	e, err := d.Encoder(s.Map)
	if rows == nil {
		if err == nil {
			t.Error("the case has no rows in memory, but the data set encodes them")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	schema := e.Schema()
	read := func(b *data.Batch) (out []string) {
		for i := range b.Size {
			b.Label[i] = 0 // the stream's; rows in memory have none
			b.Group, b.Weight = nil, nil
			for _, y := range b.Labels {
				y[i] = 0
			}
			if b.Row != nil {
				b.Row[i] = 0
			}
			text, zero := rowText(schema, b, i)
			if i < b.N {
				out = append(out, text)
			} else if !zero {
				t.Fatalf("row %d is padding but not zero: %s", i, text)
			}
		}
		return out
	}
	for _, size := range []int{1, 3, len(rows), len(rows) + 2} {
		b := newBatch(schema, size)
		next := 0
		for want, err := range d.Stream(t.Context(), file, s.Map, data.StreamOptions{}).Batches(0, size) {
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Encode(b, rows[next:next+want.N]...); err != nil {
				t.Fatal(err)
			}
			if b.N != want.N || b.Size != size || b.Tokens != nil && b.Tokens.L != want.Tokens.L {
				t.Fatalf("N %d of Size %d, want %d of %d, and sequences of the same length", b.N, b.Size, want.N, want.Size)
			}
			next += want.N
			if slices.ContainsFunc(b.Label, func(y float32) bool { return y != 0 }) {
				t.Errorf("labels %v, want zeros", b.Label)
			}
			if got, want := read(b), read(want); !slices.Equal(got, want) {
				t.Fatalf("batches of %d: rows in memory and in the file differ:\n%v\n%v", size, got, want)
			}
		}
		if next != len(rows) {
			t.Fatalf("%d rows in memory, %d in the file", len(rows), next)
		}
	}
	checkTogether(t, d, s.Map, rows)
	columns := map[string]bool{}
	for _, f := range s.Map.Stored().Features {
		columns[f.Source()] = true
	}
	checkRefusals(t, e, rows[0], len(columns))
}

// checkTogether tests that encoders of several goroutines do not disturb each other.
func checkTogether(t *testing.T, d data.Dataset, m *data.FeatureMap, rows []map[string]any) {
	const goroutines = 4
	var got [goroutines]string
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			e, err := d.Encoder(m)
			if err != nil {
				t.Error(err)
				return
			}
			b := newBatch(e.Schema(), 1)
			for i := range rows {
				if err := e.Encode(b, rows[i:i+1]...); err != nil {
					t.Error(err)
				}
				text, _ := rowText(e.Schema(), b, 0)
				got[g] += text + "\n"
			}
		})
	}
	wg.Wait()
	for _, g := range got[1:] {
		if g != got[0] {
			t.Fatalf("%d goroutines encode the same rows as\n%s\nand\n%s", goroutines, g, got[0])
		}
	}
}

// newBatch returns a batch for rows in memory.
func newBatch(s *data.Schema, size int) *data.Batch {
	if s.Text != nil {
		return data.NewTokenBatch(s, size, s.Text.MaxLen())
	}
	return data.NewBatch(s, size)
}

// checkRefusals tests that at least that many columns are needed, and that a row without a column, with an unknown one, or with a value of no use is an error that names the column.
func checkRefusals(t *testing.T, e data.RowEncoder, row map[string]any, columns int) {
	b := newBatch(e.Schema(), 2)
	with := func(name string, v any) map[string]any {
		out := map[string]any{name: v}
		for k, v := range row {
			if k != name {
				out[k] = v
			}
		}
		return out
	}
	refuses := func(what, column string, bad map[string]any) {
		t.Helper()
		err := e.Encode(b, row, bad)
		v, ok := err.(*data.ValueError)
		if !ok || v.Row != 1 || v.Column != column {
			t.Errorf("%s: error %v, want one of row 1, column %q", what, err, column)
		}
	}
	refuses("an unknown column", "no_such_column", with("no_such_column", "x"))
	required := 0
	for name := range row {
		less := with(name, nil)
		delete(less, name)
		if e.Encode(b, less) == nil {
			continue // the label, or a column that is ignored
		}
		required++
		refuses("a missing column", name, less)
		refuses("a struct", name, with(name, struct{}{}))
	}
	if want := max(columns, 1); required < want {
		t.Errorf("rows need %d of their columns, want %d", required, want)
	}
	if err := e.Encode(b, row, row, row); err == nil {
		t.Error("3 rows fit in a batch of 2")
	}
}
