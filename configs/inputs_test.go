package configs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs"
)

// TestInputs: what an experiment reads is found in every section.
func TestInputs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.yaml")
	text := `data: {type: text, path: [a.tsv, "b*.tsv"], test_path: t.tsv, tokenizer: tok, text: x, label: y}
model: {type: bert, config: hf}
task: {type: classification}
init: {from: runs/a}
teacher: {from: [runs/b, runs/c]}
merge: {parents: [runs/d, runs/e]}
`
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	e, err := configs.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, err := e.Inputs()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, in := range list {
		got = append(got, in.Key+" "+in.Path)
	}
	slices.Sort(got)
	want := []string{
		"data.path a.tsv", "data.path b*.tsv", "data.test_path t.tsv", "data.tokenizer tok", "init.from runs/a", "merge.parents runs/d",
		"merge.parents runs/e", "model.config hf", "teacher.from runs/b", "teacher.from runs/c",
	}
	if !slices.Equal(got, want) {
		t.Errorf("inputs\n%q\nwant\n%q", got, want)
	}
}

// TestInputKeys: every option whose name says that it is a path is one that inputs are looked for under.
func TestInputKeys(t *testing.T) {
	b, err := os.ReadFile("reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct{ Fields map[string]string }
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for section, options := range all {
		for name := range options.Fields {
			if !strings.HasSuffix(name, "Path") {
				continue
			}
			if seen++; !slices.Contains([]string{"Path", "ValidPath", "TestPath"}, name) {
				t.Errorf("%s.%s is a path: add its key to those of inputs.go", section, name)
			}
		}
	}
	if seen == 0 {
		t.Error("no option is a path, so that nothing is tested")
	}
}
