package set_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/datatest"
)

// TestShardsByUser: a user's rows, positives and negatives, are in one shard, and the shards have equally many of the 57 users who have
// rows. Rows of sequences are users.
func TestShardsByUser(t *testing.T) {
	for _, rows := range []string{"candidates", "sequences"} {
		d := datatest.Section(t, "type: synthetic_interactions\nusers: 60\nitems: 80\nactions: 8\nnegatives: 3\neval_negatives: 5\nmax_len: 6\nrows: "+rows)
		o, _ := datatest.Options(t)
		s := datatest.Open(t, d, o)
		shards, err := data.Shard(t.Context(), s.Train, data.ShardOptions{By: "user", Count: 3, Seed: 4}, s.Map)
		if err != nil {
			t.Fatal(err)
		}
		owner, total := map[int64]int{}, int64(0)
		for k, src := range shards {
			users := map[int64]bool{}
			n := int64(0)
			for epoch := range 2 {
				positives := map[int64]int{}
				for b, err := range src.Batches(epoch, 64) {
					if err != nil {
						t.Fatal(err)
					}
					for i, u := range b.Group[:b.N] {
						if other, ok := owner[u]; ok && other != k {
							t.Fatalf("%s: user %d is in the shards %d and %d", rows, u, other, k)
						}
						owner[u], users[u] = k, true
						if n++; b.Label[i] == 1 {
							positives[u] += 4
						}
						positives[u]--
					}
				}
				for u, left := range positives {
					if rows == "candidates" && left != 0 {
						t.Fatalf("user %d has not 3 negatives of each positive", u)
					}
				}
			}
			if n != 2*src.Rows() || len(users) != 19 {
				t.Errorf("%s: shard %d has %d rows in two epochs, want twice %d, of %d users, want 19", rows, k, n, src.Rows(), len(users))
			}
			total += src.Rows()
		}
		if total != s.Train.Rows() {
			t.Errorf("%s: %d rows of %d are dealt", rows, total, s.Train.Rows())
		}
		halves, err := data.Shard(t.Context(), shards[1], data.ShardOptions{By: "user", Count: 2, Seed: 5}, nil)
		if err != nil || halves[0].Rows()+halves[1].Rows() != shards[1].Rows() {
			t.Errorf("%s: a shard is not dealt again: %v", rows, err)
		}
		if _, err := data.Shard(t.Context(), s.Train, data.ShardOptions{By: "users", Count: 2}, s.Map); err == nil ||
			!strings.Contains(err.Error(), `shards by "users": there is no such feature; want rows, order, user`) {
			t.Errorf("%s: an unknown feature: %v", rows, err)
		}
		if _, err := data.Shard(t.Context(), s.Train, data.ShardOptions{By: "user", Count: 58}, s.Map); err == nil ||
			!strings.Contains(err.Error(), "it has 57 values") && !strings.Contains(err.Error(), "58 shards of 57 rows") {
			t.Errorf("%s: more shards than users: %v", rows, err)
		}
	}
}

// TestLastOnly: of rows of sequences to validate and test, and of a part of them that something learns on, the last item alone is new.
func TestLastOnly(t *testing.T) {
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, "type: synthetic_interactions\nusers: 20\nitems: 30\nactions: 5\nrows: sequences\nmax_len: 4"), o)
	part, rest, err := data.HoldOut(s.Valid, .5, 1)
	if err != nil {
		t.Fatal(err)
	}
	for want, list := range map[bool][]data.Source{false: {s.Train}, true: {s.Valid, s.Test, part, rest}} {
		for _, src := range list {
			for b, err := range src.Batches(0, 8) {
				if err != nil || b.LastOnly != want {
					t.Errorf("%d rows: last only is %v, %v; want %v", src.Rows(), b.LastOnly, err, want)
				}
			}
		}
	}
}

// TestShardsFollowNames: another order of the log deals the same users to the same shards.
func TestShardsFollowNames(t *testing.T) {
	lines := []string{"u a b c\n", "v b c d\n", "w a c d\n", "x d b a\n", "y c a b\n", "z b a d\n"}
	dealt := func(lines []string) string {
		d := datatest.Section(t, "type: interactions\nlayout: sequences\nnegatives: 0\neval_negatives: 0\nmin_history: 0\nmax_len: 3\npath: "+
			datatest.WriteFile(t, "log", strings.Join(lines, "")))
		o, _ := datatest.Options(t)
		s := datatest.Open(t, d, o)
		shards, err := data.Shard(t.Context(), s.Train, data.ShardOptions{By: "user", Count: 2, Seed: 1}, s.Map)
		if err != nil {
			t.Fatal(err)
		}
		words := rowWords(t, s, shards[0])
		slices.Sort(words)
		return fmt.Sprint(words)
	}
	want := dealt(lines)
	slices.Reverse(lines)
	if got := dealt(lines); got != want {
		t.Errorf("the first shard is %s, and of the log in another order %s", want, got)
	}
}
