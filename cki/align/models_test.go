package align_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
)

// cases are all registered models, and what their options make of them.
func cases() map[string]mergetest.Setting {
	small := ctr.Tower{HiddenUnits: []int{24, 12}, HiddenActivations: "relu"}
	full := ctr.Tower{HiddenUnits: []int{24, 12}, HiddenActivations: "tanh", NetDropout: 0.2, BatchNorm: true}
	linear := ctr.Tower{HiddenUnits: []int{9}, HiddenActivations: "none"}
	out := mergetest.Histories()
	maps.Copy(out, mergetest.Tasks())
	maps.Copy(out, mergetest.Interactions())
	for name, m := range map[string]models.Model{
		"lr": ctr.LR{}, "fm": ctr.FM{EmbeddingDim: 6},
		"mlp":            ctr.MLP{EmbeddingDim: 6, Tower: small},
		"mlp/batch_norm": ctr.MLP{EmbeddingDim: 5, Tower: full}, "mlp/linear": ctr.MLP{EmbeddingDim: 5, Tower: linear},
		"widedeep": ctr.WideDeep{EmbeddingDim: 4, Tower: small}, "widedeep/batch_norm": ctr.WideDeep{EmbeddingDim: 4, Tower: full},
		"deepfm": ctr.DeepFM{EmbeddingDim: 4, Tower: small}, "deepfm/batch_norm": ctr.DeepFM{EmbeddingDim: 8, Tower: full},
		"dcn":                  ctr.DCN{EmbeddingDim: 4, NumCrossLayers: 3, Tower: small},
		"dcn/batch_norm":       ctr.DCN{EmbeddingDim: 4, NumCrossLayers: 2, Tower: full},
		"dcnv2":                ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "parallel", Tower: small},
		"dcnv2/batch_norm":     ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "parallel", Tower: full},
		"dcnv2/stacked":        ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, ModelStructure: "stacked", Tower: full},
		"dcnv2/crossnet_only":  ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 1, ModelStructure: "crossnet_only", Tower: small},
		"dcnv2/low_rank":       ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, LowRank: 3, ModelStructure: "parallel", Tower: full},
		"dcnv2/low_rank_stack": ctr.DCNv2{EmbeddingDim: 4, NumCrossLayers: 2, LowRank: 5, ModelStructure: "stacked", Tower: small},
	} {
		out[name] = mergetest.RowsOf(m)
	}
	for name, m := range interactions() {
		out[name] = mergetest.RowsOf(m)
	}
	return out
}

// TestEveryModelHasACase: a new model is covered by adding it above; its layers declare the rest.
func TestEveryModelHasACase(t *testing.T) {
	for _, name := range models.Registry.Names() {
		if _, ok := cases()[name]; !ok && cases()[name+"/din"].Model == nil {
			t.Errorf("model %s is registered and has no case here", name)
		}
	}
}

// forEach runs a test for each case over trained-looking parameters: all values random, nothing at its initial 0 or 1.
func forEach(t *testing.T, test func(t *testing.T, m mergetest.Setting, p *nn.Params, sym nn.Symmetry)) {
	for name, m := range cases() {
		t.Run(name, func(t *testing.T) {
			p := fresh(t, m, 1)
			test(t, m, p, symmetry(t, m, p))
		})
	}
}

func fresh(t *testing.T, m mergetest.Setting, seed uint64) *nn.Params {
	t.Helper()
	p := nn.NewParams(seed)
	symmetry(t, m, p)
	for _, q := range p.All() {
		r := rng.New(rng.Key(seed, "test", q.Name))
		for i := range q.Data {
			switch {
			case q.Kind == nn.Table && i < q.Dim(): // padding
			case q.Embedding || len(q.Shape) == 1:
				q.Data[i] = float32(0.3 * r.NormFloat64())
			}
			if q.Kind == nn.Buffer {
				q.Data[i] = float32(math.Exp(float64(q.Data[i])))
			}
		}
	}
	return p
}

func symmetry(t *testing.T, m mergetest.Setting, p *nn.Params) nn.Symmetry {
	t.Helper()
	prog, err := models.Compile(m.Model, p, m.Schema, models.CompileOptions{Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	return prog.Symmetry()
}

func clone(t *testing.T, p *nn.Params) *nn.Params {
	t.Helper()
	c := nn.NewParams(p.Seed)
	for _, q := range p.All() {
		d := *q
		d.Data = slices.Clone(q.Data)
		if err := c.Add(&d); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

const rows = 64

func logits(t *testing.T, m mergetest.Setting, p *nn.Params) []float32 {
	t.Helper()
	prog, err := models.Compile(m.Model, p, m.Schema, models.CompileOptions{Batch: rows})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if _, err := prog.Run(modeltest.Batch(m.Schema, rows, rows, 3), 0); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(prog.Logits())
}

// apart returns the largest difference relative to the largest value.
func apart(got, want []float32) float64 {
	var diff, scale float64
	for i, w := range want {
		diff = max(diff, math.Abs(float64(got[i])-float64(w)))
		scale = max(scale, math.Abs(float64(w)))
	}
	return diff / scale
}

// distance returns |p - q| / |q| over all parameters.
func distance(p, q *nn.Params) float64 {
	var d, n float64
	for _, x := range q.All() {
		for i, v := range x.Data {
			e := float64(p.Get(x.Name).Data[i]) - float64(v)
			d += e * e
			n += float64(v) * float64(v)
		}
	}
	return math.Sqrt(d / n)
}

// shuffle moves the units of all groups at random.
func shuffle(t *testing.T, p *nn.Params, sym nn.Symmetry, seed uint64) {
	t.Helper()
	for i, g := range sym.Groups {
		if err := align.Apply(p, g, rng.New(rng.Key(seed, i)).Perm(g.Size)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryAxisIsDeclared(t *testing.T) {
	forEach(t, func(t *testing.T, _ mergetest.Setting, p *nn.Params, sym nn.Symmetry) {
		for _, axis := range sym.Uncovered(p) {
			t.Errorf("no layer declares %s", axis)
		}
	})
}

func TestPermutationsPreserveLogits(t *testing.T) {
	forEach(t, func(t *testing.T, m mergetest.Setting, p *nn.Params, sym nn.Symmetry) {
		want := logits(t, m, p)
		for i, g := range sym.Groups { // one group alone, so that one moves whatever the others do
			q := clone(t, p)
			if err := align.Apply(q, g, rng.New(rng.Key(5, i)).Perm(g.Size)); err != nil {
				t.Fatal(err)
			}
			if d := apart(logits(t, m, q), want); d > 2e-6 {
				t.Errorf("group %s: logits differ by %.2g of the largest", g.Name, d)
			}
		}
		q := clone(t, p)
		shuffle(t, q, sym, 7)
		if d := apart(logits(t, m, q), want); d > 2e-6 {
			t.Errorf("all groups: logits differ by %.2g of the largest", d)
		}
		if len(sym.Groups) > 0 && distance(q, p) < 0.1 {
			t.Errorf("nothing moved: the models are %v apart", distance(q, p))
		}
	})
}

func TestRotationsPreserveLogits(t *testing.T) {
	forEach(t, func(t *testing.T, m mergetest.Setting, p *nn.Params, sym nn.Symmetry) {
		want := logits(t, m, p)
		q := clone(t, p)
		for i, g := range sym.Groups {
			err := align.Rotate(q, g, modeltest.Rotation(g.Size, uint64(i)))
			if (err == nil) != g.Orthogonal {
				t.Errorf("group %s, orthogonal %v: Rotate says %v", g.Name, g.Orthogonal, err)
			}
		}
		if d := apart(logits(t, m, q), want); d > 5e-6 {
			t.Errorf("logits differ by %.2g of the largest", d)
		}
	})
}

// TestGroups: the groups that the models of the papers have, so that none is lost silently by being fixed.
func TestGroups(t *testing.T) {
	for name, want := range map[string]string{
		"lr":         "[]",
		"fm":         "[embedding.n1:6:true]",
		"mlp":        "[embedding.n1:6:true embedding.n2:6:true embedding.a:6:true embedding.bc:6:true embedding.m:6:true embedding.s:6:true mlp.0:24:false mlp.1:12:false]",
		"mlp/linear": "[embedding.n1:5:true embedding.n2:5:true embedding.a:5:true embedding.bc:5:true embedding.m:5:true embedding.s:5:true mlp.0:9:true]",
		"deepfm":     "[embedding.n1:4:true mlp.0:24:false mlp.1:12:false]",
		"dcn":        "[embedding.n1:4:true embedding.n2:4:true embedding.a:4:true embedding.bc:4:true embedding.m:4:true embedding.s:4:true mlp.0:24:false mlp.1:12:false]",
		"dcnv2/low_rank": "[embedding.n1:4:false embedding.n2:4:false embedding.a:4:false embedding.bc:4:false embedding.m:4:false embedding.s:4:false " +
			"cross.0.rank:3:true cross.1.rank:3:true mlp.0:24:false mlp.1:12:false]",
		"din": "[embedding.item:6:true embedding.place:6:true target:6:false sequence:6:false attention.query:6:true attention.value:6:true " +
			"classifier.0:8:false classifier.1:5:false]",
		"din/unit":               "[embedding.item:6:false embedding.place:6:true attention.0:5:false classifier.0:8:false classifier.1:5:false]",
		"gru4rec":                "[embedding.item:6:true embedding.place:6:true target:6:false sequence:6:false gru:5:false classifier.0:8:false classifier.1:5:false]",
		"gru4rec/next/full":      "[embedding.item:6:false]",
		"gru4rec/projected/full": "[embedding.item:6:true gru:5:false]",
		"sasrec": "[embedding.item:6:true embedding.place:6:true target:6:false sequence:6:false " +
			"blocks.0.attention.heads:2:false blocks.0.attention.head0.qk:3:true blocks.0.attention.head0.v:3:true blocks.0.attention.head1.qk:3:true blocks.0.attention.head1.v:3:true blocks.0.linear1:7:false " +
			"blocks.1.attention.heads:2:false blocks.1.attention.head0.qk:3:true blocks.1.attention.head0.v:3:true blocks.1.attention.head1.qk:3:true blocks.1.attention.head1.v:3:true blocks.1.linear1:7:false " +
			"classifier.0:8:false classifier.1:5:false]",
		"sasrec/next/full": "[embedding.item:6:false blocks.0.attention.heads:2:false blocks.0.attention.head0.qk:3:true blocks.0.attention.head0.v:3:true blocks.0.attention.head1.qk:3:true blocks.0.attention.head1.v:3:true blocks.0.linear1:7:false " +
			"blocks.1.attention.heads:2:false blocks.1.attention.head0.qk:3:true blocks.1.attention.head0.v:3:true blocks.1.attention.head1.qk:3:true blocks.1.attention.head1.v:3:true blocks.1.linear1:7:false]",
		"xdeepfm":      "[embedding.n1:4:false cin.0:5:true cin.1:3:true mlp.0:8:false mlp.1:5:false]",
		"ipnn":         "[embedding.n1:4:true mlp.0:8:false mlp.1:5:false]",
		"dlrm":         "[bottom.0:6:false bottom.1:4:false mlp.0:8:false mlp.1:5:false]",
		"fibinet/each": "[embedding.n1:4:false embedding.n2:4:false senet.squeeze:3:false mlp.0:8:false mlp.1:5:false]",
		"autoint": "[embedding.n1:4:true attention.0.head0.qk:3:true attention.0.head0.v:3:false attention.0.head1.qk:3:true attention.0.head1.v:3:false " +
			"attention.1.head0.qk:3:true attention.1.head1.qk:3:true]",
		"autoint/tower": "[attention.0.heads:2:false attention.0.head0.qk:2:true attention.0.head0.v:2:false attention.0.head1.qk:2:true attention.0.head1.v:2:false " +
			"mlp.0:8:false mlp.1:5:false]",
		"wukong": "[embedding.n1:4:false layers.0.fmb.mlp.0:6:false layers.1.fmb.mlp.0:6:false mlp.0:8:false mlp.1:5:false]",
		"duet/gru4rec": "[embedding.item:6:true sequence:6:false generator.gru:4:false generator.0.hidden:4:false generator.1.hidden:4:false " +
			"generator.2.hidden:4:false]",
	} {
		var got []string
		for _, g := range symmetry(t, cases()[name], nn.NewParams(1)).Groups {
			got = append(got, fmt.Sprintf("%s:%d:%v", g.Name, g.Size, g.Orthogonal))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s has the groups %v, want %s", name, got, want)
		}
	}
}

func TestWeightsRecoverAPermutedCopy(t *testing.T) {
	forEach(t, func(t *testing.T, m mergetest.Setting, p *nn.Params, sym nn.Symmetry) {
		q := clone(t, p)
		shuffle(t, q, sym, 8)
		o := align.Defaults()
		o.Match, o.Embeddings = "weights", "permutation"
		r, err := align.Align(context.Background(), m.Model, m.Schema, p, q, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := distance(q, p); d > 0 {
			t.Errorf("the aligned copy is %v away (%+v)", d, *r)
		}
		if len(sym.Groups) > 0 && (r.Before > 0.95 || math.Abs(r.After-1) > 1e-12) {
			t.Errorf("similarity goes from %v to %v", r.Before, r.After)
		}
	})
}

// source is one batch of rows, over and over.
type source struct {
	schema *data.Schema
	rows   int
}

func (s source) Schema() *data.Schema { return s.schema }
func (s source) Rows() int64          { return int64(s.rows) }

func (s source) Batches(_, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		for at := 0; at < s.rows; at += size {
			if !yield(modeltest.Batch(s.schema, min(size, s.rows-at), size, uint64(at)), nil) {
				return
			}
		}
	}
}

func TestActivationsRecoverAPermutedCopy(t *testing.T) {
	forEach(t, func(t *testing.T, m mergetest.Setting, p *nn.Params, sym nn.Symmetry) {
		q := clone(t, p)
		shuffle(t, q, sym, 9)
		o := align.Defaults()
		o.Match, o.Embeddings = "activations", "permutation"
		r, err := align.Align(context.Background(), m.Model, m.Schema, p, q, source{m.Schema, 1500}, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := distance(q, p); d > 0 {
			t.Errorf("the aligned copy is %v away (%+v)", d, *r)
		}
	})
}

// cut is one list of rows, in batches of any size.
type cut struct{ source }

func (c cut) Batches(_, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		all := modeltest.Batch(c.schema, c.rows, c.rows, 5)
		for lo := 0; lo < c.rows; lo += size {
			b := data.NewBatch(c.schema, size)
			modeltest.Put(c.schema, b, all, lo, min(size, c.rows-lo))
			if !yield(b, nil) {
				return
			}
		}
	}
}

// TestActivationsInBatches: values of histories say the same in batches of any size, whose positions are more or fewer.
func TestActivationsInBatches(t *testing.T) {
	for _, name := range []string{"din", "gru4rec", "sasrec", "sasrec/next/full"} {
		m := cases()[name]
		maps := func(size int) (out []string) {
			list, err := align.Activations(context.Background(), m.Model, fresh(t, m, 1), fresh(t, m, 2), cut{source{m.Schema, 120}},
				align.ActivationsOptions{Batch: size})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, x := range list {
				out = append(out, fmt.Sprint(x.Perm))
			}
			return out
		}
		want := maps(120)
		for _, size := range []int{1, 16} {
			if got := maps(size); !slices.Equal(got, want) {
				t.Errorf("%s: in batches of %d rows units go to %v, in one to %v", name, size, got, want)
			}
		}
	}
}

func TestRotationsAreRecovered(t *testing.T) {
	for _, match := range []string{"weights", "activations"} {
		forEach(t, func(t *testing.T, m mergetest.Setting, p *nn.Params, sym nn.Symmetry) {
			q := clone(t, p)
			shuffle(t, q, sym, 10)
			within := map[int]bool{} // heads, whose units are permuted with them, not rotated
			for _, g := range sym.Groups {
				for _, inner := range g.Inner {
					for _, k := range inner {
						within[k] = true
					}
				}
			}
			for i, g := range sym.Groups {
				if g.Orthogonal && !within[i] {
					if err := align.Rotate(q, g, modeltest.Rotation(g.Size, uint64(i))); err != nil {
						t.Fatal(err)
					}
				}
			}
			want := logits(t, m, q)
			o := align.Options{Match: match, Embeddings: "orthogonal", Iterations: 100, Rows: 1500}
			r, err := align.Align(context.Background(), m.Model, m.Schema, p, q, source{m.Schema, 1500}, o)
			if err != nil {
				t.Fatal(err)
			}
			if d := apart(logits(t, m, q), want); d > 5e-6 {
				t.Errorf("%s: alignment changes the logits by %v", match, d)
			}
			if d := distance(q, p); d > 2e-3 {
				t.Errorf("%s: the aligned copy is %v away (%+v)", match, d, *r)
			}
		})
	}
}
