package optim_test

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/optim"
)

// golden is testdata/optim.json, PyTorch's numbers.
type golden struct {
	W        []float32           `json:"w"`
	Grads    [][]float32         `json:"grads"`
	Dim      int                 `json:"dim"`
	Table    []float32           `json:"table"`
	IDs      [][]int32           `json:"ids"`
	RowGrads [][]float32         `json:"row_grads"`
	Dense    map[string]snapshot `json:"dense"`
	Rows     map[string]snapshot `json:"rows"`
}

// snapshot is the weights and the state after some steps, by the number of the step.
type snapshot map[string]struct {
	W     []float32            `json:"w"`
	State map[string][]float32 `json:"state"`
}

func load(t *testing.T) *golden {
	t.Helper()
	src, err := os.ReadFile("testdata/optim.json")
	if err != nil {
		t.Fatal(err)
	}
	g := &golden{}
	if err := json.Unmarshal(src, g); err != nil {
		t.Fatal(err)
	}
	return g
}

// rate is the learning rate of step t in testdata/optim.py.
func rate(t int) float64 {
	if t <= 10 {
		return 0.03
	}
	return 0.015
}

// defaults returns the registered default options of a type.
func defaults[T optim.Options](t *testing.T, name string) T {
	t.Helper()
	o, ok := optim.Types.Default(name)
	if !ok {
		t.Fatalf("optimizer %q is not registered", name)
	}
	return o.(T)
}

// near compares within 1e-6 of the array's largest element: what cancels to almost nothing has no relative accuracy.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	scale := 0.0
	for _, w := range want {
		scale = max(scale, math.Abs(float64(w)))
	}
	for i := range got {
		if g, w := float64(got[i]), float64(want[i]); !(math.Abs(g-w) <= 1e-6*scale) {
			t.Fatalf("%s[%d] = %v, want %v", what, i, g, w)
		}
	}
}

func (s snapshot) check(t *testing.T, step int, w []float32, o *optim.Optimizer) {
	t.Helper()
	want, ok := s[strconv.Itoa(step)]
	if !ok {
		return
	}
	near(t, "step "+strconv.Itoa(step)+": w", w, want.W)
	st := o.State()
	if len(st.Tensors) != len(want.State) {
		t.Fatalf("step %d: %d state tensors, want %d", step, len(st.Tensors), len(want.State))
	}
	for name, v := range want.State {
		x := st.Get("w." + name)
		if x == nil {
			t.Fatalf("step %d: no state w.%s", step, name)
		}
		near(t, "step "+strconv.Itoa(step)+": "+name, x.Data, v)
	}
}

// dense are the options of the cases in testdata/optim.py.
func dense(t *testing.T) map[string]optim.Options {
	return map[string]optim.Options{
		"sgd":              defaults[optim.SGD](t, "sgd"),
		"sgd momentum":     optim.SGD{Momentum: 0.9, WeightDecay: 0.01},
		"sgd nesterov":     optim.SGD{Momentum: 0.9, Nesterov: true, WeightDecay: 0.01},
		"adagrad":          defaults[optim.Adagrad](t, "adagrad"),
		"adagrad options":  optim.Adagrad{LRDecay: 0.1, WeightDecay: 0.01, InitialAccumulatorValue: 0.1, Eps: 1e-6},
		"adam":             defaults[optim.Adam](t, "adam"),
		"adam options":     optim.Adam{Beta1: 0.8, Beta2: 0.95, Eps: 1e-3, WeightDecay: 0.05},
		"adamw":            defaults[optim.AdamW](t, "adamw"),
		"adamw options":    optim.AdamW{Beta1: 0.8, Beta2: 0.95, Eps: 1e-3, WeightDecay: 0.3},
		"rmsprop":          defaults[optim.RMSProp](t, "rmsprop"),
		"rmsprop momentum": optim.RMSProp{Alpha: 0.9, Eps: 1e-4, Momentum: 0.7, WeightDecay: 0.01},
		"rmsprop centered": optim.RMSProp{Alpha: 0.9, Eps: 1e-2, Centered: true},
		"rmsprop both":     optim.RMSProp{Alpha: 0.9, Eps: 1e-2, Centered: true, Momentum: 0.5},
	}
}

func TestDenseEqualsPyTorch(t *testing.T) {
	g := load(t)
	cases := dense(t)
	if len(cases) != len(g.Dense) {
		t.Errorf("%d cases, the file has %d", len(cases), len(g.Dense))
	}
	for name, options := range cases {
		t.Run(name, func(t *testing.T) {
			o := options.New()
			w := append([]float32(nil), g.W...)
			for i, grad := range g.Grads {
				o.Begin()
				o.Step("w", w, grad, rate(i+1))
				g.Dense[name].check(t, i+1, w, o)
			}
		})
	}
}

func TestRowsEqualPyTorchSparse(t *testing.T) {
	g := load(t)
	cases := map[string]optim.Options{
		"sgd":          defaults[optim.SGD](t, "sgd"),
		"adagrad":      optim.Adagrad{Eps: 1e-6},
		"adam":         defaults[optim.Adam](t, "adam"),
		"adam options": optim.Adam{Beta1: 0.8, Beta2: 0.95, Eps: 1e-3},
	}
	for name, options := range cases {
		t.Run(name, func(t *testing.T) {
			o := options.New()
			w := append([]float32(nil), g.Table...)
			for i, grad := range g.RowGrads {
				o.Begin()
				o.StepRows("w", w, g.Dim, g.IDs[i], grad, rate(i+1))
				g.Rows[name].check(t, i+1, w, o)
			}
		})
	}
}

// TestBytes counts the traffic of Adam: gradients are read, weights and two moments read and written; of rows, or of all of a table.
func TestBytes(t *testing.T) {
	o := defaults[optim.Adam](t, "adam").New()
	o.Begin()
	w, rows := make([]float32, 60), []float32{1, 2, 3, 4, 5, 6}
	for _, c := range []struct {
		name string
		want int64
		step func()
	}{
		{"dense", 60 * 7 * 4, func() { o.Step("w", w, make([]float32, 60), 1) }},
		{"rows", 6 * 7 * 4, func() { o.StepRows("rows", w, 3, []int32{4, 7}, rows, 1) }},
		{"table", (60*6 + 6) * 4, func() { o.StepTable("table", w, 3, []int32{4, 7}, rows, 1) }},
	} {
		before := kernel.BytesMoved()
		c.step()
		if got := kernel.BytesMoved() - before; got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
	}
}
