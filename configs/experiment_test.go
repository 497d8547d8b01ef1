package configs_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/task"
)

const minimal = "data: {type: criteo, path: x.tsv}\nmodel: deepfm\n"

func load(t *testing.T, text string, set ...string) (*configs.Experiment, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return configs.Load(path, set)
}

func mustLoad(t *testing.T, text string, set ...string) *configs.Experiment {
	t.Helper()
	e, err := load(t, text, set...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestLoad(t *testing.T) {
	e := mustLoad(t, minimal, "model.embedding_dim=4", "seed=7")
	m, ok := e.Model.(ctr.DeepFM)
	if !ok || m.EmbeddingDim != 4 || e.Seed != 7 || e.Train.BatchSize != configs.Default().Train.BatchSize || e.Task == nil {
		t.Errorf("Load = %+v", e)
	}
}

// The resolved config names every option, and loads to the same experiment.
func TestYAML(t *testing.T) {
	e := mustLoad(t, minimal, "train={optimizer: {type: adamw, weight_decay: 0.1}, schedule: cosine}",
		"data.columns={C1: {type: categorical, hash: 10}, 'I*': ignore}")
	text, err := e.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"seed: 1\n", "embedding_dim: 16\n", "weight_decay: 0.1\n", "type: binary_classification\n", "num_cycles: 0.5\n", "hash: 10\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("resolved config lacks %q:\n%s", want, text)
		}
	}
	again := mustLoad(t, string(text))
	if d := cmp.Diff(e, again); d != "" {
		t.Error(d)
	}
	second, err := again.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != string(second) {
		t.Errorf("prints as\n%s\nthen as\n%s", text, second)
	}
}

func TestDigest(t *testing.T) {
	digest := func(set ...string) string {
		d, err := mustLoad(t, minimal, set...).Digest()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	base := digest()
	if len(base) != 16 || strings.Trim(base, "0123456789abcdef") != "" {
		t.Errorf("digest %q", base)
	}
	// A further key must not change it (the tag options nodigest and added); another default of a key does.
	if want := "a42f41a924a08407"; base != want {
		t.Errorf("digest %s, of configs before it was %s", base, want)
	}
	for _, same := range [][]string{
		{"run=elsewhere"},
		{"threads=3"},
		{"model.embedding_dim=16"},
		{"train.optimizer=adam"},
		{"data.path=[x.tsv]"},
		{"serve.quantize=int8"},
		{"train.precision=highest"}, // was added later: digests of before hold
	} {
		if got := digest(same...); got != base {
			t.Errorf("digest with %v = %s, want %s", same, got, base)
		}
	}
	for _, other := range []string{
		"seed=2", "model.embedding_dim=15", "train.optimizer=sgd", "data.path=y.tsv", "train.optimizer.eps=1e-9",
		"train.precision=high", "train.precision=medium",
	} {
		if got := digest(other); got == base {
			t.Errorf("digest with %s is that without it", other)
		}
	}
}

// What Defaults prints for a type can be pasted into a config and gives the type's defaults.
func TestDefaults(t *testing.T) {
	for _, k := range registry.Kinds() {
		loc := configs.Location(k.Iface)
		for _, name := range k.Names {
			var out bytes.Buffer
			if err := configs.Defaults(&out, name); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(out.String(), "# ") {
				t.Errorf("defaults of %s have no description:\n%s", name, out.String())
			}
			if loc == "" {
				continue
			}
			text := out.String()
			if loc != "data" {
				text += "data: {type: criteo, path: x.tsv}\n"
			}
			if loc != "model" {
				text += "model: lr\n"
			}
			_, err := load(t, text)
			var e *registry.Error
			if err != nil && !errors.As(err, &e) {
				t.Fatal(err)
			}
			if e == nil {
				continue
			}
			for _, p := range e.Problems { // options without a default are all that may be wrong
				if !strings.Contains(p.Msg, "missing") && !strings.HasSuffix(p.Msg, `have ""`) {
					t.Errorf("%s: %v\n%s", name, p, text)
				}
			}
		}
	}
}

func TestDefaultsText(t *testing.T) {
	var out bytes.Buffer
	if err := configs.Defaults(&out, "deepfm"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"model:\n  type: deepfm\n  embedding_dim: 16 # width of each feature's embedding\n", "hidden_units: [400, 400, 400] # ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := configs.Defaults(&out, "train"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"train:\n", "  batch_size: 4096 # rows a step\n", "    type: adam\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
	err := configs.Defaults(&out, "dcn2")
	if err == nil || !strings.Contains(err.Error(), `no options are known by the name "dcn2"; did you mean "dcn"?`) ||
		!strings.Contains(err.Error(), "shared_bottom, widedeep, wukong, xdeepfm (model)") {
		t.Errorf("Defaults(dcn2) = %v", err)
	}
}

// Every config of the repository loads, says on top how to run it, and its model and task train a step on rows of
// every kind of feature.
func TestConfigsLoad(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasPrefix(file, "search_") { // package search loads them
			continue
		}
		t.Run(strings.TrimSuffix(file, ".yaml"), func(t *testing.T) {
			e, err := configs.Load(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			text, err := e.YAML()
			if err != nil {
				t.Fatal(err)
			}
			again, err := load(t, string(text))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(e, again); d != "" {
				t.Error(d)
			}
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(src), "# ") || !strings.Contains(string(src), "Run: ") {
				t.Errorf("%s: the header should say what it is and how to run it (\"Run: ...\")", file)
			}
			if e.Fallback == configs.FallbackSynthetic { // the model of its own size is in a file that is not here
				if e, err = configs.Load(file, []string{"fallback=always"}); err != nil {
					t.Fatal(err)
				}
			}
			step(t, e)
		})
	}
}

// step compiles an experiment's model and task for a small schema and trains one step of them.
func step(t *testing.T, e *configs.Experiment) {
	t.Helper()
	sc, b := table(e.Task)
	if _, ok := e.Model.(models.Importer); ok {
		sc, b = sentences(e.Task)
	}
	o := models.CompileOptions{Batch: 4, Train: true, Seed: e.Seed, Loss: e.Task.Loss}
	if r, ok := e.Task.(task.Ranking); ok {
		o.WholeCatalogue = r.WholeCatalogue()
	}
	prog, err := models.Compile(e.Model, nn.NewParams(e.Seed), sc, o)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := prog.Run(b, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !(loss > 0 && loss < 100) {
		t.Errorf("loss = %v", loss)
	}
	if err := prog.Close(); err != nil {
		t.Error(err)
	}
}

// table returns rows with every kind of feature, and the labels of the task.
func table(of task.Task) (*data.Schema, *data.Batch) {
	sc := &data.Schema{NumDense: 1, Features: []data.Feature{
		{Name: "a", Kind: data.Categorical, Vocab: 5, Table: "a"},
		{Name: "b", Kind: data.Multi, Vocab: 7, MaxLen: 3, Table: "b"},
		{Name: "c", Kind: data.Numeric, Table: "c"},
		{Name: "item", Kind: data.Categorical, Vocab: 9, Table: "item"},
		{Name: "history", Kind: data.Sequence, Vocab: 9, MaxLen: 4, Table: "item"},
		{Name: "category", Kind: data.Categorical, Vocab: 4, Table: "category"},
		{Name: "history_category", Kind: data.Sequence, Vocab: 4, MaxLen: 4, Table: "category"},
	}}
	for _, name := range []string{"user", "C1", "C2"} { // that configs name
		sc.Features = append(sc.Features, data.Feature{Name: name, Kind: data.Categorical, Vocab: 3, Table: name})
	}
	if m, ok := of.(task.MultiTask); ok {
		for _, p := range m.Tasks {
			sc.Labels = append(sc.Labels, data.Label{Name: p.Label})
		}
	}
	b := data.NewBatch(sc, 4)
	b.N = 2
	copy(b.IDs["a"], []int32{1, 4})
	copy(b.IDs["b"], []int32{2, 3, 0, 6, 0, 0})
	copy(b.IDs["item"], []int32{5, 2})
	copy(b.IDs["history"], []int32{2, 3, 7, 0, 6, 0, 0, 0})
	copy(b.IDs["category"], []int32{3, 2})
	copy(b.IDs["history_category"], []int32{2, 2, 1, 0, 3, 0, 0, 0})
	copy(b.Dense, []float32{-1, 2})
	copy(b.Label, []float32{1, 0})
	return sc, b
}

// sentences returns texts, with two classes or with masks.
func sentences(k task.Task) (*data.Schema, *data.Batch) {
	sc := &data.Schema{Text: &data.Text{Vocab: 9, Lengths: []int{6}, Labels: []string{"no", "yes"}}}
	if _, masked := k.(task.MaskedLM); masked {
		sc.Text.Labels, sc.Text.MaskRate = nil, .15
	}
	b := data.NewTokenBatch(sc, 4, 6)
	b.N = 2
	copy(b.Tokens.IDs, []int32{1, 5, 6, 2, 0, 0, 1, 7, 2, 0, 0, 0})
	copy(b.Tokens.Len, []int32{4, 3})
	copy(b.Label, []float32{1, 0})
	if b.Tokens.At != nil {
		b.Tokens.At[0], b.Tokens.Target[0] = 2, 8
	}
	return sc, b
}
