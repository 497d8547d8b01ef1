package models_test

import (
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models"
	_ "github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
)

// What a program needs is known before anything is allocated.
func TestMeasure(t *testing.T) {
	heap := func() float64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return float64(s.HeapAlloc)
	}
	for _, name := range models.Registry.Names() {
		m, _ := models.Registry.Default(name)
		if _, ok := m.(models.Resolver); ok {
			continue // of text, see below
		}
		sc := modeltest.Schema()
		if strings.HasSuffix(reflect.TypeOf(m).PkgPath(), "/seq") {
			sc = modeltest.Histories()
		}
		o := models.CompileOptions{Batch: 4096, Train: true, Loss: modeltest.BCE}
		p := nn.NewShapes()
		start := heap()
		need, err := models.Measure(m, p, sc, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if grown := heap() - start; grown > 4<<20 {
			t.Errorf("%s: measuring took %.1f MB", name, grown/1e6)
		}
		values := 0.0
		for _, q := range p.All() {
			values += q.Bytes()
		}
		start = heap()
		r, err := models.Compile(m, nn.NewParams(1), sc, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Run(modeltest.Batch(sc, 4000, 4096, 1), 0); err != nil {
			t.Fatal(err)
		}
		got, want := values+need.Graphs, heap()-start
		t.Logf("%s: %.1f MB, measured %.1f", name, got/1e6, want/1e6)
		if got < .8*want-2e6 || got > 1.25*want+4e6 {
			t.Errorf("%s: needs %.1f MB, the heap grew by %.1f", name, got/1e6, want/1e6)
		}
		r.Close()
		runtime.KeepAlive(r)
	}
}
