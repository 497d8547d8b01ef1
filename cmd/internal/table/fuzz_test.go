package table

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A table file is refused, or each of its variants has a directory of its own within that of the runs.
func FuzzTable(f *testing.F) {
	const good = "runs: t\nseeds: 2\nvariants: [{name: a b, config: m.yaml}, {name: c, config: m.yaml, set: [seed=1]}]\n"
	for _, s := range []string{
		good, "", "[1]", "title: x\n", "variants: []\n", "variants: [{name: .., config: x}]\n", "variants: [{name: a/b, config: x}]\n",
		good + "x: 1\n", good + "title: &a [*a]\n", "variants: " + strings.Repeat("[", 20000), "seeds: -1\n", "seeds: 1e30\n", "\x00", "\xff\xfe",
	} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "t.yaml")
	f.Fuzz(func(t *testing.T, src []byte) {
		if err := os.WriteFile(path, src, 0o666); err != nil {
			t.Fatal(err)
		}
		table, err := load(path)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, v := range table.Variants {
			if d := v.dir(); seen[d] || !filepath.IsLocal(d) || d == "." || strings.ContainsAny(d, "/\x00\n") {
				t.Fatalf("%q: directory %q", src, d)
			}
			seen[v.dir()] = true
		}
		if table.Seeds < 1 || len(seen) == 0 {
			t.Fatalf("%q: %d seeds, %d variants", src, table.Seeds, len(seen))
		}
	})
}
