package text_test

import (
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/text"
)

// conformance are all registered models, small, and their variants, with the data they run over.
func conformance() map[string]parityCase {
	e := text.Encoder{
		HiddenSize: 12, NumHiddenLayers: 2, NumAttentionHeads: 3, IntermediateSize: 20, HiddenAct: "gelu", MaxPositionEmbeddings: 9,
		TypeVocabSize: 2, LayerNormEps: 1e-12, InitializerRange: 0.3,
	}
	drop := e
	drop.HiddenDropoutProb, drop.AttentionProbsDropoutProb = 0.1, 0.2
	r := e
	r.MaxPositionEmbeddings, r.TypeVocabSize, r.LayerNormEps, r.HiddenAct = 11, 1, 1e-5, "gelu_new"
	rd := drop
	rd.MaxPositionEmbeddings = 11
	cls, mean := text.Classifier{Pooling: "cls"}, text.Classifier{Pooling: "mean"}
	return map[string]parityCase{
		"bert":        {&text.BERT{Encoder: e, Classifier: cls}, modeltest.TextSchema(3, 0)},
		"bert/mean":   {&text.BERT{Encoder: drop, Classifier: mean}, modeltest.TextSchema(0, 0)},
		"roberta":     {&text.RoBERTa{Encoder: rd, Classifier: cls}, modeltest.TextSchema(4, 0)},
		"bert_mlm":    {&text.BERTMasked{Encoder: drop}, modeltest.TextSchema(0, 0.3)},
		"roberta_mlm": {&text.RoBERTaMasked{Encoder: r}, modeltest.TextSchema(0, 0.3)},
	}
}

func TestModels(t *testing.T) {
	cases := conformance()
	for _, name := range models.Registry.Names() {
		if cases[name].m == nil {
			t.Errorf("model %s is registered and has no case here", name)
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { modeltest.CheckText(t, c.m, c.sc) })
	}
}

// TestDataThatDoesNotFit: what a model says of data that it cannot read.
func TestDataThatDoesNotFit(t *testing.T) {
	five := func(e *text.Encoder) { id := 5; e.PadTokenID = &id }
	for _, c := range []struct {
		name string
		m    models.Model
		sc   *data.Schema
		want string
	}{
		{"no text", bert(nil), modeltest.Schema(), "the model reads text, the data has none"},
		{
			"a small vocabulary", bert(func(e *text.Encoder) { e.VocabSize = 99 }), schema(3, 0, 0),
			"the tokenizer has 100 ids, the model's vocab_size is 99: use the tokenizer of the model, or give the model's vocab_size",
		},
		{
			"long sequences", bert(func(e *text.Encoder) { e.MaxPositionEmbeddings = 12 }), schema(3, 0, 0),
			"sequences of 13 tokens need 13 positions, max_position_embeddings is 12: lower data.max_length to 12",
		},
		{
			"long sequences after an offset",
			&text.RoBERTa{Encoder: robertaEncoder(func(e *text.Encoder) { e.MaxPositionEmbeddings = 14 })}, schema(3, 0, 1),
			"sequences of 13 tokens need 15 positions, max_position_embeddings is 14: lower data.max_length to 12",
		},
		{
			"another padding", &text.RoBERTa{Encoder: robertaEncoder(five)}, schema(3, 0, 1),
			"the tokenizer pads with id 1, the model's pad_token_id is 5, from which its positions are counted",
		},
		{
			"padding outside", &text.BERT{Encoder: with(func(e *text.Encoder) { id := 100; e.PadTokenID = &id })}, schema(3, 0, 1),
			"pad_token_id is 100, but the vocabulary has 100 ids",
		},
		{
			"masks without need", roberta(), schema(3, 0.3, 1),
			"the data masks tokens, which the model does not predict: give the data labels, or take model roberta_mlm",
		},
		{
			"no masks", &text.BERTMasked{Encoder: tiny}, schema(3, 0, 0),
			"the model predicts masked tokens, the data masks none: set data.mask_rate",
		},
	} {
		_, err := models.Compile(c.m, nn.NewParams(1), c.sc, models.CompileOptions{Batch: 2})
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if _, err := models.NewParams(c.m, c.sc, 1); err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: parameters: error %v, want %q", c.name, err, c.want)
		}
	}
}
