package method

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// LeastSquares fits the merged model layer by layer to what the parents compute. It is for runs whose hidden units correspond, as after
// `align`. It begins with the average. Then each linear map x·Wᵀ + b, from the inputs to the outputs, is set to the least squares
//
//	min over W, b of  Σ_rows |x·Wᵀ + b − t|² / rows + ridge·m·|W − W_0|²,  t = Σ_k (x_k·W_kᵀ + b_k) / K
//
// x are the inputs that the layers merged before it give it on training rows, in evaluation mode, and x_k those in parent k; t is the mean of the
// parents' pre-activations, W_0 the average, and m the mean square of the inputs. So errors of one layer are made up for in the next. The sums
// are float64, of a batch at a time. Merging a model with itself returns it.
//
// Where the result is a term of a sum, as the logit of a tower beside a factorisation machine, t is the mean of the parents' sums minus the merged
// model's other terms.
//
// A batch norm after the map is part of it: W_k and b_k are those of the map with the parent's running statistics, scale and shift applied.
// The result keeps the batch norm. Its scale and shift undo the statistics of the merged layer on the training rows, which are recomputed
// layer by layer.
//
// `tables: factor` merges the tables of embeddings by what they contribute to the layer that reads them, so that it does not matter in which basis
// each run has learnt its embeddings. For the table E_k, [ids, d], and the columns W_k of the layer that read it, [units, d], the mean of the
// parents' contributions
//
//	C = Σ_k v_k ⊙ E_k·W_kᵀ
//
// has a rank of up to K·d, where v_k(id) is the parent's share of the counts of how often the id was trained. The result has the best factors of rank
// d, by a singular value decomposition of C with rows weighted by those counts. If each row of the data has one id of the table, the mean of C
// goes into the layer's bias first. Where inner products of embeddings count too, all tables are projected on those d of the K·d dimensions of
// the parents' tables side by side that keep most of them. If linear layers read the same tables, as in DeepFM, the factors then lower what the
// contributions and the inner products lose, by turns. A model whose tables are read by anything else, such as cross layers, is refused.
type LeastSquares struct {
	// how tables of embeddings are merged: average; counts, rows by how often each parent trained them; or factor, by their contributions
	// to the layer that reads them
	Tables    string  `yaml:"tables"`
	Rows      int64   `yaml:"rows"`       // training rows that layers are fitted to, at most; 0: layers are averaged, but for those that read factored tables
	Ridge     float64 `yaml:"ridge"`      // pull of a layer to the average, in units of the mean square of its inputs
	BatchSize int     `yaml:"batch_size"` // rows of a batch
}

func init() {
	cki.Register("least_squares", LeastSquares{Tables: "average", Rows: 32768, Ridge: 0.001, BatchSize: 1024})
}

// Validate reports every option out of range.
func (m LeastSquares) Validate() error {
	errs := []error{registry.OneOf("tables", m.Tables, "average", "counts", "factor"), registry.Above("ridge", m.Ridge, 0)}
	if m.Rows < 0 {
		errs = append(errs, registry.Field("rows", "must not be negative"))
	}
	if m.BatchSize < 2 {
		errs = append(errs, registry.Field("batch_size", "must be at least 2"))
	}
	return errors.Join(errs...)
}

// LeastSquaresStats is what LeastSquares reports.
type LeastSquaresStats struct {
	Tables []FactorStats `json:"tables,omitempty"`
	Layers []LayerStats  `json:"layers,omitempty"`
}

// LayerStats says how well a layer's results are those of the parents' mean: shares of its variance over the rows that are explained.
type LayerStats struct {
	Weight string  `json:"weight"`
	Start  float64 `json:"start"` // with the weights that it starts from: the average, or those that factors of tables gave
	Fitted float64 `json:"fitted"`
}

// Merge fits the layers.
func (m LeastSquares) Merge(ctx context.Context, in *cki.Input) (cki.Merged, error) {
	err := errors.Join(checkParents(in, "least_squares", 1, 0), valid("least_squares", m), needsLab(in, "least_squares", "fitting layers"))
	if err != nil {
		return cki.Merged{}, err
	}
	f, err := m.start(ctx, in)
	if err != nil {
		return cki.Merged{}, err
	}
	defer f.close()
	if m.Tables == "factor" {
		if err := f.factor(ctx); err != nil {
			return cki.Merged{}, fmt.Errorf("method: least_squares: tables: factor: %w", err)
		}
	}
	if m.Rows > 0 {
		if err := f.layers(ctx); err != nil {
			return cki.Merged{}, fmt.Errorf("method: least_squares: %w", err)
		}
	}
	return cki.Merged{Tensor: func(t *cki.Tensor) error {
		d := dim(t.Shape)
		copy(t.Out, f.result.Get(t.Name).Data[t.Lo*d:t.Hi*d])
		return nil
	}, Stats: func() any { return f.stats }}, nil
}

// fitting is the state of one LeastSquares.
type fitting struct {
	LeastSquares
	in      *cki.Input
	params  []*nn.Params // of the parents
	result  *nn.Params
	run     *together   // the parents' programs and, last, the result's
	sym     nn.Symmetry // of the result
	stats   LeastSquaresStats
	written map[string]bool // weights that factors have set
}

// start returns the fitting with the average as its result.
func (m LeastSquares) start(ctx context.Context, in *cki.Input) (*fitting, error) {
	f := &fitting{LeastSquares: m, in: in, written: map[string]bool{}}
	p := &passes{in: in, name: "least_squares"}
	for k := range in.Parents {
		q, err := p.params(k)
		if err != nil {
			return nil, err
		}
		f.params = append(f.params, q)
	}
	average := Average{Rows: "equal"}
	if m.Tables == "counts" {
		average = Average{Rows: "counts", Smoothing: 1, Power: 1}
	}
	merged, err := average.Merge(ctx, in)
	if err != nil {
		return nil, err
	}
	if f.result, err = in.Lab.NewParams(in.Seed); err != nil {
		return nil, err
	}
	if err := in.Fill(merged, f.result); err != nil {
		return nil, err
	}
	f.run, err = runTogether(in, "least_squares", append(slices.Clone(f.params), f.result), m.BatchSize)
	if err != nil {
		return nil, err
	}
	f.sym = f.run.progs[len(f.params)].Symmetry()
	return f, nil
}

func (f *fitting) close() { f.run.close() }

// layers fits the layers in their order.
func (f *fitting) layers(ctx context.Context) error {
	at := make([][]nn.Layer, len(f.run.progs))
	for i, p := range f.run.progs {
		at[i] = p.Symmetry().Layers
	}
	times := map[string]int{}
	for _, l := range f.sym.Layers {
		times[l.Weight]++
	}
	for i, l := range f.sym.Layers {
		if times[l.Weight] > 1 || !f.selects(l) {
			continue
		}
		var inputs []nn.Layer
		for k := range at {
			inputs = append(inputs, at[k][i])
		}
		if err := f.layer(ctx, l, inputs); err != nil {
			return err
		}
	}
	return nil
}

// selects reports whether all tensors of a layer are merged.
func (f *fitting) selects(l nn.Layer) bool {
	names := []string{l.Weight}
	if l.Bias != "" {
		names = append(names, l.Bias)
	}
	if l.Norm != nil {
		names = append(names, l.Norm.Name+".weight", l.Norm.Name+".bias")
	}
	return f.in.Select == nil || !slices.ContainsFunc(names, func(n string) bool { return !f.in.Select(n) })
}

// affine is a linear map with its bias in the last column, [out, in+1], in float64.
type affine = *mat.Dense

// fold returns the map of a layer, with its batch norm applied.
func fold(p *nn.Params, l nn.Layer) affine {
	w := p.Get(l.Weight)
	out, in := w.Shape[0], w.Dim()
	a := mat.NewDense(out, in+1, nil)
	for r := range out {
		row := a.RawRowView(r)
		for c, v := range w.Data[r*in : (r+1)*in] {
			row[c] = float64(v)
		}
		if l.Bias != "" {
			row[in] = float64(p.Get(l.Bias).Data[r])
		}
		if l.Norm != nil {
			row[in] -= float64(p.Get(l.Norm.Name + ".running_mean").Data[r])
			scale := gain(p, l.Norm, r)
			for c := range row {
				row[c] *= scale
			}
			row[in] += float64(p.Get(l.Norm.Name + ".bias").Data[r])
		}
	}
	return a
}

// gain returns what a batch norm multiplies unit r by.
func gain(p *nn.Params, n *nn.Norm, r int) float64 {
	return float64(p.Get(n.Name + ".weight").Data[r]) / math.Sqrt(float64(p.Get(n.Name + ".running_var").Data[r])+n.Eps)
}

// mean returns the mean of the parents' maps, theirs bit for bit if they are equal.
func (f *fitting) mean(l nn.Layer) affine {
	first := fold(f.params[0], l)
	sum := mat.DenseCopyOf(first)
	for _, p := range f.params[1:] {
		var d mat.Dense
		d.Sub(fold(p, l), first)
		d.Scale(1/float64(len(f.params)), &d)
		sum.Add(sum, &d)
	}
	return sum
}

// write sets a layer of the result to a map. Under a batch norm the weights are those of the map divided by the mean of the parents' gains, so
// that they have the size that they had, and scale and shift make up for that and for the statistics, which are recomputed.
func (f *fitting) write(ctx context.Context, l nn.Layer, a affine) error {
	w := f.result.Get(l.Weight)
	out, in := w.Shape[0], w.Dim()
	gains := make([]float64, out)
	for r := range out {
		gains[r] = 1
		if l.Norm != nil {
			gains[r] = f.gain(l.Norm, r)
		}
		row := a.RawRowView(r)
		for c, v := range row[:in] {
			w.Data[r*in+c] = float32(v / gains[r])
		}
		if l.Norm == nil && l.Bias != "" {
			f.result.Get(l.Bias).Data[r] = float32(row[in])
		}
	}
	if l.Norm == nil {
		return nil
	}
	if err := f.in.Lab.RecomputeBatchNorm(ctx, f.result); err != nil {
		return err
	}
	scale, shift := f.result.Get(l.Norm.Name+".weight").Data, f.result.Get(l.Norm.Name+".bias").Data
	center, spread := f.result.Get(l.Norm.Name+".running_mean").Data, f.result.Get(l.Norm.Name+".running_var").Data
	for r := range out {
		bias := 0.0
		if l.Bias != "" {
			bias = float64(f.result.Get(l.Bias).Data[r])
		}
		scale[r] = float32(gains[r] * math.Sqrt(float64(spread[r])+l.Norm.Eps))
		shift[r] = float32(a.At(r, in) + gains[r]*(float64(center[r])-bias))
	}
	return nil
}

// gain returns the mean of what the parents' batch norms multiply unit r by; of their sizes if they cancel; 1 if they are 0.
func (f *fitting) gain(n *nn.Norm, r int) float64 {
	var sum, size float64
	for _, p := range f.params {
		g := gain(p, n, r)
		sum += g / float64(len(f.params))
		size += math.Abs(g) / float64(len(f.params))
	}
	switch {
	case size < 1e-12:
		return 1
	case math.Abs(sum) < size/10:
		return size
	}
	return sum
}

// layer fits one layer; inputs are the layer in each program, the result's last.
func (f *fitting) layer(ctx context.Context, l nn.Layer, inputs []nn.Layer) error {
	var maps []affine
	for _, p := range f.params {
		maps = append(maps, fold(p, l))
	}
	start := f.mean(l)
	if f.written[l.Weight] {
		start = fold(f.result, l)
	}
	s := newSums(start)
	err := f.run.rows(ctx, f.Rows, func(progs []*models.Program, n int) error { return s.add(progs, inputs, maps, n) })
	if err != nil {
		return err
	}
	stats := LayerStats{Weight: l.Weight, Start: 1, Fitted: 1}
	if s.error > 0 {
		change, err := s.solve(f.Ridge, l.Bias != "" || l.Norm != nil)
		if err != nil {
			return fmt.Errorf("%s: %w", l.Weight, err)
		}
		stats.Start, stats.Fitted = s.explained(nil), s.explained(change)
		start.Add(start, change)
		if err := f.write(ctx, l, start); err != nil {
			return err
		}
	}
	f.stats.Layers = append(f.stats.Layers, stats)
	f.in.Log.Info("least_squares", "layer", l.Weight, "rows", int64(s.rows), "explained at first", stats.Start, "fitted", stats.Fitted)
	return nil
}

// sums are what the least squares of a layer needs of all rows, with x a row of its inputs and a 1 behind them, and d what is missing of the
// parents' mean.
type sums struct {
	start  affine
	gram   *mat.SymDense // Σ x·xᵀ
	cross  *mat.Dense    // Σ x·dᵀ, [in+1, out]
	rows   float64
	error  float64   // Σ |d|²
	target []float64 // Σ t
	square float64   // Σ |t|²
	at     []int
}

func newSums(start affine) *sums {
	out, in := start.Dims()
	return &sums{start: start, gram: mat.NewSymDense(in, nil), cross: mat.NewDense(in, out, nil), target: make([]float64, out)}
}

// add adds the first n rows of the batch that the programs ran last.
func (s *sums) add(progs []*models.Program, inputs []nn.Layer, maps []affine, n int) error {
	last := len(maps)
	x, err := s.inputs(progs[last], inputs[last], n)
	if x == nil || err != nil {
		return err
	}
	rows, _ := x.Dims()
	out, _ := s.start.Dims()
	now, d := mat.NewDense(rows, out, nil), mat.NewDense(rows, out, nil)
	now.Mul(x, s.start.T())
	if err := s.others(now, progs[last], inputs[last], n); err != nil {
		return err
	}
	for k, a := range maps {
		xk, err := s.inputs(progs[k], inputs[k], n)
		if err != nil {
			return err
		}
		y := mat.NewDense(rows, out, nil)
		y.Mul(xk, a.T())
		if err := s.others(y, progs[k], inputs[k], n); err != nil {
			return err
		}
		y.Sub(y, now)
		d.Add(d, y)
	}
	d.Scale(1/float64(len(maps)), d)
	s.gram.SymRankK(s.gram, 1, x.T())
	var cross mat.Dense
	cross.Mul(x.T(), d)
	s.cross.Add(s.cross, &cross)
	s.rows += float64(rows)
	for r := range rows {
		for c, v := range d.RawRowView(r) {
			t := v + now.At(r, c)
			s.error += v * v
			s.target[c] += t
			s.square += t * t
		}
	}
	return nil
}

// inputs returns what a layer reads in the first n rows of the last batch, with a 1 behind each row; nil if there is none.
func (s *sums) inputs(prog *models.Program, l nn.Layer, n int) (*mat.Dense, error) {
	_, width := s.start.Dims()
	values, ok := l.In.Value().Data().([]float32)
	at, whole := prog.Rows(s.at[:0], l.In, n)
	s.at = at
	if !ok || !whole {
		return nil, fmt.Errorf("inputs of %s are %T of shape %v, want float32 rows of a batch", l.Weight, l.In.Value().Data(), l.In.Shape())
	}
	if len(at) == 0 {
		return nil, nil
	}
	x := mat.NewDense(len(at), width, nil)
	for i, r := range at {
		row := x.RawRowView(i)
		for c, v := range values[r*(width-1) : (r+1)*(width-1)] {
			row[c] = float64(v)
		}
		row[width-1] = 1
	}
	return x, nil
}

// others adds the other terms of the sum that reads a layer to its results, if there is one.
func (s *sums) others(y *mat.Dense, prog *models.Program, l nn.Layer, n int) error {
	if l.Sum == nil {
		return nil
	}
	sum, ok := l.Sum.Value().Data().([]float32)
	own, also := l.Out.Value().Data().([]float32)
	at, whole := prog.Rows(s.at[:0], l.Out, n)
	s.at = at
	rows, out := y.Dims()
	if !ok || !also || !whole || len(at) != rows {
		return fmt.Errorf("results of %s are %T of shape %v, want float32 rows of a batch", l.Weight, l.Out.Value().Data(), l.Out.Shape())
	}
	for i, r := range at {
		row := y.RawRowView(i)
		for c := range row {
			row[c] += float64(sum[r*out+c]) - float64(own[r*out+c])
		}
	}
	return nil
}

// solve returns how the map changes, [out, in+1]. Without a bias that column stays 0.
func (s *sums) solve(ridge float64, bias bool) (*mat.Dense, error) {
	width := s.gram.SymmetricDim()
	g := mat.NewSymDense(width, nil)
	g.ScaleSym(1/s.rows, s.gram)
	var rhs mat.Dense
	rhs.Scale(1/s.rows, s.cross)
	mean := (mat.Trace(g) - 1) / float64(max(1, width-1))
	if mean <= 0 { // the inputs are all 0: the bias alone has a say
		mean = 1
	}
	for i := range width - 1 {
		g.SetSym(i, i, g.At(i, i)+ridge*mean)
	}
	if !bias {
		for i := range width {
			g.SetSym(i, width-1, 0)
		}
		g.SetSym(width-1, width-1, 1)
		clear(rhs.RawRowView(width - 1))
	}
	var chol mat.Cholesky
	var change mat.Dense
	if !chol.Factorize(g) {
		return nil, errors.New("its inputs do not determine it: give a larger ridge, and look for extreme values in the data")
	}
	var bad mat.Condition // the solution is there, with fewer digits
	if err := chol.SolveTo(&change, &rhs); err != nil && !errors.As(err, &bad) {
		return nil, err
	}
	return mat.DenseCopyOf(change.T()), nil
}

// explained returns the share of the target's variance that the start explains after a change, which may be nil.
func (s *sums) explained(change *mat.Dense) float64 {
	variance, left := s.square, s.error
	for _, t := range s.target {
		variance -= t * t / s.rows
	}
	if change != nil {
		var part mat.Dense
		part.Mul(change, s.cross)
		left -= 2 * mat.Trace(&part)
		part.Reset()
		part.Mul(change, s.gram)
		var square mat.Dense
		square.MulElem(&part, change)
		left += mat.Sum(&square)
	}
	if variance <= 0 {
		return 1
	}
	return 1 - left/variance
}
