package data_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splice-ml/splice/data"
)

// numbered writes n rows whose number is in every column.
func numbered(t testing.TB, n int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("y,g,a,n,tags\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,%d,t%d,%d,%d|%d\n", i%2, i, i%300, i, i%5, i%7)
	}
	return write(t, "n.csv", b.String())
}

const numberedSection = "{type: csv, path: FILE, label: y, group: g, columns: {a: categorical, n: numeric, tags: {type: multi, max_len: 2}}"

// rowsIn lists the numbers of rows in the order of an epoch, checking that each row is whole.
func rowsIn(t testing.TB, m *data.FeatureMap, seq func(func(*data.Batch, error) bool)) []int {
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

func count(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestShuffle(t *testing.T) {
	const n = 20_000
	path := numbered(t, n)
	for _, c := range []struct {
		name, options string
		local         bool // rows stay near their block
	}{
		{"whole part", "", false},
		{"window of blocks", ", shuffle_buffer: 9000", true},
		{"window below a block", ", shuffle_buffer: 100", true},
		{"window of one row", ", shuffle_buffer: 1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, _ := logTo(t)
			o.Seed = 5
			s := open(t, section(t, strings.ReplaceAll(numberedSection, "FILE", path)+c.options+"}"), o)
			src := s.Train.(data.Skipper)
			one := rowsIn(t, s.Map, src.Batches(1, 512))
			two := rowsIn(t, s.Map, src.Batches(2, 512))
			again := rowsIn(t, s.Map, src.Batches(1, 333))
			if !slices.Equal(one, again) {
				t.Error("the order depends on the size of batches or on what was read before")
			}
			if slices.Equal(one, two) || slices.IsSorted(one) {
				t.Error("epochs have the same order, or that of the file")
			}
			for _, skip := range []int{1, 7, 17, 39, 40, 100} {
				rest := rowsIn(t, s.Map, src.BatchesFrom(1, 512, skip))
				if want := one[min(skip*512, n):]; !slices.Equal(rest, want) {
					t.Errorf("after %d batches: %d rows, want the last %d of the epoch", skip, len(rest), len(want))
				}
			}
			slices.Sort(one)
			if !slices.Equal(one, count(n)) {
				t.Error("an epoch is not a permutation of the rows")
			}
			o.Seed = 6
			other := open(t, section(t, strings.ReplaceAll(numberedSection, "FILE", path)+c.options+"}"), o)
			if slices.Equal(rowsIn(t, s.Map, other.Train.Batches(2, 512)), two) {
				t.Error("another seed has the same order")
			}
		})
	}
}

// A full shuffle sends each row to each place alike: neighbours do not stay together and no place is favoured.
func TestShuffleIsUniform(t *testing.T) {
	const n, epochs = 1000, 200
	o, _ := logTo(t)
	s := open(t, section(t, strings.ReplaceAll(numberedSection, "FILE", numbered(t, n))+"}"), o)
	var firstHalf [n]int
	near := 0
	for e := range epochs {
		rows := rowsIn(t, s.Map, s.Train.Batches(e, 100))
		for i, r := range rows {
			if i < n/2 {
				firstHalf[r]++
			}
			if i > 0 && (rows[i-1]-r == 1 || r-rows[i-1] == 1) {
				near++
			}
		}
	}
	for r, k := range firstHalf {
		if k < 60 || k > 140 {
			t.Errorf("row %d is in the first half of %d of %d epochs", r, k, epochs)
		}
	}
	if near > 3*epochs || near < epochs { // 2 expected an epoch
		t.Errorf("%d neighbours stay together in %d epochs, want about %d", near, epochs, 2*epochs)
	}
}

func TestFileOrder(t *testing.T) {
	const n = 9000
	path := numbered(t, n)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, threads := range []int{1, 2, 5} {
		o, _ := logTo(t)
		o.Threads = threads
		valid := filepath.Join(t.TempDir(), "v.csv")
		if err := os.WriteFile(valid, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, section(t, strings.ReplaceAll(numberedSection, "FILE", path)+", drop_last: true, valid_path: "+valid+"}"), o)
		if got := rowsIn(t, s.Map, s.Valid.Batches(3, 4000)); !slices.Equal(got, count(n)) {
			t.Errorf("validation rows are not those of the file in order")
		}
		if got := rowsIn(t, s.Map, s.Valid.(data.Skipper).BatchesFrom(3, 100, 55)); !slices.Equal(got, count(n)[5500:]) {
			t.Errorf("%d rows after 55 batches, want %d", len(got), n-5500)
		}
		if got := rowsIn(t, s.Map, s.Train.Batches(3, 4000)); len(got) != 8000 {
			t.Errorf("drop_last: %d train rows, want 8000", len(got))
		}
	}
}

func TestStopEarly(t *testing.T) {
	o, _ := logTo(t)
	s := open(t, section(t, strings.ReplaceAll(numberedSection, "FILE", numbered(t, 5000))+"}"), o)
	d := section(t, strings.ReplaceAll(numberedSection, "FILE", numbered(t, 5000))+"}").(data.Scorer)
	before := runtime.NumGoroutine()
	for i := range 50 {
		for range s.Train.Batches(i, 64) {
			if i%3 > 0 {
				break
			}
		}
		for range d.Stream(t.Context(), numbered(t, 5000), s.Map, data.StreamOptions{}).Batches(0, 64) {
			break
		}
		func() {
			defer func() { _ = recover() }()
			for range s.Train.Batches(i, 64) {
				panic("consumer")
			}
		}()
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines after, %d before", runtime.NumGoroutine(), before)
}

func TestTwoReadersAtOnce(t *testing.T) {
	o, _ := logTo(t)
	s := open(t, section(t, strings.ReplaceAll(numberedSection, "FILE", numbered(t, 3000))+"}"), o)
	want := rowsIn(t, s.Map, s.Train.Batches(1, 100))
	var inner []int
	for b, err := range s.Train.Batches(1, 1000) {
		if err != nil {
			t.Fatal(err)
		}
		first := b.Dense[0]
		inner = rowsIn(t, s.Map, s.Train.Batches(1, 100))
		if b.Dense[0] != first {
			t.Fatal("a batch changes while another epoch is read")
		}
		break
	}
	if !slices.Equal(inner, want) {
		t.Error("an epoch inside of an epoch has another order")
	}
}

func TestEpochAllocates(t *testing.T) {
	o, _ := logTo(t)
	s := open(t, section(t, strings.ReplaceAll(numberedSection, "FILE", numbered(t, 20_000))+"}"), o)
	epoch := 0
	run := func() {
		epoch++
		for _, err := range s.Train.Batches(epoch, 100) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(3, run); n > 50 { // of 200 batches: the channels and generators of an epoch
		t.Errorf("an epoch of 200 batches allocates %v times, want at most 50", n)
	}
}

func TestBadSizes(t *testing.T) {
	o, _ := logTo(t)
	s := open(t, section(t, strings.ReplaceAll(numberedSection, "FILE", numbered(t, 10))+"}"), o)
	for _, err := range s.Train.Batches(0, 0) {
		if err == nil {
			t.Error("batches of 0 rows: no error")
		}
	}
}
