package ops_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// mask returns what dropout multiplies its input by.
func mask(t *testing.T, s []int, p float64, name string, step *ops.Step) []float32 {
	t.Helper()
	g := G.NewGraph()
	one := make([]float32, s[0]*s[1])
	for i := range one {
		one[i] = 1
	}
	y := must(ops.Dropout(matrix(g, "x", s[0], s[1], one...), p, name, step))
	run(t, g)
	return slices.Clone(opstest.Values(y))
}

func TestDropout(t *testing.T) {
	for _, s := range shapes() {
		step := &ops.Step{Seed: 3, N: 7}
		m := mask(t, s, 0.3, "mlp.0", step)
		opstest.Check(t, opstest.Case{
			Name:   "dropout",
			Shapes: [][]int{s},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.Dropout(x[0], 0.3, "mlp.0", step) },
			Oracle: func(x ...[]float64) []float64 {
				y := slices.Clone(x[0])
				for i := range y {
					y[i] *= float64(m[i])
				}
				return y
			},
			Big: isBig(s),
		})
	}
}

func TestDropoutMask(t *testing.T) {
	s := []int{200, 301}
	for _, p := range []float64{0.1, 0.5, 0.9} {
		m := mask(t, s, p, "a", &ops.Step{Seed: 1, N: 1})
		zeros := 0
		for _, v := range m {
			if v == 0 {
				zeros++
			} else if math.Abs(float64(v)-1/(1-p)) > 1e-5 {
				t.Fatalf("p %v: factor %v, want 0 or %v", p, v, 1/(1-p))
			}
		}
		n := float64(len(m))
		if d := math.Abs(float64(zeros) - p*n); d > 5*math.Sqrt(n*p*(1-p)) {
			t.Errorf("p %v: %d of %v elements dropped", p, zeros, n)
		}
	}
	base := mask(t, s, 0.5, "a", &ops.Step{Seed: 1, N: 1})
	for lag := 16; lag < len(base)/4; lag += 16 { // chunks of the loop must not repeat each other
		equal := 0
		for i := range len(base) - lag {
			if base[i] == base[i+lag] {
				equal++
			}
		}
		if math.Abs(float64(equal)/float64(len(base)-lag)-.5) > .05 {
			t.Fatalf("%d of %d elements agree with those %d further on, want about half", equal, len(base)-lag, lag)
		}
	}
	for _, tc := range []struct {
		name, op string
		step     ops.Step
		same     bool
	}{
		{"again", "a", ops.Step{Seed: 1, N: 1}, true},
		{"step", "a", ops.Step{Seed: 1, N: 2}, false},
		{"seed", "a", ops.Step{Seed: 2, N: 1}, false},
		{"name", "b", ops.Step{Seed: 1, N: 1}, false},
	} {
		m := mask(t, s, 0.5, tc.op, &tc.step)
		equal := 0
		for i := range m {
			if m[i] == base[i] {
				equal++
			}
		}
		if tc.same != (equal == len(m)) {
			t.Errorf("%s: %d of %d elements agree", tc.name, equal, len(m))
		}
		if !tc.same && math.Abs(float64(equal)/float64(len(m))-.5) > .02 {
			t.Errorf("%s: %d of %d elements agree, want about half", tc.name, equal, len(m))
		}
	}
}

// The step is read at each run, by the forward and the backward pass.
func TestDropoutStep(t *testing.T) {
	g := G.NewGraph()
	step := &ops.Step{Seed: 5}
	v := make([]float32, 64)
	for i := range v {
		v[i] = 1
	}
	x, dy := matrix(g, "x", 1, 64, v...), matrix(g, "dy", 1, 64, slices.Clone(v)...)
	y := must(ops.Dropout(x, 0.5, "d", step))
	d, err := ops.VJP(y, dy, x)
	if err != nil {
		t.Fatal(err)
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	var last []float32
	for step.N = range 3 {
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		vm.Reset()
		got := opstest.Values(y)
		if slices.Equal(got, last) {
			t.Errorf("step %d: same mask as in the step before", step.N)
		}
		if dx := opstest.Values(d[0]); !slices.Equal(dx, got) {
			t.Errorf("step %d: gradient %v, mask %v", step.N, dx, got)
		}
		last = slices.Clone(got)
	}
	if same := must(ops.Dropout(x, 0, "d", step)); same != x {
		t.Errorf("dropout with probability 0 is %v, want its input", same)
	}
}

// TestDropoutRows compares the rows of a table with those of the table that Dropout made.
func TestDropoutRows(t *testing.T) {
	const V = 19
	for _, s := range shapes() {
		if len(s) != 2 {
			continue
		}
		step := &ops.Step{Seed: 3, N: 7}
		m := mask(t, []int{V, s[1]}, 0.3, "items", step)
		ids := make([]int32, s[0])
		for i := range ids {
			ids[i] = int32(i*7%(V+1)) - 1
		}
		opstest.Check(t, opstest.Case{
			Name:   "dropoutrows",
			Shapes: [][]int{s},
			Build:  func(x ...*G.Node) (*G.Node, error) { return ops.DropoutRows(x[0], 0.3, "items", step, &ids, nil) },
			Oracle: func(x ...[]float64) []float64 {
				y := slices.Clone(x[0])
				for i := range y {
					if id := int(ids[i/s[1]]); id < 0 {
						y[i] = 0
					} else {
						y[i] *= float64(m[id*s[1]+i%s[1]])
					}
				}
				return y
			},
			Big: isBig(s),
		})
	}
}

// Rows that are not in use are neither read nor written, and lists of another length are refused.
func TestDropoutRowsUsed(t *testing.T) {
	g := G.NewGraph()
	step, ids, used := &ops.Step{}, []int32{4, 2, -1, 9, 0}, 3
	nan := float32(math.NaN())
	x := matrix(g, "x", 5, 2, 1, 1, 1, 1, 1, 1, nan, nan, nan, nan)
	y := must(ops.DropoutRows(x, .5, "a", step, &ids, &used))
	run(t, g)
	for i, v := range opstest.Values(y) {
		if v != 0 && (v != 2 || i >= 4) {
			t.Errorf("element %d is %v", i, v)
		}
	}
	step2 := ids[:4]
	for _, c := range []struct {
		name string
		p    float64
		step *ops.Step
		ids  *[]int32
	}{{"probability", 1, step, &ids}, {"probability", -.1, step, &ids}, {"probability", math.NaN(), step, &ids}, {"step", .5, nil, &ids}, {"ids", .5, step, &step2}} {
		if _, err := ops.DropoutRows(x, c.p, "a", c.step, c.ids, nil); err == nil || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
	if same, err := ops.DropoutRows(x, 0, "a", step, &ids, nil); same != x || err != nil {
		t.Errorf("nothing to drop: %v, %v", same, err)
	}
}
