package assess

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/gate"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// prefix begins the names of all that is learned for a merge: cki.<tensor>.assessor, .bias and .gate, with the parent's
// number for more than two parents.
const prefix = "cki"

// maxAssessor is the largest width of a tensor that gets an assessor, which has its square of weights: 256 MB.
const maxAssessor = 8192

// assessment is the state of one merge.
type assessment struct {
	CKI
	in      *cki.Input
	params  *nn.Params             // of the model, from the base on, and of the gates
	lookup  map[string]bool        // parameters of lookups: they are no nodes of the graph
	values  map[string][][]float32 // parents' values of what is spliced; nil when nothing is learned any more
	globals map[string]*global
	l2      float64 // the prior's pull, of one gate
	learned *Learned
	stats   map[string]*TensorStats
	order   []string // of stats
}

// global is the model-level judgement of a tensor.
type global struct{ entropy, g []float64 }

// prepare checks the input and loads the base.
func (m CKI) prepare(ctx context.Context, in *cki.Input) (*assessment, error) {
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("assess: cki: %w", err)
	}
	if err := m.Train.Validate(); err != nil {
		return nil, fmt.Errorf("assess: cki: train: %w", err)
	}
	if n := len(in.Parents); n < 2 {
		return nil, fmt.Errorf("assess: cki: have %d parents, want at least 2", n)
	}
	if in.Lab == nil || in.Lab.Model == nil || in.Lab.Data == nil {
		return nil, fmt.Errorf("assess: cki: gates need the model and its data: merge runs, or give a config with both")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a := &assessment{
		CKI: m, in: in, params: nn.NewParams(in.Seed), lookup: map[string]bool{},
		globals: map[string]*global{}, stats: map[string]*TensorStats{},
	}
	seen := func(_ *nn.Scope, p *nn.Param) *nn.Derived {
		a.lookup[p.Name] = true
		return nil
	}
	compile := models.CompileOptions{Batch: 1, Derive: seen, WholeCatalogue: in.Lab.WholeCatalogue()}
	prog, err := models.Compile(in.Lab.Model, a.params, in.Lab.Data.Schema, compile)
	if err != nil {
		return nil, fmt.Errorf("assess: cki: %w", err)
	}
	if err := prog.Close(); err != nil {
		return nil, fmt.Errorf("assess: cki: %w", err)
	}
	if err := cki.Load(in.Parents[0], a.params); err != nil {
		return nil, fmt.Errorf("assess: cki: parent %s: %w", in.Parents[0].Name, err)
	}
	if m.form() == ops.SpliceRecommendation {
		lo, hi := m.Range(len(in.Parents))
		in.Log.Info("cki: the recommendation form gives the base a weight near 1/K, whatever assessors learn", "least", lo, "largest", hi)
	}
	if m.Train.Epochs > 0 && m.Splice == "hard" && !m.Encoder && m.form() != ops.SpliceGlobal {
		in.Log.Warn("cki: hard splicing gives gates no gradient: they stay at their start; straight_through lets them learn")
	}
	return a, a.check()
}

// check reports every selected tensor that cannot be spliced as the options say.
func (a *assessment) check() error {
	for _, q := range a.params.All() {
		if !a.spliced(q.Name) {
			continue
		}
		cols, assessed := len(q.Data)/max(1, q.Shape[0]), a.Granularity == "weight" && a.form() != ops.SpliceGlobal
		if assessed && !a.rowwise(q.Name) && max(cols, vector(q.Shape)) > maxAssessor {
			return fmt.Errorf("assess: cki: tensor %s %v: its assessor would be %d by %d; use granularity: unit, or leave it out of select",
				q.Name, q.Shape, cols, cols)
		}
		if a.Start == "counts" && q.Kind == nn.Table {
			for _, p := range a.in.Parents {
				if n := len(p.Counts[q.Name]); n != q.Shape[0] {
					return fmt.Errorf("assess: cki: parent %s: table %s has %d rows, counts of %d: "+
						"start: counts needs runs that stored how often each row was trained; use start: zero",
						p.Name, q.Name, q.Shape[0], n)
				}
			}
		}
	}
	return nil
}

// vector returns the length of a vector, 0 of other shapes.
func vector(shape []int) int {
	if len(shape) == 1 {
		return shape[0]
	}
	return 0
}

// spliced reports whether the tensor is put together from the parents' by gates. Others are the base's, or trained with the gates, and
// running statistics are averaged.
func (a *assessment) spliced(name string) bool {
	q := a.params.Get(name)
	if q == nil || q.Kind == nn.Buffer || len(q.Data) == 0 || strings.HasPrefix(name, prefix+".") ||
		a.in.Select != nil && !a.in.Select(name) {
		return false
	}
	return !a.rowwise(name) || a.Tables != "base"
}

// rowwise reports whether the tensor has gates of rows, and no assessor: a parameter of a lookup, or an embedding table that is a weight of
// the graph.
func (a *assessment) rowwise(name string) bool {
	q := a.params.Get(name)
	return a.lookup[name] || q != nil && q.Kind == nn.Table
}

// global returns the entropies and the global weights of a tensor.
func (a *assessment) global(name string, values [][]float32) *global {
	g := a.globals[name]
	if g == nil {
		g = &global{}
		for _, v := range values {
			h := float32(gate.Entropy(v, a.Bins)) // rounded as in the published computation: c = 500 magnifies the last bits
			g.entropy = append(g.entropy, float64(h))
		}
		g.g = gate.Global(g.entropy, a.A, a.C)
		a.globals[name] = g
	}
	return g
}

// reparam takes a weight's place in the model's graph.
func (a *assessment) reparam(s *nn.Scope, name string, leaf *G.Node) *G.Node {
	values := a.values[name]
	if values == nil {
		return leaf
	}
	node, _ := a.splice(s, name, leaf.Shape(), values)
	return node
}

// splice returns the node of the spliced tensor and those of its gate logits. It is all that training, evaluation and the result
// have of the method for a weight of the graph.
func (a *assessment) splice(s *nn.Scope, name string, shape []int, values [][]float32) (*G.Node, G.Nodes) {
	at := s.Root().Sub(prefix).Sub(name)
	p := a.splicing(a.global(name, values).g)
	n := p.Logits(len(values))
	var logits, parents G.Nodes
	for k := range n {
		if a.rowwise(name) {
			logits = append(logits, a.rowLogits(at, name, shape[0], n, k))
			continue
		}
		logits = append(logits, a.logits(at, which(n, k), shape, distance(values, k)))
	}
	for k, v := range values {
		parents = append(parents, at.Constant("parent."+strconv.Itoa(k), v, shape...))
	}
	if s.Err() != nil {
		return nil, nil
	}
	return at.Check(ops.Splice(logits, parents, p)), logits
}

// which is the end of the names of gate k of n.
func which(n, k int) string {
	if n == 1 {
		return ""
	}
	return "." + strconv.Itoa(k)
}

// distance returns |W_k - mean of the others|.
func distance(values [][]float32, k int) func() []float32 {
	return func() []float32 {
		d := make([]float32, len(values[0]))
		for i := range d {
			sum := 0.0
			for j, v := range values {
				if j != k {
					sum += float64(v[i])
				}
			}
			x := float64(values[k][i]) - sum/float64(len(values)-1)
			d[i] = float32(max(x, -x))
		}
		return d
	}
}

// logits returns the gate logits of a tensor for one parent.
func (a *assessment) logits(at *nn.Scope, which string, shape []int, distance func() []float32) *G.Node {
	switch a.Granularity {
	case "unit":
		return a.trained(at, "gate"+which, nn.Zeros, shape[0])
	case "layer":
		return a.trained(at, "gate"+which, nn.Zeros, 1)
	}
	d := distance()
	cols := len(d) / shape[0]
	if len(shape) == 1 {
		cols = len(d)
	}
	x := at.Constant("distance"+which, d, len(d)/cols, cols)
	p := a.trained(at, "assessor"+which, a.start(), cols, cols)
	var b *G.Node
	if a.Bias {
		b = a.trained(at, "bias"+which, nn.Zeros, cols)
	}
	if at.Err() != nil {
		return nil
	}
	return at.Check(ops.LinearMap(x, p, b))
}

// rowLogits returns the gate logits of a table that is a weight of the graph, for parent k of n: one a row, or one for all.
func (a *assessment) rowLogits(at *nn.Scope, name string, rows, n, k int) *G.Node {
	if a.Tables == "table" {
		return a.trained(at, "gate"+which(n, k), nn.Zeros, 1)
	}
	z := a.trained(at, "gate"+which(n, k), nn.Zeros, rows)
	if a.Start != "counts" || at.Err() != nil {
		return z
	}
	start := make([]float32, rows)
	for r, all := range slices.Collect(slices.Chunk(a.counts(name, rows, n), n)) {
		start[r] = all[k]
	}
	c := at.Constant("start"+which(n, k), start, rows)
	if at.Err() != nil {
		return nil
	}
	return at.Check(ops.Add(z, c))
}

// trained returns the node of a gate's parameter, with the prior's pull.
func (a *assessment) trained(at *nn.Scope, name string, init nn.Init, shape ...int) *G.Node {
	n := at.Param(name, init, shape...)
	if q := a.params.Get(at.Path(name)); q != nil {
		q.L2 = &a.l2
	}
	return n
}

// start is the initial value of assessors: zero, or what PyTorch draws for linear maps.
func (a *assessment) start() nn.Init {
	if a.Assessor == "zero" {
		return nn.Zeros
	}
	return func(r *rand.Rand, shape []int, dst []float32) {
		bound := 1 / sqrt(shape[1])
		for i := range dst {
			dst[i] = float32((2*r.Float64() - 1) * bound)
		}
	}
}

// tensor sets a tensor of the result.
func (a *assessment) tensor(t *cki.Tensor) error {
	q := a.params.Get(t.Name)
	switch {
	case q == nil || !slices.Equal(q.Shape, t.Shape):
		return fmt.Errorf("assess: cki: tensor %s %v is not one of the model's parameters", t.Name, t.Shape)
	case len(t.Out) == 0:
		return nil
	case a.in.Select != nil && !a.in.Select(t.Name): // trained with the gates
		copy(t.Out, q.Data)
		return nil
	case q.Kind == nn.Buffer:
		if a.learned != nil {
			copy(t.Out, q.Data)
		} else {
			average(t.Out, t.Parents)
		}
		return nil
	case !a.spliced(t.Name):
		copy(t.Out, q.Data)
		return nil
	case a.lookup[t.Name]:
		return a.bakeTable(t)
	}
	return a.bake(t)
}

// bake runs the graph of a spliced weight.
func (a *assessment) bake(t *cki.Tensor) error {
	s := nn.NewScope(&nn.Graph{Params: a.params, Graph: G.NewGraph(), Batch: 1, Rows: &ops.Rows{N: 1}, Step: &ops.Step{}})
	node, logits := a.splice(s, t.Name, t.Shape, t.Parents)
	if err := s.Err(); err != nil {
		return err
	}
	vm := G.NewTapeMachine(s.Graph.Graph)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		return fmt.Errorf("assess: cki: %w", err)
	}
	copy(t.Out, node.Value().Data().([]float32))
	g := a.global(t.Name, t.Parents)
	c := newCollector(t.Name, t.Shape, a.gates(t.Name), g, a.splicing(g.g))
	z := make([]float64, len(logits))
	n := 1
	var x [][]float32
	for _, l := range logits {
		v := l.Value().Data().([]float32)
		x, n = append(x, v), len(v)
	}
	for i := range n {
		for k := range z {
			z[k] = float64(x[k][i])
		}
		c.add(z, len(t.Out)/n)
	}
	a.record(c)
	return nil
}

// gates is what the report calls the gates of a tensor.
func (a *assessment) gates(name string) string {
	switch {
	case a.form() == ops.SpliceGlobal:
		return "entropy"
	case a.rowwise(name):
		return a.Tables
	}
	return a.Granularity
}

// average sets out to the parents' mean.
func average(out []float32, parents [][]float32) {
	for i := range out {
		sum := 0.0
		for _, p := range parents {
			sum += float64(p[i])
		}
		out[i] = float32(sum / float64(len(parents)))
	}
}
