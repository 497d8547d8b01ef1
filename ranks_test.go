package splice_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/train/dist"
)

// TestRanks trains a config on two ranks, of which the first one writes the run; and refuses ranks that have not the same.
func TestRanks(t *testing.T) {
	config, err := filepath.Abs("configs/smoke_dcnv2.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rows := filepath.Join(filepath.Dir(config), "testdata", "smoke", "rows.tsv.gz")
	t.Chdir(t.TempDir())
	train := func(run string, g dist.Group, set ...string) (*splice.Result, error) {
		return splice.Train(t.Context(), config, splice.Options{
			Run: run, Group: g, Set: append([]string{"data.path=" + rows, "train.shards=4", "train.max_steps=12"}, set...),
		})
	}
	want, err := train("one", nil)
	if err != nil {
		t.Fatal(err)
	}
	both := func(run string, second ...string) ([2]*splice.Result, [2]error) {
		var results [2]*splice.Result
		var errs [2]error
		var wait sync.WaitGroup
		world := dist.NewInproc(2, time.Minute)
		for r := range errs {
			wait.Go(func() {
				var set []string
				if r == 1 {
					set = second
				}
				if results[r], errs[r] = train(run, world.Group(r), set...); errs[r] != nil && !errors.As(errs[r], new(*dist.Common)) {
					world.Group(r).Abort(1)
				}
			})
		}
		wait.Wait()
		return results, errs
	}
	results, errs := both("two")
	for r, err := range errs {
		if err != nil || results[r].Test["auc"] != want.Test["auc"] || results[r].Digest != want.Digest {
			t.Fatalf("rank %d: %v, %v, want %v", r, err, results[r], want)
		}
	}
	for _, name := range []string{"model.safetensors", "counts.safetensors", "config.yaml"} {
		one, err1 := os.ReadFile(filepath.Join("one", name))
		two, err2 := os.ReadFile(filepath.Join("two", name))
		if err := errors.Join(err1, err2); err != nil || !bytes.Equal(one, two) {
			t.Errorf("%s of two ranks is another one than that of one: %v", name, err)
		}
	}
	fewer := filepath.Join(t.TempDir(), "rows.tsv.gz")
	b, err := os.ReadFile(rows)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fewer, b[:len(b)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, set string
		common    bool
		want      [2]string
	}{
		{
			"another config", "train.learning_rate=0.5", true,
			[2]string{"the config (digest) of rank 1 of 2 is", "give all ranks the same file and --set"},
		},
		{"other data", "data.path=" + fewer, false, [2]string{"rank 1 of 2 ended", "rows.tsv.gz"}},
		{"a mistake of one", "train.learning_rate=-1", false, [2]string{"rank 1 of 2 ended", "learning_rate"}},
	} {
		_, errs := both("three", tc.set)
		for r, err := range errs {
			if err == nil || !strings.Contains(err.Error(), tc.want[r]) || errors.As(err, new(*dist.Common)) != tc.common {
				t.Errorf("%s: rank %d: %v, want %s", tc.name, r, err, tc.want[r])
			}
			if tc.common && !errors.As(err, new(*splice.InputError)) {
				t.Errorf("%s: rank %d: %v is no mistake of the input", tc.name, r, err)
			}
		}
		if _, err := os.Stat(filepath.Join("three", "model.safetensors")); err == nil {
			t.Errorf("%s: there is a model", tc.name)
		}
	}
}
