package search

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs/registry"
)

// TestDocs: docs/search.md has every option with its default.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "search.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	o, a := Defaults(), ASHADefaults()
	for prefix, v := range map[string]any{"search.": &o, "search.asha.": &a} {
		list, err := registry.Options(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			row := "| `" + prefix + x.Path + "` | `" + x.Default + "` |"
			if x.Path == "asha" {
				row = "| `search.asha` | none |"
			}
			if !strings.Contains(text, row) {
				t.Errorf("docs/search.md lacks the row %s", row)
			}
		}
	}
	example, _, _ := strings.Cut(text, "\n```\n")
	_, example, ok := strings.Cut(example, "```yaml\n")
	if !ok {
		t.Fatal("docs/search.md has no example")
	}
	file, err := os.ReadFile(filepath.Join("..", "search_frappe_deepfm.yaml"))
	if err != nil || !strings.HasSuffix(string(file), example+"\n") {
		t.Errorf("the example is not configs/search_frappe_deepfm.yaml: %v\n%s", err, example)
	}
}
