package method_test

import (
	"math"
	"slices"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/cki/method"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
)

// values returns all values of a parent's tensors in float64.
func values(t *testing.T, p *cki.Parent) map[string][]float64 {
	t.Helper()
	out := map[string][]float64{}
	for name, x := range mergetest.Values(t, p) {
		for _, v := range x {
			out[name] = append(out[name], float64(v))
		}
	}
	return out
}

// batches returns copies of the first batches of a source.
func batches(t *testing.T, src data.Source, size, n int) []*data.Batch {
	t.Helper()
	var out []*data.Batch
	for b, err := range src.Batches(0, size) {
		if err != nil {
			t.Fatal(err)
		}
		c := *b
		c.IDs = map[string][]int32{}
		for k, v := range b.IDs {
			c.IDs[k] = slices.Clone(v)
		}
		c.Dense, c.Label = slices.Clone(b.Dense), slices.Clone(b.Label)
		if out = append(out, &c); len(out) == n {
			break
		}
	}
	return out
}

// inputs calls each with the place of every value that row r of a batch reads from a table of that width, and its factor: the
// embedding's column is place col of feature f.
func inputs(b *data.Batch, r int, each func(f int, table string, row int, factor float64)) {
	sc := modeltest.Schema()
	for i, f := range sc.Features {
		name := f.Table + ".weight"
		switch f.Kind {
		case data.Numeric:
			each(i, name, 0, float64(b.Dense[r*sc.NumDense+f.Column]))
		case data.Categorical:
			each(i, name, int(b.IDs[f.Name][r]), 1)
		case data.Multi:
			ids := slices.DeleteFunc(slices.Clone(b.IDs[f.Name][r*f.MaxLen:(r+1)*f.MaxLen]), func(id int32) bool { return id == data.PadID })
			for _, id := range ids {
				factor := 1 / float64(len(ids))
				if f.Pool == data.PoolSum {
					factor = 1
				}
				each(i, name, int(id), factor)
			}
		}
	}
}

// TestFisher compares with the gradients of logistic regression, (p - y)·x, written out.
func TestFisher(t *testing.T) {
	lab := mergetest.Lab(t, ctr.LR{})
	parents := mergetest.Parents(t, ctr.LR{}, 2)
	const size, n = 4, 5
	info := make([]map[string][]float64, 2)
	x := make([]map[string][]float64, 2)
	for k, p := range parents {
		x[k], info[k] = values(t, p), map[string][]float64{}
		for name, v := range x[k] {
			info[k][name] = make([]float64, len(v))
		}
		for _, b := range batches(t, lab.Data.Train, size, n) {
			grad := map[string][]float64{}
			for name, v := range x[k] {
				grad[name] = make([]float64, len(v))
			}
			for r := range size {
				z := x[k]["linear.bias"][0]
				inputs(b, r, func(_ int, table string, row int, factor float64) { z += factor * x[k]["linear."+table][row] })
				d := (1/(1+math.Exp(-z)) - float64(b.Label[r])) / size
				grad["linear.bias"][0] += d
				inputs(b, r, func(_ int, table string, row int, factor float64) {
					if row > 0 || table == "n1.weight" || table == "n2.weight" { // padding is not trained
						grad["linear."+table][row] += d * factor
					}
				})
			}
			for name, g := range grad {
				for i, v := range g {
					info[k][name][i] += v * v / n
				}
			}
		}
	}
	m := method.Fisher{Rows: size*n + 3, BatchSize: size, Epsilon: 0.01, Weights: []float64{2, 1}}
	got := mergetest.Merge(t, m, mergetest.Input(lab, parents))
	for name, y := range got {
		var mean float64
		for i := range y {
			mean += (info[0][name][i] + info[1][name][i]) / float64(2*len(y))
		}
		for i, v := range y {
			f, g := 2*(info[0][name][i]+0.01*mean), info[1][name][i]+0.01*mean
			want := (f*x[0][name][i] + g*x[1][name][i]) / (f + g)
			if math.Abs(float64(v)-want) > 1e-5 {
				t.Errorf("%s: value %d is %v, want %v", name, i, v, want)
				break
			}
		}
	}
}

// TestRegMean compares the first layer with the solution of the normal equations over inputs that are put together here.
func TestRegMean(t *testing.T) {
	model := ctr.MLP{EmbeddingDim: 2, Tower: ctr.Tower{HiddenUnits: []int{3}, HiddenActivations: "relu"}}
	lab, parents := mergetest.Lab(t, model), mergetest.Parents(t, model, 2)
	const size, n, dim = 16, 3, 2
	width := dim * len(modeltest.Schema().Features)
	v := []float64{0.75, 0.25}
	left, right := matrix(width, width), matrix(width, 3) // sum v G, sum v G Wᵀ
	var grams [2][][]float64
	var trace float64
	for k, p := range parents {
		x := values(t, p)
		g := matrix(width, width)
		for _, b := range batches(t, lab.Data.Train, size, n) {
			for r := range size {
				in := make([]float64, width)
				inputs(b, r, func(f int, table string, row int, factor float64) {
					for d := range dim {
						in[f*dim+d] += factor * x["embedding."+table][row*dim+d]
					}
				})
				for i := range in {
					for j := range in {
						g[i][j] += in[i] * in[j] / (size * n)
					}
				}
			}
		}
		for i := range g {
			trace += g[i][i]
		}
		grams[k] = g
	}
	for k, g := range grams {
		x := values(t, parents[k])["mlp.0.weight"]
		for i := range g {
			for j := range g {
				a := 0.9 * g[i][j]
				if i == j {
					a = g[i][i] + 1e-6*trace/float64(2*width)
				}
				left[i][j] += v[k] * a
				for o := range 3 {
					right[i][o] += v[k] * a * x[o*width+j]
				}
			}
		}
	}
	solve(left, right)
	m := method.RegMean{Alpha: 0.9, Rows: size*n + 1, BatchSize: size, Weights: []float64{3, 1}}
	got := mergetest.Merge(t, m, mergetest.Input(lab, parents))
	for o := range 3 {
		for i := range width {
			if y := float64(got["mlp.0.weight"][o*width+i]); math.Abs(y-right[i][o]) > 1e-4*max(1, math.Abs(right[i][o])) {
				t.Fatalf("weight [%d, %d] is %v, want %v", o, i, y, right[i][o])
			}
		}
	}
	plain := mergetest.Merge(t, method.Average{Rows: "equal", Weights: v}, mergetest.Input(nil, parents))
	for name := range plain {
		if same := slices.Equal(plain[name], got[name]); same != (name != "mlp.0.weight" && name != "mlp.1.weight") {
			t.Errorf("%s: averaged: %v", name, same)
		}
	}
}

// TestRegMeanOfHistories: batches of other lengths count like one of all rows; layers over positions, gates of recurrent units among them,
// are no plain means.
func TestRegMeanOfHistories(t *testing.T) {
	for _, c := range []struct{ name, layer string }{
		{"gru4rec", "gru.weight_ih"},
		{"sasrec", "blocks.1.linear2.weight"},
		{"din", "attention.value.weight"},
		{"sasrec/next/full", "blocks.0.attention.query.weight"},
	} {
		s := mergetest.Histories()[c.name]
		merge := func(size int) map[string][]float32 {
			m := method.RegMean{Alpha: 0.9, Rows: 64, BatchSize: size}
			return mergetest.Merge(t, m, mergetest.Input(s.Lab(t), s.Parents(t, 2)))
		}
		plain := mergetest.Merge(t, method.Average{Rows: "equal"}, mergetest.Input(nil, s.Parents(t, 2)))
		whole, single := merge(64), merge(1)
		if slices.Equal(whole[c.layer], plain[c.layer]) {
			t.Errorf("%s: %s is a plain mean", c.name, c.layer)
		}
		for name, w := range whole {
			for i, v := range w {
				if d := math.Abs(float64(single[name][i] - v)); d > 1e-4*max(1, math.Abs(float64(v))) {
					t.Errorf("%s: %s[%d] is %v in batches of one row, %v in one of all", c.name, name, i, single[name][i], v)
					break
				}
			}
		}
	}
}

// TestRegMeanLayers: which layers' inputs are known.
func TestRegMeanLayers(t *testing.T) {
	for _, c := range []struct {
		name  string
		model ctr.DCNv2
		want  []string
	}{
		{"full rank", ctr.DCNv2{}, []string{"cross.0.weight", "fc.weight", "mlp.0.weight"}},
		{"low rank", ctr.DCNv2{LowRank: 2}, []string{"cross.0.v", "fc.weight", "mlp.0.weight"}},
	} {
		m := c.model
		m.EmbeddingDim, m.NumCrossLayers, m.HiddenUnits, m.ModelStructure = 2, 1, []int{3}, "parallel"
		parents := mergetest.Parents(t, m, 2)
		got := mergetest.Merge(t, method.RegMean{Alpha: 0.9, Rows: 64, BatchSize: 16}, mergetest.Input(mergetest.Lab(t, m), parents))
		plain := mergetest.Merge(t, method.Average{Rows: "equal"}, mergetest.Input(nil, parents))
		var names []string
		for name := range got {
			if !slices.Equal(got[name], plain[name]) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		if !slices.Equal(names, c.want) {
			t.Errorf("%s: %v are not plain means, want %v", c.name, names, c.want)
		}
	}
}

// TestRegMeanDeadInputs: inputs that are always 0 are averaged, not thrown out.
func TestRegMeanDeadInputs(t *testing.T) {
	model := ctr.MLP{EmbeddingDim: 2, Tower: ctr.Tower{HiddenUnits: []int{3}, HiddenActivations: "relu"}}
	lab := mergetest.Lab(t, model)
	var parents []*cki.Parent
	for k := range 2 {
		p := mergetest.Params(t, model, k)
		copy(p.Get("mlp.0.bias").Data, []float32{-100, -100, -100}) // no unit is ever on
		parents = append(parents, &cki.Parent{Name: "p" + string(rune('0'+k)), Reader: cki.Memory(p)})
	}
	got := mergetest.Merge(t, method.RegMean{Alpha: 1, Rows: 64, BatchSize: 16}, mergetest.Input(lab, parents))
	want := mergetest.Merge(t, method.Average{Rows: "equal"}, mergetest.Input(nil, parents))
	if !slices.Equal(got["mlp.1.weight"], want["mlp.1.weight"]) {
		t.Errorf("mlp.1.weight is %v, want the mean %v", got["mlp.1.weight"], want["mlp.1.weight"])
	}
}

func matrix(r, c int) [][]float64 {
	m := make([][]float64, r)
	for i := range m {
		m[i] = make([]float64, c)
	}
	return m
}

// solve replaces b by a⁻¹ b, by Gauss-Jordan elimination with pivots.
func solve(a, b [][]float64) {
	for i := range a {
		p := i
		for r := i; r < len(a); r++ {
			if math.Abs(a[r][i]) > math.Abs(a[p][i]) {
				p = r
			}
		}
		a[i], a[p], b[i], b[p] = a[p], a[i], b[p], b[i]
		for r := range a {
			f := a[r][i] / a[i][i]
			if r == i {
				continue
			}
			for c := range a[r] {
				a[r][c] -= f * a[i][c]
			}
			for c := range b[r] {
				b[r][c] -= f * b[i][c]
			}
		}
	}
	for i := range b {
		for c := range b[i] {
			b[i][c] /= a[i][i]
		}
	}
}

// TestSelected: what is selected becomes the same, whatever else is: Fisher information and inputs are those of whole parents.
func TestSelected(t *testing.T) {
	for _, m := range []cki.Method{
		method.Fisher{Rows: 64, BatchSize: 8, Epsilon: 1e-3}, method.RegMean{Alpha: 0.9, Rows: 64, BatchSize: 8},
	} {
		in := mergetest.Input(mergetest.Lab(t, mergetest.Model()), mergetest.Parents(t, mergetest.Model(), 2))
		all := mergetest.Merge(t, m, in)["mlp.1.weight"]
		in.Select = func(name string) bool { return name == "mlp.1.weight" }
		if got := mergetest.Merge(t, m, in)["mlp.1.weight"]; !slices.Equal(got, all) {
			t.Errorf("%T: selected alone it is %v, with all %v", m, got, all)
		}
	}
}
