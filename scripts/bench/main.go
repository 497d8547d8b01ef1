// Command bench times the training step against PyTorch's in each of its modes, in turns on this machine, and prints Markdown.
//
//	make bench-torch                                       makes the environment of requirements.txt and runs all rows
//	go run ./scripts/bench -rows deepfm,din -pairs 3       with python3, or -python FILE
//
// A process of each mode of PyTorch is started and warmed up first. Then, pair by pair, our program runs its steps and each of them runs as many.
// Rows of histories need the files that configs/ml100k_din.yaml, beauty_sasrec.yaml and beauty_core_sasrec.yaml name, in -datasets;
// those that are not there are named and left out.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models/ops/kernel"
	trainrun "github.com/splice-ml/splice/train/run"
)

// modes are those of modes_torch.py.
var modes = []string{"eager", "matmul-bf16", "autocast", "compile", "compile-matmul-bf16", "compile-autocast"}

// exact are the modes whose products are fp32.
var exact = []string{"eager", "compile"}

// row is a model to time.
type row struct {
	name  string
	what  string
	ours  func(ctx context.Context, b *bench, precision string) (measure, error)
	torch []string // arguments of python
	needs string   // a file below -datasets; may be empty
}

// measure is what one turn of a program came to.
type measure struct {
	Millis float64 `json:"ms"`
	PeakMB float64 `json:"peak_mb"`
}

// rows are all that can be timed.
func rows() []row {
	var out []row
	for _, m := range []string{"deepfm", "dcn", "dcnv2"} {
		const small = ", batch 4096, 39 fields, a million ids, embedding 16, tower 400x3, embeddings "
		for _, kind := range []struct{ name, what, torch string }{
			{"lazy", small + "lazy", "tables=sparse"},
			{"dense", small + "dense", "tables=dense"},
			{"large", ", batch 10,000, 39 fields, ten million ids, embedding 16, tower 1000x5, embeddings lazy", "size=large"},
		} {
			out = append(out, row{m + "_" + kind.name, m + kind.what, benchmark(m + "/" + kind.name), []string{"models_torch.py", m, kind.torch}, ""})
		}
	}
	for _, e := range []struct{ name, layers, width, tokens string }{
		{"bert_2x128", "2", "128", "64"},
		{"bert_4x256", "4", "256", "128"},
		{"minilm_16", "6", "384", "16"},
		{"minilm_32", "6", "384", "32"},
		{"minilm_64", "6", "384", "64"},
		{"minilm_128", "6", "384", "128"},
	} {
		out = append(out, row{
			e.name, "encoder of " + e.layers + " layers of " + e.width + ", 32 rows of " + e.tokens + " tokens, AdamW",
			benchmark("bert/" + e.layers + "x" + e.width + "/" + e.tokens),
			[]string{"models_torch.py", "bert", "layers=" + e.layers, "width=" + e.width, "tokens=" + e.tokens},
			"",
		})
	}
	for _, h := range []struct{ name, what, config, model, file string }{
		{"din", "DIN on MovieLens-100k, batch 1024", "ml100k_din", "din", "ml-100k/u.data"},
		{"gru4rec", "GRU4Rec on MovieLens-100k, batch 1024", "ml100k_gru4rec", "gru4rec", "ml-100k/u.data"},
		{"sasrec", "SASRec on MovieLens-100k, batch 1024", "ml100k_sasrec", "sasrec", "ml-100k/u.data"},
		{"sasrec_full", "SASRec on Amazon Beauty, cross-entropy over 54,542 items", "beauty_sasrec", "next_full", "beauty/beauty.txt"},
		{"sasrec_sampled", "SASRec on Beauty's 5-core, 256 drawn items a position", "beauty_core_sasrec", "next_sampled", "beauty_core/Beauty.txt"},
	} {
		out = append(out, row{h.name, h.what, training(h.config, h.file), []string{"histories_torch.py", "step", h.model, h.file}, h.file})
	}
	return out
}

// bench holds the options of a run and what it built.
type bench struct {
	python, datasets, root, bin string
	precisions                  []string
	pairs, steps, threads       int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, log io.Writer) error {
	b := &bench{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(log)
	names := f.String("rows", "", "rows to time, comma separated (default: all): "+strings.Join(rowNames(), ", "))
	which := f.String("modes", strings.Join(modes, ","), "modes of PyTorch")
	ours := f.String("precisions", strings.Join(precisions(), ","), "train.precision of ours; the default is all that have kernels of their own here")
	file := f.String("out", "", "JSON file of the result")
	f.StringVar(&b.python, "python", "python3", "Python with the packages of scripts/bench/requirements.txt")
	f.StringVar(&b.datasets, "datasets", "datasets", "folder of the data of histories")
	f.IntVar(&b.pairs, "pairs", 5, "turns of each program")
	f.IntVar(&b.steps, "steps", 15, "steps of a turn; those of DIN, GRU4Rec and SASRec on MovieLens are ten times as many")
	f.IntVar(&b.threads, "threads", runtime.NumCPU(), "threads of each program")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if b.pairs < 1 || b.steps < 1 || b.threads < 1 {
		return errors.New("-pairs, -steps and -threads: want numbers above 0")
	}
	chosen, err := choose(*names)
	if err != nil {
		return err
	}
	asked := strings.Split(*which, ",")
	for _, m := range asked {
		if !slices.Contains(modes, m) {
			return fmt.Errorf("-modes: unknown mode %q: want some of %s", m, strings.Join(modes, ", "))
		}
	}
	b.precisions = strings.Split(*ours, ",")
	for _, p := range b.precisions {
		if _, err := kernel.ParsePrecision(p); err != nil {
			return fmt.Errorf("-precisions: %w", err)
		}
	}
	if b.datasets, err = filepath.Abs(b.datasets); err != nil {
		return err
	}
	if err := b.build(ctx, log); err != nil {
		return err
	}
	defer os.RemoveAll(b.bin)
	r := &report{Machine: machine(), Threads: b.threads, Pairs: b.pairs, Precisions: b.precisions}
	for _, row := range chosen {
		if row.needs != "" {
			if _, err := os.Stat(filepath.Join(b.datasets, row.needs)); err != nil {
				fmt.Fprintf(log, "%s is left out: %v\n", row.name, err)
				continue
			}
		}
		result, err := b.time(ctx, row, asked, log)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		r.Rows = append(r.Rows, *result)
	}
	if err := r.markdown(out); err != nil {
		return err
	}
	if *file == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*file, append(text, '\n'), 0o644)
}

func rowNames() []string {
	var names []string
	for _, r := range rows() {
		names = append(names, r.name)
	}
	return names
}

// precisions are those that are worth timing on this machine.
func precisions() []string {
	all := []string{kernel.Highest.String(), kernel.High.String(), kernel.Medium.String()}
	if kernel.Tiles() != nil {
		return all[:1]
	}
	return all
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

// build compiles our programs.
func (b *bench) build(ctx context.Context, log io.Writer) error {
	var err error
	if b.root, err = os.Getwd(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(b.root, "scripts", "bench", "models_torch.py")); err != nil {
		return errors.New("run it in the folder of the repository")
	}
	if b.bin, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	for _, args := range [][]string{{"build", "-o", filepath.Join(b.bin, "train"), "./cmd/train"}, {"test", "-c", "-o", filepath.Join(b.bin, "train.test"), "./train"}} {
		c := exec.CommandContext(ctx, "go", args...)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		c.Stdout, c.Stderr = log, log
		if err := c.Run(); err != nil {
			return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
		}
	}
	return nil
}

// benchmark times BenchmarkStep of that name.
func benchmark(name string) func(ctx context.Context, b *bench, precision string) (measure, error) {
	return func(ctx context.Context, b *bench, precision string) (measure, error) {
		c := exec.CommandContext(ctx, filepath.Join(b.bin, "train.test"), "-test.run", "^$", "-test.benchtime", fmt.Sprintf("%dx", b.steps),
			"-test.bench", "^BenchmarkStep$/^"+strings.ReplaceAll(name, "/", "$/^")+"$", "-test.cpu", strconv.Itoa(b.threads))
		c.Dir = filepath.Join(b.root, "train")
		c.Env = append(os.Environ(), "SPLICE_PRECISION="+precision)
		text, err := output(c)
		if err != nil {
			return measure{}, err
		}
		fields := strings.Fields(text)
		i := slices.Index(fields, "ms/step")
		if i < 1 {
			return measure{}, fmt.Errorf("no ms/step in %q", text)
		}
		ms, err := strconv.ParseFloat(fields[i-1], 64)
		return measure{ms, peak(c)}, err
	}
}

// training times the steps of a config: what a training of so many steps takes longer than one of a few.
func training(config, file string) func(ctx context.Context, b *bench, precision string) (measure, error) {
	return func(ctx context.Context, b *bench, precision string) (measure, error) {
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
}

// output runs c and returns what it printed.
func output(c *exec.Cmd) (string, error) {
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(c.Path), err, strings.TrimSpace(errs.String()+out.String()))
	}
	return out.String(), nil
}

// worker is a process of PyTorch that runs its steps when it is asked to.
type worker struct {
	mode  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	error *bytes.Buffer
}

// start starts and warms up a worker.
func (b *bench) start(ctx context.Context, r row, mode string) (*worker, error) {
	args := append([]string{filepath.Join("scripts", "bench", r.torch[0])}, r.torch[1:]...)
	steps := b.steps
	if r.needs != "" {
		args[len(args)-1] = filepath.Join(b.datasets, r.needs)
		if strings.HasPrefix(r.needs, "ml-100k") {
			steps *= 10
		}
	}
	w := &worker{mode: mode, cmd: exec.CommandContext(ctx, b.python, append(args, "mode="+mode, "steps="+strconv.Itoa(steps))...), error: &bytes.Buffer{}}
	w.cmd.Dir = b.root
	w.cmd.Env = append(os.Environ(), "THREADS="+strconv.Itoa(b.threads))
	w.cmd.Stderr = w.error
	var err error
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewScanner(out)
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := w.line()
	if err != nil {
		return nil, w.failed(err)
	}
	if line != "ready" {
		return nil, w.failed(fmt.Errorf("%q instead of ready", line))
	}
	return w, nil
}

// stop ends a worker.
func (w *worker) stop() {
	w.in.Close()
	w.cmd.Process.Kill()
	w.cmd.Wait()
}

// failed is err with the last lines that the worker printed.
func (w *worker) failed(err error) error {
	w.stop() // behind it, all that it printed is there
	lines := strings.Split(strings.TrimSpace(w.error.String()), "\n")
	return fmt.Errorf("torch %s: %w: %s", w.mode, err, strings.Join(lines[max(0, len(lines)-5):], "\n"))
}

func (w *worker) line() (string, error) {
	if !w.out.Scan() {
		if err := w.out.Err(); err != nil {
			return "", err
		}
		return "", io.ErrUnexpectedEOF
	}
	return w.out.Text(), nil
}

// turn runs the steps of a turn.
func (w *worker) turn() (m measure, err error) {
	if _, err := io.WriteString(w.in, "go\n"); err != nil {
		return m, w.failed(err)
	}
	line, err := w.line()
	if err != nil {
		return m, w.failed(err)
	}
	if _, err := fmt.Sscan(line, &m.Millis, &m.PeakMB); err != nil {
		return m, w.failed(fmt.Errorf("%q: %w", line, err))
	}
	return m, nil
}

// time times a row.
func (b *bench) time(ctx context.Context, r row, modes []string, log io.Writer) (*result, error) {
	out := &result{Row: r.name, What: r.what, Ours: map[string][]measure{}, Torch: map[string][]measure{}}
	var workers []*worker
	defer func() {
		for _, w := range workers {
			w.stop()
		}
	}()
	for _, mode := range modes {
		w, err := b.start(ctx, r, mode)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil { // a mode that PyTorch has not for this model, such as compiled gradients of sparse tables
			fmt.Fprintf(log, "%s without %s: %v\n", r.name, mode, err)
			out.Failed = append(out.Failed, mode)
			continue
		}
		workers = append(workers, w)
	}
	if len(workers) == 0 {
		return nil, errors.New("PyTorch runs in no mode")
	}
	for i := range b.pairs {
		var line strings.Builder
		fmt.Fprintf(&line, "%s, pair %d: splice", r.name, i+1)
		for _, p := range b.precisions {
			m, err := r.ours(ctx, b, p)
			if err != nil {
				return nil, err
			}
			out.Ours[p] = append(out.Ours[p], m)
			fmt.Fprintf(&line, " %s %.1f", p, m.Millis)
		}
		for _, w := range workers {
			time.Sleep(200 * time.Millisecond) // threads of the one before may still wait for work
			m, err := w.turn()
			if err != nil {
				return nil, err
			}
			out.Torch[w.mode] = append(out.Torch[w.mode], m)
			fmt.Fprintf(&line, ", %s %.1f", w.mode, m.Millis)
		}
		fmt.Fprintln(log, line.String())
	}
	return out, nil
}
