package seq_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/seq"
)

// TestSplicedExtremes: a splice whose assessors take all of one side is the static model, or the dynamic one, over the same weights.
func TestSplicedExtremes(t *testing.T) {
	columns := seq.Columns{Item: "item", History: "history", EmbeddingDim: 6, InitStd: .1}
	head := seq.Head{HiddenUnits: []int{8, 4}, HiddenActivations: "tanh"}
	blocks := seq.Transformer{NumBlocks: 1, NumHeads: 2}
	sc := modeltest.Histories()
	b := modeltest.Batch(sc, 30, 30, 4)
	logits := func(m models.Model, from *nn.Params) ([]float32, *nn.Params) {
		t.Helper()
		p := nn.NewParams(1)
		prog, err := models.Compile(m, p, sc, models.CompileOptions{Batch: 30})
		if err != nil {
			t.Fatal(err)
		}
		defer prog.Close()
		for _, q := range p.All() {
			if from == nil { // nothing stays at an initial 0
				r := rng.New(rng.Key(3, q.Name))
				for i := range q.Data {
					q.Data[i] = float32(.4 * r.NormFloat64())
				}
			} else {
				copy(q.Data, from.Get(q.Name).Data)
			}
		}
		if _, err := prog.Run(b, 0); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(prog.Logits()), p
	}
	apart := func(a, b []float32) (d float64) {
		for i := range a {
			d = max(d, math.Abs(float64(a[i]-b[i])))
		}
		return d
	}
	for encoder, static := range map[string]models.Model{
		"din": seq.DIN{Columns: columns, Attention: "dot", Head: head}, "gru4rec": seq.GRU4Rec{Columns: columns, Head: head},
		"sasrec": seq.SASRec{Columns: columns, Transformer: blocks, Head: head},
	} {
		dynamic := seq.DUET{Columns: columns, Encoder: encoder, GeneratorUnits: 5, Transformer: blocks, Splice: "none", Head: head}
		spliced := dynamic
		spliced.Splice = "dual"
		between, p := logits(spliced, nil)
		ofStatic, _ := logits(static, p)
		ofDynamic, _ := logits(dynamic, p)
		if apart(ofStatic, ofDynamic) < .1 || apart(between, ofStatic) < .01 || apart(between, ofDynamic) < .01 {
			t.Fatalf("%s: the static, the dynamic and the spliced model are alike", encoder)
		}
		spliced.Splice = "local"
		for sign, want := range map[float32][]float32{1: ofStatic, -1: ofDynamic} {
			q := p.Clone()
			for _, a := range q.All() {
				if strings.HasPrefix(a.Name, "assessor.") {
					clear(a.Data)
					for i := range a.Shape[0] {
						a.Data[i*a.Shape[1]+i] = sign * 1e7
					}
				}
			}
			if got, _ := logits(spliced, q); apart(got, want) > 2e-6 {
				t.Errorf("%s, all to one side, %v: logits are %v away", encoder, sign, apart(got, want))
			}
		}
		spliced.Splice = "global"
		got, params := logits(spliced, p)
		if slices.ContainsFunc(params.All(), func(q *nn.Param) bool { return strings.HasPrefix(q.Name, "assessor.") }) {
			t.Errorf("%s: the global form has assessors", encoder)
		}
		if apart(got, ofStatic) < .01 || apart(got, ofDynamic) < .01 {
			t.Errorf("%s: the global splice is one side", encoder)
		}
	}
}
