package rng_test

import (
	"math"
	"testing"

	"github.com/splice-ml/splice/data/rng"
)

func TestKeySeparatesStreams(t *testing.T) {
	seen := map[uint64]string{}
	for _, c := range []struct {
		name string
		seed uint64
		part []any
	}{
		{"empty", 1, nil},
		{"other seed", 2, nil},
		{"name", 1, []any{"init", "a"}},
		{"split elsewhere", 1, []any{"ini", "ta"}},
		{"swapped", 1, []any{"a", "init"}},
		{"joined", 1, []any{"inita"}},
		{"empty part", 1, []any{"init", "a", ""}},
		{"zero", 1, []any{0}},
		{"two zeros", 1, []any{0, 0}},
		{"one", 1, []any{1}},
		{"one as text", 1, []any{"1"}},
		{"step", 1, []any{"init", "a", 1}},
		{"negative", 1, []any{"init", "a", -1}},
	} {
		k := rng.Key(c.seed, c.part...)
		if was, ok := seen[k]; ok {
			t.Errorf("%s and %s have the same key %x", c.name, was, k)
		}
		seen[k] = c.name
	}
	if a, b, c := rng.Key(1, 3), rng.Key(1, int64(3)), rng.Key(1, uint64(3)); a != b || b != c {
		t.Errorf("keys of int, int64, uint64 3 differ: %x %x %x", a, b, c)
	}
}

// The streams are part of every recorded result: a change here changes all of them.
func TestPinned(t *testing.T) {
	if got, want := rng.Key(1, "init", "mlp.0.weight", 7), uint64(0x28336fc725fa948e); got != want {
		t.Errorf("Key = %#x, want %#x", got, want)
	}
	if got, want := rng.New(42).Uint64(), uint64(0x5a0d1bd847fd15ff); got != want {
		t.Errorf("New(42).Uint64() = %#x, want %#x", got, want)
	}
}

func TestFloatIsUniform(t *testing.T) {
	const n = 100_000
	var sum, lag float64
	var bins [10]int
	prev := 0.5
	for i := range int64(n) {
		x := rng.Float(rng.Key(3, "u"), i)
		if x < 0 || x >= 1 {
			t.Fatalf("Float(%d) = %v, want [0, 1)", i, x)
		}
		sum += x
		lag += (x - .5) * (prev - .5)
		bins[int(x*10)]++
		prev = x
	}
	if m := sum / n; math.Abs(m-.5) > .005 {
		t.Errorf("mean = %v, want .5", m)
	}
	if c := lag / n * 12; math.Abs(c) > .015 {
		t.Errorf("correlation of neighbours = %v, want 0", c)
	}
	for b, c := range bins {
		if math.Abs(float64(c)-n/10) > 500 {
			t.Errorf("bin %d has %d of %d, want about a tenth", b, c, n)
		}
	}
}

func TestKeyRefusesOtherTypes(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Key(1, 1.5) did not panic")
		}
	}()
	rng.Key(1, 1.5)
}

func TestAlias(t *testing.T) {
	p := []float64{5, 0, 1, 3, .5, .5}
	const n = 200000
	a, r := rng.NewAlias(p, 10), rng.New(5)
	got := make([]float64, len(p))
	for range n {
		got[a.At(r.Uint64())]++
	}
	for i, v := range p {
		want := v / 10 * n
		if math.Abs(got[i]-want) > 5*math.Sqrt(want) {
			t.Errorf("%d drawn %g times, want about %g", i, got[i], want)
		}
	}
}
