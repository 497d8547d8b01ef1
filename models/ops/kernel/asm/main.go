// Command asm writes the assembly of package kernel: vector_amd64.s, its declarations vector_amd64.go, and the functions
// that choose between the two instruction sets, dispatch_amd64.go and dispatch_other.go. One description of each kernel
// gives the AVX2 version (8 lanes) and the AVX-512 version (16 lanes).
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	dir := flag.String("dir", "..", "where to write the files")
	flag.Parse()
	if err := write(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "asm:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	f, err := compile()
	if err != nil {
		return err
	}
	files, err := render(f)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// render prints the generated files.
func render(f *ir.File) (map[string][]byte, error) {
	cfg := printer.Config{Name: "go generate", Pkg: "kernel"}
	asm, err := printer.NewGoAsm(cfg).Print(f)
	if err != nil {
		return nil, err
	}
	stubs, err := printer.NewStubs(cfg).Print(f)
	if err != nil {
		return nil, err
	}
	var calls, none bytes.Buffer
	dispatch(&calls)
	noDispatch(&none)
	files := map[string][]byte{
		"vector_amd64.s": asm, "vector_amd64.go": stubs, "dispatch_amd64.go": calls.Bytes(), "dispatch_other.go": none.Bytes(),
	}
	for name, text := range files {
		if filepath.Ext(name) != ".go" {
			continue
		}
		if files[name], err = format.Source(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return files, nil
}

// compile describes all kernels, and allocates their registers.
func compile() (*ir.File, error) {
	c := build.NewContext()
	c.ConstraintExpr("amd64")
	for _, lanes := range []int{8, 16} {
		g := &gen{Context: c, lanes: lanes}
		for _, k := range kernels {
			k.emit(g, k)
		}
		g.gemm()
		for _, mr := range g.tiles() {
			g.gemmInPlace(mr)
		}
		g.narrow()
		g.peak()
	}
	pack(c)
	copyPanels(c)
	rows(c)
	f, err := c.Result()
	if err != nil {
		return nil, err
	}
	return f, pass.Compile.Execute(f)
}
