package embed_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
)

// world is a plan with a concatenating and a reducing lookup over the same features, two of which share their tables.
type world struct {
	schema *data.Schema
	plan   *embed.Plan
	params map[string]*nn.Param
	leaves [2][]float32
	dims   [2]int
}

func newWorld(t *testing.T, batch int) *world {
	t.Helper()
	return newWorldOf(t, batch, [2]int{5, 1})
}

// newWorldOf is newWorld with lookups of those widths.
func newWorldOf(t *testing.T, batch int, dims [2]int) *world {
	t.Helper()
	w := &world{dims: dims, params: map[string]*nn.Param{}, schema: &data.Schema{NumDense: 1, Features: []data.Feature{
		{Name: "n", Kind: data.Numeric},
		{Name: "a", Kind: data.Categorical, Vocab: 6, Table: "ab"},
		{Name: "b", Kind: data.Categorical, Vocab: 6, Table: "ab"},
		{Name: "m", Kind: data.Multi, Vocab: 5, MaxLen: 3},
		{Name: "s", Kind: data.Multi, Vocab: 6, MaxLen: 2, Table: "ab", Pool: data.PoolSum},
	}}}
	w.plan = embed.NewPlan(w.schema, batch)
	for k, d := range w.dims {
		l := &embed.Lookup{Dim: d, Reduce: k == 1}
		for i := range w.schema.Features {
			f := &w.schema.Features[i]
			table, rows := f.Table, f.Vocab
			if table == "" {
				table = f.Name
			}
			if f.Kind == data.Numeric {
				rows = 1
			}
			name := strings.Repeat("x", k) + table
			if w.params[name] == nil {
				p := &nn.Param{Name: name, Shape: []int{rows, d}, Data: make([]float32, rows*d), Kind: nn.Table}
				r := rng.New(rng.Key(1, name))
				for i := range p.Data {
					if rows == 1 || i >= d {
						p.Data[i] = float32(r.NormFloat64())
					}
				}
				w.params[name] = p
			}
			pool := embed.Mean
			if f.Pool == data.PoolSum {
				pool = embed.Sum
			}
			l.Fields = append(l.Fields, embed.Field{Feature: f, Param: w.params[name], Pool: pool})
		}
		width := d * len(l.Fields)
		if l.Reduce {
			width = d
			w.params["bias"] = &nn.Param{Name: "bias", Shape: []int{1, d}, Data: slices.Repeat([]float32{0.25}, d)}
			l.Bias = w.params["bias"]
		}
		w.leaves[k] = make([]float32, batch*width)
		w.plan.Add(l, (*G.Node)(nil), w.leaves[k])
	}
	return w
}

func (w *world) batch(n, size int) *data.Batch {
	b := data.NewBatch(w.schema, size)
	b.N = n
	r := rng.New(rng.Key(2, "batch"))
	for i := range n {
		b.Dense[i] = float32(r.NormFloat64())
		b.IDs["a"][i], b.IDs["b"][i] = int32(r.IntN(6)), int32(r.IntN(6))
		for k := range r.IntN(4) {
			b.IDs["m"][i*3+k] = int32(1 + r.IntN(4))
		}
		for k := range r.IntN(3) {
			b.IDs["s"][i*2+k] = int32(1 + r.IntN(5))
		}
	}
	return b
}

// each calls f for every row that lookup k reads: the batch's row, the leaf's offset, the parameter, its row and the factor.
func (w *world) each(b *data.Batch, k int, f func(r, off int, p *nn.Param, id int, factor float64)) {
	d := w.dims[k]
	prefix := strings.Repeat("x", k)
	for r := range b.N {
		for i, feat := range w.schema.Features {
			off := (r*len(w.schema.Features) + i) * d
			if k == 1 {
				off = r * d
			}
			table := feat.Table
			if table == "" {
				table = feat.Name
			}
			p := w.params[prefix+table]
			switch feat.Kind {
			case data.Numeric:
				f(r, off, p, 0, float64(b.Dense[r]))
			case data.Categorical:
				if id := b.IDs[feat.Name][r]; id != 0 {
					f(r, off, p, int(id), 1)
				}
			case data.Multi:
				ids := slices.Clone(b.IDs[feat.Name][r*feat.MaxLen : (r+1)*feat.MaxLen])
				ids = slices.DeleteFunc(ids, func(id int32) bool { return id == 0 })
				for _, id := range ids {
					factor := 1.0
					if feat.Pool != data.PoolSum {
						factor = 1 / float64(len(ids))
					}
					f(r, off, p, int(id), factor)
				}
			}
		}
	}
}

// TestLookups compares gathering and merging with loops over single values.
func TestLookups(t *testing.T) {
	const n, size = 23, 30
	w := newWorld(t, size)
	b := w.batch(n, size)
	if err := w.plan.Gather(b); err != nil {
		t.Fatal(err)
	}
	grads := make([][]float32, 2)
	want := map[string][]float64{"bias": {0}}
	for _, p := range w.params {
		want[p.Name] = make([]float64, len(p.Data))
	}
	r := rng.New(rng.Key(3, "grad"))
	for k := range w.leaves {
		leaf := make([]float64, len(w.leaves[k]))
		if k == 1 {
			for i := range leaf {
				leaf[i] = 0.25
			}
		}
		grads[k] = make([]float32, len(leaf))
		for i := range grads[k] {
			grads[k][i] = float32(r.NormFloat64()) // also of padding rows, whose gradient must not count
		}
		d := w.dims[k]
		w.each(b, k, func(_, off int, p *nn.Param, id int, factor float64) {
			for j := range d {
				leaf[off+j] += factor * float64(p.Data[id*d+j])
				want[p.Name][id*d+j] += factor * float64(grads[k][off+j])
			}
		})
		for i, v := range leaf {
			if math.Abs(float64(w.leaves[k][i])-v) > 1e-5 {
				t.Fatalf("lookup %d: leaf[%d] = %v, want %v", k, i, w.leaves[k][i], v)
			}
		}
	}
	for i := range n {
		want["bias"][0] += float64(grads[1][i])
	}
	rows, dense := w.plan.Scatter(b, grads)
	seen := 0
	for _, g := range rows {
		d := g.Param.Dim()
		got := make([]float64, len(g.Param.Data))
		for i, id := range g.IDs {
			if id == 0 || i > 0 && id <= g.IDs[i-1] {
				t.Errorf("%s: ids %v are not ascending above 0", g.Param.Name, g.IDs)
			}
			for j := range d {
				got[int(id)*d+j] = float64(g.Grad[i*d+j])
			}
		}
		compare(t, g.Param.Name, got, want[g.Param.Name])
		seen++
	}
	for _, g := range dense {
		got := make([]float64, len(g.Grad))
		for i, v := range g.Grad {
			got[i] = float64(v)
		}
		compare(t, g.Param.Name, got, want[g.Param.Name])
		seen++
	}
	if seen != len(w.params) || len(w.plan.Trained()) != seen {
		t.Errorf("gradients of %d parameters, %d trained, want %d", seen, len(w.plan.Trained()), len(w.params))
	}
}

func compare(t *testing.T, name string, got, want []float64) {
	t.Helper()
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-5 {
			t.Errorf("gradient of %s[%d] = %v, want %v", name, i, got[i], want[i])
			return
		}
	}
}

func TestGatherRefuses(t *testing.T) {
	w := newWorld(t, 4)
	for name, tc := range map[string]struct {
		spoil func(b *data.Batch)
		want  string
	}{
		"id too large":      {func(b *data.Batch) { b.IDs["a"][2] = 6 }, "feature a: row 2 of the batch has id 6, table ab has 6 rows"},
		"negative id":       {func(b *data.Batch) { b.IDs["m"][7] = -1 }, "feature m: row 2 of the batch has id -1"},
		"a feature lacks":   {func(b *data.Batch) { delete(b.IDs, "b") }, "feature b: batch has 0 ids, want 4"},
		"short multi-value": {func(b *data.Batch) { b.IDs["s"] = b.IDs["s"][:7] }, "feature s: batch has 7 ids, want 8"},
		"no numbers":        {func(b *data.Batch) { b.Dense = nil }, "feature n: batch has 0 numeric values, want 4"},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.batch(4, 4)
			tc.spoil(b)
			if err := w.plan.Gather(b); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
