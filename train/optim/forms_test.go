package optim_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/optim"
)

// problem is a table and the gradients of some of its rows, step by step.
type problem struct {
	dim   int
	w     []float32
	ids   [][]int32
	grads [][]float32
}

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func newProblem(rows, dim, steps int) *problem {
	r := rand.New(rand.NewPCG(1, uint64(rows*dim)))
	p := &problem{dim: dim, w: random(r, rows*dim)}
	for range steps {
		var ids []int32
		for id := range rows {
			if r.IntN(3) == 0 {
				ids = append(ids, int32(id))
			}
		}
		p.ids = append(p.ids, ids)
		p.grads = append(p.grads, random(r, len(ids)*dim))
	}
	return p
}

// full writes the gradient of step i out.
func (p *problem) full(i int) []float32 {
	g := make([]float32, len(p.w))
	for r, id := range p.ids[i] {
		copy(g[int(id)*p.dim:], p.grads[i][r*p.dim:(r+1)*p.dim])
	}
	return g
}

// sizes of tables: narrow and wide rows, several blocks, rows longer than a block.
var sizes = [][2]int{{1, 1}, {3, 5}, {9000, 1}, {5000, 3}, {1000, 16}, {400, 17}, {3, 5000}, {7, 4096}, {300, 200}}

func TestStepTableEqualsStep(t *testing.T) {
	for name, options := range dense(t) {
		for _, size := range sizes {
			p := newProblem(size[0], size[1], 3)
			a, b := options.New(), options.New()
			wa, wb := slices.Clone(p.w), slices.Clone(p.w)
			for i := range p.ids {
				a.Begin()
				a.Step("w", wa, p.full(i), 0.01)
				b.Begin()
				b.StepTable("w", wb, p.dim, p.ids[i], p.grads[i], 0.01)
			}
			if !slices.Equal(wa, wb) {
				t.Errorf("%s, table %v: StepTable differs from Step", name, size)
			}
			sameState(t, fmt.Sprint(name, size), b.State(), a.State())
		}
	}
}

// TestStepRowsTouchesOnlyItsRows: the touched rows are those of a table of just these rows, the others are unchanged.
func TestStepRowsTouchesOnlyItsRows(t *testing.T) {
	for name, options := range dense(t) {
		for _, size := range sizes {
			p := newProblem(size[0], size[1], 1)
			ids, d := p.ids[0], p.dim
			o, small := options.New(), options.New()
			w := slices.Clone(p.w)
			sub := make([]float32, len(ids)*d)
			for r, id := range ids {
				copy(sub[r*d:(r+1)*d], w[int(id)*d:])
			}
			all := make([]int32, len(ids))
			for i := range all {
				all[i] = int32(i)
			}
			for range 3 {
				o.Begin()
				o.StepRows("w", w, d, ids, p.grads[0], 0.01)
				small.Begin()
				small.StepRows("w", sub, d, all, p.grads[0], 0.01)
			}
			want := slices.Clone(p.w)
			for r, id := range ids {
				copy(want[int(id)*d:], sub[r*d:(r+1)*d])
			}
			if !slices.Equal(w, want) {
				t.Errorf("%s, table %v: rows other than the touched ones changed, or not as they should", name, size)
			}
			if len(ids) > 0 && slices.Equal(w, p.w) {
				t.Errorf("%s, table %v: nothing changed", name, size)
			}
		}
	}
}

// TestRowL2: L2 by row is that of a gradient in which it is written out, in both forms, and for no other parameter.
func TestRowL2(t *testing.T) {
	const l2, scale = 0.3, 0.5
	for name, options := range dense(t) {
		for _, size := range sizes {
			p := newProblem(size[0], size[1], 3)
			factors := random(rand.New(rand.NewPCG(9, uint64(size[0]))), size[0])
			written := func(i int, w []float32) []float32 {
				g := p.full(i)
				for j := range g {
					g[j] += l2 * factors[j/p.dim] * w[j]
				}
				return g
			}
			got, want := options.New(), options.New()
			got.SetL2(func(string) float64 { return l2 })
			got.SetRowL2(func(name string) []float32 {
				if name == "other" {
					return nil
				}
				return factors
			})
			table, rows, other := slices.Clone(p.w), slices.Clone(p.w), slices.Clone(p.w)
			wt, wr, wo := slices.Clone(p.w), slices.Clone(p.w), slices.Clone(p.w)
			for i := range p.ids {
				got.Begin()
				want.Begin()
				got.SetScale(scale)
				want.SetScale(scale)
				gt, gr, g := written(i, wt), written(i, wr), p.full(i)
				var sub []float32
				for _, id := range p.ids[i] {
					sub = append(sub, gr[int(id)*p.dim:(int(id)+1)*p.dim]...)
				}
				for j := range g {
					g[j] += l2 * wo[j]
				}
				got.StepTable("table", table, p.dim, p.ids[i], p.grads[i], 0.01)
				want.Step("table", wt, gt, 0.01)
				got.StepRows("rows", rows, p.dim, p.ids[i], p.grads[i], 0.01)
				want.StepRows("rows", wr, p.dim, p.ids[i], sub, 0.01)
				got.Step("other", other, p.full(i), 0.01)
				want.Step("other", wo, g, 0.01)
			}
			for what, x := range map[string][2][]float32{"table": {table, wt}, "rows": {rows, wr}, "other": {other, wo}} {
				off := 0
				for j := range x[0] {
					if d := x[0][j] - x[1][j]; d > 1e-4 || d < -1e-4 {
						off++
					}
				}
				if off > len(x[0])/1000 { // a gradient near 0 may have another sign
					t.Errorf("%s, table %v: %s: %d of %d values differ", name, size, what, off, len(x[0]))
				}
			}
		}
	}
}

// TestSlots: states are there before the first step, and what is written there counts.
func TestSlots(t *testing.T) {
	a, b := optim.Adam{Beta1: .9, Beta2: .999}.New(), optim.Adam{Beta1: .9, Beta2: .999}.New()
	w, v := []float32{1, 2}, []float32{1, 2}
	s := a.Slots("w", 2)
	if len(s) != 2 || len(s[1]) != 2 || s[1][0] != 0 {
		t.Fatalf("states %v", s)
	}
	for _, o := range []*optim.Optimizer{a, b} {
		o.Begin()
	}
	s[1][0] = 4
	a.Step("w", w, []float32{1, 1}, .1)
	b.Step("w", v, []float32{1, 1}, .1)
	if w[0] == v[0] || w[1] != v[1] {
		t.Errorf("%v, without a second moment %v", w, v)
	}
}

func sameState(t *testing.T, what string, got, want *ckpt.Checkpoint) {
	t.Helper()
	if len(got.Tensors) != len(want.Tensors) {
		t.Fatalf("%s: %d state tensors, want %d", what, len(got.Tensors), len(want.Tensors))
	}
	for i, x := range want.Tensors {
		if y := got.Tensors[i]; y.Name != x.Name || !slices.Equal(y.Data, x.Data) || !slices.Equal(y.Shape, x.Shape) {
			t.Errorf("%s: state %s differs from %s", what, y.Name, x.Name)
		}
	}
}

// run does the steps [from, to) of three forms at once.
func run(o *optim.Optimizer, w [][]float32, p *problem, from, to int) {
	for i := from; i < to; i++ {
		o.Begin()
		o.Step("dense", w[0], p.full(i), 0.01)
		o.StepRows("lazy", w[1], p.dim, p.ids[i], p.grads[i], 0.01)
		o.StepTable("table", w[2], p.dim, p.ids[i], p.grads[i], 0.01)
	}
}

func (p *problem) weights() [][]float32 {
	return [][]float32{slices.Clone(p.w), slices.Clone(p.w), slices.Clone(p.w)}
}

func TestThreadsDoNotMatter(t *testing.T) {
	defer kernel.SetThreads(kernel.Threads())
	p := newProblem(9001, 3, 3)
	for name, options := range dense(t) {
		var want [][]float32
		for _, threads := range []int{1, 2, 5} {
			kernel.SetThreads(threads)
			w := p.weights()
			run(options.New(), w, p, 0, 3)
			if want == nil {
				want = w
			}
			for k := range w {
				if !slices.Equal(w[k], want[k]) {
					t.Errorf("%s, form %d: %d threads give other bits than 1", name, k, threads)
				}
			}
		}
	}
}

func TestResumeIsExact(t *testing.T) {
	p := newProblem(50, 3, 8)
	n := map[string]int{"dense": 150, "lazy": 150, "table": 150}
	for name, options := range dense(t) {
		want := p.weights()
		run(options.New(), want, p, 0, 8)

		got, first := p.weights(), options.New()
		run(first, got, p, 0, 5)
		path := t.TempDir() + "/optimizer.safetensors"
		if err := ckpt.Save(path, first.State()); err != nil {
			t.Fatal(err)
		}
		c, err := ckpt.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		second := options.New()
		if err := second.Load(c, n); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		run(second, got, p, 5, 8)
		for k := range got {
			if !slices.Equal(got[k], want[k]) {
				t.Errorf("%s: form %d after resume has other bits", name, k)
			}
		}
	}
}

func TestLoadReportsAll(t *testing.T) {
	o := optim.Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}.New()
	c := &ckpt.Checkpoint{Meta: map[string]string{"optimizer": "adam", "step": "3"}, Tensors: []ckpt.Tensor{
		{Name: "a.exp_avg", Shape: []int{2}, Data: []float32{1, 2}},
		{Name: "b.exp_avg", Shape: []int{2}, Data: []float32{1, 2}},
		{Name: "b.exp_avg_sq", Shape: []int{3}, Data: []float32{1, 2, 3}},
		{Name: "c.exp_avg", Shape: []int{2}, Data: []float32{1, 2}},
	}}
	err := o.Load(c, map[string]int{"a": 2, "b": 2})
	want := strings.Join([]string{
		"optim: load: a.exp_avg_sq: missing",
		"optim: load: b.exp_avg_sq: has 3 elements, the parameter 2",
		"optim: load: c.exp_avg: unexpected: of no parameter that is trained",
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("Load: got\n%v\nwant\n%v", err, want)
	}
	if o.Steps() != 0 || len(o.State().Tensors) != 0 {
		t.Errorf("a refused state was loaded in part: step %d", o.Steps())
	}
	err = optim.SGD{}.New().Load(c, nil)
	if want := `optim: load: state of optimizer "adam", this is "sgd"`; err == nil || err.Error() != want {
		t.Errorf("Load of another type: %v, want %v", err, want)
	}
	c.Meta["step"] = "x"
	if err = o.Load(c, nil); err == nil || !strings.Contains(err.Error(), `step "x" is not a number of steps`) {
		t.Errorf("Load of step x: %v", err)
	}
}

func TestDecayHooks(t *testing.T) {
	step := func(o *optim.Optimizer, name string) float32 {
		w := []float32{1}
		o.Begin()
		o.Step(name, w, []float32{0}, 0.5)
		return w[0]
	}
	for _, tc := range []struct {
		name string
		o    *optim.Optimizer
		want float32
	}{
		{"sgd", optim.SGD{WeightDecay: 0.5}.New(), 0.75},
		{"adamw", optim.AdamW{Beta1: 0.9, Beta2: 0.99, Eps: 1, WeightDecay: 0.5}.New(), 0.75},
	} {
		tc.o.SetDecay(func(name string) bool { return name != "bias" })
		if got := step(tc.o, "weight"); got != tc.want {
			t.Errorf("%s: decayed weight = %v, want %v", tc.name, got, tc.want)
		}
		if got := step(tc.o, "bias"); got != 1 {
			t.Errorf("%s: bias without decay = %v, want 1", tc.name, got)
		}
	}
	o := optim.SGD{}.New()
	o.SetL2(func(name string) float64 { return map[string]float64{"table": 0.5}[name] })
	if got := step(o, "table"); got != 0.75 {
		t.Errorf("L2 by name = %v, want 0.75", got)
	}
	if got := step(o, "weight"); got != 1 {
		t.Errorf("no L2 by name = %v, want 1", got)
	}
}

// TestScale: a factor scales the gradient and the term of SetL2, not the options' weight decay.
func TestScale(t *testing.T) {
	o := optim.SGD{WeightDecay: 0.25}.New()
	o.SetL2(func(string) float64 { return 0.5 })
	for _, tc := range []struct{ factor, want float64 }{
		{1, 8 - (3 + 0.75*8)},
		{0.5, 8 - (0.5*3 + (0.25+0.5*0.5)*8)},
	} {
		o.SetScale(tc.factor)
		o.Begin()
		dense, lazy, table := []float32{8}, []float32{8}, []float32{8}
		o.Step("dense", dense, []float32{3}, 1)
		o.StepRows("lazy", lazy, 1, []int32{0}, []float32{3}, 1)
		o.StepTable("table", table, 1, []int32{0}, []float32{3}, 1)
		want := float32(tc.want)
		if dense[0] != want || lazy[0] != want || table[0] != want {
			t.Errorf("scale %v: %v, %v, %v, want %v", tc.factor, dense[0], lazy[0], table[0], want)
		}
	}
}

func TestGradientIsNotChanged(t *testing.T) {
	p := newProblem(300, 3, 1)
	grad := slices.Clone(p.grads[0])
	o := optim.Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1}.New()
	run(o, p.weights(), p, 0, 1)
	if !slices.Equal(grad, p.grads[0]) {
		t.Error("a step changed the caller's gradient")
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	p := newProblem(9000, 3, 1)
	g := p.full(0)
	for name, options := range dense(t) {
		o, w := options.New(), p.weights()
		step := func() {
			o.Begin()
			o.Step("dense", w[0], g, 0.01)
			o.StepRows("lazy", w[1], p.dim, p.ids[0], p.grads[0], 0.01)
			o.StepTable("table", w[2], p.dim, p.ids[0], p.grads[0], 0.01)
		}
		if n := testing.AllocsPerRun(10, step); n != 0 {
			t.Errorf("%s: %v allocations a step, want 0", name, n)
		}
	}
}

func TestMisuse(t *testing.T) {
	w, g := make([]float32, 6), make([]float32, 6)
	begun := func() *optim.Optimizer {
		o := optim.SGD{Momentum: 0.9}.New()
		o.Begin()
		return o
	}
	for _, tc := range []struct {
		name, want string
		f          func()
	}{
		{"lengths", "step w: 6 weights, 5 gradients", func() { begun().Step("w", w, g[:5], 1) }},
		{"begin", "step w: before Begin", func() { optim.SGD{}.New().Step("w", w, g, 1) }},
		{"order", "row 0 after row 1 of 3", func() { begun().StepRows("w", w, 2, []int32{1, 0}, g[:4], 1) }},
		{"duplicate", "row 1 after row 1 of 3", func() { begun().StepRows("w", w, 2, []int32{1, 1}, g[:4], 1) }},
		{"range", "row 3 after row -1 of 3", func() { begun().StepTable("w", w, 2, []int32{3}, g[:2], 1) }},
		{"other size", "step w: 4 weights, 6 before", func() {
			o := begun()
			o.Step("w", w, g, 1)
			o.Step("w", w[:4], g[:4], 1)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), tc.want) {
					t.Errorf("panic %v, want one with %q", r, tc.want)
				}
			}()
			tc.f()
		})
	}
}

func TestOptions(t *testing.T) {
	if got, want := optim.Types.Names(), []string{"adagrad", "adam", "adamw", "rmsprop", "sgd"}; !slices.Equal(got, want) {
		t.Errorf("names %v, want %v", got, want)
	}
	for _, tc := range []struct{ yaml, want string }{
		{"adam", ""},
		{"{type: adamw, beta1: 0.5, weight_decay: 0.2}", ""},
		{"{type: adam, beta2: 1}", "beta2: must be in [0, 1), have 1"},
		{"{type: adagrad, eps: -1}", "eps: must not be negative, have -1"},
		{"{type: rmsprop, alpha: .nan}", "alpha: want a finite number"},
		{"{type: sgd, nesterov: true}", "nesterov: needs a momentum above 0"},
		{"{type: adamm}", "adam"},
	} {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(tc.yaml), &n); err != nil {
			t.Fatal(err)
		}
		p := &registry.Problems{}
		optim.Types.Decode(n.Content[0], p, "optimizer")
		switch err := p.Err(); {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.yaml, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", tc.yaml, err, tc.want)
		}
	}
}
