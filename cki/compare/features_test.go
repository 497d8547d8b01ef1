package compare_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/regime"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/set"
	"github.com/splice-ml/splice/models/text"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/task"
)

// TestHeadsOverFeatures: heads over a frozen encoder are compared over its features, which are computed once, with the same rows as
// without them; encoders that differ are not.
func TestHeadsOverFeatures(t *testing.T) {
	t.Chdir(t.TempDir())
	r := set.Reviews{Train: 96, Valid: 64, Test: 64, Seed: 1, TextOptions: data.DefaultTextOptions()}
	r.VocabSize, r.MaxLength = 100, 16
	d, err := r.Open(t.Context(), data.OpenOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	classify, _ := task.Registry.Default("classification")
	model := &text.BERT{
		Encoder: text.Encoder{
			HiddenSize: 16, NumHiddenLayers: 1, NumAttentionHeads: 2, IntermediateSize: 16, HiddenAct: "gelu", MaxPositionEmbeddings: 16,
			TypeVocabSize: 2, LayerNormEps: 1e-12, InitializerRange: 0.2,
		},
		Classifier: text.Classifier{Pooling: "mean"},
	}
	base := lab(t)
	rows := map[bool][2]string{} // of parents whose encoders differ, without features and with them
	for _, tc := range []struct{ differ, features bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		l := &cki.Lab{Model: model, Task: classify, Data: d, Options: train.Defaults(), Seed: 3, Dir: t.TempDir(), Digest: "d", Log: base.Log}
		l.Options.BatchSize, l.Options.Epochs, l.Options.LearningRate = 32, 2, 1e-2
		l.Options.Freeze, l.Options.CacheFeatures = []string{"bert.embeddings.*", "bert.encoder.*"}, tc.features
		if l.Start, err = l.NewParams(7); err != nil { // an encoder that the parents share
			t.Fatal(err)
		}
		f, err := regime.Independent{Count: 2}.Make(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		if tc.differ {
			f.Members[1].Params.Get("bert.encoder.layer.0.output.LayerNorm.bias").Data[3] += 2
		}
		o := options(t)
		o.Finetune.Teacher, o.Finetune.Freeze, o.Align.Match = "none", l.Options.Freeze, "none"
		o.Select = []string{"bert.pooler.dense.weight", "classifier.weight"}
		out, err := compare.Run(t.Context(), l, o, f, nil)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, r := range out.Rows {
			fmt.Fprintln(&text, r.Name, r.Valid, r.Test)
		}
		pair := rows[tc.differ]
		pair[map[bool]int{true: 1}[tc.features]] = text.String()
		rows[tc.differ] = pair
		if b, e := row(out, "base"), row(out, "ensemble"); e.Valid["cross_entropy"] == b.Valid["cross_entropy"] {
			t.Errorf("%+v: the ensemble is the base: %v", tc, e.Valid)
		}
		files, err := filepath.Glob(filepath.Join(".cache", "features*"))
		if want := map[bool]int{true: 3}[tc.features]; !tc.differ && (err != nil || len(files) != want) {
			t.Errorf("%+v: files of features %v, %v, want %d: one for each part", tc, files, err, want)
		}
	}
	for differ, pair := range rows {
		if pair[0] != pair[1] {
			t.Errorf("encoders that differ: %v; over texts:\n%s\nover features:\n%s", differ, pair[0], pair[1])
		}
	}
	if rows[false][1] == rows[true][1] {
		t.Error("the other encoder makes no difference")
	}
}
