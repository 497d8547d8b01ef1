// Docgen writes the reference of all config options from the comments in the source: configs/reference.json, which is
// embedded into the programs for --defaults, and docs/config.md.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/data/atomicfile"
)

func main() {
	root := ".." // go generate runs in configs/
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	if err := run(root); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(root string) error {
	ref, page, err := generate(root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "docs"), 0o755); err != nil {
		return fmt.Errorf("docgen: %w", err)
	}
	for _, f := range []struct {
		path string
		text []byte
	}{{jsonPath, ref}, {pagePath, page}} {
		if err := atomicfile.WriteBytes(filepath.Join(root, f.path), f.text); err != nil {
			return fmt.Errorf("docgen: %w", err)
		}
	}
	return nil
}
