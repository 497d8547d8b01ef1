package text_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/text"
)

// miniLM is the config.json of sentence-transformers/all-MiniLM-L6-v2.
const miniLM = `{
  "_name_or_path": "nreimers/MiniLM-L6-H384-uncased",
  "architectures": ["BertModel"],
  "attention_probs_dropout_prob": 0.1,
  "gradient_checkpointing": false,
  "hidden_act": "gelu",
  "hidden_dropout_prob": 0.1,
  "hidden_size": 384,
  "initializer_range": 0.02,
  "intermediate_size": 1536,
  "layer_norm_eps": 1e-12,
  "max_position_embeddings": 512,
  "model_type": "bert",
  "num_attention_heads": 12,
  "num_hidden_layers": 6,
  "pad_token_id": 0,
  "position_embedding_type": "absolute",
  "transformers_version": "4.8.2",
  "type_vocab_size": 2,
  "use_cache": true,
  "vocab_size": 30522
}`

func write(t *testing.T, config string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestResolve(t *testing.T) {
	zero, drop, tenth := 0, 0.25, 0.1
	m := bert(func(e *text.Encoder) { e.Config, e.VocabSize, e.Dropout = write(t, miniLM), 7, &drop })
	m.Pooling, m.ClassifierDropout = "mean", &tenth
	if err := m.Resolve(); err != nil {
		t.Fatal(err)
	}
	want := text.Encoder{
		VocabSize: 30522, HiddenSize: 384, NumHiddenLayers: 6, NumAttentionHeads: 12, IntermediateSize: 1536,
		HiddenAct: "gelu", HiddenDropoutProb: 0.1,
		AttentionProbsDropoutProb: 0.1, Dropout: &drop, MaxPositionEmbeddings: 512, TypeVocabSize: 2,
		LayerNormEps: 1e-12, PadTokenID: &zero, InitializerRange: 0.02,
	}
	if !reflect.DeepEqual(m.Encoder, want) || m.Pooling != "mean" || m.ClassifierDropout != nil {
		t.Errorf("options %+v, want %+v", m.Encoder, want)
	}
	if err := m.Resolve(); err != nil || !reflect.DeepEqual(m.Encoder, want) {
		t.Errorf("a second time: error %v, options %+v", err, m.Encoder)
	}

	one := 1
	r := roberta()
	r.Config = filepath.Join(write(t, `{"model_type": "roberta", "hidden_size": 24, "classifier_dropout": 0.25}`), "config.json")
	if err := r.Resolve(); err != nil {
		t.Fatal(err)
	}
	want = text.Encoder{ // the rest is RobertaConfig's, which is not that of roberta-base
		VocabSize: 50265, HiddenSize: 24, NumHiddenLayers: 12, NumAttentionHeads: 12, IntermediateSize: 3072,
		HiddenAct: "gelu", HiddenDropoutProb: 0.1,
		AttentionProbsDropoutProb: 0.1, MaxPositionEmbeddings: 512, TypeVocabSize: 2, LayerNormEps: 1e-12,
		PadTokenID: &one, InitializerRange: 0.02,
	}
	if !reflect.DeepEqual(r.Encoder, want) || r.ClassifierDropout == nil || *r.ClassifierDropout != 0.25 {
		t.Errorf("options %+v, want %+v", r.Encoder, want)
	}
}

func TestBadConfigs(t *testing.T) {
	for _, c := range []struct {
		m            models.Resolver
		config, want string
	}{
		{&text.BERT{}, ``, ": unexpected end of JSON input"},
		{&text.BERT{}, `[]`, ": is a array, want an object"},
		{&text.BERT{}, `{"model_type": "bert", "hidden_size": "384"}`, ": hidden_size is a string, want a whole number"},
		{&text.BERT{}, `{"model_type": "bert", "hidden_size": 38.4}`, ": hidden_size is a number 38.4, want a whole number"},
		{&text.BERT{}, `{}`, ": has no model_type, want bert"},
		{&text.BERT{}, `{"model_type": "deberta-v2"}`, ": model_type is deberta-v2, want bert"},
		{&text.BERT{}, `{"model_type": "roberta"}`, ": model_type is roberta: write model.type: roberta"},
		{&text.RoBERTaMasked{}, `{"model_type": "bert"}`, ": model_type is bert: write model.type: bert_mlm"},
		{
			&text.BERT{}, `{"model_type": "bert", "position_embedding_type": "relative_key"}`,
			": position_embedding_type is relative_key, want absolute",
		},
		{
			&text.BERT{}, `{"model_type": "bert", "is_decoder": true}`,
			": the model is a decoder (is_decoder, add_cross_attention), want an encoder",
		},
		{
			&text.BERTMasked{}, `{"model_type": "bert", "tie_word_embeddings": false}`,
			": tie_word_embeddings is false: the decoder of masked tokens must be the table of tokens",
		},
		{
			&text.BERTMasked{}, `{"model_type": "bert", "num_attention_heads": 7}`,
			": num_attention_heads: 7 heads do not divide the hidden_size of 768",
		},
		{
			&text.BERTMasked{}, `{"model_type": "bert", "hidden_act": "silu"}`,
			": hidden_act: must be gelu, gelu_new, gelu_pytorch_tanh or relu",
		},
	} {
		path := filepath.Join(write(t, c.config), "config.json")
		field := reflect.ValueOf(c.m).Elem().FieldByName("Encoder").Addr().Interface().(*text.Encoder)
		field.Config = path
		before := *field
		err := c.m.Resolve()
		if want := "text: model.config: " + path + c.want; err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", c.config, err, want)
		}
		if *field != before {
			t.Errorf("%s: the options changed to %+v", c.config, *field)
		}
	}
	adapter := t.TempDir()
	if err := os.WriteFile(filepath.Join(adapter, "adapter_config.json"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	a := &text.BERT{Encoder: text.Encoder{Config: adapter}}
	if err := a.Resolve(); err == nil || !strings.Contains(err.Error(), "is an adapter") {
		t.Errorf("an adapter's directory: error %v", err)
	}
	m := &text.BERT{Encoder: text.Encoder{Config: filepath.Join(t.TempDir(), "absent")}}
	want := "absent: there is no such file: give a directory with a config.json, or the file"
	if err := m.Resolve(); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	off, bad := -1, 1.5
	m := &text.BERT{
		Encoder: text.Encoder{
			VocabSize: -1, NumAttentionHeads: 3, HiddenSize: 32, HiddenAct: "swish", HiddenDropoutProb: 1,
			AttentionProbsDropoutProb: -0.1, Dropout: &bad,
			LayerNormEps: 0, PadTokenID: &off,
		},
		Classifier: text.Classifier{Pooling: "max", ClassifierDropout: &bad},
	}
	want := `vocab_size: must not be negative
num_hidden_layers: must be at least 1
intermediate_size: must be at least 1
hidden_act: must be gelu, gelu_new, gelu_pytorch_tanh or relu
hidden_dropout_prob: must be in [0, 1)
attention_probs_dropout_prob: must be in [0, 1)
dropout: must be in [0, 1)
max_position_embeddings: must be at least 1
type_vocab_size: must be at least 1
layer_norm_eps: must be in (0, 1)
initializer_range: must be in (0, 1]
num_attention_heads: 3 heads do not divide the hidden_size of 32
pad_token_id: must not be negative
pooling: must be cls or mean
classifier_dropout: must be in [0, 1)`
	if err := m.Validate(); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	for _, name := range []string{"bert", "roberta", "bert_mlm", "roberta_mlm"} {
		d, ok := models.Registry.Default(name)
		if !ok {
			t.Fatalf("%s is not registered", name)
		}
		if err := d.(interface{ Validate() error }).Validate(); err != nil {
			t.Errorf("defaults of %s: %v", name, err)
		}
	}
}

func TestImport(t *testing.T) {
	for _, c := range []struct {
		m          models.Importer
		name, want string
	}{
		{&text.BERT{}, "embeddings.word_embeddings.weight", "bert.embeddings.word_embeddings.weight"},
		{&text.BERT{}, "encoder.layer.3.output.LayerNorm.gamma", "bert.encoder.layer.3.output.LayerNorm.weight"},
		{&text.BERT{}, "bert.embeddings.LayerNorm.beta", "bert.embeddings.LayerNorm.bias"},
		{&text.BERT{}, "pooler.dense.bias", "bert.pooler.dense.bias"},
		{&text.BERT{}, "classifier.weight", "classifier.weight"},
		{&text.BERT{}, "embeddings.position_ids", ""},
		{&text.BERT{}, "cls.predictions.bias", ""},
		{&text.BERT{}, "cls.seq_relationship.weight", ""},
		{&text.BERT{}, "no.such.thing", "no.such.thing"},
		{&text.RoBERTa{}, "roberta.embeddings.position_ids", ""},
		{&text.RoBERTa{}, "lm_head.dense.weight", ""},
		{&text.RoBERTa{}, "pooler.dense.weight", ""},
		{&text.RoBERTa{}, "encoder.layer.0.attention.self.key.bias", "roberta.encoder.layer.0.attention.self.key.bias"},
		{&text.RoBERTa{}, "classifier.out_proj.weight", "classifier.out_proj.weight"},
		{&text.BERTMasked{}, "cls.predictions.transform.LayerNorm.gamma", "cls.predictions.transform.LayerNorm.weight"},
		{&text.BERTMasked{}, "cls.predictions.bias", "cls.predictions.bias"},
		{&text.BERTMasked{}, "cls.predictions.decoder.weight", ""},
		{&text.BERTMasked{}, "cls.predictions.decoder.bias", ""},
		{&text.BERTMasked{}, "cls.seq_relationship.bias", ""},
		{&text.BERTMasked{}, "bert.pooler.dense.weight", ""},
		{&text.RoBERTaMasked{}, "lm_head.decoder.weight", ""},
		{&text.RoBERTaMasked{}, "lm_head.layer_norm.bias", "lm_head.layer_norm.bias"},
	} {
		if got, ok := c.m.Import(c.name); got != c.want || ok != (c.want != "") {
			t.Errorf("%T: %s is %q, %v; want %q", c.m, c.name, got, ok, c.want)
		}
	}
	for _, c := range []struct {
		m    models.Importer
		name string
		want bool
	}{
		{&text.BERT{}, "classifier.weight", true},
		{&text.BERT{}, "bert.pooler.dense.weight", true},
		{&text.BERT{}, "bert.encoder.layer.0.output.dense.bias", false},
		{&text.RoBERTa{}, "classifier.out_proj.bias", true},
		{&text.RoBERTa{}, "roberta.embeddings.LayerNorm.bias", false},
		{&text.BERTMasked{}, "cls.predictions.bias", true},
		{&text.RoBERTaMasked{}, "lm_head.bias", true},
	} {
		if got := c.m.Fresh(c.name); got != c.want {
			t.Errorf("%T: %s may be missing: %v, want %v", c.m, c.name, got, c.want)
		}
	}
}
