package ctr_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// criteo is a schema like Criteo's: 13 numbers and 26 categories, here of 10,000 values each.
func criteo() *data.Schema {
	sc := &data.Schema{NumDense: 13}
	for i := range 13 {
		sc.Features = append(sc.Features, data.Feature{Name: fmt.Sprintf("I%d", i+1), Kind: data.Numeric, Column: i})
	}
	for i := range 26 {
		sc.Features = append(sc.Features, data.Feature{Name: fmt.Sprintf("C%d", i+1), Kind: data.Categorical, Vocab: 10000})
	}
	return sc
}

// large is DeepFM with a tower of 400x3, over embeddings of 16 numbers.
var large = ctr.DeepFM{EmbeddingDim: 16, Tower: ctr.Tower{HiddenUnits: []int{400, 400, 400}, HiddenActivations: "relu"}}

// BenchmarkProgram runs a program that scores and reports the time of a row, and the median and the 99th percentile of the time of
// a run.
func BenchmarkProgram(b *testing.B) {
	sc := criteo()
	for _, rows := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			prog, err := models.Compile(large, nn.NewParams(1), sc, models.CompileOptions{Batch: rows, Fixed: &ops.Constants{}})
			if err != nil {
				b.Fatal(err)
			}
			defer prog.Close()
			batches := make([]*data.Batch, 64)
			for i := range batches {
				batches[i] = modeltest.Batch(sc, rows, rows, uint64(i))
			}
			i := 0
			latency(b, func() error {
				i++
				_, err := prog.Run(batches[i%len(batches)], 0)
				return err
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
		})
	}
}

// BenchmarkPredictor scores one row a call, and several, from one goroutine and from several at once.
func BenchmarkPredictor(b *testing.B) {
	sc := criteo()
	params, err := models.NewParams(large, sc, 1)
	if err != nil {
		b.Fatal(err)
	}
	p, err := models.NewPredictor(large, params, sc, kernel.Highest)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	const most = 100
	batch := modeltest.Batch(sc, most, most, 1)
	score := func(dst []float32, rows int) error {
		_, err := p.Logits(b.Context(), dst, rows, func(to *data.Batch, i, n int) error {
			modeltest.Put(sc, to, batch, i, n)
			return nil
		})
		return err
	}
	for _, rows := range []int{1, 10, most} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			dst := make([]float32, 0, rows)
			latency(b, func() error { return score(dst, rows) })
		})
	}
	b.Run("rows=1/parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			dst := make([]float32, 0, 1)
			for pb.Next() {
				if err := score(dst, 1); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// BenchmarkStep is a step of training on 4096 rows, as programs run it and on Gorgonia's tape machine.
func BenchmarkStep(b *testing.B) {
	sc := criteo()
	for _, tape := range []bool{false, true} {
		b.Run(fmt.Sprintf("tape=%v", tape), func(b *testing.B) {
			o := models.CompileOptions{Batch: 4096, Train: true, Loss: modeltest.BCE, Tape: tape}
			prog, err := models.Compile(large, nn.NewParams(1), sc, o)
			if err != nil {
				b.Fatal(err)
			}
			defer prog.Close()
			batch := modeltest.Batch(sc, 4096, 4096, 1)
			latency(b, func() error {
				_, err := prog.Run(batch, 0)
				return err
			})
		})
	}
}

// latency runs f b.N times and reports the median and the 99th percentile of its time.
func latency(b *testing.B, f func() error) {
	if err := f(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	times := make([]time.Duration, 0, 1<<20)
	for b.Loop() {
		start := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		if len(times) < cap(times) {
			times = append(times, time.Since(start))
		}
	}
	slices.Sort(times)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(times[(len(times)-1)*p/100].Nanoseconds()), fmt.Sprintf("p%d-ns", p))
	}
}
