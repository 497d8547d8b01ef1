package start_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/text"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/start"
)

// tiny is an encoder of few numbers.
var tiny = text.Encoder{
	HiddenSize: 3, NumHiddenLayers: 1, NumAttentionHeads: 1, IntermediateSize: 2, HiddenAct: "gelu", MaxPositionEmbeddings: 8,
	TypeVocabSize: 2, LayerNormEps: 1e-12, InitializerRange: 0.02,
}

func classifier() models.Model {
	return &text.BERT{Encoder: tiny, Classifier: text.Classifier{Pooling: "cls"}}
}

// texts are the rows of these tests: none, of classes, or of words to predict if there are none.
func texts(labels ...string) *data.Splits {
	t := &data.Text{Vocab: 5, Lengths: []int{4}, Labels: labels}
	if labels == nil {
		t.MaskRate = 0.5
	}
	return &data.Splits{Schema: &data.Schema{Text: t}, Map: &data.FeatureMap{Text: &data.TextMap{Labels: labels}}}
}

// publish writes a Hugging Face directory with fresh weights of the model, by the names that rename makes of its own; "" is left out.
func publish(t *testing.T, dir string, m models.Model, d *data.Splits, config string, rename func(string) string) *nn.Params {
	t.Helper()
	p, err := models.NewParams(m, d.Schema, 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p.All() {
		for i := range q.Data {
			q.Data[i] += float32(i) / 8
		}
	}
	c := train.Snapshot(p)
	for i := range c.Tensors {
		c.Tensors[i].Name = rename(c.Tensors[i].Name)
	}
	c.Tensors = slices.DeleteFunc(c.Tensors, func(x ckpt.Tensor) bool { return x.Name == "" })
	if err := ckpt.Save(filepath.Join(dir, run.ModelFile), c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, run.ModelConfigFile), []byte(config), 0o666); err != nil {
		t.Fatal(err)
	}
	return p
}

// load loads the weights that dir has for the model, and returns what is logged with them.
func load(t *testing.T, dir string, m models.Model, d *data.Splits) (*nn.Params, *start.Record, string) {
	t.Helper()
	var log bytes.Buffer
	tg := target(filepath.Join(dir, "run"), dir)
	tg.Model, tg.Log = m, slog.New(slog.NewTextHandler(&log, nil))
	w, err := tg.Find()
	if err != nil {
		t.Fatal(err)
	}
	p, rec, err := w.Load(d)
	if err != nil {
		t.Fatal(err)
	}
	return p, rec, log.String()
}

// TestTied: a parameter that a published file has under its other name alone is read from there. With both names, its own counts.
func TestTied(t *testing.T) {
	words := "embeddings.word_embeddings.weight"
	bert, roberta := &text.BERTMasked{Encoder: tiny}, &text.RoBERTaMasked{Encoder: tiny}
	for _, tc := range []struct {
		name       string
		m          models.Model
		own, other string
	}{
		{"BERT bias", bert, "cls.predictions.bias", "cls.predictions.decoder.bias"},
		{"BERT table", bert, "bert." + words, "cls.predictions.decoder.weight"},
		{"RoBERTa bias", roberta, "lm_head.bias", "lm_head.decoder.bias"},
		{"RoBERTa table", roberta, "roberta." + words, "lm_head.decoder.weight"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			want := publish(t, dir, tc.m, texts(), "{}", func(name string) string {
				if name == tc.own {
					return tc.other
				}
				return name
			})
			p, rec, _ := load(t, dir, tc.m, texts())
			if !p.Equal(want, nil) || len(rec.Missing) > 0 {
				t.Errorf("%s alone: the weights are others, missing %v", tc.other, rec.Missing)
			}
			c, err := ckpt.Load(filepath.Join(dir, run.ModelFile))
			if err != nil {
				t.Fatal(err)
			}
			x := *c.Get(tc.other)
			c.Get(tc.other).Data = make([]float32, len(x.Data))
			x.Name = tc.own
			c.Tensors = append(c.Tensors, x)
			if err := ckpt.Save(filepath.Join(dir, run.ModelFile), c); err != nil {
				t.Fatal(err)
			}
			if p, _, _ := load(t, dir, tc.m, texts()); !p.Equal(want, nil) {
				t.Errorf("%s and %s: the weights are others than those of %[2]s", tc.other, tc.own)
			}
		})
	}
	// A file of masked words starts a classifier, whatever it calls its table.
	dir := t.TempDir()
	want := publish(t, dir, bert, texts(), "{}", func(name string) string {
		return strings.Replace(name, "bert."+words, "cls.predictions.decoder.weight", 1)
	})
	p, _, _ := load(t, dir, classifier(), texts("a", "b"))
	if got, want := p.Get("bert."+words).Data, want.Get("bert."+words).Data; !slices.Equal(got, want) {
		t.Errorf("table of tokens of a classifier: %v, want %v", got, want)
	}
}

// TestClassOrder: the rows of a published head go to the classes of their names.
func TestClassOrder(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config string
		rows   []int // of the published head, by class of the data
	}{
		{"as the data", `{"id2label": {"0": "no", "1": "maybe", "2": "yes"}}`, []int{0, 1, 2}},
		{"turned", `{"id2label": {"0": "yes", "1": "no", "2": "maybe"}}`, []int{1, 2, 0}},
		{"upper case", `{"id2label": {"0": "YES", "1": "No", "2": "MAYBE"}}`, []int{1, 2, 0}},
		{"label2id alone", `{"label2id": {"yes": 0, "no": 1, "maybe": 2}}`, []int{1, 2, 0}},
		{"no names", `{"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}`, []int{0, 1, 2}},
		{"other names", `{"id2label": {"0": "x", "1": "y", "2": "z"}}`, []int{0, 1, 2}},
		{"a name twice", `{"id2label": {"0": "yes", "1": "yes", "2": "no"}}`, []int{0, 1, 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, d := t.TempDir(), texts("no", "maybe", "yes")
			from := publish(t, dir, classifier(), d, tc.config, strings.Clone)
			p, rec, _ := load(t, dir, classifier(), d)
			for _, q := range from.All() { // the pooler has as many rows, too
				want := q.Data
				if strings.HasPrefix(q.Name, "classifier.") {
					want = nil
					for _, row := range tc.rows {
						want = append(want, q.Data[row*q.Dim():(row+1)*q.Dim()]...)
					}
				}
				if got := p.Get(q.Name).Data; !slices.Equal(got, want) {
					t.Errorf("%s: %v, want %v", q.Name, got, want)
				}
			}
			if len(rec.Missing)+len(rec.Tables) > 0 {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// TestProblemType: a head that was trained for another kind of task is a warning.
func TestProblemType(t *testing.T) {
	for problem, warned := range map[string]bool{
		"multi_label_classification": true, "regression": true, "single_label_classification": false, "": false,
	} {
		dir, d := t.TempDir(), texts("no", "yes")
		publish(t, dir, classifier(), d, fmt.Sprintf(`{"problem_type": %q}`, problem), strings.Clone)
		_, _, log := load(t, dir, classifier(), d)
		if got := strings.Contains(log, "another kind of task"); got != warned {
			t.Errorf("problem_type %q: warned %v, want %v:\n%s", problem, got, warned, log)
		}
	}
	dir, d := t.TempDir(), texts("no", "yes") // no head is taken
	publish(t, dir, classifier(), d, `{"problem_type": "multi_label_classification"}`, func(name string) string {
		if strings.HasPrefix(name, "classifier.") {
			return ""
		}
		return name
	})
	if _, _, log := load(t, dir, classifier(), d); strings.Contains(log, "another kind of task") {
		t.Errorf("without a head:\n%s", log)
	}
}
