package cmd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const resultFile = `{"seed": %d,
  "valid": {"accuracy": %g, "f1": 0.9},
  "test": {"accuracy": 0.1, "f1": 0.2},
  "train": {"samples_per_s": 40, "seconds": 7}}
`

// trainerOutput is what finetune_torch.py writes to standard output.
const trainerOutput = `{'eval_loss': '0.5', 'eval_accuracy': '0.3', 'epoch': '2'}
{"task": "mrpc", "seed": %d, "accuracy": %g, "f1": 0.8, "seconds": 3}
`

// script runs a copy of one of scripts/ in root, with a go that builds nothing, and returns its lines.
func script(t *testing.T, root, name string, args ...string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "scripts", name))
	if err != nil {
		t.Fatal(err)
	}
	put(t, root, "scripts/"+name, string(b))
	put(t, root, "path/go", "#!/bin/sh\n")
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(bin, "table"), filepath.Join(root, "bin", "table")); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("bash", append([]string{filepath.Join(root, "scripts", name)}, args...)...)
	c.Env = append(os.Environ(), "PATH="+filepath.Join(root, "path")+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"PYTHON="+filepath.Join(root, "path", "python"))
	c.Stderr = os.Stderr
	o, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, o)
	}
	return strings.Split(strings.TrimSpace(string(o)), "\n")
}

func put(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o777); err != nil {
		t.Fatal(err)
	}
}

func needBash(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil || runtime.GOOS == "windows" {
		t.Skip("scripts/*.sh need bash on a Unix system")
	}
}

func TestFinetunePairs(t *testing.T) {
	needBash(t)
	root := t.TempDir()
	// The first pair is there, the second is made by stand-ins: with test rows here, without there.
	put(t, root, "runs/seeds/mrpc-1/result.json", fmt.Sprintf(resultFile, 1, 0.75))
	put(t, root, "runs/seeds/mrpc-1.seconds", "100\n")
	put(t, root, "runs/torch/mrpc-1.json", fmt.Sprintf(trainerOutput, 1, 0.5))
	put(t, root, "runs/torch/mrpc-1.json.seconds", "150\n")
	put(t, root, "bin/finetune",
		"#!/bin/sh\nmkdir -p runs/seeds/mrpc-2\ncat >runs/seeds/mrpc-2/result.json <<'.'\n"+fmt.Sprintf(resultFile, 2, 0.85)+".\n")
	put(t, root, "path/python", "#!/bin/sh\ncat <<'.'\n"+fmt.Sprintf(trainerOutput, 2, 0.7)+".\n")
	got := script(t, root, "finetune_pairs.sh", "mrpc", "data", "2", "2")
	contains(t, got,
		"mrpc-1 0.75000 0.90000 100.0", "mrpc-2 0.85000 0.90000", "mean 0.80000 0.90000", "sd 0.07071 0.00000", // here
		"mrpc-1.json 0.50000 0.80000 150.0", "mean 0.60000 0.80000", "sd 0.14142 0.00000", // there
		"accuracy +0.20000 [-0.43531, +0.83531] 0.75",
	)
}

func TestSeeds(t *testing.T) {
	needBash(t)
	root := t.TempDir()
	put(t, root, "runs/seeds/mrpc-1/result.json", fmt.Sprintf(resultFile, 1, 0.75))
	put(t, root, "bin/train",
		"#!/bin/sh\nmkdir -p runs/seeds/mrpc-2\necho '{\"valid\":{\"accuracy\":0.8},\"test\":{\"accuracy\":0.3,\"f1\":0.2},\"train\":{\"seconds\":7}}' >runs/seeds/mrpc-2/result.json\n")
	got := script(t, root, "seeds.sh", "configs/mrpc.yaml", "2")
	contains(t, got, "run accuracy f1 seconds", "mrpc-1 0.10000 0.20000 7.0", "mean 0.20000 0.20000 7.0", "sd 0.14142 0.00000 0.0")
}

func TestBench(t *testing.T) {
	needBash(t)
	root := t.TempDir()
	put(t, root, "train/x", "")
	put(t, root, "bin/train.test", "#!/bin/sh\necho 'BenchmarkStep/deepfm/lazy-2   15   123456 ns/op   100.5 ms/step   7 allocs/op'\n")
	put(t, root, "path/python", "#!/bin/sh\necho 'deepfm sparse: 201.0 ms a step of 15'\n")
	contains(t, script(t, root, "bench.sh", "deepfm", "lazy", "2"),
		"pair 2: splice 100.5, torch 201.0, ratio 2.00", "medians of 2 pairs: splice 100.5, torch 201.0, torch/splice 2.00")
}

// contains checks that each of the wanted lines begins one of those that a script printed, however wide its columns are.
func contains(t *testing.T, lines []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(strings.Join(strings.Fields(l), " "), w) }) {
			t.Errorf("got\n%s\nwithout %q", strings.Join(lines, "\n"), w)
		}
	}
}
