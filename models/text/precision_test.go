package text_test

import (
	"math"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/text"
)

// TestPrecision trains an encoder for 50 steps of gradient descent in each precision, from the same weights on the same sentences: losses
// stay near those of the highest one.
func TestPrecision(t *testing.T) {
	const rows, length, vocab = 8, 24, 200
	losses := func(p kernel.Precision) []float64 {
		m := &text.BERT{
			Encoder: text.Encoder{
				HiddenSize: 64, NumHiddenLayers: 2, NumAttentionHeads: 2, IntermediateSize: 128,
				HiddenAct: "gelu", MaxPositionEmbeddings: 32,
				TypeVocabSize: 2, LayerNormEps: 1e-12, InitializerRange: 0.05, HiddenDropoutProb: 0.1, AttentionProbsDropoutProb: 0.1,
			},
			Classifier: text.Classifier{Pooling: "cls"},
		}
		sc := &data.Schema{Text: &data.Text{Vocab: vocab, Lengths: []int{length}, Labels: []string{"no", "yes"}}}
		prog := compile(t, m, nn.NewParams(1), sc, models.CompileOptions{Batch: rows, Train: true, Loss: mean, Precision: p})
		var out []float64
		r := rng.New(1)
		b := data.NewTokenBatch(sc, rows, length)
		b.N = rows
		for step := range 50 {
			for i := range rows {
				b.Label[i] = float32(i % 2)
				b.Tokens.Len[i] = int32(length - i)
				for k := range length {
					b.Tokens.IDs[i*length+k] = int32(r.IntN(vocab/2) + i%2*vocab/2)
				}
			}
			loss, _ := run(t, prog, b, int64(step))
			out = append(out, loss)
			for _, g := range prog.Grads() {
				kernel.Axpy(g.Param.Data, -0.02, g.Grad)
			}
		}
		return out
	}
	want := losses(kernel.Highest)
	if want[49] > want[0]-0.1 {
		t.Fatalf("the loss fell from %v to %v: nothing is learnt", want[0], want[49])
	}
	for p, bound := range map[kernel.Precision]float64{kernel.High: 1e-4, kernel.Medium: 0.1} {
		worst := 0.0
		for i, v := range losses(p) {
			worst = max(worst, math.Abs(v-want[i])/want[i])
		}
		t.Logf("%v: largest relative difference of a loss %.1e", p, worst)
		if worst == 0 || worst > bound {
			t.Errorf("%v: a loss differs by %.1e relative, want above 0 and at most %.0e", p, worst, bound)
		}
	}
}
