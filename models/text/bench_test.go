package text_test

import (
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/text"
)

// BenchmarkStep is a forward and a backward pass of MiniLM-L6 over 32 sentences of 32 tokens, all live.
func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name  string
		train bool
	}{{"train", true}, {"evaluate", false}} {
		b.Run(c.name, func(b *testing.B) {
			const rows, length = 32, 32
			m := &text.BERT{
				Encoder: text.Encoder{
					HiddenSize: 384, NumHiddenLayers: 6, NumAttentionHeads: 12, IntermediateSize: 1536,
					HiddenAct: "gelu", MaxPositionEmbeddings: 512,
					TypeVocabSize: 2, LayerNormEps: 1e-12, InitializerRange: 0.02, HiddenDropoutProb: 0.1, AttentionProbsDropoutProb: 0.1,
				},
				Classifier: text.Classifier{Pooling: "cls"},
			}
			sc := &data.Schema{Text: &data.Text{Vocab: 30522, Lengths: []int{length}, Labels: []string{"no", "yes"}}}
			prog, err := models.Compile(m, nn.NewParams(1), sc, models.CompileOptions{Batch: rows, Train: c.train, Loss: mean})
			if err != nil {
				b.Fatal(err)
			}
			defer prog.Close()
			batch := data.NewTokenBatch(sc, rows, length)
			batch.N = rows
			r := rng.New(1)
			for i := range batch.Tokens.IDs {
				batch.Tokens.IDs[i] = int32(r.IntN(30522))
			}
			for i := range rows {
				batch.Tokens.Len[i] = length
			}
			step := int64(0)
			for b.Loop() {
				if _, err := prog.Run(batch, step); err != nil {
					b.Fatal(err)
				}
				step++
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/step")
		})
	}
}
