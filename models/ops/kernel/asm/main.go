// Command asm writes the assembly of package kernel: vector_amd64.s, its declarations vector_amd64.go, and the functions
// that choose between the two instruction sets, dispatch_amd64.go and dispatch_other.go. One description of each kernel
// gives the AVX2 version (8 lanes) and the AVX-512 version (16 lanes). The kernels on AMX's tiles, and those of AVX512-BF16 on
// the same memory, are in tiles_amd64.s.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"sync"

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
	files, err := render()
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
func render() (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, compile := range map[string]func() (*ir.File, error){"vector": compile, "tiles": compileTiles} {
		f, err := compile()
		if err != nil {
			return nil, err
		}
		cfg := printer.Config{Name: "go generate", Pkg: "kernel"}
		if files[name+"_amd64.s"], err = printer.NewGoAsm(cfg).Print(asBytes(f)); err != nil {
			return nil, err
		}
		if files[name+"_amd64.go"], err = printer.NewStubs(cfg).Print(f); err != nil {
			return nil, err
		}
	}
	var calls, none bytes.Buffer
	dispatch(&calls)
	noDispatch(&none)
	files["dispatch_amd64.go"], files["dispatch_other.go"] = calls.Bytes(), none.Bytes()
	for name, text := range files {
		if filepath.Ext(name) != ".go" {
			continue
		}
		source, err := format.Source(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = source
	}
	return files, nil
}

// compile describes the vector kernels, and allocates their registers, once: the tables of constants are kept.
var compile = sync.OnceValues(func() (*ir.File, error) {
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
})
