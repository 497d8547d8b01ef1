package text

import (
	"testing"

	"github.com/splice-ml/splice/models"
)

func TestLayer(t *testing.T) {
	e := Encoder{NumHiddenLayers: 12}
	for _, m := range []models.Layered{&BERT{Encoder: e}, &RoBERTa{Encoder: e}, &BERTMasked{Encoder: e}, &RoBERTaMasked{Encoder: e}} {
		prefix := "bert."
		switch m.(type) {
		case *RoBERTa, *RoBERTaMasked:
			prefix = "roberta."
		}
		for name, want := range map[string]int{
			prefix + "embeddings.word_embeddings.weight":              0,
			prefix + "embeddings.LayerNorm.bias":                      0,
			prefix + "encoder.layer.0.attention.self.query.weight":    1,
			prefix + "encoder.layer.1.output.dense.weight":            2,
			prefix + "encoder.layer.11.attention.output.dense.weight": 12,
			prefix + "pooler.dense.weight":                            13,
			"classifier.weight":                                       13,
			"cls.predictions.bias":                                    13,
			"lm_head.dense.weight":                                    13,
		} {
			if got, layers := m.Layer(name); got != want || layers != 13 {
				t.Errorf("%T: %s in layer %d of %d, want %d of 13", m, name, got, layers, want)
			}
		}
	}
}
