package task_test

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/seq"
	"github.com/splice-ml/splice/train/task"
)

var twice = task.Binary{MetricNames: []string{"auc"}, DropoutPasses: 2}

var columns = seq.Columns{Item: "item", History: "history", EmbeddingDim: 4, InitStd: 1e-4}

// passing returns models with dropout, their data, and one whose embeddings are far from zero.
func passing() map[string]struct {
	m  models.Model
	sc *data.Schema
} {
	tower := ctr.Tower{HiddenUnits: []int{16, 8}, HiddenActivations: "tanh", NetDropout: 0.3, BatchNorm: true}
	din, _ := models.Registry.Default("din")
	d := din.(seq.DIN)
	d.Columns = columns
	d.HiddenUnits, d.NetDropout = []int{8}, 0.3
	return map[string]struct {
		m  models.Model
		sc *data.Schema
	}{
		"deepfm": {ctr.DeepFM{EmbeddingDim: 5, Tower: tower}, modeltest.Schema()},
		"dcnv2":  {ctr.DCNv2{EmbeddingDim: 5, NumCrossLayers: 2, ModelStructure: "parallel", Tower: tower}, modeltest.Schema()},
		"qnn":    {ctr.QNN{EmbeddingDim: 5, NumLayers: 2, NumRow: 2, NumHeads: 1, NetDropout: 0.1, BatchNorm: true}, modeltest.Schema()},
		"din":    {d, modeltest.Histories()},
	}
}

// passes is a program of the self-ensemble loss.
type passes struct {
	*models.Program
	params *nn.Params
	a, b   *G.Node // logits
}

func compilePasses(t *testing.T, m models.Model, sc *data.Schema, batch int) *passes {
	t.Helper()
	p := &passes{params: nn.NewParams(1)}
	loss := func(s *nn.Scope, z *G.Node, in *models.Inputs) *G.Node {
		l := twice.Loss(s, z, in)
		if s.Err() == nil {
			p.a, p.b = z, in.Pass(s, 1)
		}
		return l
	}
	var err error
	p.Program, err = models.Compile(m, p.params, sc, models.CompileOptions{Batch: batch, Train: true, Seed: 5, Loss: loss, Length: models.Longest(sc)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	for _, q := range p.params.All() {
		if q.Embedding {
			kernel.Scale(q.Data, q.Data, 3000)
		}
	}
	return p
}

// at returns the logits of both passes at step 3, and the loss.
func (p *passes) at(t *testing.T, b *data.Batch) (z [2][]float64, loss float64) {
	t.Helper()
	loss, err := p.Run(b, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range []*G.Node{p.a, p.b} {
		for _, v := range n.Value().(*tensor.Dense).Float32s()[:b.N] {
			z[i] = append(z[i], float64(v))
		}
	}
	return z, loss
}

// gradients copies those of the last run, of tables as whole tables.
func (p *passes) gradients() map[string][]float64 {
	out := map[string][]float64{}
	for _, g := range p.Grads() {
		for _, v := range g.Grad {
			out[g.Param.Name] = append(out[g.Param.Name], float64(v))
		}
	}
	for _, g := range p.RowGrads() {
		all := make([]float64, len(g.Param.Data))
		for i, id := range g.IDs {
			for k, v := range g.Grad[i*g.Param.Dim() : (i+1)*g.Param.Dim()] {
				all[int(id)*g.Param.Dim()+k] = float64(v)
			}
		}
		out[g.Param.Name] = all
	}
	return out
}

// TestPassesGradient compares the loss with its definition, and the gradients of all parameters with differences: those of the logits of both
// passes, weighted by the derivatives of the loss for them. The passes' mean is a constant there.
func TestPassesGradient(t *testing.T) {
	sigmoid := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	bce := func(p, y float64) float64 { return -y*math.Log(p) - (1-y)*math.Log(1-p) }
	for name, c := range passing() {
		t.Run(name, func(t *testing.T) {
			const n = 48
			p := compilePasses(t, c.m, c.sc, n+5)
			b := modeltest.Batch(c.sc, n, n+5, 4)
			z, loss := p.at(t, b)
			grads := p.gradients()
			var want float64
			var by [2][]float64
			for r := range n {
				y, f := float64(b.Label[r]), (sigmoid(z[0][r])+sigmoid(z[1][r]))/2
				row := func(i int, eps float64) float64 {
					x := []float64{z[0][r], z[1][r]}
					x[i] += eps
					q, s := sigmoid(x[0]), sigmoid(x[1])
					return bce((q+s)/2, y) + bce(q, f) + bce(s, f)
				}
				want += row(0, 0) / n
				for i := range by {
					by[i] = append(by[i], (row(i, 1e-5)-row(i, -1e-5))/2e-5/n)
				}
			}
			if math.Abs(loss-want) > 1e-5*want {
				t.Errorf("loss %v, want %v", loss, want)
			}
			for _, q := range p.params.All() {
				g, norm := grads[q.Name], 0.0
				for _, v := range g {
					norm += v * v
				}
				if norm = math.Sqrt(norm); q.Kind == nn.Buffer || norm < 1e-5 {
					continue
				}
				old := slices.Clone(q.Data)
				along := func(eps float64) (sum float64) {
					for i := range q.Data {
						q.Data[i] = old[i] + float32(eps*g[i]/norm)
					}
					z, _ := p.at(t, b)
					for i := range z {
						for r := range n {
							sum += by[i][r] * z[i][r]
						}
					}
					return sum
				}
				best := math.Inf(1)
				for _, eps := range []float64{1e-2, 3e-3, 1e-3} { // a kink may spoil one of them
					best = min(best, math.Abs((along(eps)-along(-eps))/(2*eps)/norm-1))
				}
				copy(q.Data, old)
				if best > 0.01 {
					t.Errorf("%s: differences are off by a share of %v of its gradient, whose norm is %v", q.Name, best, norm)
				}
			}
		})
	}
}

// TestPasses: the first pass, and the running statistics, are those of a training with one pass. The other drops other values. The bits are the
// same for any number of threads, and a step allocates nothing.
func TestPasses(t *testing.T) {
	for name, c := range passing() {
		t.Run(name, func(t *testing.T) {
			const n = 64
			b := modeltest.Batch(c.sc, n, n, 4)
			p := compilePasses(t, c.m, c.sc, n)
			one, err := models.Compile(c.m, p.params, c.sc, models.CompileOptions{
				Batch: n, Train: true, Seed: 5, Loss: task.Binary{}.Loss, Length: models.Longest(c.sc),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer one.Close()
			fresh := map[string][]float32{}
			for _, q := range p.params.All() {
				fresh[q.Name] = slices.Clone(q.Data)
			}
			if _, err := one.Run(b, 3); err != nil {
				t.Fatal(err)
			}
			after := map[string][]float32{}
			for _, q := range p.params.All() {
				after[q.Name] = slices.Clone(q.Data)
				copy(q.Data, fresh[q.Name])
			}
			z, _ := p.at(t, b)
			for r, v := range one.Logits()[:n] {
				if float64(v) != z[0][r] {
					t.Fatalf("logit %d of the first pass is %v, of a training with one pass %v", r, z[0][r], v)
				}
			}
			if slices.Equal(z[0], z[1]) {
				t.Error("both passes drop the same values")
			}
			for _, q := range p.params.All() {
				if !slices.Equal(q.Data, after[q.Name]) {
					t.Errorf("%s is another than after a run with one pass", q.Name)
				}
			}
			want := p.gradients()
			defer kernel.SetThreads(kernel.Threads())
			for _, threads := range []int{1, 3} {
				kernel.SetThreads(threads)
				p.at(t, b)
				for name, g := range p.gradients() {
					if !slices.Equal(g, want[name]) {
						t.Errorf("%d threads: another gradient of %s", threads, name)
					}
				}
			}
			allocates(t, p.Program, b)
			for step := range int64(2) {
				if _, err := p.Run(b, 4-step); err != nil {
					t.Fatal(err)
				}
				if got := p.b.Value().(*tensor.Dense).Float32s()[:n]; (float64(got[0]) == z[1][0]) != (step == 1) {
					t.Errorf("step %d: the second pass has logit %v, at step 3 %v", 4-step, got[0], z[1][0])
				}
			}
		})
	}
}

// allocates reports what a step allocates.
func allocates(t *testing.T, p *models.Program, b *data.Batch) {
	t.Helper()
	step := func() {
		if _, err := p.Run(b, 3); err != nil {
			t.Fatal(err)
		}
	}
	step()
	var n float64
	for range 3 {
		runtime.GC()
		if n = testing.AllocsPerRun(4, step); n == 0 {
			return
		}
	}
	t.Errorf("a step makes %v allocations", n)
}

func TestPassesRefused(t *testing.T) {
	dien, _ := models.Registry.Default("dien")
	aux := dien.(seq.DIEN)
	aux.Columns, aux.AuxLoss, aux.NetDropout = columns, 1, 0.1
	for _, c := range []struct {
		name string
		m    models.Model
		sc   *data.Schema
		want string
	}{
		{"no dropout", ctr.MLP{EmbeddingDim: 4, Tower: ctr.Tower{HiddenUnits: []int{4}}}, modeltest.Schema(), "the model drops nothing in training"},
		{"a loss of its own", aux, modeltest.Histories(), "set aux_loss to 0"},
	} {
		_, err := models.Compile(c.m, nn.NewParams(1), c.sc, models.CompileOptions{Batch: 4, Train: true, Loss: twice.Loss})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	if err := (task.Binary{MetricNames: []string{"auc"}, DropoutPasses: 3}).Validate(); err == nil || !strings.Contains(err.Error(), "dropout_passes") {
		t.Errorf("three passes: error %v", err)
	}
}
