// Package text holds encoders of text as Hugging Face's transformers defines them: BERT (Devlin et al. 2019) and RoBERTa (Liu et
// al. 2019), with a head that classifies, ranks or regresses, or one that predicts masked tokens. Parameters have the names and
// shapes of transformers' checkpoints, and options have the names of its config.json. So transformers can load a run's directory.
//
// The tables of embeddings are weights of the graph with dense gradients, and not rows outside of it as those of a recommender. So
// the decoder of a masked language model is tied to the table of tokens by using the same node, and the gradient is the sum over
// both uses.
package text

import (
	"errors"
	"slices"
	"strings"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Encoder holds the options of a transformer encoder, by the names of Hugging Face's config.json.
type Encoder struct {
	// a Hugging Face directory, or its config.json: its values take the place of all options of that file's names
	Config            string `yaml:"config"`
	VocabSize         int    `yaml:"vocab_size"`          // rows of the table of tokens; 0: as many as the tokenizer has
	HiddenSize        int    `yaml:"hidden_size"`         // width of a token
	NumHiddenLayers   int    `yaml:"num_hidden_layers"`   // layers
	NumAttentionHeads int    `yaml:"num_attention_heads"` // heads of attention, which divide hidden_size
	IntermediateSize  int    `yaml:"intermediate_size"`   // width within a layer's feed-forward part
	// activation there: gelu, gelu_new, gelu_pytorch_tanh (the same) or relu
	HiddenAct string `yaml:"hidden_act"`
	// dropped share of embeddings and of what layers add, in [0, 1)
	HiddenDropoutProb         float64 `yaml:"hidden_dropout_prob"`
	AttentionProbsDropoutProb float64 `yaml:"attention_probs_dropout_prob"` // dropped share of attention's weights, in [0, 1)
	// in the place of every other dropout, also of those of a config.json; null: they hold
	Dropout *float64 `yaml:"dropout"`
	// rows of the table of positions; RoBERTa leaves the first pad_token_id + 1 unused
	MaxPositionEmbeddings int `yaml:"max_position_embeddings"`
	// rows of the table of segments; with 1 row, all tokens are of segment 0
	TypeVocabSize    int     `yaml:"type_vocab_size"`
	LayerNormEps     float64 `yaml:"layer_norm_eps"`    // added to the variances
	PadTokenID       *int    `yaml:"pad_token_id"`      // id of padding; null: the tokenizer's
	InitializerRange float64 `yaml:"initializer_range"` // standard deviation of fresh weights
}

// Classifier holds the options of a head over whole sequences.
type Classifier struct {
	// what stands for a sequence: cls, its first token; or mean, of its tokens, which transformers' models do not have
	Pooling           string   `yaml:"pooling"`
	ClassifierDropout *float64 `yaml:"classifier_dropout"` // dropped share of the head's inputs, in [0, 1); null: hidden_dropout_prob
}

// bertBase is transformers' BertConfig.
var bertBase = Encoder{
	HiddenSize: 768, NumHiddenLayers: 12, NumAttentionHeads: 12, IntermediateSize: 3072, HiddenAct: "gelu", HiddenDropoutProb: 0.1,
	AttentionProbsDropoutProb: 0.1, MaxPositionEmbeddings: 512, TypeVocabSize: 2, LayerNormEps: 1e-12, InitializerRange: 0.02,
}

// robertaBase is the published roberta-base. The defaults of transformers' RobertaConfig are others.
var robertaBase = func() Encoder {
	e := bertBase
	e.MaxPositionEmbeddings, e.TypeVocabSize, e.LayerNormEps = 514, 1, 1e-5
	return e
}()

// maxLayers is well above what encoders have. The graph of more would take minutes to build.
const maxLayers = 1024

// Validate reports every option out of range.
func (e *Encoder) Validate() error {
	errs := []error{
		registry.AtLeast("vocab_size", e.VocabSize, 0),
		registry.AtLeast("hidden_size", e.HiddenSize, 1),
		registry.AtLeast("num_hidden_layers", e.NumHiddenLayers, 1),
		registry.AtLeast("num_attention_heads", e.NumAttentionHeads, 1),
		registry.AtLeast("intermediate_size", e.IntermediateSize, 1),
		registry.OneOf("hidden_act", e.HiddenAct, "gelu", "gelu_new", "gelu_pytorch_tanh", "relu"),
		share("hidden_dropout_prob", &e.HiddenDropoutProb),
		share("attention_probs_dropout_prob", &e.AttentionProbsDropoutProb),
		share("dropout", e.Dropout),
		registry.AtLeast("max_position_embeddings", e.MaxPositionEmbeddings, 1),
		registry.AtLeast("type_vocab_size", e.TypeVocabSize, 1),
		registry.InOpen("layer_norm_eps", e.LayerNormEps, 0, 1),
		registry.InAbove("initializer_range", e.InitializerRange, 0, 1),
	}
	if h := e.NumAttentionHeads; h > 0 && e.HiddenSize > 0 && e.HiddenSize%h != 0 {
		errs = append(errs, registry.Field("num_attention_heads", "%d heads do not divide the hidden_size of %d", h, e.HiddenSize))
	}
	if n := e.NumHiddenLayers; n > maxLayers {
		errs = append(errs, registry.Field("num_hidden_layers", "must be at most %d, have %d", maxLayers, n))
	}
	if p := e.PadTokenID; p != nil {
		errs = append(errs, registry.AtLeast("pad_token_id", *p, 0))
		if e.VocabSize > 0 && *p >= e.VocabSize {
			errs = append(errs, registry.Field("pad_token_id", "is %d, but the vocab_size is %d", *p, e.VocabSize))
		}
	}
	return errors.Join(errs...)
}

// Validate reports every option out of range.
func (h *Classifier) Validate() error {
	return errors.Join(registry.OneOf("pooling", h.Pooling, "cls", "mean"), share("classifier_dropout", h.ClassifierDropout))
}

// share checks an option that is a share if it is given.
func share(key string, p *float64) error {
	if p == nil {
		return nil
	}
	return registry.InBelow(key, *p, 0, 1)
}

// hidden, attention and classifier return the dropouts that hold: that of hidden values, of attention's weights, and of a head.
func (e *Encoder) hidden() float64    { return *first(e.Dropout, &e.HiddenDropoutProb) }
func (e *Encoder) attention() float64 { return *first(e.Dropout, &e.AttentionProbsDropoutProb) }
func (e *Encoder) classifier(h *Classifier) float64 {
	return *first(e.Dropout, h.ClassifierDropout, &e.HiddenDropoutProb)
}

// first returns the first that is not nil.
func first[T any](ps ...*T) *T {
	return ps[slices.IndexFunc(ps, func(p *T) bool { return p != nil })]
}

// vocab returns the rows of the table of tokens.
func (e *Encoder) vocab(t *data.Text) int {
	if e.VocabSize > 0 {
		return e.VocabSize
	}
	return t.Vocab
}

// pad returns the id of padding.
func (e *Encoder) pad(t *data.Text) int {
	if e.PadTokenID != nil {
		return *e.PadTokenID
	}
	return int(t.Pad)
}

// activation is an option hidden_act: a form of GELU, or an activation that a linear map ends with.
type activation struct {
	gelu bool
	form ops.GELUForm
	act  kernel.Act
}

var activations = map[string]activation{
	"gelu":              {gelu: true, form: ops.GELUExact},
	"gelu_new":          {gelu: true, form: ops.GELUTanh},
	"gelu_pytorch_tanh": {gelu: true, form: ops.GELUTanh},
	"relu":              {act: kernel.ReLU},
}

// family is what tells BERT from RoBERTa.
type family struct {
	name     string  // config.json's model_type, and the first part of the names of the encoder's parameters
	offset   bool    // positions are counted from the padding's id + 1
	classify string  // transformers' class for sequence classification
	mask     string  // transformers' class for masked tokens
	absent   Encoder // what a config.json means that lacks a key
	noPad    int     // pad_token_id of one that lacks it
	noVocab  int     // vocab_size of one that lacks it
}

var bert = &family{
	name: "bert", classify: "BertForSequenceClassification", mask: "BertForMaskedLM", absent: bertBase, noPad: 0, noVocab: 30522,
}

var roberta = &family{
	name: "roberta", offset: true, classify: "RobertaForSequenceClassification", mask: "RobertaForMaskedLM",
	absent: bertBase, noPad: 1, noVocab: 50265,
}

// start returns the number added to positions.
func (f *family) start(e *Encoder, t *data.Text) int {
	if f.offset {
		return e.pad(t) + 1
	}
	return 0
}

// frozen reports whether every parameter of the encoder is frozen.
func (f *family) frozen(s *nn.Scope, e *Encoder) bool {
	if s.Frozen == nil {
		return false
	}
	for _, name := range f.names(e) {
		if !s.Frozen(name) {
			return false
		}
	}
	return true
}

// names returns the names of the encoder's parameters.
func (f *family) names(e *Encoder) []string {
	var out []string
	for _, table := range []string{"word", "position", "token_type"} {
		out = append(out, f.name+".embeddings."+table+"_embeddings.weight")
	}
	add := func(layer, parts string) {
		for part := range strings.FieldsSeq(parts) {
			out = append(out, layer+part+".weight", layer+part+".bias")
		}
	}
	add(f.name+".embeddings.", "LayerNorm")
	for i := range e.NumHiddenLayers {
		add(f.layer(i)+".", "attention.self.query attention.self.key attention.self.value attention.output.dense "+
			"attention.output.LayerNorm intermediate.dense output.dense output.LayerNorm")
	}
	return out
}
