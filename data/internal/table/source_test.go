package table_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

func TestShuffle(t *testing.T) {
	const n = 20_000
	path := datatest.Numbered(t, n)
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
			o, _ := datatest.Options(t)
			o.Seed = 5
			s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", path)+c.options+"}"), o)
			src := s.Train.(data.Skipper)
			one := datatest.NumberedIn(t, s.Map, src.Batches(1, 512))
			two := datatest.NumberedIn(t, s.Map, src.Batches(2, 512))
			again := datatest.NumberedIn(t, s.Map, src.Batches(1, 333))
			if !slices.Equal(one, again) {
				t.Error("the order depends on the size of batches or on what was read before")
			}
			if slices.Equal(one, two) || slices.IsSorted(one) {
				t.Error("epochs have the same order, or that of the file")
			}
			for _, skip := range []int{1, 7, 17, 39, 40, 100} {
				rest := datatest.NumberedIn(t, s.Map, src.BatchesFrom(1, 512, skip))
				if want := one[min(skip*512, n):]; !slices.Equal(rest, want) {
					t.Errorf("after %d batches: %d rows, want the last %d of the epoch", skip, len(rest), len(want))
				}
			}
			slices.Sort(one)
			if !slices.Equal(one, datatest.Count(n)) {
				t.Error("an epoch is not a permutation of the rows")
			}
			o.Seed = 6
			other := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", path)+c.options+"}"), o)
			if slices.Equal(datatest.NumberedIn(t, s.Map, other.Train.Batches(2, 512)), two) {
				t.Error("another seed has the same order")
			}
		})
	}
}

// A full shuffle sends each row to each place alike: neighbours do not stay together and no place is favoured.
func TestShuffleIsUniform(t *testing.T) {
	const n, epochs = 1000, 200
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", datatest.Numbered(t, n))+"}"), o)
	var firstHalf [n]int
	near := 0
	for e := range epochs {
		rows := datatest.NumberedIn(t, s.Map, s.Train.Batches(e, 100))
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
	path := datatest.Numbered(t, n)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, threads := range []int{1, 2, 5} {
		o, _ := datatest.Options(t)
		o.Threads = threads
		valid := filepath.Join(t.TempDir(), "v.csv")
		if err := os.WriteFile(valid, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s := datatest.Open(t, datatest.Section(t,
			strings.ReplaceAll(datatest.NumberedSection, "FILE", path)+", drop_last: true, valid_path: "+valid+"}"), o)
		if got := datatest.NumberedIn(t, s.Map, s.Valid.Batches(3, 4000)); !slices.Equal(got, datatest.Count(n)) {
			t.Errorf("validation rows are not those of the file in order")
		}
		if got := datatest.NumberedIn(t, s.Map, s.Valid.(data.Skipper).BatchesFrom(3, 100, 55)); !slices.Equal(got, datatest.Count(n)[5500:]) {
			t.Errorf("%d rows after 55 batches, want %d", len(got), n-5500)
		}
		if got := datatest.NumberedIn(t, s.Map, s.Train.Batches(3, 4000)); len(got) != 8000 {
			t.Errorf("drop_last: %d train rows, want 8000", len(got))
		}
	}
}

func TestStopEarly(t *testing.T) {
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", datatest.Numbered(t, 5000))+"}"), o)
	d := datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", datatest.Numbered(t, 5000))+"}")
	before := runtime.NumGoroutine()
	for i := range 50 {
		for range s.Train.Batches(i, 64) {
			if i%3 > 0 {
				break
			}
		}
		for range d.Stream(t.Context(), datatest.Numbered(t, 5000), s.Map, data.StreamOptions{}).Batches(0, 64) {
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
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", datatest.Numbered(t, 3000))+"}"), o)
	want := datatest.NumberedIn(t, s.Map, s.Train.Batches(1, 100))
	var inner []int
	for b, err := range s.Train.Batches(1, 1000) {
		if err != nil {
			t.Fatal(err)
		}
		first := b.Dense[0]
		inner = datatest.NumberedIn(t, s.Map, s.Train.Batches(1, 100))
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
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", datatest.Numbered(t, 20_000))+"}"), o)
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
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", datatest.Numbered(t, 10))+"}"), o)
	for _, err := range s.Train.Batches(0, 0) {
		if err == nil {
			t.Error("batches of 0 rows: no error")
		}
	}
}

// A part with fewer rows than a batch has no batch with drop_last, which is an error that says so; views of it too.
func TestDropLastWithTooFewRows(t *testing.T) {
	o, _ := datatest.Options(t)
	sec := strings.ReplaceAll(datatest.NumberedSection, "FILE", datatest.Numbered(t, 20)) + ", drop_last: true}"
	s := datatest.Open(t, datatest.Section(t, sec), o)
	half, err := data.Head(s.Train, .5, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		src  data.Source
		size int
		want string // empty: none
	}{
		{s.Train, 20, ""},
		{s.Train, 21, "data: drop_last leaves out all 20 train rows, which are fewer than a batch (batch_size 21); " +
			"make batch_size at most 20, or remove drop_last"},
		{half, 11, "drop_last leaves out all 10 train rows"},
	} {
		batches := 0
		var last error
		for _, last = range c.src.Batches(0, c.size) {
			batches++
		}
		check := data.CheckBatch(c.src, c.size)
		if c.want == "" {
			if last != nil || check != nil || batches != 1 {
				t.Errorf("%d rows, batches of %d: %d batches, errors %v, %v", c.src.Rows(), c.size, batches, last, check)
			}
			continue
		}
		if last == nil || check == nil || last.Error() != check.Error() ||
			!strings.Contains(last.Error(), c.want) {
			t.Errorf("%d rows, batches of %d: errors %v, %v, want %s", c.src.Rows(), c.size, last, check, c.want)
		}
	}
}
