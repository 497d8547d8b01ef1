// Package modeltest is the conformance suite that every registered model runs. It checks that parameters can be made without a
// program, that padding changes nothing, that gradients are those of the loss, that results do not depend on threads or on the
// rows beside a row, that a step allocates nothing, and that a few steps learn.
package modeltest

import (
	"math"
	"runtime"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// BCE is the loss of the suite: the mean binary cross-entropy with logits.
func BCE(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	return s.Check(ops.BCE(logits, in.Target(s)))
}

// Check runs the suite on a model over the rows of [Schema].
func Check(t *testing.T, m models.Model) {
	check(t, suite{m: m, sc: Schema(), loss: BCE, large: 4096})
}

// CheckStopped is [Check] of a model that learns from its own predictions as from fixed labels: differences of its loss are not its gradients,
// which a test of the model has to compare with another implementation's.
func CheckStopped(t *testing.T, m models.Model) {
	check(t, suite{m: m, sc: Schema(), loss: BCE, large: 4096, stopped: true})
}

// Tasks is the loss of the suite over rows of several labels: the sum of the cross-entropies of their logits.
func Tasks(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	var losses G.Nodes
	for i := range in.Schema.Labels {
		z := s.Check(ops.Columns(logits, i, 1))
		if s.Err() != nil {
			return nil
		}
		losses = append(losses, s.Check(ops.BCE(z, in.Of(s, i).Target(s))))
	}
	if s.Err() != nil {
		return nil
	}
	return s.Check(ops.Add(losses...))
}

// LossOf returns the suite's loss of rows of a schema.
func LossOf(sc *data.Schema) models.LossFunc {
	if len(sc.Labels) > 1 {
		return Tasks
	}
	return BCE
}

// CheckTasks runs the suite on a model of several tasks over the rows of [Schema], with the labels of [Labelled], some of which are missing,
// and weights.
func CheckTasks(t *testing.T, m models.Model) {
	check(t, suite{m: m, sc: Labelled(), loss: Tasks, large: 4096})
}

// CheckWidths runs the suite over the rows of [Widths], or of [Products] for a model that needs embeddings of one width.
func CheckWidths(t *testing.T, m models.Model, products bool) {
	sc := Widths()
	if products {
		sc = Products()
	}
	check(t, suite{m: m, sc: sc, loss: BCE, large: 4096})
}

// CheckGiven runs the suite on a model of histories over the rows of [Given].
func CheckGiven(t *testing.T, m models.Model) {
	check(t, suite{m: m, sc: Given(), loss: BCE, large: 1024})
}

// CheckHistory runs the suite on a model of histories over the rows of [Histories].
func CheckHistory(t *testing.T, m models.Model) {
	check(t, suite{m: m, sc: Histories(), loss: BCE, large: 1024})
}

// CheckSide runs the suite on a model of histories that looks at the category of each item, over the rows of [Histories] with a column of
// categories beside the item's and the history's.
func CheckSide(t *testing.T, m models.Model) {
	check(t, suite{m: m, sc: Sided(Histories()), loss: BCE, large: 1024})
}

// CheckNext runs the suite on a model that predicts next items, with a loss that wants the table of items as a weight of the graph or not.
// Labels are items.
func CheckNext(t *testing.T, m models.Model, loss models.LossFunc, whole bool) {
	checkNext(t, m, loss, whole, &data.Schema{Features: Histories().Features[1:2]})
}

// CheckNextSide is CheckNext with a column of the categories of the history's items.
func CheckNextSide(t *testing.T, m models.Model, loss models.LossFunc, whole bool) {
	sided := Sided(Histories()).Features
	checkNext(t, m, loss, whole, &data.Schema{Features: []data.Feature{sided[1], sided[len(sided)-1]}})
}

func checkNext(t *testing.T, m models.Model, loss models.LossFunc, whole bool, sc *data.Schema) {
	sc.Counts = map[string][]int64{}
	for id := range sc.Features[0].Vocab {
		sc.Counts[sc.Features[0].Table] = append(sc.Counts[sc.Features[0].Table], int64(1+id%5))
	}
	check(t, suite{m: m, sc: sc, loss: loss, large: 256, whole: whole})
}

// suite is a model and the data it runs over.
type suite struct {
	m     models.Model
	sc    *data.Schema
	loss  models.LossFunc
	large int  // rows of a batch whose activations would show among the allocations
	whole bool // tables of histories are weights of the graph

	stopped bool // some gradients are stopped
}

// given reports whether a parameter is a table of embeddings that the data freezes.
func (m suite) given(name string) bool {
	return slices.ContainsFunc(m.sc.Features, func(f data.Feature) bool { return f.Frozen && name == "embedding."+f.Table+".weight" })
}

func check(t *testing.T, m suite) {
	t.Run("parameters", func(t *testing.T) { parameters(t, m) })
	t.Run("padding", func(t *testing.T) { padding(t, m) })
	t.Run("gradient", func(t *testing.T) { gradient(t, m) })
	t.Run("threads", func(t *testing.T) { threads(t, m) })
	t.Run("tape", func(t *testing.T) { tape(t, m) })
	t.Run("rows", func(t *testing.T) { rows(t, m) })
	t.Run("blocks", func(t *testing.T) { inBlocks(t, m) })
	t.Run("predictor", func(t *testing.T) { predictor(t, m) })
	t.Run("quantized", func(t *testing.T) { quantized(t, m) })
	t.Run("allocations", func(t *testing.T) { allocations(t, m) })
	t.Run("learns", func(t *testing.T) { learns(t, m) })
	t.Run("freeze", func(t *testing.T) { freeze(t, m) })
	t.Run("symmetry", func(t *testing.T) { declared(t, m) })
}

// fresh returns a training program and its parameters, moved away from the tiny initial embeddings.
func fresh(t *testing.T, m suite, batch int, o models.CompileOptions) (*models.Program, *nn.Params) {
	t.Helper()
	p := nn.NewParams(1)
	o.Batch, o.Train, o.Seed, o.Loss, o.WholeCatalogue = batch, true, 1, m.loss, m.whole
	prog, err := models.Compile(m.m, p, m.sc, o)
	if err != nil {
		t.Fatalf("Compile(%#v): %v", m.m, err)
	}
	t.Cleanup(func() {
		if err := prog.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, q := range p.All() {
		if q.Embedding {
			r := rng.New(rng.Key(2, q.Name))
			for i := range q.Data {
				if q.Kind != nn.Table || i >= q.Dim() {
					q.Data[i] = float32(r.NormFloat64()) * 0.3
				}
			}
		}
	}
	return prog, p
}

func run(t *testing.T, p *models.Program, b *data.Batch) float64 {
	t.Helper()
	loss, err := p.Run(b, 3)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	return loss
}

// parameters: fresh ones that are made without a program are those of a program in training, and of one for scoring. Blank ones have
// their names and shapes, and no values.
func parameters(t *testing.T, m suite) {
	got, err := models.NewParams(m.m, m.sc, 7)
	if err != nil {
		t.Fatal(err)
	}
	blank, err := models.BlankParams(m.m, m.sc)
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range blank.All() {
		if w := got.All()[i]; q.Name != w.Name || !slices.Equal(q.Shape, w.Shape) || q.Kind != w.Kind || len(q.Data) != len(w.Data) {
			t.Errorf("blank parameter %d is %s %v, want %s %v", i, q.Name, q.Shape, w.Name, w.Shape)
		}
		if slices.ContainsFunc(q.Data, func(v float32) bool { return v != 0 }) {
			t.Errorf("blank parameter %s has values", q.Name)
		}
	}
	if n, want := len(blank.All()), len(got.All()); n != want {
		t.Errorf("%d blank parameters, want %d", n, want)
	}
	for _, o := range []models.CompileOptions{{Batch: 3}, {Batch: 2, Train: true, Loss: m.loss, WholeCatalogue: m.whole}} {
		want := nn.NewParams(7)
		prog, err := models.Compile(m.m, want, m.sc, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := prog.Close(); err != nil {
			t.Error(err)
		}
		if got.Digest() != want.Digest() || got.Seed != want.Seed || len(got.All()) == 0 {
			t.Fatalf("%d parameters without a program, %d with one, and the values or the order differ", len(got.All()), len(want.All()))
		}
		for i, q := range want.All() {
			if r := got.All()[i]; r.Kind != q.Kind || r.Embedding != q.Embedding || r.L2 != q.L2 {
				t.Errorf("%s: without a program %+v, with one %+v", q.Name, r, q)
			}
		}
	}
}

// padding: a batch that fills its program and the same rows padded give the same loss and gradients.
func padding(t *testing.T, m suite) {
	const n = 9
	one, _ := fresh(t, m, n, models.CompileOptions{})
	if loss := run(t, one, Batch(m.sc, 1, n, 5)); math.IsNaN(loss) {
		t.Errorf("loss of a single row is %v", loss)
	}
	full, _ := fresh(t, m, n, models.CompileOptions{})
	padded, _ := fresh(t, m, n+8, models.CompileOptions{})
	a, b := run(t, full, Batch(m.sc, n, n, 5)), run(t, padded, Batch(m.sc, n, n+8, 5))
	if math.Abs(a-b) > 1e-6*math.Abs(a) {
		t.Errorf("loss of %d rows is %v, padded to %d it is %v", n, a, n+8, b)
	}
	want, got := snapshot(full), snapshot(padded)
	for i := range want {
		near(t, want[i].name, got[i].grad, want[i].grad, 2e-5)
	}
}

type named struct {
	name string
	ids  []int32
	grad []float32
}

// snapshot copies all gradients of the last run.
func snapshot(p *models.Program) []named {
	var out []named
	for _, g := range p.Grads() {
		out = append(out, named{g.Param.Name, nil, slices.Clone(g.Grad)})
	}
	for _, g := range p.RowGrads() {
		out = append(out, named{g.Param.Name, slices.Clone(g.IDs), slices.Clone(g.Grad)})
	}
	return out
}

func near(t *testing.T, name string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	scale := 0.0
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tol*scale+1e-9) {
			t.Errorf("%s[%d] = %v, want %v", name, i, got[i], want[i])
			return
		}
	}
}

// gradient: the loss changes along each parameter's gradient as the gradient says. Dropout's masks are fixed by the step.
func gradient(t *testing.T, m suite) {
	prog, p := fresh(t, m, 64, models.CompileOptions{})
	b := Batch(m.sc, 64, 64, 8)
	run(t, prog, b)
	grads := snapshot(prog)
	seen := map[string]bool{}
	for _, g := range grads {
		q := p.Get(g.name)
		seen[g.name] = true
		dir := make([]float32, len(q.Data))
		norm := 0.0
		if g.ids == nil {
			copy(dir, g.grad)
		}
		for i, id := range g.ids {
			copy(dir[int(id)*q.Dim():], g.grad[i*q.Dim():(i+1)*q.Dim()])
		}
		for _, v := range dir {
			norm += float64(v) * float64(v)
		}
		norm = math.Sqrt(norm)
		if m.stopped || norm < 1e-5 { // too small beside float32's rounding of the loss, such as a bias before batch norm
			continue
		}
		old := slices.Clone(q.Data)
		loss := func(eps float64) float64 {
			for i := range q.Data {
				q.Data[i] = old[i] + float32(eps/norm)*dir[i]
			}
			return run(t, prog, b)
		}
		// A kink of ReLU within the step spoils a difference, and so does a layer norm of a row that hardly varies: any of the step sizes may agree.
		best := math.Inf(1)
		var got float64
		for _, eps := range []float64{3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5} {
			d := (loss(eps) - loss(-eps)) / (2 * eps)
			if e := math.Abs(d-norm) / norm; e < best {
				best, got = e, d
			}
			if best <= 0.04 {
				break
			}
		}
		copy(q.Data, old)
		if best > 0.04 && math.Abs(got-norm) > 2e-4 {
			t.Errorf("%s: the loss changes by %v a unit along its gradient, whose norm is %v", g.name, got, norm)
		}
	}
	for _, q := range p.All() {
		if given := m.given(q.Name); q.Kind != nn.Buffer && seen[q.Name] == given {
			t.Errorf("%s: has a gradient: %v; its embeddings are frozen: %v", q.Name, seen[q.Name], given)
		}
	}
}

// threads: the number of threads changes no bit.
func threads(t *testing.T, m suite) {
	old := kernel.Threads()
	defer kernel.SetThreads(old)
	var want []named
	for _, n := range []int{1, 2, 5} {
		kernel.SetThreads(n)
		prog, _ := fresh(t, m, 300, models.CompileOptions{})
		run(t, prog, Batch(m.sc, 291, 300, 7))
		got := snapshot(prog)
		if want == nil {
			want = got
		}
		for i := range want {
			if !slices.EqualFunc(got[i].grad, want[i].grad, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
				t.Errorf("%d threads: gradient of %s differs from that of 1 thread", n, want[i].name)
			}
		}
	}
}

// allocations: a step of training allocates nothing.
func allocations(t *testing.T, m suite) {
	prog, _ := fresh(t, m, m.large, models.CompileOptions{})
	b := Batch(m.sc, m.large, m.large, 8)
	for range 3 {
		run(t, prog, b)
	}
	const steps = 5
	var n float64
	var bytes uint64
	for range 3 { // products may still make buffers when more of them than before run at once
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n = testing.AllocsPerRun(steps-1, func() { run(t, prog, b) }) // it makes one run more
		runtime.ReadMemStats(&after)
		bytes = (after.TotalAlloc - before.TotalAlloc) / steps
		if n == 0 && bytes <= 1<<10 { // measuring takes some of its own
			return
		}
	}
	t.Errorf("a step makes %v allocations, of %d bytes", n, bytes)
}

// learns: plain gradient descent on one batch lowers the loss.
func learns(t *testing.T, m suite) {
	prog, p := fresh(t, m, 64, models.CompileOptions{})
	b := Batch(m.sc, 64, 64, 9)
	first := run(t, prog, b)
	last := first
	for step := 0; step < 500 && (step < 100 || !(last < 0.95*first)); step++ {
		for _, g := range prog.Grads() {
			kernel.Axpy(g.Param.Data, -0.1, g.Grad)
		}
		for _, g := range prog.RowGrads() {
			d := g.Param.Dim()
			for i, id := range g.IDs {
				kernel.Axpy(g.Param.Data[int(id)*d:(int(id)+1)*d], -0.1, g.Grad[i*d:(i+1)*d])
			}
		}
		last = run(t, prog, b)
	}
	if !(last < 0.95*first) {
		t.Errorf("500 steps lower the loss from %v to %v only", first, last)
	}
	for _, q := range p.All() {
		if q.Kind == nn.Table {
			for _, v := range q.Data[:q.Dim()] {
				if v != 0 {
					t.Errorf("%s: the padding row has moved", q.Name)
					break
				}
			}
		}
	}
}

// freeze: a frozen parameter has no gradient, the others keep theirs.
func freeze(t *testing.T, m suite) {
	all, p := fresh(t, m, 16, models.CompileOptions{})
	b := Batch(m.sc, 16, 16, 10)
	run(t, all, b)
	want := map[string]named{}
	for _, g := range snapshot(all) {
		want[g.name] = g
	}
	for _, q := range p.All() {
		if q.Kind == nn.Buffer || m.given(q.Name) {
			continue
		}
		prog, _ := fresh(t, m, 16, models.CompileOptions{Freeze: func(name string) bool { return name == q.Name }})
		run(t, prog, b)
		n := 0
		for _, g := range snapshot(prog) {
			n++
			if g.name == q.Name {
				t.Errorf("frozen %s has a gradient", q.Name)
			} else if !slices.Equal(g.grad, want[g.name].grad) {
				t.Errorf("freezing %s changes the gradient of %s", q.Name, g.name)
			}
		}
		if n != len(want)-1 {
			t.Errorf("freezing %s leaves %d gradients of %d", q.Name, n, len(want))
		}
	}
}

// declared: every axis of every parameter lies in a group of interchangeable units, or is declared to be fixed.
func declared(t *testing.T, m suite) {
	prog, p := fresh(t, m, 1, models.CompileOptions{})
	for _, axis := range prog.Symmetry().Uncovered(p) {
		t.Errorf("no layer declares what may be exchanged in %s", axis)
	}
}
