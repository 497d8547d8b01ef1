package text_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/text"
)

// A config.json is refused, or it gives sizes that a model can have.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		miniLM, "", "{}", "[]", "null", `{"model_type": "bert"}`, `{"model_type": null}`, strings.Repeat("[", 20000),
		strings.Replace(miniLM, "384", "-384", 1), strings.Replace(miniLM, "384", "4611686018427387904", 1), strings.Replace(miniLM, "12", "7", 1),
		strings.Replace(miniLM, `"num_hidden_layers": 6`, `"num_hidden_layers": 1000000`, 1), strings.Replace(miniLM, "30522", "1e400", 1),
		strings.Replace(miniLM, "1e-12", "-1", 1), strings.Replace(miniLM, `"gelu"`, "7", 1),
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), b, 0o666); err != nil {
			t.Fatal(err)
		}
		m := bert(func(e *text.Encoder) { e.Config = dir })
		if m.Resolve() != nil {
			return
		}
		e := m.Encoder
		if e.HiddenSize < 1 || e.NumAttentionHeads < 1 || e.HiddenSize%e.NumAttentionHeads != 0 || e.NumHiddenLayers < 1 || e.VocabSize < 0 ||
			e.IntermediateSize < 1 || e.MaxPositionEmbeddings < 1 || !(e.LayerNormEps >= 0) || e.HiddenDropoutProb < 0 || e.HiddenDropoutProb >= 1 {
			t.Fatalf("%q: %+v", b, e)
		}
	})
}
