package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/set"
	trainrun "github.com/splice-ml/splice/train/run"
)

// What is measured.
const (
	step      = "step"      // a training step over batches in memory
	epoch     = "epoch"     // an epoch of training with its rows shuffled and read
	inference = "inference" // batches that are scored
	single    = "single"    // rows that are scored one by one
)

var measures = []string{step, epoch, inference, single}

// row is a model to measure.
type row struct {
	name  string
	what  string
	ours  map[string]start // by what is measured
	torch []string         // arguments of python
	needs string           // a file below -datasets; may be empty
}

// start starts our program, in a precision of products.
type start func(ctx context.Context, b *bench, precision string) (side, error)

// side is a program that takes its turns.
type side interface {
	turn(ctx context.Context) (measure, error)
	stop()
}

// once is a side that runs anew for each turn.
type once func(ctx context.Context) (measure, error)

func (f once) turn(ctx context.Context) (measure, error) { return f(ctx) }
func (f once) stop()                                     {}

// measure is what one turn of a program came to.
type measure struct {
	Millis float64 `json:"ms"` // of a step, an epoch, a batch, or a row at the median
	PeakMB float64 `json:"peak_mb"`
	P99    float64 `json:"p99_ms,omitempty"` // of single rows
}

// rows are all that can be measured.
func rows() []row {
	var out []row
	for _, m := range []string{"deepfm", "dcn", "dcnv2"} {
		const small = ", batch 4096, 39 fields, a million ids, embedding 16, tower 400x3, embeddings "
		for _, kind := range []struct{ name, what, torch string }{
			{"lazy", small + "lazy", "tables=sparse"},
			{"dense", small + "dense", "tables=dense"},
			{"large", ", batch 10,000, 39 fields, ten million ids, embedding 16, tower 1000x5, embeddings lazy", "size=large"},
		} {
			name := m + "/" + kind.name
			r := row{m + "_" + kind.name, m + kind.what, map[string]start{step: benchmark(step, name)}, []string{"models_torch.py", m, kind.torch}, ""}
			if kind.name == "lazy" {
				r.ours[epoch], r.ours[inference], r.ours[single] = clicks(m), benchmark(inference, name), benchmark(single, name)
			}
			out = append(out, r)
		}
	}
	for _, e := range []struct {
		name                  string
		layers, width, tokens int
		epoch                 bool
	}{
		{"bert_2x128", 2, 128, 64, true},
		{"bert_4x256", 4, 256, 128, false},
		{"minilm_16", 6, 384, 16, false},
		{"minilm_32", 6, 384, 32, true},
		{"minilm_64", 6, 384, 64, false},
		{"minilm_128", 6, 384, 128, false},
	} {
		name := fmt.Sprintf("bert/%dx%d/%d", e.layers, e.width, e.tokens)
		r := row{
			e.name, fmt.Sprintf("encoder of %d layers of %d, 32 rows of %d tokens, AdamW", e.layers, e.width, e.tokens),
			map[string]start{step: benchmark(step, name), inference: benchmark(inference, name), single: benchmark(single, name)},
			[]string{"models_torch.py", "bert", fmt.Sprintf("layers=%d", e.layers), fmt.Sprintf("width=%d", e.width), fmt.Sprintf("tokens=%d", e.tokens)},
			"",
		}
		if e.epoch {
			r.ours[epoch] = reviews(e.layers, e.width, e.tokens)
		}
		out = append(out, r)
	}
	for _, h := range []struct{ name, what, config, model, file string }{
		{"din", "DIN on MovieLens-100k, batch 1024", "ml100k_din", "din", "ml-100k/u.data"},
		{"gru4rec", "GRU4Rec on MovieLens-100k, batch 1024", "ml100k_gru4rec", "gru4rec", "ml-100k/u.data"},
		{"sasrec", "SASRec on MovieLens-100k, batch 1024", "ml100k_sasrec", "sasrec", "ml-100k/u.data"},
		{"sasrec_full", "SASRec on Amazon Beauty, cross-entropy over 54,542 items", "beauty_sasrec", "next_full", "beauty/beauty.txt"},
		{"sasrec_sampled", "SASRec on Beauty's 5-core, 256 drawn items a position", "beauty_core_sasrec", "next_sampled", "beauty_core/Beauty.txt"},
	} {
		r := row{h.name, h.what, map[string]start{step: training(h.config, h.file)}, []string{"histories_torch.py", step, h.model, h.file}, h.file}
		if strings.HasPrefix(h.config, "ml100k") {
			r.ours[epoch] = histories(h.config, h.file)
		}
		out = append(out, r)
	}
	return out
}

func rowNames() []string {
	var names []string
	for _, r := range rows() {
		names = append(names, r.name)
	}
	return names
}

// choose returns the rows of these names, or all.
func choose(names string) ([]row, error) {
	all := rows()
	if names == "" {
		return all, nil
	}
	var out []row
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(r row) bool { return r.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-rows: unknown row %q: want some of %s", name, strings.Join(rowNames(), ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// functions are the benchmarks of train/bench_test.go, the metrics that they print, and how many times a turn's steps they run.
var functions = map[string]struct {
	name, metric, p99 string
	times             int
}{
	step:      {"BenchmarkStep", "ms/step", "", 1},
	inference: {"BenchmarkInference", "ms/batch", "", 1},
	single:    {"BenchmarkSingle", "p50-ms", "p99-ms", 100},
}

// benchmark runs the benchmark of that name.
func benchmark(what, name string) start {
	f := functions[what]
	return func(_ context.Context, b *bench, precision string) (side, error) {
		return once(func(ctx context.Context) (measure, error) {
			c := exec.CommandContext(ctx, filepath.Join(b.bin, "train.test"), "-test.run", "^$", "-test.benchtime", fmt.Sprintf("%dx", f.times*b.steps),
				"-test.bench", "^"+f.name+"$/^"+strings.ReplaceAll(name, "/", "$/^")+"$", "-test.cpu", strconv.Itoa(b.threads))
			c.Dir = filepath.Join(b.root, "train")
			c.Env = append(os.Environ(), "SPLICE_PRECISION="+precision)
			text, err := output(c)
			if err != nil {
				return measure{}, err
			}
			m := measure{PeakMB: peak(c)}
			if m.Millis, err = metric(text, f.metric); err != nil || f.p99 == "" {
				return m, err
			}
			m.P99, err = metric(text, f.p99)
			return m, err
		}), nil
	}
}

// metric returns the number before a unit in what a Go benchmark printed.
func metric(text, unit string) (float64, error) {
	fields := strings.Fields(text)
	i := slices.Index(fields, unit)
	if i < 1 {
		return 0, fmt.Errorf("no %s in %q", unit, text)
	}
	return strconv.ParseFloat(fields[i-1], 64)
}

// training times the steps of a config: what a training of so many steps takes longer than one of a few.
func training(config, file string) start {
	return func(_ context.Context, b *bench, precision string) (side, error) {
		return once(func(ctx context.Context) (measure, error) { return b.training(ctx, config, file, precision) }), nil
	}
}

func (b *bench) training(ctx context.Context, config, file, precision string) (measure, error) {
	const few = 8
	metric, steps := `["hr@10"]`, b.steps
	if strings.HasPrefix(config, "ml100k") {
		metric, steps = "[auc]", 10*b.steps
	}
	var m measure
	for _, n := range []int{few, few + steps} {
		c := exec.CommandContext(ctx, filepath.Join(b.bin, "train"), "-quiet", "-overwrite", "-offline", "-config", filepath.Join("configs", config+".yaml"),
			"-run", filepath.Join(b.bin, "run"), "-set", "fallback=none", "-set", "data.path="+filepath.Join(b.datasets, file), "-set", "threads="+strconv.Itoa(b.threads),
			"-set", "train.epochs=1000", "-set", "train.max_steps="+strconv.Itoa(n), "-set", "task.metrics="+metric, "-set", "train.precision="+precision)
		c.Dir = b.root
		if _, err := output(c); err != nil {
			return m, err
		}
		text, err := bound.ReadFile(filepath.Join(b.bin, "run", trainrun.ResultFile), bound.JSON)
		if err != nil {
			return m, err
		}
		var result struct {
			Train struct{ Seconds float64 }
		}
		if err := json.Unmarshal(text, &result); err != nil {
			return m, err
		}
		m.Millis = 1000*result.Train.Seconds - m.Millis
		m.PeakMB = max(m.PeakMB, peak(c))
	}
	m.Millis /= float64(steps)
	return m, nil
}

// clicks is epochs of a recommender over generated rows of Criteo's layout.
func clicks(model string) start {
	return func(ctx context.Context, b *bench, precision string) (side, error) {
		file := filepath.Join(b.bin, "clicks.tsv")
		if _, err := set.SynthFile(ctx, file, set.SynthOptions{Rows: int64(b.epochRows), Seed: 1}); err != nil {
			return nil, err
		}
		return b.epochs(ctx, filepath.Join(b.root, "configs", "criteo_"+model+".yaml"), true, precision,
			"data.path="+file, "data.fallback=none", "data.categorical.min_count=1", "model.net_dropout=0")
	}
}

// reviews is epochs of an encoder over generated sentences, a fiftieth as many as rows of recommenders.
func reviews(layers, width, tokens int) start {
	return func(ctx context.Context, b *bench, precision string) (side, error) {
		file := filepath.Join(b.bin, "reviews.yaml")
		text := fmt.Sprintf(`data: {type: reviews, train: %d, valid: 0, test: 0, vocab_size: 1000, max_length: %d, buckets: [8, 12, 16, 20, 24, 28, 32]}
model: {type: bert, hidden_size: %d, num_hidden_layers: %d, num_attention_heads: %d, intermediate_size: %d}
task: classification
train: {batch_size: 32, learning_rate: 5e-5, optimizer: {type: adamw, weight_decay: 0.01}, max_grad_norm: 1}
`, max(64, b.epochRows/50), max(tokens, 40), width, layers, width/32, 4*width)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return nil, err
		}
		return b.epochs(ctx, file, true, precision)
	}
}

// histories is epochs of a config over a log.
func histories(config, file string) start {
	return func(ctx context.Context, b *bench, precision string) (side, error) {
		return b.epochs(ctx, filepath.Join(b.root, "configs", config+".yaml"), false, precision, "fallback=none", "data.path="+filepath.Join(b.datasets, file))
	}
}

// epochs starts the program of serveEpochs. If export says so, it writes the rows that PyTorch reads.
func (b *bench) epochs(ctx context.Context, config string, export bool, precision string, settings ...string) (side, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"epochs", "-config", config, "-dir", filepath.Join(b.bin, "epochs_"+precision), "-threads", strconv.Itoa(b.threads)}
	if export {
		args = append(args, "-export", b.exported())
	}
	settings = append(settings, "train.epochs=100000", "train.patience=0", "train.keep=last", "train.schedule={type: constant}", "train.precision="+precision)
	for _, s := range settings {
		args = append(args, "-set", s)
	}
	return b.launch("splice "+precision, exec.CommandContext(ctx, self, args...))
}

// exported is the folder of the rows that our program writes for PyTorch.
func (b *bench) exported() string { return filepath.Join(b.bin, "encoded") }
