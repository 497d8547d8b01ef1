package cki_test

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/ckpt"
)

// params returns parameters with random values.
func params(t *testing.T, seed uint64, shapes map[string][]int) *nn.Params {
	t.Helper()
	p := nn.NewParams(seed)
	r := rng.New(rng.Key(seed, "test"))
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for n := range shapes {
			if !yield(n) {
				return
			}
		}
	}) {
		n := 1
		for _, d := range shapes[name] {
			n *= d
		}
		q := &nn.Param{Name: name, Shape: shapes[name], Data: make([]float32, n)}
		for i := range q.Data {
			q.Data[i] = float32(r.NormFloat64())
		}
		if err := p.Add(q); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func parent(name string, p *nn.Params) *cki.Parent {
	return &cki.Parent{Name: name, Reader: cki.Memory(p)}
}

// mean is the average of the parents.
var mean = cki.Merged{Tensor: func(t *cki.Tensor) error {
	for i := range t.Out {
		s := float32(0)
		for _, x := range t.Parents {
			s += x[i]
		}
		t.Out[i] = s / float32(len(t.Parents))
	}
	return nil
}}

func TestFillAndWrite(t *testing.T) {
	shapes := map[string][]int{"a.weight": {600, 1000}, "b.weight": {3, 5}, "c.bias": {7}, "s": {}}
	a, b := params(t, 1, shapes), params(t, 2, shapes)
	want := map[string][]float32{}
	for _, q := range a.All() {
		w := slices.Clone(q.Data)
		if q.Name != "b.weight" {
			for i := range w {
				w[i] = (w[i] + b.Get(q.Name).Data[i]) / 2
			}
		}
		want[q.Name] = w
	}
	in := &cki.Input{
		Parents: []*cki.Parent{parent("a", a), parent("b", b)}, Select: func(n string) bool { return n != "b.weight" },
		Log: slog.Default(),
	}
	blocks := 0
	counted := cki.Merged{Tensor: func(x *cki.Tensor) error { blocks++; return mean.Tensor(x) }}
	got := params(t, 3, shapes)
	if err := in.Fill(counted, got); err != nil {
		t.Fatal(err)
	}
	if blocks < 5 {
		t.Errorf("%d calls: a large tensor should come in blocks", blocks)
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := in.Write(path, mean, map[string]string{"k": "v"}); err != nil {
		t.Fatal(err)
	}
	c, err := ckpt.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Meta["k"] != "v" {
		t.Errorf("metadata %v", c.Meta)
	}
	for name, w := range want {
		if g := got.Get(name).Data; !slices.Equal(g, w) {
			t.Errorf("Fill: tensor %s differs", name)
		}
		if g := c.Get(name).Data; !slices.Equal(g, w) {
			t.Errorf("Write: tensor %s differs", name)
		}
	}
	if p := params(t, 1, shapes); !slices.Equal(p.Get("a.weight").Data, a.Get("a.weight").Data) {
		t.Error("a parent was changed")
	}
}

func TestNotFiniteIsRefused(t *testing.T) {
	shapes := map[string][]int{"x.weight": {4, 4}, "y.bias": {4}}
	a, b := params(t, 1, shapes), params(t, 2, shapes)
	in := &cki.Input{Parents: []*cki.Parent{parent("run-a", a), parent("run-b", b)}, Log: slog.Default()}
	b.Get("x.weight").Data[6] = float32(math.NaN())
	err := in.Fill(mean, params(t, 3, shapes))
	if err == nil || !strings.Contains(err.Error(), "run-b: tensor x.weight: value 6 is NaN") {
		t.Errorf("a parent with NaN: %v", err)
	}
	b.Get("x.weight").Data[6] = 0
	bad := cki.Merged{Tensor: func(x *cki.Tensor) error { x.Out[0] = float32(math.Inf(1)); return nil }}
	if err := in.Fill(bad, params(t, 3, shapes)); err == nil || !strings.Contains(err.Error(), "x.weight: the merge makes value 0 +Inf") {
		t.Errorf("a method that makes Inf: %v", err)
	}
}

func TestCheck(t *testing.T) {
	base := parent("a", params(t, 1, map[string][]int{"mlp.0.weight": {8, 4}, "mlp.0.bias": {8}}))
	for _, tc := range []struct {
		name   string
		others []*cki.Parent
		want   []string
	}{
		{"fits", []*cki.Parent{parent("b", params(t, 2, map[string][]int{"mlp.0.weight": {8, 4}, "mlp.0.bias": {8}}))}, nil},
		{"alone", nil, []string{"1 parents: a merge needs at least two"}},
		{"same run", []*cki.Parent{base}, []string{"parent a is the same run as parent a"}},
		{
			"other size and more",
			[]*cki.Parent{parent("b", params(t, 2, map[string][]int{"mlp.0.weight": {16, 4}, "new": {1}}))},
			[]string{
				"parent b: tensor mlp.0.weight is [16 4], that of parent a is [8 4]", "tensor new [1]: parent a has none",
				"tensor mlp.0.bias is missing, parent a has it [8]",
			},
		},
	} {
		err := cki.Check(append([]*cki.Parent{base}, tc.others...))
		if (err == nil) != (tc.want == nil) {
			t.Errorf("%s: %v", tc.name, err)
		}
		for _, w := range tc.want {
			if err != nil && !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q lacks %q", tc.name, err, w)
			}
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := cki.Open(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "there is no such run") {
		t.Errorf("missing: %v", err)
	}
	if _, err := cki.Open(dir); err == nil || !strings.Contains(err.Error(), "has no model.safetensors") {
		t.Errorf("empty directory: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "adapter_config.json"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := cki.Open(dir); err == nil || !strings.Contains(err.Error(), "is an adapter") {
		t.Errorf("an adapter's directory: %v", err)
	}
}

func TestDigest(t *testing.T) {
	shapes := map[string][]int{"a": {3, 2}, "b": {5}}
	p := params(t, 1, shapes)
	d, err := cki.Digest(cki.Memory(p))
	if err != nil {
		t.Fatal(err)
	}
	p.Get("b").Data[4]++
	e, err := cki.Digest(cki.Memory(p))
	if err != nil || d == e || len(d) != 16 {
		t.Errorf("digests %s, %s, %v", d, e, err)
	}
}
