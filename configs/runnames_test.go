package configs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/run"
)

// formats are the packages below train/run that read and write files of a fixed name for everybody, not for runs alone.
var formats = map[string][]string{
	"data": {"features.json.zst"},
	"data/token": {
		"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "config.json",
	},
	"models/text": {"config.json"},
	"train/ckpt":  {"model.safetensors"},
}

// runName returns the name of a run's file that a path in a source file spells out, "" if it spells none. Plain words, such as rows,
// are names only where a path is put together.
func runName(text string, inPath bool) string {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == '/' || r == '\\' }) {
		for _, e := range run.Entries() {
			for _, pattern := range append([]string{e.Name}, e.Inside...) {
				head, _, _ := strings.Cut(pattern, "*")
				switch {
				case part == pattern && (inPath || strings.Contains(pattern, ".")):
					return pattern
				case strings.Contains(pattern, "*") && strings.HasPrefix(part, strings.TrimSuffix(head, "[0-9]")) && strings.HasSuffix(part, filepath.Ext(pattern)) && strings.ContainsAny(part, "%*"):
					return pattern
				}
			}
		}
	}
	return ""
}

// runNames returns the names of run files that the Go file src spells out, with their places.
func runNames(t *testing.T, path string, src any) (names, places []string) {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	inPath := map[ast.Node]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field: // a tag is no path
			return false
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "filepath" || x.Name == "os" || x.Name == "path") {
					for _, a := range n.Args {
						inPath[a] = true
					}
				}
			}
		case *ast.BasicLit:
			if n.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(n.Value)
			if err != nil {
				t.Fatal(err)
			}
			if name := runName(text, inPath[n]); name != "" && !strings.ContainsAny(text, " \n") { // a sentence may name one
				names, places = append(names, name), append(places, files.Position(n.Pos()).String())
			}
		}
		return true
	})
	return names, places
}

// TestNamesOfRunFiles: package train/run alone spells out the names of a run's files.
func TestNamesOfRunFiles(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root &&
			(strings.HasPrefix(name, ".") || name == "testdata" || name == "datasets" || name == "runs") {
			return fs.SkipDir
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(rel)
		if d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || pkg == "train/run" {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen++
		names, places := runNames(t, path, src)
		for i, name := range names {
			if !slices.Contains(formats[pkg], name) {
				t.Errorf("%s: spells out %s: take the name from package train/run", places[i], name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 100 {
		t.Errorf("only %d files were read", seen)
	}
}

func TestRunNames(t *testing.T) {
	src := "package x\n" +
		"var a = filepath.Join(dir, \"rows\")\n" + // found
		"var b = method(\"rows\")\n" +
		"var c = dir + \"/last/state.json\"\n" + // found
		"var d = fmt.Sprintf(\"model-%d.safetensors\", n)\n" + // found
		"var e = errors.New(\"there is no result.json in it\")\n" +
		"var f = \"table.json\"\n" + // found
		"type g struct { X int `yaml:\"table.json\"` }\n"
	got, _ := runNames(t, "x.go", src)
	if want := []string{"rows", "state.json", "model-*.safetensors", "table.json"}; !slices.Equal(got, want) {
		t.Errorf("names in\n%s: %v, want %v", src, got, want)
	}
}
