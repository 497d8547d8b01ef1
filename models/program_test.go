package models_test

import (
	"runtime"
	"testing"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
)

// TestCloseFrees: programs that are closed leave nothing behind. A merge compiles dozens.
func TestCloseFrees(t *testing.T) {
	p := nn.NewParams(1)
	m := ctr.MLP{EmbeddingDim: 8, Tower: ctr.Tower{HiddenUnits: []int{64, 64}, HiddenActivations: "relu"}}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	compile := func() {
		r, err := models.Compile(m, p, modeltest.Schema(), models.CompileOptions{Batch: 1024, Train: true, Loss: modeltest.BCE})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Run(modeltest.Batch(modeltest.Schema(), 1000, 1024, 1), 0); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
	}
	compile()
	before := heap()
	for range 30 {
		compile()
	}
	if after := heap(); after > before+4<<20 {
		t.Errorf("30 programs, each of some megabytes, left %d MB", (after-before)>>20)
	}
}
