package modeltest

import (
	"runtime"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// CheckNeed checks that what a program in training needs is known before anything is allocated: measuring takes little memory, and what it
// says is nearly what the heap grows by when the program is made and has run a batch, whether it is lean or not.
func CheckNeed(t *testing.T, m models.Model, sc *data.Schema, o models.CompileOptions) {
	t.Helper()
	whole := checkNeed(t, m, sc, o)
	o.Lean = true
	if lean := checkNeed(t, m, sc, o); lean > whole {
		t.Errorf("a lean program needs %.1f MB, another %.1f", lean/1e6, whole/1e6)
	}
}

// checkNeed returns what is measured.
func checkNeed(t *testing.T, m models.Model, sc *data.Schema, o models.CompileOptions) float64 {
	t.Helper()
	o.Train, o.Loss = true, LossOf(sc)
	p := nn.NewShapes()
	start := heap()
	need, err := models.Measure(m, p, sc, o)
	if err != nil {
		t.Error(err)
		return 0
	}
	if grown := heap() - start; grown > 4<<20 {
		t.Errorf("measuring took %.1f MB", grown/1e6)
	}
	got := need.Graphs
	for _, q := range p.All() {
		got += q.Bytes()
	}
	start = heap()
	prog, err := models.Compile(m, nn.NewParams(1), sc, o)
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if _, err := prog.Run(Batch(sc, o.Batch-48, o.Batch, 1), 0); err != nil {
		t.Fatal(err)
	}
	want := heap() - start
	t.Logf("%.1f MB, measured %.1f", got/1e6, want/1e6)
	if got < .8*want-2e6 || got > 1.25*want+4e6 {
		t.Errorf("needs %.1f MB, the heap grew by %.1f", got/1e6, want/1e6)
	}
	runtime.KeepAlive(prog)
	return got
}

// heap returns the bytes that are in use.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc)
}
