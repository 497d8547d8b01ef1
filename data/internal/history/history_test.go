package history

import (
	"slices"
	"strconv"
	"testing"

	"github.com/splice-ml/splice/data"
)

func TestPermutation(t *testing.T) {
	for _, n := range []int64{1, 2, 3, 4, 5, 16, 17, 1000, 4097} {
		p := newPermutation(n, 7)
		seen, moved := make([]bool, n), int64(0)
		for i := range n {
			at := p.at(i)
			if at < 0 || at >= n || seen[at] {
				t.Fatalf("n %d: place %d is %d, out of range or twice", n, i, at)
			}
			seen[at] = true
			if at != i {
				moved++
			}
		}
		if n >= 16 && moved < n/2 {
			t.Errorf("n %d: only %d moved", n, moved)
		}
		if q := newPermutation(n, 8); n >= 1000 && q.at(0) == p.at(0) && q.at(1) == p.at(1) && q.at(2) == p.at(2) {
			t.Errorf("n %d: keys 7 and 8 give one order", n)
		}
	}
}

// log returns actions of users a, b, c ... each "item time" in the order of the file.
func built(t *testing.T, timed bool, actions ...[3]string) *Builder {
	t.Helper()
	b := &Builder{Timed: timed}
	for _, a := range actions {
		at, _ := strconv.ParseFloat(a[2], 64)
		if err := b.Add(Action{[]byte(a[0]), []byte(a[1]), at}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (l *Log) of(user string) (out []string) {
	u := slices.Index(l.Users, user)
	for _, i := range l.Item[l.Start[u]:l.Start[u+1]] {
		out = append(out, l.Names[i])
	}
	return out
}

func TestOrder(t *testing.T) {
	l := built(t, true, [3]string{"u", "x", "5"}, [3]string{"v", "y", "1"}, [3]string{"u", "b", "3"}, [3]string{"u", "a", "3"},
		[3]string{"u", "c", "3"}, [3]string{"v", "x", "-1"}).Log()
	if got := l.of("u"); !slices.Equal(got, []string{"b", "a", "c", "x"}) {
		t.Errorf("u: %v: actions of equal time must stay in the order of the file", got)
	}
	if got := l.of("v"); !slices.Equal(got, []string{"x", "y"}) {
		t.Errorf("v: %v", got)
	}
}

func TestShuffle(t *testing.T) {
	make := func(seed uint64, users ...string) *Log {
		b := &Builder{Timed: true}
		for _, u := range users {
			for i := range 30 {
				if err := b.Add(Action{[]byte(u), []byte(strconv.Itoa(i)), float64(i)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		l := b.Log()
		l.Shuffle(seed)
		return l
	}
	a := make(1, "u", "v")
	if got := slices.Sorted(slices.Values(a.of("u"))); len(slices.Compact(got)) != 30 {
		t.Errorf("actions are lost or twice: %v", a.of("u"))
	}
	if a.of("u")[0] == "0" && a.of("u")[1] == "1" || slices.Equal(a.of("u"), a.of("v")) {
		t.Errorf("u %v, v %v: want two orders of their own", a.of("u"), a.of("v"))
	}
	if b := make(1, "v"); !slices.Equal(a.of("v"), b.of("v")) {
		t.Error("the order of a user depends on other users")
	}
	if b := make(2, "v"); slices.Equal(a.of("v"), b.of("v")) {
		t.Error("the order does not depend on the seed")
	}
	if a.Time != nil {
		t.Error("times are kept, which are not those of the actions")
	}
}

func TestCore(t *testing.T) {
	b := built(t, false, [3]string{"u", "a"}, [3]string{"u", "b"}, [3]string{"v", "a"}, [3]string{"v", "b"}, [3]string{"w", "b"}, [3]string{"w", "c"},
		[3]string{"x", "c"})
	b.Core(2, 2) // x goes, then c, then w
	l := b.Log()
	if !slices.Equal(l.Users, []string{"u", "v"}) || !slices.Equal(l.Names, []string{"a", "b"}) || len(l.Item) != 4 {
		t.Errorf("users %v, items %v, %d actions", l.Users, l.Names, len(l.Item))
	}
}

func TestSplits(t *testing.T) {
	b := &Builder{Timed: true}
	for u := range 40 {
		for i := range u%5 + 1 {
			if err := b.Add(Action{[]byte(strconv.Itoa(u)), []byte(strconv.Itoa(i)), float64(u + 10*i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	l := b.Log()
	for _, s := range []Split{{By: LeaveOneOut}, {By: ByTime, Ratio: []float64{.6, .2, .2}}, {By: ByUsers, Ratio: []float64{.5, .25, .25}, Seed: 3}} {
		p, err := s.Of(l)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Target[data.ValidPart]) == 0 || len(p.Target[data.TestPart]) == 0 {
			t.Errorf("%s: no rows to validate or test", s.By)
		}
		for part := data.ValidPart; part <= data.TestPart; part++ {
			for _, at := range p.Target[part] {
				u := l.userOf(at)
				if at < p.TrainEnd[u] || at == l.Start[u] {
					t.Errorf("%s: %v action %d of user %d is trained on, or the first", s.By, part, at, u)
				}
			}
		}
	}
	p, _ := Split{By: LeaveOneOut}.Of(l)
	for u := range l.Users {
		if n, left := l.Start[u+1]-l.Start[u], p.TrainEnd[u]-l.Start[u]; n >= 3 && left != n-2 || n < 3 && left != n {
			t.Errorf("user of %d actions trains on %d", n, left)
		}
	}
}
