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
	c := exec.Command("bash", append([]string{filepath.Join(root, "scripts", name)}, args...)...)
	c.Env = append(os.Environ(), "PATH="+filepath.Join(root, "path")+string(filepath.ListSeparator)+os.Getenv("PATH"), "PYTHON="+filepath.Join(root, "path", "python"))
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
	put(t, root, "bin/finetune", "#!/bin/sh\nmkdir -p runs/seeds/mrpc-2\ncat >runs/seeds/mrpc-2/result.json <<'.'\n"+fmt.Sprintf(resultFile, 2, 0.85)+".\n")
	put(t, root, "path/python", "#!/bin/sh\ncat <<'.'\n"+fmt.Sprintf(trainerOutput, 2, 0.7)+".\n")
	got := script(t, root, "finetune_pairs.sh", "mrpc", "data", "2", "2")
	if want := "mrpc seed 1: splice accuracy 0.7500 in 100 s, transformers 0.5000 in 150 s, ratio of times 1.50"; got[0] != want {
		t.Errorf("got  %q\nwant %q", got[0], want)
	}
	if want := "mrpc, 2 seeds: splice accuracy 0.8000 (sd 0.0707), transformers 0.6000 (sd 0.1414)"; !slices.Contains(got, want) {
		t.Errorf("got %q\nwithout %q", got, want)
	}
}

func TestSeeds(t *testing.T) {
	needBash(t)
	root := t.TempDir()
	put(t, root, "runs/seeds/mrpc-1/result.json", fmt.Sprintf(resultFile, 1, 0.75))
	put(t, root, "bin/train", "#!/bin/sh\nmkdir -p runs/seeds/mrpc-2\necho '{\"valid\":{\"accuracy\":0.8},\"test\":{\"accuracy\":0.3,\"f1\":0.2},\"train\":{\"seconds\":7}}' >runs/seeds/mrpc-2/result.json\n")
	got := script(t, root, "seeds.sh", "configs/mrpc.yaml", "2")
	if want := "accuracy mean 0.20000 sd 0.14142 over 2 seeds"; !slices.Contains(got, want) {
		t.Errorf("got %q\nwithout %q", got, want)
	}
}
