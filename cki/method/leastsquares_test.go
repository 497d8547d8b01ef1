package method_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/cki/method"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// towers are the registered models of rows, small and with their variants, and what `tables: factor` says of those that it refuses.
func towers() map[string]struct {
	m       models.Model
	refused string
} {
	plain := ctr.Tower{HiddenUnits: []int{14, 9}, HiddenActivations: "relu"}
	normed := ctr.Tower{HiddenUnits: []int{14, 9}, HiddenActivations: "tanh", NetDropout: .2, BatchNorm: true}
	return map[string]struct {
		m       models.Model
		refused string
	}{
		"mlp":         {ctr.MLP{EmbeddingDim: 3, Tower: plain}, ""},
		"mlp/norm":    {ctr.MLP{EmbeddingDim: 3, Tower: normed}, ""},
		"widedeep":    {ctr.WideDeep{EmbeddingDim: 3, Tower: normed}, ""},
		"deepfm":      {ctr.DeepFM{EmbeddingDim: 3, Tower: plain}, ""},
		"deepfm/norm": {ctr.DeepFM{EmbeddingDim: 3, Tower: normed}, ""},
		"fm":          {ctr.FM{EmbeddingDim: 3}, ""},
		"lr":          {ctr.LR{}, "the model has no tables of embeddings"},
		"dcn":         {ctr.DCN{EmbeddingDim: 3, NumCrossLayers: 2, Tower: plain}, "not read by linear layers alone, but by cross.0.bias"},
		"dcnv2":       {ctr.DCNv2{EmbeddingDim: 3, NumCrossLayers: 2, ModelStructure: "parallel", Tower: plain}, "not read by linear layers alone, but by cross.0.bias"},
	}
}

// parent returns parameters as a parent whose rows were all trained.
func parent(t *testing.T, name string, p *nn.Params) *cki.Parent {
	t.Helper()
	counts := cki.Counts{}
	for _, q := range p.All() {
		if q.Kind == nn.Table {
			for r := range q.Shape[0] {
				counts[q.Name] = append(counts[q.Name], int64(3+r%5))
			}
		}
	}
	return &cki.Parent{Name: name, Reader: cki.Memory(p), Counts: counts}
}

// known returns the rows of a source with no padding in the place of a single value, as data has them.
func known(t *testing.T, src data.Source) data.Source {
	t.Helper()
	sc := src.Schema()
	var rows []data.Row
	for b, err := range src.Batches(0, 64) {
		if err != nil {
			t.Fatal(err)
		}
		for r := range b.N {
			row := data.Row{IDs: map[string][]int32{}, Dense: slices.Clone(b.Dense[r*sc.NumDense : (r+1)*sc.NumDense]), Label: b.Label[r]}
			for _, f := range sc.Features {
				w := len(b.IDs[f.Name]) / b.Size
				row.IDs[f.Name] = slices.Clone(b.IDs[f.Name][r*w : (r+1)*w])
				if f.Kind == data.Categorical {
					row.IDs[f.Name][0] = max(data.OOVID, row.IDs[f.Name][0])
				}
			}
			rows = append(rows, row)
		}
	}
	out, err := data.FromRows(sc, rows)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// logits returns a model's logits of the lab's validation rows.
func logits(t *testing.T, lab *cki.Lab, p *nn.Params) []float32 {
	t.Helper()
	prog, err := models.Compile(lab.Model, p, lab.Data.Schema, models.CompileOptions{Batch: 48})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	var out []float32
	for b, err := range lab.Data.Valid.Batches(0, 48) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := prog.Run(b, 0); err != nil {
			t.Fatal(err)
		}
		out = append(out, prog.Logits()[:b.N]...)
	}
	return out
}

// symmetryOf returns what can be exchanged in a model.
func symmetryOf(t *testing.T, lab *cki.Lab, p *nn.Params) nn.Symmetry {
	t.Helper()
	prog, err := models.Compile(lab.Model, p, lab.Data.Schema, models.CompileOptions{Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	return prog.Symmetry()
}

// transform applies a change of basis to the tables of a group, a rotation if inner products count, and its inverse transposed to the columns
// that read them.
func transform(p *nn.Params, g nn.Group, seed uint64) {
	r, d := rng.New(seed), g.Size
	m := mat.NewDense(d, d, nil)
	m.Apply(func(i, j int, _ float64) float64 {
		if i == j {
			return 1.5 + r.Float64()
		}
		return r.NormFloat64() / 2
	}, m)
	if !g.Linear {
		var qr mat.QR
		qr.Factorize(mat.DenseCopyOf(m))
		qr.QTo(m)
	}
	var inverse mat.Dense
	if err := inverse.Inverse(m); err != nil {
		panic(err)
	}
	apply := func(row []float32, by mat.Matrix) { // row·by
		var y mat.VecDense
		x := mat.NewVecDense(d, nil)
		for i, v := range row {
			x.SetVec(i, float64(v))
		}
		y.MulVec(by.T(), x)
		for i := range row {
			row[i] = float32(y.AtVec(i))
		}
	}
	for _, u := range g.Uses {
		q := p.Get(u.Param)
		for r := range q.Shape[0] {
			row := q.Data[r*q.Dim()+u.Offset:][:d]
			if q.Embedding {
				apply(row, m)
			} else {
				apply(row, inverse.T())
			}
		}
	}
}

// TestFactorSameFunction: a parent whose hidden units are permuted, and whose tables lie in other bases, computes what the base does. Aligned by
// activations and merged by factors, both give that function back. Models whose tables are read by more than linear layers are refused.
func TestFactorSameFunction(t *testing.T) {
	for name, tc := range towers() {
		t.Run(name, func(t *testing.T) {
			s := mergetest.RowsOf(tc.m)
			lab := s.Lab(t)
			lab.Data.Train, lab.Data.Valid = known(t, lab.Data.Train), known(t, lab.Data.Valid)
			base := s.Params(t, 0)
			if err := lab.RecomputeBatchNorm(t.Context(), base); err != nil { // they are, after a merge
				t.Fatal(err)
			}
			other := base.Clone()
			for i, g := range symmetryOf(t, lab, base).Groups {
				if slices.ContainsFunc(g.Uses, func(u nn.Use) bool { return base.Get(u.Param).Embedding }) && g.Orthogonal && tc.refused == "" {
					transform(other, g, uint64(i))
				}
			}
			if err := align.Shuffle(tc.m, s.Schema, other, 7); err != nil {
				t.Fatal(err)
			}
			want := logits(t, lab, base)
			if got := logits(t, lab, other); !closeTo(got, want, 1e-4) {
				t.Fatalf("the other parent computes %v, want %v", got[:4], want[:4])
			}
			o := align.Defaults()
			o.Match, o.Embeddings = "activations", "none"
			if _, err := align.Align(t.Context(), tc.m, s.Schema, base, other, lab.Data.Train, o); err != nil {
				t.Fatal(err)
			}
			for _, rows := range []int64{0, 48} {
				m := method.LeastSquares{Tables: "factor", Rows: rows, Ridge: 0.01, BatchSize: 16}
				in := mergetest.Input(lab, []*cki.Parent{parent(t, "a", base), parent(t, "b", other)})
				merged, err := m.Merge(t.Context(), in)
				if tc.refused != "" {
					if err == nil || !strings.Contains(err.Error(), tc.refused) {
						t.Errorf("error %v, want %q", err, tc.refused)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				result := s.Params(t, 1)
				if err := in.Fill(merged, result); err != nil {
					t.Fatal(err)
				}
				if got := logits(t, lab, result); !closeTo(got, want, 2e-4) {
					t.Errorf("%d rows: the merge computes %v, want %v", rows, got[:4], want[:4])
				}
				for _, st := range merged.Stats().(method.LeastSquaresStats).Tables {
					if st.Energy < 1-1e-6 {
						t.Errorf("%v keep %v of the energy", st.Tables, st.Energy)
					}
				}
				for _, q := range result.All() {
					if q.Kind == nn.Table && slices.ContainsFunc(q.Data[:q.Dim()], func(v float32) bool { return v != 0 }) {
						t.Errorf("%s: the padding row is %v", q.Name, q.Data[:q.Dim()])
					}
				}
			}
		})
	}
}

// closeTo reports whether values differ by up to tol, relative to the largest.
func closeTo(got, want []float32, tol float64) bool {
	size := 0.0
	for _, v := range want {
		size = max(size, math.Abs(float64(v)))
	}
	return len(got) == len(want) && !slices.ContainsFunc(index(len(got)), func(i int) bool {
		return !(math.Abs(float64(got[i])-float64(want[i])) <= tol*size)
	})
}

func index(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// fitted merges parents of a model and returns the result.
func fitted(t *testing.T, s mergetest.Setting, m method.LeastSquares, parents ...*nn.Params) (*nn.Params, method.LeastSquaresStats) {
	t.Helper()
	var list []*cki.Parent
	for i, p := range parents {
		list = append(list, parent(t, fmt.Sprint(i), p))
	}
	in := mergetest.Input(s.Lab(t), list)
	out, err := m.Merge(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	result := s.Params(t, 0)
	if err := in.Fill(out, result); err != nil {
		t.Fatal(err)
	}
	return result, out.Stats().(method.LeastSquaresStats)
}

// contributions returns what the rows of a table contribute to the tower's first layer without batch norm, from row 1 on, each times the root of
// its weight.
func contributions(p *nn.Params, table string, offset int, weight func(r int) float64) *mat.Dense {
	e, w := p.Get(table), p.Get("mlp.0.weight")
	c := mat.NewDense(e.Shape[0]-1, w.Shape[0], nil)
	c.Apply(func(i, j int, _ float64) float64 {
		sum := 0.0
		for k := range e.Dim() {
			sum += float64(e.Data[(i+1)*e.Dim()+k]) * float64(w.Data[j*w.Dim()+offset+k])
		}
		return sum * math.Sqrt(weight(i+1))
	}, c)
	return c
}

// TestFactorHistories: a model of histories whose tables are read by more than linear layers is refused, with tables that are named. Of others the
// merge with a copy in other bases is the same function.
func TestFactorHistories(t *testing.T) {
	refused := 0
	for name, s := range mergetest.Histories() {
		t.Run(name, func(t *testing.T) {
			lab := s.Lab(t)
			base := s.Params(t, 0)
			if err := lab.RecomputeBatchNorm(t.Context(), base); err != nil {
				t.Fatal(err)
			}
			other := base.Clone()
			in := mergetest.Input(lab, []*cki.Parent{parent(t, "a", base), parent(t, "b", other)})
			m := method.LeastSquares{Tables: "factor", Rows: 48, Ridge: 0.01, BatchSize: 16}
			if _, err := m.Merge(t.Context(), in); err != nil {
				if !strings.Contains(err.Error(), "embedding.") || !strings.Contains(err.Error(), "use tables: average") {
					t.Errorf("error %v, want one that names tables and what to do", err)
				}
				refused++
				return
			}
			for i, g := range symmetryOf(t, lab, base).Groups {
				if slices.ContainsFunc(g.Uses, func(u nn.Use) bool { return base.Get(u.Param).Embedding }) {
					transform(other, g, uint64(i))
				}
			}
			want := logits(t, lab, base)
			result, _ := fitted(t, s, m, base, other)
			if got := logits(t, lab, result); !closeTo(got, want, 2e-3) {
				t.Errorf("the merge computes %v, want %v", got[:4], want[:4])
			}
		})
	}
	if refused == 0 {
		t.Error("no model is refused, though attention reads tables too")
	}
}

// TestFactorEnergy compares the factors of one table with the singular value decomposition of the matrix of all contributions: the share of the
// squares that they keep, the contributions that they give back, and the bias, which has the mean.
func TestFactorEnergy(t *testing.T) {
	s := mergetest.RowsOf(ctr.MLP{EmbeddingDim: 3, Tower: ctr.Tower{HiddenUnits: []int{11, 4}, HiddenActivations: "tanh"}})
	s.Schema = &data.Schema{Features: []data.Feature{{Name: "b", Kind: data.Categorical, Vocab: 30, Table: "b"}}}
	a, b := s.Params(t, 0), s.Params(t, 1)
	total := 0.0
	count := func(r int) float64 { return float64(1 + 2*(3+r%5)) }
	for r := 1; r < 30; r++ {
		total += count(r)
	}
	weight := func(r int) float64 { return count(r) / total }
	const table = "embedding.b.weight"
	var c mat.Dense
	c.Add(contributions(a, table, 0, weight), contributions(b, table, 0, weight))
	c.Scale(.5, &c)
	_, units := c.Dims()
	mean := make([]float64, units)
	c.Apply(func(i, j int, v float64) float64 { mean[j] += v * math.Sqrt(weight(i+1)); return v }, &c)
	c.Apply(func(i, j int, v float64) float64 { return v - mean[j]*math.Sqrt(weight(i+1)) }, &c)
	var svd mat.SVD
	svd.Factorize(&c, mat.SVDThin)
	values := svd.Values(nil)
	var all, keep float64
	for i, v := range values {
		if all += v * v; i < 3 {
			keep += v * v
		}
	}
	var u, v, best mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	best.Product(u.Slice(0, 29, 0, 3), mat.NewDiagDense(3, values[:3]), v.Slice(0, units, 0, 3).T())

	result, stats := fitted(t, s, method.LeastSquares{Tables: "factor", Ridge: .01, BatchSize: 16}, a, b)
	if got := stats.Tables[0]; math.Abs(got.Energy-keep/all) > 1e-9 || got.Rank != 3 {
		t.Errorf("rank %d keeps %v of the energy, want 3 and %v", got.Rank, got.Energy, keep/all)
	}
	got := contributions(result, table, 0, weight)
	if !mat.EqualApprox(got, &best, 1e-5) {
		t.Errorf("contributions differ from the best of rank 3:\n%v\nwant\n%v", mat.Formatted(got.Slice(0, 3, 0, 4)), mat.Formatted(best.Slice(0, 3, 0, 4)))
	}
	for j, m := range mean {
		want := m + (float64(a.Get("mlp.0.bias").Data[j])+float64(b.Get("mlp.0.bias").Data[j]))/2
		if got := float64(result.Get("mlp.0.bias").Data[j]); math.Abs(got-want) > 1e-5 {
			t.Errorf("bias %d is %v, want %v", j, got, want)
		}
	}
}

// TestFactorProducts: the shares of contributions and of inner products between fields that factors of DeepFM's tables keep are those of sums
// over all pairs of rows. They keep far more of both than the average.
func TestFactorProducts(t *testing.T) {
	s := mergetest.RowsOf(ctr.DeepFM{EmbeddingDim: 3, Tower: ctr.Tower{HiddenUnits: []int{11, 4}, HiddenActivations: "tanh"}})
	s.Schema = &data.Schema{Features: []data.Feature{
		{Name: "a", Kind: data.Categorical, Vocab: 12, Table: "a"}, {Name: "b", Kind: data.Categorical, Vocab: 30, Table: "b"},
	}}
	parents := []*nn.Params{s.Params(t, 0), s.Params(t, 1)}
	r := rng.New(4)
	for _, q := range parents[1].All() { // unlike the first
		for i := range q.Data {
			if q.Kind != nn.Table || i >= q.Dim() {
				q.Data[i] = float32(r.NormFloat64()) / 2
			}
		}
	}
	result, stats := fitted(t, s, method.LeastSquares{Tables: "factor", Ridge: .01, BatchSize: 16}, parents...)
	average, _ := fitted(t, s, method.LeastSquares{Tables: "average", Ridge: .01, BatchSize: 16}, parents...)
	tables := []string{"embedding.a.weight", "embedding.b.weight"}
	weight := func(table string) func(r int) float64 {
		count := func(r int) float64 { return float64(1 + 2*(3+r%5)) }
		total := 0.0
		for r := 1; r < result.Get(table).Shape[0]; r++ {
			total += count(r)
		}
		return func(r int) float64 { return count(r) / total }
	}
	product := func(p *nn.Params, i, j int) float64 {
		sum := 0.0
		for k := range 3 {
			sum += float64(p.Get(tables[0]).Data[3*i+k]) * float64(p.Get(tables[1]).Data[3*j+k])
		}
		return sum
	}
	kept := func(p *nn.Params) (energy, products float64) {
		var lost, all float64
		for i, table := range tables {
			var want, d mat.Dense
			want.Add(contributions(parents[0], table, 3*i, weight(table)), contributions(parents[1], table, 3*i, weight(table)))
			want.Scale(.5, &want)
			d.Sub(&want, contributions(p, table, 3*i, weight(table)))
			if p == result { // its columns are the least squares of its rows
				e := mat.NewDense(p.Get(table).Shape[0]-1, 3, nil)
				e.Apply(func(r, k int, _ float64) float64 {
					return float64(p.Get(table).Data[3*(r+1)+k]) * math.Sqrt(weight(table)(r+1))
				}, e)
				var slope mat.Dense
				slope.Mul(e.T(), &d)
				if size := mat.Norm(&slope, 2) / (mat.Norm(e, 2) * mat.Norm(&d, 2)); size > 1e-3 {
					t.Errorf("%s: the derivative for the columns is %v of its bound", table, size)
				}
			}
			lost, all = lost+mat.Norm(&d, 2)*mat.Norm(&d, 2), all+mat.Norm(&want, 2)*mat.Norm(&want, 2)
		}
		energy = 1 - lost/all
		lost, all = 0, 0
		for i := 1; i < 12; i++ {
			for j := 1; j < 30; j++ {
				want, w := (product(parents[0], i, j)+product(parents[1], i, j))/2, weight(tables[0])(i)*weight(tables[1])(j)
				d := want - product(p, i, j)
				lost, all = lost+w*d*d, all+w*want*want
			}
		}
		return energy, 1 - lost/all
	}
	energy, products := kept(result)
	if got := stats.Tables[0]; math.Abs(got.Energy-energy) > 1e-5 || math.Abs(got.Products-products) > 1e-5 {
		t.Errorf("%+v, want energy %v and products %v", got, energy, products)
	}
	if e, p := kept(average); energy < e+.1 || products < p {
		t.Errorf("energy %v and products %v are kept, %v and %v by the average", energy, products, e, p)
	}
}

// TestFactorSideOfCounts: a row that only one parent has trained contributes what it does there.
func TestFactorSideOfCounts(t *testing.T) {
	s := mergetest.RowsOf(ctr.MLP{EmbeddingDim: 6, Tower: ctr.Tower{HiddenUnits: []int{5}, HiddenActivations: "tanh"}})
	s.Schema = &data.Schema{Features: []data.Feature{{Name: "b", Kind: data.Categorical, Vocab: 30, Table: "b"}}}
	a, b := s.Params(t, 0), s.Params(t, 1)
	list := []*cki.Parent{parent(t, "a", a), parent(t, "b", b)}
	const table, row = "embedding.b.weight", 9
	list[0].Counts[table][row] = 0
	in := mergetest.Input(s.Lab(t), list)
	out, err := method.LeastSquares{Tables: "factor", Ridge: .01, BatchSize: 16}.Merge(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	result := s.Params(t, 0)
	if err := in.Fill(out, result); err != nil {
		t.Fatal(err)
	}
	one := func(int) float64 { return 1 }
	want, got := contributions(b, table, 0, one).RawRowView(row-1), contributions(result, table, 0, one).RawRowView(row-1)
	for j := range want { // the rank is that of the units: nothing is lost
		bias := (float64(a.Get("mlp.0.bias").Data[j]) + float64(b.Get("mlp.0.bias").Data[j])) / 2
		if g := got[j] + float64(result.Get("mlp.0.bias").Data[j]) - bias; math.Abs(g-want[j]) > 1e-5 {
			t.Errorf("unit %d: the row contributes %v, want %v", j, g, want[j])
		}
	}
}

// whole returns the linear map of a layer with its batch norm, in plain code: weights, and a bias behind each row.
func whole(p *nn.Params, l nn.Layer) [][]float64 {
	w := p.Get(l.Weight)
	out := make([][]float64, w.Shape[0])
	for r := range out {
		scale, bias := 1.0, float64(p.Get(l.Bias).Data[r])
		if l.Norm != nil {
			at := func(name string) float64 { return float64(p.Get(l.Norm.Name + "." + name).Data[r]) }
			scale = at("weight") / math.Sqrt(at("running_var")+1e-5)
			bias = (bias-at("running_mean"))*scale + at("bias")
		}
		for _, v := range w.Data[r*w.Dim() : (r+1)*w.Dim()] {
			out[r] = append(out[r], float64(v)*scale)
		}
		out[r] = append(out[r], bias)
	}
	return out
}

// TestLeastSquares: at every layer of the result the derivative of the sum of squares and of the ridge is zero, by inputs that are read from the
// models and sums written out, with batch norm and without.
func TestLeastSquares(t *testing.T) {
	tower := func(norm bool) ctr.Tower {
		return ctr.Tower{HiddenUnits: []int{6, 5}, HiddenActivations: "tanh", BatchNorm: norm}
	}
	for name, m := range map[string]models.Model{
		"plain": ctr.MLP{EmbeddingDim: 3, Tower: tower(false)}, "batch norm": ctr.MLP{EmbeddingDim: 3, Tower: tower(true)},
		"sum": ctr.DeepFM{EmbeddingDim: 3, Tower: tower(true)},
	} {
		s := mergetest.RowsOf(m)
		lab := s.Lab(t)
		const n = 48
		params := []*nn.Params{s.Params(t, 0), s.Params(t, 1)}
		result, stats := fitted(t, s, method.LeastSquares{Tables: "average", Rows: n, Ridge: .05, BatchSize: 16}, params...)
		params = append(params, result)
		inputs, sums := make([]map[string][][]float64, 3), make([][]float32, 3)
		var layers []nn.Layer
		for k, p := range params {
			inputs[k] = map[string][][]float64{}
			prog, err := models.Compile(lab.Model, p, lab.Data.Schema, models.CompileOptions{Batch: n})
			if err != nil {
				t.Fatal(err)
			}
			defer prog.Close()
			for b, err := range lab.Data.Train.Batches(0, n) {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := prog.Run(b, 0); err != nil {
					t.Fatal(err)
				}
				break
			}
			layers, sums[k] = prog.Symmetry().Layers, slices.Clone(prog.Logits())
			for _, l := range layers {
				in := p.Get(l.Weight).Dim()
				for r := range n {
					var x []float64
					for _, v := range l.In.Value().Data().([]float32)[r*in : (r+1)*in] {
						x = append(x, float64(v))
					}
					inputs[k][l.Weight] = append(inputs[k][l.Weight], append(x, 1))
				}
			}
		}
		if len(layers) != 3 || len(stats.Layers) != 3 {
			t.Fatalf("%d layers, %d fitted, want 3", len(layers), len(stats.Layers))
		}
		for i, l := range layers {
			x := inputs[2][l.Weight]
			size := 0.0
			for _, row := range x {
				for _, v := range row[:len(row)-1] {
					size += v * v / float64(n*(len(row)-1))
				}
			}
			a, b, w := whole(params[0], l), whole(params[1], l), whole(result, l)
			var left, off, first, variance float64
			for o := range w {
				slope, scale := make([]float64, len(w[o])), 0.0
				var sum, square float64
				for r := range n {
					y, start, target := 0.0, 0.0, 0.0
					for c := range w[o] {
						y += w[o][c] * x[r][c]
						start += (a[o][c] + b[o][c]) / 2 * x[r][c]
						target += (a[o][c]*inputs[0][l.Weight][r][c] + b[o][c]*inputs[1][l.Weight][r][c]) / 2
					}
					others := 0.0 // terms of the merged model's sum
					if l.Sum != nil {
						others = float64(sums[2][r]) - y
						target = (float64(sums[0][r])+float64(sums[1][r]))/2 - others
					}
					for c := range slope {
						slope[c] += (y - target) * x[r][c] / n
						scale = max(scale, math.Abs((y-target)*x[r][c]/n))
					}
					left += (y - target) * (y - target)
					first += (start - target) * (start - target)
					sum, square = sum+target+others, square+(target+others)*(target+others)
				}
				variance += square - sum*sum/n
				for c := range slope {
					if c < len(slope)-1 {
						slope[c] += .05 * size * (w[o][c] - (a[o][c]+b[o][c])/2)
					}
					off = max(off, math.Abs(slope[c])/scale)
				}
			}
			if off > 1e-3 {
				t.Errorf("%s, %s: the derivative is %v of a row's", name, l.Weight, off)
			}
			if got := stats.Layers[i]; math.Abs(got.Fitted-(1-left/variance)) > 1e-3 || math.Abs(got.Start-(1-first/variance)) > 1e-3 || left >= first {
				t.Errorf("%s: %+v, want %v at first and %v fitted", name, got, 1-first/variance, 1-left/variance)
			}
		}
	}
}

// TestLeastSquaresThreads: the number of threads changes no bit, nor does a second merge.
func TestLeastSquaresThreads(t *testing.T) {
	s := mergetest.RowsOf(ctr.DeepFM{EmbeddingDim: 4, Tower: ctr.Tower{HiddenUnits: []int{70, 20}, HiddenActivations: "relu", BatchNorm: true}})
	defer kernel.SetThreads(kernel.Threads())
	var want *nn.Params
	for _, n := range []int{1, 3} {
		kernel.SetThreads(n)
		got, _ := fitted(t, s, method.LeastSquares{Tables: "factor", Rows: 48, Ridge: .01, BatchSize: 16}, s.Params(t, 0), s.Params(t, 1))
		if want == nil {
			want = got
		}
		if !got.Equal(want, nil) {
			t.Errorf("%d threads give another model", n)
		}
	}
}

func TestLeastSquaresRefuses(t *testing.T) {
	for _, tc := range []struct {
		m    method.LeastSquares
		sel  string
		want string
	}{
		{method.LeastSquares{Tables: "factors", Ridge: 1, BatchSize: 2}, "", "tables: must be"},
		{method.LeastSquares{Tables: "factor", BatchSize: 2}, "", "ridge: must be above 0"},
		{method.LeastSquares{Tables: "factor", Ridge: 1, Rows: -1, BatchSize: 2}, "", "rows: must not be negative"},
		{method.LeastSquares{Tables: "factor", Ridge: 1, BatchSize: 1}, "", "batch_size: must be at least 2"},
		{method.LeastSquares{Tables: "factor", Ridge: 1, BatchSize: 4}, "embedding", "merge.select leaves mlp.0.weight out"},
	} {
		s := mergetest.RowsOf(mergetest.Model())
		in := mergetest.Input(s.Lab(t), s.Parents(t, 2))
		if tc.sel != "" {
			in.Select = func(name string) bool { return strings.HasPrefix(name, tc.sel) }
		}
		if _, err := tc.m.Merge(t.Context(), in); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: error %v, want %q", tc.m, err, tc.want)
		}
	}
}
