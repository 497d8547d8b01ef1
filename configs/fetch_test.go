package configs_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/set"
	"github.com/splice-ml/splice/models/ctr"
)

const fetching = `data: {type: criteo, path: datasets/x/rows.tsv}
model: {type: mlp, hidden_units: [5]}
train: {epochs: 3, batch_size: 7}
fetch:
  datasets/x: {files: {rows.tsv: ""}, from: [{url: "https://example.com/x.zip", folder: f}]}
  datasets/xy: {files: {a: ""}, from: [{url: "https://example.com/{file}"}]}
`

// What is fetched is what another key names.
func TestWanted(t *testing.T) {
	for _, tc := range []struct{ set, want string }{
		{"seed=1", "datasets/x"},
		{"data.path=datasets/x", "datasets/x"},
		{"data.path=./datasets//x/../xy/a", "datasets/xy"},
		{"data.path=[datasets/xy/b, datasets/x]", "datasets/x datasets/xy"},
		{"data.path=datasets", ""},
		{"data.path=/else/datasets/x", ""},
		{"init.from=datasets/xy", "datasets/x datasets/xy"},
	} {
		path := filepath.Join(t.TempDir(), "x.yaml")
		if err := os.WriteFile(path, []byte(fetching), 0o666); err != nil {
			t.Fatal(err)
		}
		e, err := configs.Load(path, []string{tc.set})
		if err != nil {
			t.Fatal(err)
		}
		list, err := e.Wanted()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range list {
			got = append(got, f.To)
		}
		if g := strings.Join(got, " "); g != tc.want {
			t.Errorf("%s: wants %q, want %q", tc.set, g, tc.want)
		}
		if len(e.Fetches()) != 2 {
			t.Errorf("%d entries", len(e.Fetches()))
		}
	}
}

func TestFallback(t *testing.T) {
	text := fetching + "fallback: synthetic\nsynthetic:\n  run: s\n  data: {type: csv, path: y.csv, label: l, columns: {a: categorical}}\n  model: {embedding_dim: 3}\n  train: {epochs: 4}\n"
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	read := func(set ...string) *configs.Experiment {
		t.Helper()
		e, err := configs.Load(path, set)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	plain, synth := read(), read("fallback=always", "train.batch_size=9", "synthetic.train.max_steps=5")
	if _, ok := plain.Data.(set.CSV); ok || plain.Train.Epochs != 3 || plain.Run != "" {
		t.Errorf("the section holds where it should not: %+v", plain)
	}
	if m := synth.Model.(ctr.MLP); synth.Run != "s" || m.EmbeddingDim != 3 || len(m.HiddenUnits) != 1 {
		t.Errorf("run %q, model %+v", synth.Run, m)
	}
	if tr := synth.Train; tr.Epochs != 4 || tr.BatchSize != 9 || tr.MaxSteps != 5 {
		t.Errorf("train %+v", tr)
	}
	if name, _ := data.Datasets.NameOf(synth.Data); name != "csv" {
		t.Errorf("data %s", name)
	}
	if e := read("fallback=always", "train.epochs=8"); e.Train.Epochs != 8 {
		t.Errorf("an override does not come last: %d epochs", e.Train.Epochs)
	}
	// What changes no result is not in the digest.
	a, err := plain.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := read("fetch={}", "fallback=none").Digest(); err != nil || a != b {
		t.Errorf("digests %s and %s, %v", a, b, err)
	}
}

// An override of a section that the fallback replaces by one of another type is for the section that it replaces; others hold in both.
func TestFallbackOverrides(t *testing.T) {
	text := fetching + "fallback: synthetic\nsynthetic:\n  data: {type: csv, path: y.csv, label: l, columns: {a: categorical}}\n  train: {optimizer: sgd}\n"
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, override := range []string{
		"data.shuffle_buffer=5", "data={type: criteo, path: z.tsv}", "data.type=criteo", "train.optimizer.beta1=0.5", "train.epochs=9",
	} {
		real, err := configs.Load(path, []string{override})
		if err != nil {
			t.Errorf("%s: %v", override, err)
			continue
		}
		if _, ok := real.Data.(set.Criteo); !ok {
			t.Errorf("%s: data is a %T", override, real.Data)
		}
		e, err := configs.Load(path, []string{override, "fallback=always"})
		if err != nil {
			t.Errorf("%s: %v", override, err)
			continue
		}
		if csv, ok := e.Data.(set.CSV); !ok || !slices.Equal(csv.Label, data.Names{"l"}) {
			t.Errorf("%s: the fallback's data is %+v", override, e.Data)
		}
		if want := map[bool]int{true: 9, false: 3}[override == "train.epochs=9"]; e.Train.Epochs != want || real.Train.Epochs != want {
			t.Errorf("%s: %d and %d epochs, want %d", override, e.Train.Epochs, real.Train.Epochs, want)
		}
	}
	if _, err := configs.Load(path, []string{"train.optimizer.beta9=0.5"}); err == nil || !strings.Contains(err.Error(), "beta9") {
		t.Errorf("a key that neither has: %v", err)
	}
}

func TestFetchBad(t *testing.T) {
	entry := func(s string) string { return "fetch: {d: {" + s + "}}\n" }
	good := `from: [{url: "https://example.com/x.zip"}]`
	for _, tc := range []struct{ name, text, want string }{
		{"no files", entry(good), "files: is missing"},
		{"no source", entry(`files: {a: ""}, from: []`), "names no source"},
		{"outside", entry(`files: {../a: ""}, ` + good), `"../a" is not a path within the folder`},
		{"absolute", entry(`files: {/a: ""}, ` + good), "not a path within"},
		{"others outside", entry(`files: {a: ""}, or: [b, ../c], ` + good), `or: "../c" is not a path within the folder`},
		{"checksum", entry(`files: {a: 12ab}, ` + good), `"12ab" is not a SHA-256`},
		{"upper case", entry(`files: {a: ` + strings.Repeat("AB", 32) + `}, ` + good), "is not a SHA-256"},
		{"scheme", entry(`files: {a: ""}, from: [{url: "file:///etc/passwd"}]`), "is not a http or https URL"},
		{"no archive", entry(`files: {a: ""}, from: [{url: "https://example.com"}]`), "names no archive"},
		{"archive above", entry(`files: {a: ""}, from: [{url: "https://example.com/.."}]`), "names no archive"},
		{"folder of a file", entry(`files: {a: ""}, from: [{url: "https://example.com/{file}", folder: x}]`), "has {file}"},
		{"no folder", "fetch: {'': {files: {a: ''}, " + good + "}}\n", "an entry without a folder"},
		{"fallback", "fallback: real\n", "must be none, synthetic or always"},
		{"no section", "fallback: always\n", "synthetic: is missing"},
		{"no keys", "synthetic: 3\n", "want a section of keys"},
		{"mistake in the section", "synthetic: {train: {epocs: 3}}\n", `did you mean "epochs"?`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, "data: {type: criteo, path: x}\nmodel: lr\n"+tc.text)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
