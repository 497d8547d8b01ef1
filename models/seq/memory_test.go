package seq_test

import (
	"runtime"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/seq"
	"github.com/splice-ml/splice/train/task"
)

// TestFullCrossEntropyMemory holds that the cross-entropy over all 54,542 items of Amazon Beauty, of 128 histories of 50 positions,
// fits in 1 GB, weights included: as planned, and as the heap has it. The logits alone would take 1.4 GB.
func TestFullCrossEntropyMemory(t *testing.T) {
	const vocab, batch, limit = 54_542 + data.FirstID, 128, 1e9
	m := seq.SASRec{
		Columns:     seq.Columns{Item: "item", History: "history", EmbeddingDim: 64, InitStd: .02},
		Transformer: seq.Transformer{NumBlocks: 2, NumHeads: 1, Dropout: .2}, Output: seq.Output{Output: seq.Items},
	}
	sc := &data.Schema{Features: []data.Feature{{Name: "history", Kind: data.Sequence, Vocab: vocab, MaxLen: 50, Table: "item"}}}
	loss := task.NextItem{Objective: "full"}
	o := models.CompileOptions{Batch: batch, Train: true, Loss: loss.Loss, WholeCatalogue: loss.WholeCatalogue()}
	shapes := nn.NewShapes()
	need, err := models.Measure(m, shapes, sc, o)
	if err != nil {
		t.Fatal(err)
	}
	planned := need.Graphs
	for _, p := range shapes.All() {
		planned += p.Bytes()
	}
	heap := func() float64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return float64(s.HeapAlloc)
	}
	before := heap()
	prog, err := models.Compile(m, nn.NewParams(1), sc, o)
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	b := modeltest.Batch(sc, 1, batch, 1) // buffers are those of a whole batch
	for i := range 50 {
		b.IDs["history"][i] = int32(data.FirstID + i)
	}
	if _, err := prog.Run(b, 0); err != nil {
		t.Fatal(err)
	}
	held := heap() - before
	runtime.KeepAlive(prog)
	t.Logf("planned %.0f MB, the heap grew by %.0f MB", planned/1e6, held/1e6)
	if planned > limit || held > limit || held < .3*planned {
		t.Errorf("planned %.0f MB, the heap grew by %.0f MB, want less than %.0f", planned/1e6, held/1e6, limit/1e6)
	}
}
