package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/data/bound"
)

// file holds what is read of a config.json. A key that is not there stays nil.
type file struct {
	ModelType         *string  `json:"model_type"`
	VocabSize         *int     `json:"vocab_size"`
	HiddenSize        *int     `json:"hidden_size"`
	NumHiddenLayers   *int     `json:"num_hidden_layers"`
	NumAttentionHeads *int     `json:"num_attention_heads"`
	IntermediateSize  *int     `json:"intermediate_size"`
	HiddenAct         *string  `json:"hidden_act"`
	HiddenDropout     *float64 `json:"hidden_dropout_prob"`
	AttentionDropout  *float64 `json:"attention_probs_dropout_prob"`
	ClassifierDropout *float64 `json:"classifier_dropout"`
	MaxPositions      *int     `json:"max_position_embeddings"`
	TypeVocabSize     *int     `json:"type_vocab_size"`
	LayerNormEps      *float64 `json:"layer_norm_eps"`
	PadTokenID        *int     `json:"pad_token_id"`
	InitializerRange  *float64 `json:"initializer_range"`

	PositionType   *string `json:"position_embedding_type"`
	IsDecoder      bool    `json:"is_decoder"`
	CrossAttention bool    `json:"add_cross_attention"`
	Tied           *bool   `json:"tie_word_embeddings"`
}

// Resolve reads the config.json that the options name into them.
func (m *BERT) Resolve() error { return bert.resolve(&m.Encoder, &m.Classifier, m.Validate) }

// Resolve reads the config.json that the options name into them.
func (m *RoBERTa) Resolve() error { return roberta.resolve(&m.Encoder, &m.Classifier, m.Validate) }

// Resolve reads the config.json that the options name into them.
func (m *BERTMasked) Resolve() error { return bert.resolve(&m.Encoder, nil, m.Validate) }

// Resolve reads the config.json that the options name into them.
func (m *RoBERTaMasked) Resolve() error { return roberta.resolve(&m.Encoder, nil, m.Validate) }

// resolve sets the options to what the file says, and those that it does not name to transformers' defaults. c is nil for a model
// that predicts tokens. After an error the options are as before.
func (f *family) resolve(e *Encoder, c *Classifier, validate func() error) error {
	if e.Config == "" {
		return nil
	}
	path := e.Config
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, "config.json")
	}
	h, err := f.read(path, c == nil)
	if err != nil {
		return fmt.Errorf("text: model.config: %w", err)
	}
	oldE := *e
	var oldC Classifier
	if c != nil {
		oldC = *c
		c.ClassifierDropout = h.ClassifierDropout
	}
	a, pad := &f.absent, f.noPad
	*e = Encoder{
		VocabSize:                 *first(h.VocabSize, &f.noVocab),
		HiddenSize:                *first(h.HiddenSize, &a.HiddenSize),
		NumHiddenLayers:           *first(h.NumHiddenLayers, &a.NumHiddenLayers),
		NumAttentionHeads:         *first(h.NumAttentionHeads, &a.NumAttentionHeads),
		IntermediateSize:          *first(h.IntermediateSize, &a.IntermediateSize),
		HiddenAct:                 *first(h.HiddenAct, &a.HiddenAct),
		HiddenDropoutProb:         *first(h.HiddenDropout, &a.HiddenDropoutProb),
		AttentionProbsDropoutProb: *first(h.AttentionDropout, &a.AttentionProbsDropoutProb),
		Dropout:                   oldE.Dropout,
		MaxPositionEmbeddings:     *first(h.MaxPositions, &a.MaxPositionEmbeddings),
		TypeVocabSize:             *first(h.TypeVocabSize, &a.TypeVocabSize),
		LayerNormEps:              *first(h.LayerNormEps, &a.LayerNormEps),
		PadTokenID:                first(h.PadTokenID, &pad),
		InitializerRange:          *first(h.InitializerRange, &a.InitializerRange),
	}
	if err := validate(); err != nil {
		*e = oldE
		if c != nil {
			*c = oldC
		}
		return fmt.Errorf("text: model.config: %s: %w", path, err)
	}
	return nil
}

// read reads a config.json and refuses one of another model.
func (f *family) read(path string, masked bool) (*file, error) {
	b, err := bound.ReadFile(path, bound.JSON)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "adapter_config.json")); err == nil {
			return nil, fmt.Errorf("%s: there is no such file: the directory is an adapter, not a whole model: merge it into its base "+
				"model with peft (merge_and_unload, save_pretrained), and give the result", path)
		}
		return nil, fmt.Errorf("%s: there is no such file: give a directory with a config.json, or the file", path)
	} else if err != nil {
		return nil, err
	}
	h := &file{}
	if err := json.Unmarshal(b, h); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			if kind.Field == "" {
				return nil, fmt.Errorf("%s: is a %s, want an object", path, kind.Value)
			}
			return nil, fmt.Errorf("%s: %s is a %s, want a %s", path, kind.Field, kind.Value, kindName(kind.Type.Kind().String()))
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{path}, args...)...))
	}
	switch {
	case h.ModelType == nil:
		refuse("has no model_type, want %s", f.name)
	case *h.ModelType == bert.name || *h.ModelType == roberta.name:
		if *h.ModelType != f.name {
			refuse("model_type is %s: write model.type: %s", *h.ModelType, *h.ModelType+suffix(masked))
		}
	default:
		refuse("model_type is %s, want %s", *h.ModelType, f.name)
	}
	if p := h.PositionType; p != nil && *p != "absolute" {
		refuse("position_embedding_type is %s, want absolute", *p)
	}
	if h.IsDecoder || h.CrossAttention {
		refuse("the model is a decoder (is_decoder, add_cross_attention), want an encoder")
	}
	if masked && h.Tied != nil && !*h.Tied {
		refuse("tie_word_embeddings is false: the decoder of masked tokens must be the table of tokens")
	}
	return h, errors.Join(errs...)
}

// suffix returns the end of a model's name: "_mlm" if it predicts masked tokens.
func suffix(masked bool) string {
	if masked {
		return "_mlm"
	}
	return ""
}

// kindName returns what JSON calls a Go kind.
func kindName(kind string) string {
	switch kind {
	case "int":
		return "whole number"
	case "float64":
		return "number"
	}
	return kind
}
