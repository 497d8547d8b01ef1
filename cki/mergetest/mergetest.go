// Package mergetest is the conformance suite that every registered merge method runs: the result is finite and has the base's
// shapes, what is not selected is the base's, parents are left alone, the same input gives the same bits in any blocks, and
// what cannot be merged is a clear error. It is for tests only.
package mergetest

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/models/nn"
)

// Traits are what a method promises.
type Traits struct {
	Min, Max   int     // parents it takes; Max 0: any number
	Lab        bool    // it needs a Lab
	Self       bool    // merging a model with itself returns it
	SelfWithin float64 // Self: up to this relative difference; 0: bit for bit
	Donors     bool    // the order of the parents but the base does not matter, up to rounding
	All        bool    // nor does the order of all
}

// CheckHistories runs on a method what depends on the model, for each of [Histories].
func CheckHistories(t *testing.T, m cki.Method, tr Traits) {
	for name, over := range Histories() {
		t.Run(name, func(t *testing.T) {
			s := newSuite(over, m, tr)
			t.Run("result", s.result)
			if s.Self {
				t.Run("self", s.self)
			}
			if s.Traits.Lab { // the rest does not depend on the model, and takes long
				return
			}
			t.Run("unselected", s.unselected)
			t.Run("blocks", s.blocks)
		})
	}
}

func newSuite(over Setting, m cki.Method, tr Traits) *suite {
	s := &suite{Setting: over, m: m, Traits: tr, n: min(max(2, tr.Min), 3)}
	if s.n == 2 && (tr.Max == 0 || tr.Max > 2) {
		s.n = 3
	}
	return s
}

// Check runs the suite on a method. The method's Merge is called many times.
func Check(t *testing.T, m cki.Method, tr Traits) {
	s := newSuite(RowsOf(Model()), m, tr)
	t.Run("result", s.result)
	t.Run("unselected", s.unselected)
	t.Run("deterministic", s.deterministic)
	t.Run("blocks", s.blocks)
	t.Run("parents", s.parents)
	if !s.Traits.Lab {
		t.Run("odd", s.odd)
	}
	if s.Self {
		t.Run("self", s.self)
	}
	if s.n-s.firstSwapped() >= 2 {
		t.Run("order", s.order)
	}
	t.Run("lab", s.lab)
}

type suite struct {
	Setting
	Traits
	m cki.Method
	n int // parents of most tests
}

// input returns an input with n parents.
func (s *suite) input(t *testing.T, n int) *cki.Input {
	t.Helper()
	var lab *cki.Lab
	if s.Traits.Lab {
		lab = s.Setting.Lab(t)
	}
	return Input(lab, s.Parents(t, n))
}

// Merge merges with the core's own loop and returns the result by name.
func Merge(t *testing.T, m cki.Method, in *cki.Input) map[string][]float32 {
	t.Helper()
	p := empty(t, in)
	merged, err := m.Merge(t.Context(), in)
	if err != nil {
		t.Fatalf("Merge(%#v): %v", m, err)
	}
	if err := in.Fill(merged, p); err != nil {
		t.Fatalf("Fill(%#v): %v", m, err)
	}
	if merged.Stats != nil {
		if _, err := json.Marshal(merged.Stats()); err != nil {
			t.Errorf("statistics of %#v: %v", m, err)
		}
	}
	out := map[string][]float32{}
	for _, q := range p.All() {
		out[q.Name] = q.Data
	}
	return out
}

// empty returns parameters of the base's shapes, none of which hold a value yet.
func empty(t *testing.T, in *cki.Input) *nn.Params {
	t.Helper()
	p := nn.NewParams(0)
	for _, i := range in.Parents[0].Tensors() {
		n := 1
		for _, d := range i.Shape {
			n *= d
		}
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(math.NaN())
		}
		if err := p.Add(&nn.Param{Name: i.Name, Shape: i.Shape, Data: x}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// Values returns a parent's tensors by name.
func Values(t *testing.T, p *cki.Parent) map[string][]float32 {
	t.Helper()
	out := map[string][]float32{}
	for _, i := range p.Tensors() {
		rows, n := 1, 1
		for k, d := range i.Shape {
			n *= d
			if k == 0 {
				rows = d
			}
		}
		out[i.Name] = make([]float32, n)
		if err := p.ReadRows(i.Name, 0, rows, out[i.Name]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// same reports tensors that differ in any bit.
func same(t *testing.T, what string, got, want map[string][]float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d tensors, want %d", what, len(got), len(want))
	}
	for name, w := range want {
		g := got[name]
		if len(g) != len(w) {
			t.Errorf("%s: tensor %s has %d values, want %d", what, name, len(g), len(w))
			continue
		}
		for i := range w {
			if math.Float32bits(g[i]) != math.Float32bits(w[i]) {
				t.Errorf("%s: tensor %s: value %d is %v, want %v", what, name, i, g[i], w[i])
				break
			}
		}
	}
}

// near reports tensors that differ by more than tol, relative to a value or, for small ones, to 1.
func near(t *testing.T, what string, got, want map[string][]float32, tol float64) {
	t.Helper()
	for name, w := range want {
		for i := range w {
			g, w := float64(got[name][i]), float64(w[i])
			if !(math.Abs(g-w) <= tol*max(1, math.Abs(w))) {
				t.Errorf("%s: tensor %s: value %d is %v, want %v", what, name, i, g, w)
				break
			}
		}
	}
}

// result: every tensor has the base's size and is finite, and the parents are what they were.
func (s *suite) result(t *testing.T) {
	in := s.input(t, s.n)
	var before []map[string][]float32
	for _, p := range in.Parents {
		before = append(before, Values(t, p))
	}
	out := Merge(t, s.m, in)
	for name, x := range out {
		if i := slices.IndexFunc(x, func(v float32) bool { return v-v != 0 }); i >= 0 {
			t.Errorf("tensor %s: value %d is %v", name, i, x[i])
		}
		if strings.HasSuffix(name, "running_var") && slices.Min(x) < 0 {
			t.Errorf("tensor %s: a variance is negative: %v", name, x)
		}
	}
	for k, p := range in.Parents {
		same(t, "after the merge, "+p.Name, Values(t, p), before[k])
	}
}

// unselected: what is not selected is the base's, bit for bit; with nothing selected, everything.
func (s *suite) unselected(t *testing.T) {
	all := s.Params(t, 0).All()
	last, _, _ := strings.Cut(all[len(all)-1].Name, ".")
	for _, prefix := range []string{"mlp.0", "embedding", last, "nothing"} {
		in := s.input(t, s.n)
		in.Select = func(name string) bool { return strings.HasPrefix(name, prefix) }
		got, want := Merge(t, s.m, in), Values(t, in.Parents[0])
		for name := range want {
			if in.Select(name) {
				delete(want, name)
				delete(got, name)
			}
		}
		same(t, "selected "+prefix, got, want)
	}
}

// deterministic: the same input gives the same bits.
func (s *suite) deterministic(t *testing.T) {
	same(t, "second merge", Merge(t, s.m, s.input(t, s.n)), Merge(t, s.m, s.input(t, s.n)))
}

// blocks: blocks of rows give the bits of whole tensors, and parents' values are only read.
func (s *suite) blocks(t *testing.T) {
	in := s.input(t, s.n)
	want := s.inBlocks(t, in, 1<<30)
	same(t, "the core's loop", Merge(t, s.m, in), want)
	for _, rows := range []int{1, 2, 5} {
		merged, err := s.m.Merge(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if merged.Whole {
			return
		}
		same(t, "blocks", s.inBlocks(t, in, rows), want)
	}
}

// inBlocks merges in blocks of so many rows.
func (s *suite) inBlocks(t *testing.T, in *cki.Input, rows int) map[string][]float32 {
	t.Helper()
	merged, err := s.m.Merge(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var parents []map[string][]float32
	for _, p := range in.Parents {
		parents = append(parents, Values(t, p))
	}
	out := map[string][]float32{}
	for _, info := range in.Parents[0].Tensors() {
		all := slices.Clone(parents[0][info.Name])
		out[info.Name] = all
		d := len(all) / info.Shape[0]
		for lo := 0; lo < info.Shape[0]; lo += rows {
			hi := min(info.Shape[0], lo+rows)
			b := &cki.Tensor{Name: info.Name, Shape: info.Shape, Lo: lo, Hi: hi, Out: all[lo*d : hi*d]}
			var copies [][]float32
			for k, p := range in.Parents {
				x := parents[k][info.Name][lo*d : hi*d]
				b.Parents, copies = append(b.Parents, x), append(copies, slices.Clone(x))
				if c := p.Counts[info.Name]; c != nil {
					b.Counts = append(b.Counts, c[lo:hi])
				}
			}
			if err := merged.Tensor(b); err != nil {
				t.Fatal(err)
			}
			for k, x := range b.Parents {
				if !slices.Equal(x, copies[k]) {
					t.Fatalf("tensor %s: the values of parent %d are changed", info.Name, k)
				}
			}
		}
	}
	return out
}

// parents: as many as are allowed, or an error that says how many are wanted.
func (s *suite) parents(t *testing.T) {
	for n := 1; n <= 4; n++ {
		in := s.input(t, n)
		if n >= s.Min && (s.Max == 0 || n <= s.Max) {
			Merge(t, s.m, in)
			continue
		}
		if _, err := s.m.Merge(t.Context(), in); err == nil || !strings.Contains(err.Error(), "parents") {
			t.Errorf("%d parents: error %v, want one that says how many parents there may be", n, err)
		}
	}
}

// odd: shapes that no model of the suite has, for methods that need no model.
func (s *suite) odd(t *testing.T) {
	for n := max(1, s.Min); n <= s.n; n++ {
		Merge(t, s.m, Input(nil, Odd(t, n)))
	}
}

// self: merging a model with itself returns it, where the method says so.
func (s *suite) self(t *testing.T) {
	for n := max(1, s.Min); n <= s.n; n++ {
		in := s.input(t, n)
		for k := range in.Parents {
			in.Parents[k].Reader = in.Parents[0].Reader
		}
		want := Values(t, in.Parents[0])
		got := Merge(t, s.m, in)
		if s.SelfWithin > 0 {
			near(t, "itself", got, want, s.SelfWithin)
		} else {
			same(t, "itself", got, want)
		}
	}
}

// firstSwapped returns the first of the parents whose order does not matter; as many as there are if all orders do.
func (s *suite) firstSwapped() int {
	switch {
	case s.All:
		return 0
	case s.Donors:
		return 1
	}
	return s.n
}

// order: of donors, or of all parents, does not matter, where the method says so.
func (s *suite) order(t *testing.T) {
	first := s.firstSwapped()
	in := s.input(t, s.n)
	want := Merge(t, s.m, in)
	slices.Reverse(in.Parents[first:])
	near(t, "other order", Merge(t, s.m, in), want, 1e-6)
}

// lab: without a Lab a method that needs one says so, and with one it ends when it is told to.
func (s *suite) lab(t *testing.T) {
	in := s.input(t, s.n)
	if !s.Traits.Lab {
		in.Lab = s.Setting.Lab(t)
		same(t, "with a lab", Merge(t, s.m, in), Merge(t, s.m, s.input(t, s.n)))
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.m.Merge(ctx, in); err == nil {
		t.Error("no error although the context is done")
	}
	in.Lab = nil
	if _, err := s.m.Merge(t.Context(), in); err == nil || !strings.Contains(err.Error(), "model and its data") {
		t.Errorf("without a lab: error %v, want one that asks for the model and its data", err)
	}
}
