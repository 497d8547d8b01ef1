package dist_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splice-ml/splice/train/dist"
)

// each has every rank of a group do something, and returns their errors.
func each(w *dist.Inproc, size int, do func(g dist.Group) error) []error {
	errs := make([]error, size)
	var wait sync.WaitGroup
	for r := range size {
		wait.Go(func() { errs[r] = do(w.Group(r)) })
	}
	wait.Wait()
	return errs
}

// TestCollectives checks what each call moves, with parts of unequal sizes, some of them empty.
func TestCollectives(t *testing.T) {
	for _, size := range []int{1, 2, 3, 4} {
		errs := each(dist.NewInproc(size, time.Minute), size, func(g dist.Group) error {
			me := g.Rank()
			for round := range 20 {
				b := []byte{byte(me), byte(round)}
				if err := g.Bcast(b, round%size); err != nil || b[0] != byte(round%size) {
					return fmt.Errorf("bcast %v: %w", b, err)
				}
				var want []byte
				counts := make([]int, size)
				for r := range size {
					counts[r] = (r + round) % 3
					want = append(want, strings.Repeat(string(rune('a'+r)), counts[r])...)
				}
				out := make([]byte, len(want))
				if err := g.Allgatherv([]byte(strings.Repeat(string(rune('a'+me)), counts[me])), out, counts); err != nil || !slices.Equal(out, want) {
					return fmt.Errorf("allgatherv %q, want %q: %w", out, want, err)
				}
				var in []byte
				send, recv := make([]int, size), make([]int, size)
				want = nil
				for r := range size { // rank a sends b a piece of (a+2b)%3 bytes
					send[r], recv[r] = (me+2*r)%3, (r+2*me)%3
					in = append(in, strings.Repeat(string(rune('a'+me*size+r)), send[r])...)
					want = append(want, strings.Repeat(string(rune('a'+r*size+me)), recv[r])...)
				}
				out = make([]byte, len(want))
				if err := g.Alltoallv(in, send, out, recv); err != nil || !slices.Equal(out, want) {
					return fmt.Errorf("alltoallv %q, want %q: %w", out, want, err)
				}
				if err := g.Barrier(); err != nil {
					return err
				}
			}
			texts, err := dist.Gather(g, strings.Repeat("x", me))
			if err != nil || len(texts[size-1]) != size-1 {
				return fmt.Errorf("gather %q: %w", texts, err)
			}
			x := []int64{1, int64(me)}
			if err := dist.Collect(g, x); err != nil {
				return err
			}
			if sum := int64(size * (size - 1) / 2); me == 0 && !slices.Equal(x, []int64{int64(size), sum}) || me > 0 && !slices.Equal(x, []int64{0, 0}) {
				return fmt.Errorf("collected %v", x)
			}
			v := struct{ A map[string]float64 }{}
			if me == 0 {
				v.A = map[string]float64{"auc": .5}
			}
			if err := dist.Share(g, &v, 0); err != nil || v.A["auc"] != .5 {
				return fmt.Errorf("shared %v: %w", v, err)
			}
			return nil
		})
		if err := errors.Join(errs...); err != nil {
			t.Errorf("%d ranks: %v", size, err)
		}
	}
}

// TestTree compares sums of shards on any number of ranks with the tree written out.
func TestTree(t *testing.T) {
	const shards = 16
	add := func(a, b string) string { return "(" + a + b + ")" }
	var whole func(at, size, have int) string
	whole = func(at, size, have int) string {
		switch {
		case at >= have:
			return ""
		case size == 1:
			return string(rune('a' + at))
		}
		a, b := whole(at, size/2, have), whole(at+size/2, size/2, have)
		if b == "" {
			return a
		}
		return add(a, b)
	}
	for have := 1; have <= shards; have++ {
		for ranks := 1; ranks <= shards; ranks++ {
			all := dist.Tree[string]{Add: add}
			for r := range ranks {
				lo, hi := dist.Shards(shards, r, ranks)
				own := dist.Tree[string]{Add: add}
				for s := lo; s < hi; s++ {
					own.Push(dist.Node{At: s, Size: 1, Has: s < have}, string(rune('a'+s)))
				}
				nodes, sums := own.Nodes()
				if want := dist.Nodes(nil, lo, hi, shards); len(nodes) != len(want) {
					t.Fatalf("rank %d of %d has nodes %v, others think %v", r, ranks, nodes, want)
				}
				for i, n := range nodes {
					all.Push(n, sums[i])
				}
			}
			if nodes, sums := all.Nodes(); len(nodes) != 1 || sums[0] != whole(0, shards, have) {
				t.Errorf("%d shards on %d ranks: %v, want %s", have, ranks, sums, whole(0, shards, have))
			}
		}
	}
}

// TestLost holds that no rank waits for one that has ended, or has not come in time.
func TestLost(t *testing.T) {
	ended := errors.New("out of memory")
	w := dist.NewInproc(3, time.Minute)
	w.Fault = func(r, n int) error {
		if r == 1 && n == 4 {
			return ended
		}
		return nil
	}
	for r, err := range each(w, 3, func(g dist.Group) error {
		for range 10 {
			if err := g.Barrier(); err != nil {
				return err
			}
		}
		return nil
	}) {
		if r == 1 && !errors.Is(err, ended) || r != 1 && (!errors.Is(err, dist.ErrLost) || !strings.Contains(err.Error(), "rank 1 of 3 ended")) {
			t.Errorf("rank %d: %v", r, err)
		}
	}
	start := time.Now()
	for r, err := range each(dist.NewInproc(3, 50*time.Millisecond), 3, func(g dist.Group) error {
		if g.Rank() == 2 {
			return nil // it never comes
		}
		return g.Barrier()
	}) {
		if r < 2 && (!errors.Is(err, dist.ErrLost) || !strings.Contains(err.Error(), "rank [2] has not come to Barrier")) {
			t.Errorf("rank %d: %v", r, err)
		}
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("they waited %v", d)
	}
	for r, err := range each(dist.NewInproc(2, time.Minute), 2, func(g dist.Group) error {
		if g.Rank() == 1 {
			g.Abort(3)
			return nil
		}
		return g.Barrier()
	}) {
		if r == 0 && (!errors.Is(err, dist.ErrLost) || !strings.Contains(err.Error(), "rank 1 of 2 ended with code 3")) {
			t.Errorf("rank %d: %v", r, err)
		}
	}
	for r, err := range each(dist.NewInproc(2, time.Minute), 2, func(g dist.Group) error {
		if g.Rank() == 1 {
			return g.Bcast(make([]byte, 4), 0)
		}
		return g.Barrier()
	}) {
		if err == nil || !strings.Contains(err.Error(), "calls") && !errors.Is(err, dist.ErrLost) {
			t.Errorf("rank %d in another call: %v", r, err)
		}
	}
}

// TestAgree holds what ranks say of facts and errors that they have not alike.
func TestAgree(t *testing.T) {
	facts := func(r int, value string) []dist.Fact {
		return []dist.Fact{{Name: "the kernels", Value: "avx2", Help: "set SPLICE_KERNEL"}, {Name: "the config", Value: map[bool]string{true: value, false: "a"}[r == 2], Help: "give the same"}}
	}
	bad := errors.New("no such column")
	for _, tc := range []struct {
		name   string
		do     func(g dist.Group) error
		common bool
		want   [3]string // by rank
	}{
		{"alike", func(g dist.Group) error { return dist.Agree(g, nil, facts(g.Rank(), "a")) }, false, [3]string{}},
		{
			"another config", func(g dist.Group) error { return dist.Agree(g, nil, facts(g.Rank(), "b")) }, true,
			[3]string{
				"the config of rank 2 of 3 is b, that of rank 0 is a: give the same", "the config of rank 2 of 3 is b", "the config of rank 2 of 3 is b",
			},
		},
		{"one error", func(g dist.Group) error { return dist.Agree(g, bad, nil) }, true, [3]string{"no such column", "no such column", "no such column"}},
		{
			"an error of one", func(g dist.Group) error {
				if g.Rank() == 1 {
					return dist.Agree(g, bad, nil)
				}
				return dist.Agree(g, nil, facts(0, ""))
			}, false,
			[3]string{"rank 1 of 3 ended", "no such column", "rank 1 of 3 ended"},
		},
	} {
		for r, err := range each(dist.NewInproc(3, time.Minute), 3, tc.do) {
			if (err == nil) != (tc.want[r] == "") || err != nil && (!strings.Contains(err.Error(), tc.want[r]) || errors.As(err, new(*dist.Common)) != tc.common) {
				t.Errorf("%s: rank %d: %v, want %q", tc.name, r, err, tc.want[r])
			}
		}
	}
}

func TestLaunched(t *testing.T) {
	for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"} {
		t.Setenv(name, "")
	}
	if got := dist.Launched(); got != (dist.Launch{Size: 1}) {
		t.Errorf("alone: %+v", got)
	}
	t.Setenv("SLURM_NTASKS", "4") // of a batch script, which is one process
	t.Setenv("SLURM_PROCID", "0")
	if got := dist.Launched(); got.Size != 1 {
		t.Errorf("in a batch script: %+v", got)
	}
	t.Setenv("PMI_SIZE", "3")
	t.Setenv("PMI_RANK", "2")
	t.Setenv("MPI_LOCALRANKID", "1")
	if got := dist.Launched(); got != (dist.Launch{By: "hydra", Rank: 2, Local: 1, Size: 3}) {
		t.Errorf("by hydra: %+v", got)
	}
}
