package text

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/splice-ml/splice/data"
)

// described is the config.json that transformers loads, keys in the order of its own files.
type described struct {
	Architectures     []string          `json:"architectures"`
	AttentionDropout  float64           `json:"attention_probs_dropout_prob"`
	ClassifierDropout *float64          `json:"classifier_dropout"`
	HiddenAct         string            `json:"hidden_act"`
	HiddenDropout     float64           `json:"hidden_dropout_prob"`
	HiddenSize        int               `json:"hidden_size"`
	ID2Label          map[string]string `json:"id2label,omitempty"`
	InitializerRange  float64           `json:"initializer_range"`
	IntermediateSize  int               `json:"intermediate_size"`
	Label2ID          map[string]int    `json:"label2id,omitempty"`
	LayerNormEps      float64           `json:"layer_norm_eps"`
	MaxPositions      int               `json:"max_position_embeddings"`
	ModelType         string            `json:"model_type"`
	NumAttentionHeads int               `json:"num_attention_heads"`
	NumHiddenLayers   int               `json:"num_hidden_layers"`
	PadTokenID        int               `json:"pad_token_id"`
	PositionType      string            `json:"position_embedding_type"`
	ProblemType       string            `json:"problem_type,omitempty"`
	TieWordEmbeddings bool              `json:"tie_word_embeddings"`
	DType             string            `json:"torch_dtype"`
	TypeVocabSize     int               `json:"type_vocab_size"`
	VocabSize         int               `json:"vocab_size"`
}

// Files returns the config.json with which transformers loads the weights as a BertForSequenceClassification. There is
// none for mean pooling, which that class does not have.
func (m *BERT) Files(sc *data.Schema) (map[string][]byte, error) {
	return bert.files(sc, &m.Encoder, &m.Classifier)
}

// Files returns the config.json with which transformers loads the weights as a RobertaForSequenceClassification. There is
// none for mean pooling, which that class does not have.
func (m *RoBERTa) Files(sc *data.Schema) (map[string][]byte, error) {
	return roberta.files(sc, &m.Encoder, &m.Classifier)
}

// Files returns the config.json with which transformers loads the weights as a BertForMaskedLM.
func (m *BERTMasked) Files(sc *data.Schema) (map[string][]byte, error) {
	return bert.files(sc, &m.Encoder, nil)
}

// Files returns the config.json with which transformers loads the weights as a RobertaForMaskedLM.
func (m *RoBERTaMasked) Files(sc *data.Schema) (map[string][]byte, error) {
	return roberta.files(sc, &m.Encoder, nil)
}

func (f *family) files(sc *data.Schema, e *Encoder, c *Classifier) (map[string][]byte, error) {
	t := sc.Text
	if t == nil {
		return nil, fmt.Errorf("text: config.json: the data has no text")
	}
	if c != nil && c.Pooling != "cls" {
		return nil, nil
	}
	d := &described{
		Architectures:     []string{f.mask},
		AttentionDropout:  e.attention(),
		HiddenAct:         e.HiddenAct,
		HiddenDropout:     e.hidden(),
		HiddenSize:        e.HiddenSize,
		InitializerRange:  e.InitializerRange,
		IntermediateSize:  e.IntermediateSize,
		LayerNormEps:      e.LayerNormEps,
		MaxPositions:      e.MaxPositionEmbeddings,
		ModelType:         f.name,
		NumAttentionHeads: e.NumAttentionHeads,
		NumHiddenLayers:   e.NumHiddenLayers,
		PadTokenID:        e.pad(t),
		PositionType:      "absolute",
		TieWordEmbeddings: true,
		DType:             "float32",
		TypeVocabSize:     e.TypeVocabSize,
		VocabSize:         e.vocab(t),
	}
	if c != nil {
		d.Architectures[0], d.ClassifierDropout = f.classify, first(e.Dropout, c.ClassifierDropout, &e.HiddenDropoutProb)
		d.ProblemType = "single_label_classification"
		labels := t.Labels
		if len(labels) == 0 {
			d.ProblemType, labels = "regression", []string{"LABEL_0"}
		}
		d.ID2Label, d.Label2ID = map[string]string{}, map[string]int{}
		for i, l := range labels {
			d.ID2Label[strconv.Itoa(i)], d.Label2ID[l] = l, i
		}
		if len(d.Label2ID) < len(labels) {
			return nil, fmt.Errorf("text: config.json: two classes have one name: %q", labels)
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("text: config.json: %w", err)
	}
	return map[string][]byte{"config.json": b.Bytes()}, nil
}
