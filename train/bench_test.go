package train_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/seq"
	"github.com/splice-ml/splice/models/text"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/optim"
	"github.com/splice-ml/splice/train/task"
)

// cycle is an endless source of a few batches.
type cycle struct {
	schema  *data.Schema
	batches []*data.Batch
}

func (c *cycle) Schema() *data.Schema { return c.schema }
func (c *cycle) Rows() int64          { return -1 }

func (c *cycle) Batches(int, int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		for i := 0; ; i++ {
			if !yield(c.batches[i%len(c.batches)], nil) {
				return
			}
		}
	}
}

// criteoLike has 13 numeric and 26 categorical fields with so many ids in all, drawn from Zipf's law with exponent 1.2.
func criteoLike(batch, ids int) *cycle {
	const fields = 26
	per := ids / fields
	sc := &data.Schema{NumDense: 13}
	for i := range 13 {
		n := fmt.Sprintf("I%d", i+1)
		sc.Features = append(sc.Features, data.Feature{Name: n, Kind: data.Numeric, Column: i, Table: n})
	}
	for i := range fields {
		n := fmt.Sprintf("C%d", i+1)
		sc.Features = append(sc.Features, data.Feature{Name: n, Kind: data.Categorical, Vocab: per, Table: n})
	}
	r := rng.New(rng.Key(1, "bench"))
	c := &cycle{schema: sc}
	for range 8 {
		b := data.NewBatch(sc, batch)
		b.N = batch
		for i := range b.Dense {
			b.Dense[i] = r.Float32()
		}
		for i := range b.Label {
			if r.Float32() < 0.25 {
				b.Label[i] = 1
			}
		}
		for _, f := range sc.Features[13:] {
			for i := range b.IDs[f.Name] {
				k := math.Min(math.Floor(math.Pow(1-r.Float64(), -1/0.2)), 1e15)
				b.IDs[f.Name][i] = int32(1 + int64(k)%int64(per-1))
			}
		}
		c.batches = append(c.batches, b)
	}
	return c
}

var errEnough = errors.New("enough")

// clock times the steps after the first few.
type clock struct {
	warm, n int
	last    time.Time
	steps   []float64
	before  [2]int64      // multiply-adds and bytes of the steps that warm up
	work    [2]int64      // and of the others
	idle    time.Duration // the process's CPU time before the others
	busy    time.Duration // and in them
}

func (c *clock) On(_ context.Context, e *train.Event) error {
	if e.Kind != train.StepDone {
		return nil
	}
	now := time.Now()
	if e.Step == int64(c.warm) {
		c.before, c.idle = [2]int64{kernel.MultiplyAdds(), kernel.BytesMoved()}, cpuTime()
	}
	if e.Step > int64(c.warm) {
		c.work = [2]int64{kernel.MultiplyAdds() - c.before[0], kernel.BytesMoved() - c.before[1]}
		c.steps = append(c.steps, now.Sub(c.last).Seconds())
		c.busy = cpuTime() - c.idle
	}
	c.last = now
	if len(c.steps) == c.n {
		return errEnough
	}
	return nil
}

// sentences are batches of rows of so many random tokens, without padding.
func sentences(rows, length int) *cycle {
	const vocab = 30522
	c := &cycle{schema: &data.Schema{Text: &data.Text{Vocab: vocab, Lengths: []int{length}, Labels: []string{"no", "yes"}}}}
	r := rng.New(rng.Key(1, "bench"))
	for range 8 {
		b := data.NewTokenBatch(c.schema, rows, length)
		b.N = rows
		for i := range b.Tokens.IDs {
			b.Tokens.IDs[i] = int32(r.IntN(vocab))
		}
		for i := range rows {
			b.Tokens.Len[i], b.Label[i] = int32(length), float32(r.IntN(2))
		}
		c.batches = append(c.batches, b)
	}
	return c
}

// shortHistories are batches of histories of up to 50 items, most of which are short, as those of Amazon's logs are.
func shortHistories(rows, items int) *cycle {
	const most = 50
	sc := &data.Schema{Features: []data.Feature{{Name: "history", Kind: data.Sequence, Vocab: items + data.FirstID, MaxLen: most, Table: "item"}}}
	c := &cycle{schema: sc}
	r := rng.New(rng.Key(1, "bench"))
	item := func() int32 { return int32(data.FirstID + r.IntN(items)) }
	for range 8 {
		b := data.NewBatch(sc, rows)
		b.N = rows
		for i := range rows {
			b.Label[i] = float32(item())
			for k := range min(most, int(3/math.Sqrt(1-r.Float64()))) {
				b.IDs["history"][i*most+k] = item()
			}
		}
		c.batches = append(c.batches, b)
	}
	return c
}

// stepTime trains m and reports the median time of a step: gather, forward, backward and optimizer. The time that all cores spent on a step,
// its mean, says more where other programs run. The environment variable SPLICE_PRECISION is train.precision.
func stepTime(b *testing.B, m models.Model, src *cycle, tk task.Task, o train.Options) {
	c := &clock{warm: 10, n: max(b.N, 5)}
	o.Epochs, o.Precision = 1, precision(b)
	tr := &train.Trainer{
		Options: o, Model: m, Task: tk, Data: &data.Splits{Schema: src.schema, Train: src}, Params: nn.NewParams(1), Dir: b.TempDir(),
		Callbacks: []train.Callback{c},
	}
	if _, err := tr.Fit(b.Context()); !errors.Is(err, errEnough) {
		b.Fatal(err)
	}
	slices.Sort(c.steps)
	median := c.steps[len(c.steps)/2]
	b.ReportMetric(median*1e3, "ms/step")
	b.ReportMetric(1e3*c.busy.Seconds()/float64(len(c.steps)), "cpu-ms/step")
	b.ReportMetric(float64(o.BatchSize)/median, "samples/s")
	gflop := 2 * float64(c.work[0]) / float64(len(c.steps)) / 1e9
	b.ReportMetric(gflop, "GFLOP/step")
	b.ReportMetric(gflop/median, "GFLOP/s")
	gb := float64(c.work[1]) / float64(len(c.steps)) / 1e9
	b.ReportMetric(gb, "GB/step")
	b.ReportMetric(gb/median, "GB/s")
	b.ReportMetric(0, "ns/op")
}

// timed is a model that is timed, with the options of its training and batches to learn from or to score.
type timed struct {
	name  string
	model models.Model
	src   *cycle
	task  task.Task
	opts  train.Options
}

// benchRecommender is a model for clicks at batch 4096, 39 fields, a million ids, embedding 16, tower 400x3, with lazy or dense tables; or a large one at batch
// 10,000, ten million ids, tower 1000x5.
func benchRecommender(name, kind string) timed {
	o, ids, hidden := train.Defaults(), 1_000_000, []int{400, 400, 400}
	o.BatchSize, o.MaxGradNorm, o.Embeddings = 4096, 0, kind
	if kind == "large" {
		o.BatchSize, o.Embeddings, ids, hidden = 10_000, "lazy", 10_000_000, []int{1000, 1000, 1000, 1000, 1000}
	}
	tower := ctr.Tower{HiddenUnits: hidden, HiddenActivations: "relu"}
	var m models.Model
	switch name {
	case "deepfm":
		m = ctr.DeepFM{EmbeddingDim: 16, Tower: tower}
	case "dcn":
		m = ctr.DCN{EmbeddingDim: 16, NumCrossLayers: 3, Tower: tower}
	default:
		m = ctr.DCNv2{EmbeddingDim: 16, NumCrossLayers: 3, ModelStructure: "parallel", Tower: tower}
	}
	return timed{name + "/" + kind, m, criteoLike(o.BatchSize, ids), task.Binary{MetricNames: []string{"auc"}}, o}
}

// benchEncoder is a BERT of so many layers of a width over rows of so many tokens, at batch 32.
func benchEncoder(layers, width, length int) timed {
	m := &text.BERT{
		Encoder: text.Encoder{
			HiddenSize: width, NumHiddenLayers: layers, NumAttentionHeads: width / 32, IntermediateSize: 4 * width,
			HiddenAct: "gelu", HiddenDropoutProb: 0.1,
			AttentionProbsDropoutProb: 0.1, MaxPositionEmbeddings: 512, TypeVocabSize: 2,
			LayerNormEps: 1e-12, InitializerRange: 0.02,
		},
		Classifier: text.Classifier{Pooling: "cls"},
	}
	o := train.Defaults()
	o.BatchSize, o.MaxGradNorm, o.LearningRate = 32, 1, 5e-5
	o.Optimizer, _ = optim.Types.Default("adamw")
	classification, _ := task.Registry.Default("classification")
	return timed{fmt.Sprintf("bert/%dx%d/%d", layers, width, length), m, sentences(o.BatchSize, length), classification, o}
}

// benchmarks runs f over recommenders of the kinds and over encoders, by layers, width and the tokens of a row, MiniLM-L6 among them.
func benchmarks(b *testing.B, kinds []string, f func(b *testing.B, t timed)) {
	for _, name := range []string{"deepfm", "dcn", "dcnv2"} {
		for _, kind := range kinds {
			b.Run(name+"/"+kind, func(b *testing.B) { f(b, benchRecommender(name, kind)) })
		}
	}
	for _, c := range []struct{ layers, width, length int }{{2, 128, 64}, {4, 256, 128}, {6, 384, 16}, {6, 384, 32}, {6, 384, 64}, {6, 384, 128}} {
		b.Run(fmt.Sprintf("bert/%dx%d/%d", c.layers, c.width, c.length), func(b *testing.B) { f(b, benchEncoder(c.layers, c.width, c.length)) })
	}
}

// precision is that of the environment variable SPLICE_PRECISION, by default the highest.
func precision(b *testing.B) (p kernel.Precision) {
	if s := os.Getenv("SPLICE_PRECISION"); s != "" {
		if err := p.UnmarshalText([]byte(s)); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// medianOf runs f n times, after some to warm up, and returns the sorted milliseconds that it took.
func medianOf(b *testing.B, n int, f func(i int) error) []float64 {
	var took []float64
	for i := range max(3, n/3) + n {
		start := time.Now()
		if err := f(i); err != nil {
			b.Fatal(err)
		}
		took = append(took, 1e3*time.Since(start).Seconds())
	}
	took = took[len(took)-n:]
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	return took
}

// TestBenchmarkedNeed prints what the programs of the benchmarks need beside their weights, with all results kept and as they are compiled for
// training and for scoring, which is less.
func TestBenchmarkedNeed(t *testing.T) {
	for _, c := range []timed{benchRecommender("deepfm", "lazy"), benchRecommender("dcnv2", "lazy"), benchEncoder(4, 256, 128), benchEncoder(6, 384, 128)} {
		need := func(o models.CompileOptions) float64 {
			o.Batch = c.opts.BatchSize
			n, err := models.Measure(c.model, nn.NewShapes(), c.src.schema, o)
			if err != nil {
				t.Fatal(err)
			}
			return n.Graphs / 1e6
		}
		kept, lean := models.CompileOptions{Train: true, Loss: c.task.Loss}, models.CompileOptions{Train: true, Loss: c.task.Loss, Lean: true}
		all, train, scored, score := need(kept), need(lean), need(models.CompileOptions{}), need(models.CompileOptions{Blocks: true})
		t.Logf("%s: training %.0f MB, lean %.0f; scoring %.0f MB, in blocks %.0f", c.name, all, train, scored, score)
		if train > .65*all || score > .5*scored {
			t.Errorf("%s: lean programs need %.0f and %.0f MB, others %.0f and %.0f", c.name, train, score, all, scored)
		}
	}
}

// BenchmarkInference times scoring of whole batches, as predicting a file does without reading it. Compare with scripts/bench.
func BenchmarkInference(b *testing.B) {
	benchmarks(b, []string{"lazy", "large"}, func(b *testing.B, t timed) {
		p, err := models.NewParams(t.model, t.src.schema, 1)
		if err != nil {
			b.Fatal(err)
		}
		prog, err := models.Compile(t.model, p, t.src.schema, models.CompileOptions{Batch: t.opts.BatchSize, Precision: precision(b), Blocks: true})
		if err != nil {
			b.Fatal(err)
		}
		defer prog.Close()
		took := medianOf(b, max(b.N, 5), func(i int) error {
			_, err := prog.Run(t.src.batches[i%len(t.src.batches)], 0)
			return err
		})
		b.ReportMetric(took[len(took)/2], "ms/batch")
		b.ReportMetric(1e3*float64(t.opts.BatchSize)/took[len(took)/2], "rows/s")
	})
}

// BenchmarkSingle times scoring of one encoded row a call, by the predictor that serves runs in memory. Compare with scripts/bench.
func BenchmarkSingle(b *testing.B) {
	benchmarks(b, []string{"lazy", "large"}, func(b *testing.B, t timed) {
		p, err := models.NewParams(t.model, t.src.schema, 1)
		if err != nil {
			b.Fatal(err)
		}
		predictor, err := models.NewPredictor(t.model, p, t.src.schema, precision(b))
		if err != nil {
			b.Fatal(err)
		}
		defer predictor.Close()
		dst := make([]float32, 0, predictor.Width())
		took := medianOf(b, max(b.N, 100), func(i int) error {
			from := t.src.batches[i%len(t.src.batches)]
			_, err := predictor.Logits(b.Context(), dst, 1, func(to *data.Batch, _, n int) error {
				modeltest.Put(t.src.schema, to, from, i/len(t.src.batches)%16, n)
				return nil
			})
			return err
		})
		b.ReportMetric(took[len(took)/2], "p50-ms")
		b.ReportMetric(took[(len(took)-1)*99/100], "p99-ms")
	})
}

// BenchmarkStep times a training step: of recommenders and encoders, and of SASRec at batch 128, width 64, over all of 54,542 items and over 256 of 12,101 that are
// drawn for each position. Compare with scripts/bench.
func BenchmarkStep(b *testing.B) {
	benchmarks(b, []string{"lazy", "dense", "large"}, func(b *testing.B, t timed) { stepTime(b, t.model, t.src, t.task, t.opts) })
	ranked := []string{"hr@10"}
	for name, c := range map[string]struct {
		items int
		task  task.NextItem
	}{
		"full":    {54_542, task.NextItem{Objective: "full", MetricNames: ranked}},
		"sampled": {12_101, task.NextItem{Objective: "sampled_softmax", Negatives: 256, MetricNames: ranked}},
	} {
		b.Run("sasrec/"+name, func(b *testing.B) {
			o := train.Defaults()
			o.BatchSize = 128
			m := seq.SASRec{
				Columns:     seq.Columns{Item: "item", History: "history", EmbeddingDim: 64, InitStd: .02},
				Transformer: seq.Transformer{NumBlocks: 2, NumHeads: 1, Dropout: .2}, Output: seq.Output{Output: seq.Items},
			}
			stepTime(b, m, shortHistories(o.BatchSize, c.items), c.task, o)
		})
	}
}
