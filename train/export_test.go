package train

import (
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
)

// StepAllocs returns the allocations of a step of a training, once its buffers have grown.
func StepAllocs(t *testing.T, tr *Trainer) float64 {
	t.Helper()
	own := *tr
	f := &fit{Trainer: &own, told: map[string]bool{}}
	ctx, err := f.join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.prepare(ctx); err != nil {
		t.Fatal(err)
	}
	defer f.close()
	var batches []*data.Batch
	for b, err := range f.batches() {
		if err != nil {
			t.Fatal(err)
		}
		if batches = append(batches, b.Clone()); len(batches) == f.GradientAccumulation {
			break
		}
	}
	step := func() {
		for b := range slices.Values(batches) {
			if err := f.step(ctx, b); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 3 {
		step()
	}
	return testing.AllocsPerRun(5, step)
}
