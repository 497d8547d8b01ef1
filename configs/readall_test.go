package configs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wholeReaders are the functions that read a file or stream to its end, whatever its size.
var wholeReaders = []string{"os.ReadFile", "fs.ReadFile", "io.ReadAll", "ioutil.ReadFile", "ioutil.ReadAll"}

// unbounded returns the places of a Go file that read a whole file or stream.
func unbounded(t *testing.T, path string, src any) (places []string) {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(wholeReaders, x.Name+"."+sel.Sel.Name) {
				places = append(places, files.Position(sel.Pos()).String()+": "+x.Name+"."+sel.Sel.Name)
			}
		}
		return true
	})
	return places
}

// TestReadsAreBounded: package data/bound alone reads whole files, up to a size.
func TestReadsAreBounded(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	exempt := []string{
		"configs/docgen/main.go", "configs/docgen/source.go", "configs/docgen/page.go", // read the module's own files
		"data/datatest", "models/modeltest", "models/ops/opstest", "cki/mergetest", // of tests
		"models/ops/kernel/asm",                          // writes source files
		"train/state.go", "data/internal/cache/cache.go", // have checksums
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
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(rel, "data/bound/") ||
			slices.ContainsFunc(exempt, func(e string) bool { return rel == e || strings.HasPrefix(rel, e+"/") }) {
			return nil
		}
		seen++
		for _, place := range unbounded(t, path, nil) {
			t.Errorf("%s: has no bound: read by package data/bound", place)
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

func TestUnbounded(t *testing.T) {
	src := "package x\nvar a, _ = os.ReadFile(path)\nvar b, _ = io.ReadAll(r)\nvar c, _ = bound.ReadFile(path, 1)\nvar d = os.Open\n"
	if got := strings.Join(unbounded(t, "x.go", src), " "); got != "x.go:2:12: os.ReadFile x.go:3:12: io.ReadAll" {
		t.Errorf("unbounded reads in\n%s: %s", src, got)
	}
}
