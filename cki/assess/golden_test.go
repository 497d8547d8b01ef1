package assess

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"os"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// testdata/cki_dense.json.gz holds stacks of dense layers with tanh between them: inputs x, both parents A and B, the bias,
// which is A's, and an assessor P for each layer; and what comes of them in every form: entropies, g, L, weights, merged
// matrices, and of the soft recommendation form the outputs, the loss mean(out²) and its gradient with respect to each P.
// It was computed in float32 by an independent implementation of the formulas in PyTorch, with a = 0.4, c = 500 and 10
// bins.

type array struct {
	Shape []int     `json:"shape"`
	Data  []float32 `json:"data"`
}

type goldenLayer struct {
	A, B, P  array
	Bias     array   `json:"bias"`
	EntropyA float64 `json:"entropy_A"`
	EntropyB float64 `json:"entropy_B"`
	WGlobal  float64 `json:"w_global"`
	WLocal   array   `json:"w_local"`
	RecA     array   `json:"rec_dual_w_A"`
	RecB     array   `json:"rec_dual_w_B"`
	RecSoft  array   `json:"rec_dual_soft"`
	LangA    array   `json:"lang_dual_w_A"`
	LangSoft array   `json:"lang_dual_soft"`
	LangHard array   `json:"lang_dual_hard"`
	Local    array   `json:"local_soft"`
	Global   array   `json:"global_soft"`
	GradP    array   `json:"grad_P"`
}

type goldenCase struct {
	Name   string
	X      array `json:"x"`
	Out    array
	Loss   float64 `json:"loss_value"`
	Layers []goldenLayer
}

func golden(t *testing.T) []goldenCase {
	t.Helper()
	f, err := os.Open("testdata/cki_dense.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Cases []goldenCase }
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	if len(all.Cases) == 0 {
		t.Fatal("no cases")
	}
	return all.Cases
}

// near checks values to a relative tolerance, for small ones relative to the root mean square of all.
func near(t *testing.T, what string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	scale := 0.0
	for _, v := range want {
		scale += float64(v) * float64(v)
	}
	scale = math.Sqrt(scale / float64(len(want)))
	for i := range got {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tol*max(scale, math.Abs(float64(want[i])))) {
			t.Errorf("%s: value %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

// published is the method with the paper's options.
func published(t testing.TB) CKI {
	t.Helper()
	m, ok := cki.Registry.Default("cki")
	if !ok {
		t.Fatal("no method cki")
	}
	return m.(CKI)
}

// bare is an assessment of tensors without a model.
func bare(m CKI, params *nn.Params, k int) *assessment {
	in := &cki.Input{Parents: make([]*cki.Parent, k), Log: slog.New(slog.DiscardHandler)}
	return &assessment{CKI: m, in: in, params: params, lookup: map[string]bool{}, globals: map[string]*global{}, stats: map[string]*TensorStats{}}
}

func (l goldenLayer) assessor(t *testing.T, p *nn.Params, name string) {
	t.Helper()
	if err := p.Add(&nn.Param{Name: "cki." + name + ".assessor", Shape: l.P.Shape, Data: l.P.Data}); err != nil {
		t.Fatal(err)
	}
}

// Every form's merged matrices, as the result gets them, and the statistics' entropies and weights.
func TestGoldenForms(t *testing.T) {
	forms := []struct {
		name                      string
		perspective, form, splice string
		want                      func(l goldenLayer) array
		weights                   func(l goldenLayer) array
	}{
		{"recommendation", "dual", "recommendation", "soft", func(l goldenLayer) array { return l.RecSoft }, func(l goldenLayer) array { return l.RecA }},
		{"language", "dual", "language", "soft", func(l goldenLayer) array { return l.LangSoft }, func(l goldenLayer) array { return l.LangA }},
		{"language, hard", "dual", "language", "hard", func(l goldenLayer) array { return l.LangHard }, func(l goldenLayer) array { return l.LangA }},
		{"language, straight-through", "dual", "language", "straight_through", func(l goldenLayer) array { return l.LangHard }, nil},
		{"local", "local", "recommendation", "soft", func(l goldenLayer) array { return l.Local }, func(l goldenLayer) array { return l.WLocal }},
		{"global", "global", "recommendation", "soft", func(l goldenLayer) array { return l.Global }, nil},
	}
	for _, c := range golden(t) {
		for i, l := range c.Layers {
			for _, f := range forms {
				what := fmt.Sprintf("%s layer %d, %s", c.Name, i, f.name)
				m := published(t)
				m.Perspective, m.Form, m.Splice = f.perspective, f.form, f.splice
				p := nn.NewParams(1)
				l.assessor(t, p, "w")
				a := bare(m, p, 2)
				x := &cki.Tensor{Name: "w", Shape: l.A.Shape, Hi: l.A.Shape[0], Parents: [][]float32{l.A.Data, l.B.Data}, Out: make([]float32, len(l.A.Data))}
				if err := a.bake(x); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				near(t, what, x.Out, f.want(l).Data, 1e-5)
				s := a.stats["w"]
				near(t, what+": entropies and g", []float32{float32(s.Entropy[0]), float32(s.Entropy[1]), float32(s.Global[0])},
					[]float32{float32(l.EntropyA), float32(l.EntropyB), float32(l.WGlobal)}, 1e-5)
				if f.weights == nil {
					continue
				}
				w := f.weights(l).Data
				mean, most := 0.0, 0.0
				for _, v := range w {
					mean += float64(v) / float64(len(w))
					if v > 0.5 {
						most += 1 / float64(len(w))
					}
				}
				if math.Abs(s.Mean-mean) > 1e-6 || math.Abs(s.Taken[0]-most) > 1e-6 {
					t.Errorf("%s: mean weight %v and share above 1/2 %v, want %v and %v", what, s.Mean, s.Taken[0], mean, most)
				}
			}
		}
	}
}

// Weights of both parents, weight by weight.
func TestGoldenWeights(t *testing.T) {
	for _, c := range golden(t) {
		for i, l := range c.Layers {
			m := published(t)
			g := bare(m, nn.NewParams(1), 2).global("w", [][]float32{l.A.Data, l.B.Data})
			p := m.splicing(g.g)
			a, b := make([]float32, len(l.A.Data)), make([]float32, len(l.A.Data))
			w := make([]float64, 2)
			for j, L := range l.WLocal.Data {
				p.Weights(w, []float64{math.Log(float64(L) / (1 - float64(L)))}, nil)
				a[j], b[j] = float32(w[0]), float32(w[1])
			}
			near(t, fmt.Sprintf("%s layer %d: w_A", c.Name, i), a, l.RecA.Data, 1e-6)
			near(t, fmt.Sprintf("%s layer %d: w_B", c.Name, i), b, l.RecB.Data, 1e-6)
		}
	}
}

// Outputs, loss and the gradient of the loss with respect to each assessor.
func TestGoldenGradients(t *testing.T) {
	for _, c := range golden(t) {
		params := nn.NewParams(1)
		a := bare(published(t), params, 2)
		a.values = map[string][][]float32{}
		for i, l := range c.Layers {
			name := fmt.Sprintf("%d.weight", i)
			l.assessor(t, params, name)
			a.values[name] = [][]float32{l.A.Data, l.B.Data}
		}
		g := &nn.Graph{Params: params, Graph: G.NewGraph(), Train: true, Batch: c.X.Shape[0], Rows: &ops.Rows{N: c.X.Shape[0]}, Step: &ops.Step{}, Reparam: a.reparam}
		s := nn.NewScope(g)
		x := s.Constant("x", c.X.Data, c.X.Shape...)
		for i, l := range c.Layers {
			at := s.Sub(fmt.Sprint(i))
			act := kernel.Tanh
			if i == len(c.Layers)-1 {
				act = kernel.None
			}
			w := at.Param("weight", nn.Zeros, l.A.Shape...)
			b := at.Constant("bias", l.Bias.Data, l.Bias.Shape...)
			x = at.Check(ops.Linear(x, w, b, act))
		}
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		n := c.X.Shape[0] * x.Shape()[1]
		seed := make([]float32, n)
		dy := s.Constant("dy", seed, x.Shape()...)
		var wrt G.Nodes
		for _, l := range g.Leaves {
			wrt = append(wrt, l.Node)
		}
		if len(wrt) != len(c.Layers) {
			t.Fatalf("%s: %d trained parameters, want the %d assessors", c.Name, len(wrt), len(c.Layers))
		}
		grads, err := ops.VJP(x, dy, wrt...)
		if err != nil {
			t.Fatal(err)
		}
		vm := G.NewTapeMachine(g.Graph)
		defer vm.Close()
		var out []float32
		for range 2 { // the loss is mean(out²), so dy is 2·out/n: of the first run
			if err := vm.RunAll(); err != nil {
				t.Fatal(err)
			}
			vm.Reset()
			out = x.Value().Data().([]float32)
			for i, v := range out {
				seed[i] = 2 * v / float32(n)
			}
		}
		loss := 0.0
		for _, v := range out {
			loss += float64(v) * float64(v) / float64(n)
		}
		near(t, c.Name+": outputs", out, c.Out.Data, 1e-5)
		if math.Abs(loss-c.Loss) > 1e-5*c.Loss {
			t.Errorf("%s: loss %v, want %v", c.Name, loss, c.Loss)
		}
		for i, d := range grads {
			near(t, fmt.Sprintf("%s: gradient of assessor %d", c.Name, i), d.Value().Data().([]float32), c.Layers[i].GradP.Data, 1e-5)
		}
	}
}
