//go:build unix

package models_test

import (
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
)

// A model of twice the layers takes about twice as long to compile, not four times.
func TestDeepModelsCompileInLinearTime(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures times")
	}
	tower := func(n int) ctr.Tower {
		return ctr.Tower{HiddenUnits: slices.Repeat([]int{1}, n), HiddenActivations: "relu", NetDropout: .1, BatchNorm: true}
	}
	for name, model := range map[string]func(layers int) models.Model{
		"tower": func(n int) models.Model { return ctr.MLP{EmbeddingDim: 2, Tower: tower(n)} },
		"cross": func(n int) models.Model { return ctr.DCNv2{EmbeddingDim: 1, NumCrossLayers: n, Tower: tower(1)} },
	} {
		t.Run(name, func(t *testing.T) {
			took := func(layers int) time.Duration {
				least := time.Hour
				for range 2 {
					runtime.GC()
					start := busy(t)
					r, err := models.Compile(model(layers), nn.NewParams(1), modeltest.Schema(), models.CompileOptions{
						Batch: 4, Train: true, Loss: modeltest.BCE,
					})
					if err != nil {
						t.Fatal(err)
					}
					least = min(least, busy(t)-start)
					if err := r.Close(); err != nil {
						t.Fatal(err)
					}
				}
				return least
			}
			one, two := took(2000), took(4000)
			if one > 2*time.Second || two > 3*one {
				t.Errorf("2,000 layers took %v, want 2 s at most; 4,000 took %v, want less than three times that", one, two)
			}
			t.Log(one, two)
		})
	}
}

// busy returns the processor time that this process has used, which tells more than a clock does where others use the machine too.
func busy(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
