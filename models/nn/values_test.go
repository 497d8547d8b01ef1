package nn_test

import (
	"math"
	"slices"
	"testing"

	"github.com/splice-ml/splice/models/nn"
)

// store returns two parameters, the second of which has that last value.
func store(t *testing.T, last float32) *nn.Params {
	t.Helper()
	l2 := 0.5
	p := nn.NewParams(3)
	add(t, p, &nn.Param{Name: "table", Shape: []int{2, 2}, Data: []float32{0, 0, 1, -2}, Kind: nn.Table, Embedding: true, L2: &l2})
	add(t, p, &nn.Param{Name: "bias", Shape: []int{3}, Data: []float32{0.5, 0, last}})
	return p
}

func add(t *testing.T, p *nn.Params, q *nn.Param) {
	t.Helper()
	if err := p.Add(q); err != nil {
		t.Fatal(err)
	}
}

func TestClone(t *testing.T) {
	p := store(t, 7)
	c := p.Clone()
	if !c.Equal(p, nil) || c.Digest() != p.Digest() || c.Seed != p.Seed {
		t.Errorf("the clone is another one: %v, want %v", c.All(), p.All())
	}
	for i, q := range p.All() {
		r := c.All()[i]
		if r != c.Get(q.Name) || r == q {
			t.Errorf("%s: the clone's list and its names do not agree, or it shares a parameter", q.Name)
		}
		if r.Name != q.Name || r.Kind != q.Kind || r.Embedding != q.Embedding || r.L2 != q.L2 {
			t.Errorf("clone of %+v is %+v", q, r)
		}
		r.Data[0]++
		r.Shape[0]++
	}
	if want := store(t, 7); !p.Equal(want, nil) {
		t.Errorf("a change of the clone changed the original: %v", p.All())
	}
}

func TestEqual(t *testing.T) {
	negative := float32(math.Copysign(0, -1))
	nan := float32(math.NaN())
	reversed := nn.NewParams(9)
	for _, q := range slices.Backward(store(t, 0).All()) {
		add(t, reversed, q)
	}
	more := store(t, 0)
	add(t, more, &nn.Param{Name: "more", Shape: []int{1}, Data: []float32{1}})
	flat := nn.NewParams(3)
	add(t, flat, &nn.Param{Name: "table", Shape: []int{4}, Data: []float32{0, 0, 1, -2}})
	add(t, flat, store(t, 0).Get("bias"))
	only := func(name string) func(string) bool { return func(s string) bool { return s == name } }
	for _, tc := range []struct {
		name string
		a, b *nn.Params
		of   func(string) bool
		want bool
	}{
		{"the same values", store(t, 0), store(t, 0), nil, true},
		{"another order and seed", store(t, 0), reversed, nil, true},
		{"one value differs", store(t, 0), store(t, 1), nil, false},
		{"one value differs that is not asked for", store(t, 0), store(t, 1), only("table"), true},
		{"one value differs that is asked for", store(t, 0), store(t, 1), only("bias"), false},
		{"zeros of two signs", store(t, 0), store(t, negative), nil, false},
		{"the same NaN", store(t, nan), store(t, nan), nil, true},
		{"another shape", store(t, 0), flat, nil, false},
		{"more parameters", store(t, 0), more, nil, false},
		{"more parameters that are not asked for", store(t, 0), more, only("bias"), true},
		{"none asked for", store(t, 0), store(t, 1), only("none"), true},
	} {
		if got, back := tc.a.Equal(tc.b, tc.of), tc.b.Equal(tc.a, tc.of); got != tc.want || back != tc.want {
			t.Errorf("%s: Equal = %v, the other way round %v, want %v", tc.name, got, back, tc.want)
		}
	}
}

func TestDigest(t *testing.T) {
	long := nn.NewParams(1)
	add(t, long, &nn.Param{Name: "long", Shape: []int{40000}, Data: make([]float32, 40000)})
	long.Get("long").Data[39999] = 1
	for _, tc := range []struct {
		name string
		p    *nn.Params
		want string // stored in start.json of runs: it must not change
	}{
		{"small", store(t, 7), "127feb3063bb4411"},
		{"one value differs", store(t, 8), "bc2a1184c44874b9"},
		{"more than a block", long, "af4cb7601b462cb6"},
		{"none", nn.NewParams(1), "e3b0c44298fc1c14"},
	} {
		if got := tc.p.Digest(); got != tc.want {
			t.Errorf("%s: digest %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestFinite(t *testing.T) {
	for _, tc := range []struct {
		last float32
		want string
	}{
		{math.MaxFloat32, ""},
		{float32(math.NaN()), "tensor bias: value 2 is NaN"},
		{float32(math.Inf(1)), "tensor bias: value 2 is +Inf"},
		{float32(math.Inf(-1)), "tensor bias: value 2 is -Inf"},
	} {
		got := ""
		if err := store(t, tc.last).Finite(); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("Finite with %v: %q, want %q", tc.last, got, tc.want)
		}
	}
}

// TestInt8 holds that tables of int8 are copied and compared as values are, and that they must fill their shape.
func TestInt8(t *testing.T) {
	with := func(last byte) *nn.Params {
		p := store(t, 0)
		add(t, p, &nn.Param{Name: "items", Shape: []int{2, 3}, Kind: nn.Table, Int8: []byte{13: last}})
		return p
	}
	p := with(1)
	c := p.Clone()
	if !c.Equal(p, nil) || c.Digest() != p.Digest() {
		t.Error("the clone is another one")
	}
	if q := with(2); q.Equal(p, nil) || q.Digest() == p.Digest() {
		t.Error("another byte makes no difference")
	}
	if c.Get("items").Int8[0]++; !p.Equal(with(1), nil) {
		t.Error("a change of the clone changed the original")
	}
	for _, q := range []*nn.Param{
		{Name: "short", Shape: []int{2, 3}, Int8: make([]byte, 13)},
		{Name: "flat", Shape: []int{2}, Int8: make([]byte, 10)},
		{Name: "both", Shape: []int{1, 3}, Int8: make([]byte, 7), Data: make([]float32, 3)},
	} {
		if err := p.Add(q); err == nil {
			t.Errorf("%s: %d bytes of int8 and %d values fill %v", q.Name, len(q.Int8), len(q.Data), q.Shape)
		}
	}
}
