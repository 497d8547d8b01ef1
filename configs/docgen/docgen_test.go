package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The embedded reference and the page say what the source says.
func TestCurrent(t *testing.T) {
	root := filepath.Join("..", "..")
	ref, page, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]byte{jsonPath: ref, pagePath: page} {
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not what the source says; run: go generate ./configs", path)
		}
	}
	for _, want := range []string{
		"## Model", "### `deepfm`", "| `embedding_dim` | whole number | `16` |", "The section `train.optimizer`.",
		"[optimizer](#optimizer)",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("%s lacks %q", pagePath, want)
		}
	}
}

func TestParseDir(t *testing.T) {
	dir := t.TempDir()
	const src = `package x

// A is one thing
// on two lines.
//
// More of it.
type A struct {
	B int // the b
	// the c
	C, D int
	E int
}

type (
	// F is grouped.
	F struct {
		G int // with, "quotes"
	}
)
`
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := parseDir(dir, []string{"A", "F"})
	if err != nil {
		t.Fatal(err)
	}
	a, f := got["A"], got["F"]
	if a.Doc != "A is one thing on two lines." || a.Fields["B"] != "the b" || a.Fields["C"] != "the c" || a.Fields["D"] != "the c" ||
		a.Fields["E"] != "" {
		t.Errorf("A = %+v", a)
	}
	if f.Doc != "F is grouped." || f.Fields["G"] != `with, "quotes"` {
		t.Errorf("F = %+v", f)
	}
}
