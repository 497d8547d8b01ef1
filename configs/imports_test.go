package configs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/splice-ml/splice"

// door is how layers call the package at the module's root.
const door = "splice"

// relative returns a package's path within the module.
func relative(path string) (rel string, ok bool) {
	if path == module {
		return door, true
	}
	return strings.CutPrefix(path, module+"/")
}

// mostFiles bounds the source files of a package: with more, one has to read names to find anything. crowded packages have one model, op,
// kernel, metric or method a file.
const mostFiles = 20

var crowded = []string{"models/ctr", "models/ops", "models/ops/kernel", "train/metric", "cki/method"}

// layers are the packages from the bottom to the top. A package may import what is below it or beside it, never what is
// above. A pattern is that of path.Match.
var layers = [][]string{
	{"configs/registry", "data/rng", "data/atomicfile", "data/bound", "data/crash", "data/filelock", "data/memory"}, // leaves: import nothing of the module
	{"data/atomicfile/faultfs", "data/internal/clock", "data/internal/dictionary", "data/internal/namelist", "data/output", "data/output/parquet", "data/sealed", "data/evict"},
	{"data", "data/npy", "data/token"},
	{"data/internal/*"},
	{"data/given", "data/set", "data/datatest"},
	{"models/ops/kernel"},
	{"models/ops", "models/ops/opstest"},
	{"models/nn", "models/embed"},
	{"models"},
	{"models/ctr", "models/seq", "models/text", "models/modeltest", "models/onnx"},
	{"train/metric", "train/task", "train/optim", "train/schedule", "train/ckpt", "train/tfevent", "train/run", "train/rounds", "train/dist", "train/dist/*", "train/grad"},
	{"train"},
	{"train/start", "train/ensemble", "train/logs", "train/inspect", "train/calibrate"},
	{"cki", "cki/method", "cki/assess", "cki/gate", "cki/align", "cki/report", "cki/mergetest"},
	{"cki/regime"},
	{"cki/compare"},
	{"cki/merge"},
	{"configs", "configs/fetch"},
	{"configs/job"},
	{"configs/search", "configs/export"},
	{door},
	{"configs/docgen", "data/token/tablegen", "cmd", "cmd/*", "cmd/internal/*", "scripts", "scripts/*"},
}

// testOnly packages are helpers of tests; no other package may import them.
var testOnly = []string{"data/atomicfile/faultfs", "data/datatest", "models/ops/opstest", "models/modeltest", "cki/mergetest"}

// layerOf returns the layer of a package, -1 if none has it.
func layerOf(pkg string) int {
	for i, l := range layers {
		for _, pattern := range l {
			if ok, _ := path.Match(pattern, pkg); ok {
				return i
			}
		}
	}
	return -1
}

// checkImports returns what is wrong with the imports of a package; paths are relative to the module.
func checkImports(pkg string, imports []string) []string {
	at := layerOf(pkg)
	if at < 0 {
		return []string{fmt.Sprintf("%s is in no layer: add it to layers in configs/imports_test.go", pkg)}
	}
	var bad []string
	for _, imp := range imports {
		below := layerOf(imp)
		switch {
		case slices.Contains(testOnly, imp) && !slices.Contains(testOnly, pkg):
			bad = append(bad, fmt.Sprintf("%s imports %s: %s is for tests only", pkg, imp, imp))
		case at == 0:
			bad = append(bad, fmt.Sprintf("%s imports %s: %s is a leaf", pkg, imp, pkg))
		case below > at:
			bad = append(bad, fmt.Sprintf("%s imports %s: %s is above %s", pkg, imp, imp, pkg))
		}
	}
	return bad
}

func TestImportsRunOneWay(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command: the imports of the packages cannot be listed")
	}
	cmd := exec.Command(goTool, "list", "-e", "-json=ImportPath,Imports,GoFiles", module+"/...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	n := 0
	for {
		var p struct {
			ImportPath string
			Imports    []string
			GoFiles    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		n++
		var inside []string
		for _, imp := range p.Imports {
			if rel, ok := relative(imp); ok {
				inside = append(inside, rel)
			}
		}
		pkg, _ := relative(p.ImportPath)
		for _, bad := range checkImports(pkg, inside) {
			t.Error(bad)
		}
		if len(p.GoFiles) > mostFiles && !slices.Contains(crowded, pkg) {
			t.Errorf("%s has %d source files, at most %d can be taken in: make rooms of it", pkg, len(p.GoFiles), mostFiles)
		}
	}
	if n < 3 {
		t.Errorf("go list found %d packages", n)
	}
}

func TestCheckImports(t *testing.T) {
	for _, tc := range []struct {
		pkg     string
		imports []string
		want    string
	}{
		{"train", []string{"data", "models", "train/optim", "configs/registry"}, ""},
		{"train/task", []string{"train/metric", "models/nn"}, ""},
		{"models/nn", []string{"models"}, "models/nn imports models: models is above models/nn"},
		{"models/ops/kernel", []string{"models/ops"}, "models/ops/kernel imports models/ops: models/ops is above models/ops/kernel"},
		{"data", []string{"configs"}, "data imports configs: configs is above data"},
		{"data/rng", []string{"configs/registry"}, "data/rng imports configs/registry: data/rng is a leaf"},
		{"models", []string{"models/modeltest"}, "models imports models/modeltest: models/modeltest is for tests only"},
		{"util", nil, "util is in no layer: add it to layers in configs/imports_test.go"},
	} {
		if got := strings.Join(checkImports(tc.pkg, tc.imports), "\n"); got != tc.want {
			t.Errorf("checkImports(%s, %v) = %q, want %q", tc.pkg, tc.imports, got, tc.want)
		}
	}
}
