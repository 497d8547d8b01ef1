package data_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// shardSource is a source of n numbered rows and its lists of rows.
type shardSource struct {
	name string
	m    *data.FeatureMap // nil of a Memory
	src  data.Source
	user string // a categorical feature
	id   func(row int) int
	read func(testing.TB, func(func(*data.Batch, error) bool)) []int
}

// shardSources returns n rows in memory, and on disk with windows that hold all of them, several blocks and less than one.
func shardSources(t *testing.T, n int) []shardSource {
	t.Helper()
	mem := memory(t, n)
	mem.Shuffle, mem.Seed = true, 9
	list := []shardSource{{
		name: "memory", src: mem, user: "user", id: func(row int) int { return row },
		read: func(tb testing.TB, seq func(func(*data.Batch, error) bool)) []int {
			rows, _ := groups(t, seq)
			out := make([]int, len(rows))
			for i, r := range rows {
				out[i] = int(r)
			}
			return out
		},
	}}
	path := datatest.Numbered(t, n)
	for name, options := range map[string]string{"file": "", "windows": ", shuffle_buffer: 9000", "small windows": ", shuffle_buffer: 100"} {
		o, _ := datatest.Options(t)
		o.Seed = 5
		s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", path)+options+"}"), o)
		list = append(list, shardSource{
			name: name, m: s.Map, src: s.Train, user: "a", id: func(row int) int { return row % 300 },
			read: func(tb testing.TB, seq func(func(*data.Batch, error) bool)) []int {
				return datatest.NumberedIn(tb, s.Map, seq)
			},
		})
	}
	slices.SortFunc(list, func(a, b shardSource) int { return strings.Compare(a.name, b.name) })
	return list
}

func sorted(list []int) []int {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}

// checkEpochs checks that src has the rows want in every epoch, in orders of their own that BatchesFrom keeps to.
func checkEpochs(t testing.TB, s shardSource, src data.Source, want []int) []int {
	t.Helper()
	if src.Rows() != int64(len(want)) {
		t.Fatalf("%d rows, want %d", src.Rows(), len(want))
	}
	one, two := s.read(t, src.Batches(1, 512)), s.read(t, src.Batches(2, 512))
	if !slices.Equal(sorted(one), sorted(want)) || !slices.Equal(sorted(two), sorted(want)) {
		t.Fatalf("epochs of %d and %d rows are not the %d that are wanted", len(one), len(two), len(want))
	}
	if len(want) > 20 && (slices.Equal(one, two) || slices.IsSorted(one)) {
		t.Fatal("epochs have the same order, or that of the file")
	}
	if again := s.read(t, src.Batches(1, 77)); !slices.Equal(one, again) {
		t.Fatal("the order depends on the size of batches or on what was read before")
	}
	for _, skip := range []int{1, 3, 30, 500} {
		rest := s.read(t, src.(data.Skipper).BatchesFrom(1, 99, skip))
		if left := one[min(skip*99, len(one)):]; !slices.Equal(rest, left) {
			t.Fatalf("after %d batches: %d rows, want the last %d of the epoch", skip, len(rest), len(left))
		}
	}
	return one
}

func TestShards(t *testing.T) {
	const n = 12_000
	for _, s := range shardSources(t, n) {
		whole := s.read
		s.read = byGroup
		for _, by := range []string{data.ByRows, data.ByOrder, s.user} {
			for _, k := range []int{1, 3} {
				t.Run(fmt.Sprintf("%s/%s/%d", s.name, by, k), func(t *testing.T) {
					o := data.ShardOptions{By: by, Count: k, Seed: 3}
					shards, err := data.Shard(t.Context(), s.src, o, s.m)
					if err != nil {
						t.Fatal(err)
					}
					again, err := data.Shard(t.Context(), s.src, o, s.m)
					if err != nil {
						t.Fatal(err)
					}
					var all []int
					home := map[int]int{} // by id: its shard
					var ids []int
					for i, shard := range shards {
						rows := sorted(whole(t, shard.Batches(0, 1000)))
						order := checkEpochs(t, s, shard, rows)
						if !slices.Equal(order, s.read(t, again[i].Batches(1, 100))) {
							t.Error("the same options give other rows or another order")
						}
						all = append(all, rows...)
						switch by {
						case s.user:
							ids = append(ids, 0)
							for _, r := range rows {
								if at, ok := home[s.id(r)]; !ok {
									home[s.id(r)] = i
									ids[i]++
								} else if at != i {
									t.Fatalf("id %d is in shards %d and %d", s.id(r), at, i)
								}
							}
						default:
							if len(rows) < n/k || len(rows) > n/k+1 {
								t.Errorf("shard %d has %d rows of %d", i, len(rows), n)
							}
							if k > 1 && (by == data.ByOrder) != (rows[len(rows)-1]-rows[0] == len(rows)-1) {
								t.Errorf("shard %d by %s: rows %d to %d", i, by, rows[0], rows[len(rows)-1])
							}
						}
					}
					if by == data.ByOrder && !slices.IsSorted(all) {
						t.Error("shards by order are not in the order of the file")
					}
					slices.Sort(all)
					if !slices.Equal(all, datatest.Count(n)) {
						t.Error("the shards are not a partition of the rows")
					}
					if len(ids) > 0 && slices.Max(ids)-slices.Min(ids) > 1 {
						t.Errorf("shards of %d ids", ids)
					}
				})
			}
		}
	}
}

// byGroup lists the rows of an epoch without a look at their columns.
func byGroup(t testing.TB, seq func(func(*data.Batch, error) bool)) (rows []int) {
	t.Helper()
	for b, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range b.Group[:b.N] {
			rows = append(rows, int(g))
		}
	}
	return rows
}

// A shard of a shard, a share of it and another order of that still are the rows they should be.
func TestShardsOfShards(t *testing.T) {
	const n = 5000
	for _, s := range shardSources(t, n) {
		s.read = byGroup
		rapid.Check(t, func(rt *rapid.T) {
			src, rows, was := s.src, datatest.Count(n), uint64(1000) // no seed comes twice
			for range rapid.IntRange(1, 3).Draw(rt, "steps") {
				seed := was + rapid.Uint64Range(1, 1e6).Draw(rt, "seed")
				was = seed
				switch rapid.SampledFrom([]string{"shard", "head", "reorder"}).Draw(rt, "step") {
				case "shard":
					o := data.ShardOptions{
						By:    rapid.SampledFrom([]string{"rows", "order", s.user}).Draw(rt, "by"),
						Count: rapid.IntRange(1, 4).Draw(rt, "count"), Seed: seed,
					}
					shards, err := data.Shard(context.Background(), src, o, s.m)
					if err != nil {
						rt.Fatal(err)
					}
					var all []int
					lists := make([][]int, len(shards))
					for i, shard := range shards {
						lists[i] = sorted(s.read(t, shard.Batches(4, 300)))
						all = append(all, lists[i]...)
					}
					if !slices.Equal(sorted(all), rows) {
						rt.Fatalf("%d rows in %d shards by %s of %d", len(all), o.Count, o.By, len(rows))
					}
					i := rapid.IntRange(0, o.Count-1).Draw(rt, "which")
					src, rows = shards[i], lists[i]
				case "head":
					share := rapid.Float64Range(.05, 1).Draw(rt, "share")
					head, err := data.Head(src, share, seed)
					if err != nil {
						rt.Fatal(err)
					}
					some := sorted(s.read(t, head.Batches(4, 300)))
					if want := int(math.Round(share * float64(len(rows)))); len(some) != want {
						rt.Fatalf("%d of %d rows, want %d", len(some), len(rows), want)
					}
					for _, r := range some {
						if _, ok := slices.BinarySearch(rows, r); !ok {
							rt.Fatalf("row %d is not one of the source", r)
						}
					}
					src, rows = head, some
				case "reorder":
					other, err := data.Reorder(src, seed)
					if err != nil {
						rt.Fatal(err)
					}
					if len(rows) > 20 && slices.Equal(s.read(t, src.Batches(4, 300)), s.read(t, other.Batches(4, 300))) {
						rt.Fatal("another seed has the same order")
					}
					src = other
				}
				if len(rows) < 100 {
					break
				}
			}
			checkEpochs(t, s, src, rows)
		})
	}
}

// Tokens, not ids, decide the shard: another feature map of the same rows, as a union is, gives the same shards.
func TestShardsGoByToken(t *testing.T) {
	const n = 5000
	path := datatest.Numbered(t, n)
	options := strings.ReplaceAll(datatest.NumberedSection, "FILE", path) + "}"
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, options), o)
	turned := &data.FeatureMap{Version: s.Map.Version, Rows: s.Map.Rows, Features: s.Map.Features}
	for _, v := range s.Map.Tables {
		w := &data.Vocabulary{Name: v.Name, Tokens: slices.Clone(v.Tokens), Counts: slices.Clone(v.Counts)}
		slices.Reverse(w.Tokens)
		slices.Reverse(w.Counts[2:])
		turned.Tables = append(turned.Tables, w)
	}
	o.Map = turned
	u := datatest.Open(t, datatest.Section(t, options), o)
	by := data.ShardOptions{By: "a", Count: 3, Seed: 1}
	one, err := data.Shard(t.Context(), s.Train, by, s.Map)
	if err != nil {
		t.Fatal(err)
	}
	two, err := data.Shard(t.Context(), u.Train, by, u.Map)
	if err != nil {
		t.Fatal(err)
	}
	by.Seed++
	three, err := data.Shard(t.Context(), s.Train, by, s.Map)
	if err != nil {
		t.Fatal(err)
	}
	for i := range one {
		rows := datatest.NumberedIn(t, s.Map, one[i].Batches(1, 100))
		if !slices.Equal(rows, datatest.NumberedIn(t, u.Map, two[i].Batches(1, 100))) {
			t.Errorf("shard %d has other rows with other ids", i)
		}
		if slices.Equal(sorted(rows), sorted(datatest.NumberedIn(t, s.Map, three[i].Batches(1, 100)))) {
			t.Errorf("shard %d has the same rows with another seed", i)
		}
	}
}

// Rows at random: each pair of rows is together as often as chance has it, whatever was before.
func TestShardByRowsIsFair(t *testing.T) {
	const n, seeds = 40, 400
	mem := memory(t, n)
	var first [n]int
	together := 0
	for seed := range uint64(seeds) {
		shards, err := data.Shard(t.Context(), mem, data.ShardOptions{By: data.ByRows, Count: 2, Seed: seed}, nil)
		if err != nil {
			t.Fatal(err)
		}
		rows, _ := groups(t, shards[0].Batches(0, n))
		in := [n]bool{}
		for _, r := range rows {
			first[r]++
			in[r] = true
		}
		for i := 1; i < n; i++ {
			if in[i] == in[i-1] {
				together++
			}
		}
	}
	for r, k := range first {
		if k < seeds/2-60 || k > seeds/2+60 { // 6 standard deviations
			t.Errorf("row %d is in the first shard for %d of %d seeds", r, k, seeds)
		}
	}
	want := float64(seeds*(n-1)) * (n/2 - 1) / (n - 1)
	if math.Abs(float64(together)-want) > 6*math.Sqrt(want/2) {
		t.Errorf("%d neighbours together, want about %.0f", together, want)
	}
}

// The seed decides the order of a shard's rows, even where it does not decide which rows they are; shards have orders of their own.
func TestShardOrderHasASeed(t *testing.T) {
	mem := memory(t, 200)
	mem.Shuffle = true
	var orders [][]int
	for seed := range uint64(2) {
		shards, err := data.Shard(t.Context(), mem, data.ShardOptions{By: data.ByOrder, Count: 2, Seed: seed}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, shard := range shards {
			rows := byGroup(t, shard.Batches(1, 50))
			for i := range rows {
				rows[i] -= 100 * k
			}
			orders = append(orders, rows)
		}
	}
	for i := range orders {
		for k := range i {
			if slices.Equal(orders[i], orders[k]) {
				t.Errorf("shards %d and %d of two seeds have the same order", k, i)
			}
		}
	}
}

func TestShardKeepsOptions(t *testing.T) {
	path := datatest.Numbered(t, 5000)
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t,
		strings.ReplaceAll(datatest.NumberedSection, "FILE", path)+", drop_last: true, split: {by: order, ratio: [.5, .5, 0]}}"), o)
	shards, err := data.Shard(t.Context(), s.Train, data.ShardOptions{By: data.ByRows, Count: 2}, s.Map)
	if err != nil {
		t.Fatal(err)
	}
	if got := datatest.NumberedIn(t, s.Map, shards[0].Batches(0, 200)); len(got) != 1200 {
		t.Errorf("drop_last: %d rows of 1250 in batches of 200, want 1200", len(got))
	}
	valid, err := data.Shard(t.Context(), s.Valid, data.ShardOptions{By: "a", Count: 2}, s.Map)
	if err != nil {
		t.Fatal(err)
	}
	if got := datatest.NumberedIn(t, s.Map, valid[1].Batches(3, 200)); !slices.IsSorted(got) || len(got) == 0 {
		t.Errorf("a shard of validation rows is not in the order of the file")
	}
	if _, err := data.Reorder(s.Valid, 1); err == nil || !strings.Contains(err.Error(), "only training rows are shuffled") {
		t.Errorf("another order of validation rows: %v", err)
	}
}
