package configs_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
)

const goldenSteps = 10

// losses notes the loss of each step.
type losses struct{ all []float64 }

func (l *losses) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.StepDone {
		l.all = append(l.all, e.Loss)
	}
	return nil
}

// The first losses of each smoke config are those of testdata/smoke: to 1e-5 on any machine, to the bit from run to run
// and for any number of threads.
// go test ./configs -run Golden -update writes them.
func TestGoldenSmoke(t *testing.T) {
	files, err := filepath.Glob("smoke_*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 11 {
		t.Errorf("%d smoke configs", len(files))
	}
	before := kernel.Threads()
	t.Cleanup(func() { kernel.SetThreads(before) })
	cache := t.TempDir()
	for _, file := range files {
		name := strings.TrimSuffix(file, ".yaml")
		t.Run(name, func(t *testing.T) {
			got := firstLosses(t, file, cache, 1)
			if again := firstLosses(t, file, cache, 2); !slices.Equal(got, again) {
				t.Errorf("losses with 1 thread\n%v\nwith 2\n%v", got, again)
			}
			golden := filepath.Join("testdata", "smoke", strings.TrimPrefix(name, "smoke_")+".json")
			if *update {
				text, err := json.Marshal(got)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, append(text, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			text, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			var want []float64
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d losses, want %d", len(got), len(want))
			}
			for i := range want {
				if math.Abs(got[i]-want[i]) > 1e-5*math.Abs(want[i]) {
					t.Errorf("step %d: loss %v, want %v", i+1, got[i], want[i])
				}
			}
		})
	}
}

func firstLosses(t *testing.T, file, cache string, threads int) []float64 {
	t.Helper()
	set := []string{"train.max_steps=10"}
	if text, err := os.ReadFile(file); err == nil && !strings.Contains(string(text), "type: likes") {
		set = append(set, "data.path=testdata/smoke/rows.tsv.gz")
	}
	e, err := configs.Load(file, set)
	if err != nil {
		t.Fatal(err)
	}
	kernel.SetThreads(threads)
	ctx := t.Context()
	d, err := e.Data.Open(ctx, data.OpenOptions{Seed: e.Seed, CacheDir: cache, Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	var l losses
	tr := &train.Trainer{
		Options: e.Train, Model: e.Model, Task: e.Task, Data: d, Params: nn.NewParams(e.Seed), Seed: e.Seed,
		Dir: t.TempDir(), Callbacks: []train.Callback{&l},
	}
	if _, err := tr.Fit(ctx); err != nil {
		t.Fatal(err)
	}
	if len(l.all) != goldenSteps {
		t.Fatalf("%d steps", len(l.all))
	}
	return l.all
}
