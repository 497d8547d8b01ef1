// Command bench measures Splice against PyTorch in each of its modes, in turns on this machine, and prints Markdown.
//
//	make bench-torch                                       makes the environment of requirements.txt and measures all rows
//	go run ./scripts/bench -rows deepfm,din -pairs 3       with python3, or -python FILE
//	go run ./scripts/bench -measure inference,single       what is measured; all by default: training steps, epochs with their data, inference in batches
//	                                                       and of single rows
//	go run ./scripts/bench -jobs fuxictr,mrpc              whole jobs against FuxiCTR and against transformers' Trainer (make bench-jobs)
//
// A process of each mode of PyTorch is started and warmed up first. Then, pair by pair, our program takes its turn and each of them takes its own.
// Rows of histories need the files that configs/ml100k_din.yaml, beauty_sasrec.yaml and beauty_core_sasrec.yaml name, in -datasets;
// those that are not there are named and left out.
package main

import (
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
	"strings"
	"syscall"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// modes are those of modes_torch.py.
var modes = []string{"eager", "matmul-bf16", "autocast", "compile", "compile-matmul-bf16", "compile-autocast"}

// exact are the modes whose products are fp32.
var exact = []string{"eager", "compile"}

// bench holds the options of a run and what it built.
type bench struct {
	python, datasets, root, bin string
	precisions, measures        []string
	pairs, steps, threads       int
	epochRows                   int

	// of jobs
	fuxiPython, mrpc, pretrained string
	jobRows, epochsOfJob         int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, log io.Writer) error {
	if len(args) > 0 && args[0] == "epochs" {
		return serveEpochs(ctx, args[1:], os.Stdin, out)
	}
	b := &bench{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(log)
	names := f.String("rows", "", "rows to time, comma separated (default: all): "+strings.Join(rowNames(), ", "))
	what := f.String("measure", strings.Join(measures, ","), "what is measured; rows without some of it are left out there")
	which := f.String("modes", strings.Join(modes, ","), "modes of PyTorch")
	ours := f.String("precisions", strings.Join(precisions(), ","), "train.precision of ours; the default is all that have kernels of their own here")
	file := f.String("out", "", "JSON file of the result")
	f.StringVar(&b.python, "python", "python3", "Python with the packages of scripts/bench/requirements.txt")
	f.StringVar(&b.datasets, "datasets", "datasets", "folder of the data of histories")
	f.IntVar(&b.epochRows, "epoch-rows", 204_800, "generated rows of recommenders' epochs, of which eight tenths are trained on; those of encoders have a fiftieth as many")
	peers := f.String("jobs", "", "whole jobs against peers, instead of rows: fuxictr, mrpc")
	f.StringVar(&b.fuxiPython, "fuxictr", filepath.Join("bin", "fuxictr", "bin", "python"), "Python with the packages of scripts/bench/requirements_fuxictr.txt")
	f.IntVar(&b.jobRows, "job-rows", 600_000, "generated rows of the job fuxictr")
	f.StringVar(&b.mrpc, "mrpc", filepath.Join("datasets", "MRPC"), "folder of MRPC's train.tsv and dev.tsv")
	f.StringVar(&b.pretrained, "pretrained", filepath.Join("pretrained", "all-MiniLM-L6-v2"), "folder of the encoder that the job mrpc begins with")
	f.IntVar(&b.epochsOfJob, "epochs", 3, "epochs of the job mrpc")
	f.IntVar(&b.pairs, "pairs", 5, "turns of each program")
	f.IntVar(&b.steps, "steps", 15, "steps of a turn; those of DIN, GRU4Rec and SASRec on MovieLens are ten times as many")
	f.IntVar(&b.threads, "threads", runtime.NumCPU(), "threads of each program")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if b.pairs < 1 || b.steps < 1 || b.threads < 1 || b.epochsOfJob < 1 {
		return errors.New("-pairs, -steps, -threads and -epochs: want numbers above 0")
	}
	if b.epochRows < 1000 || b.jobRows < 1000 {
		return errors.New("-epoch-rows and -job-rows: want 1000 or more")
	}
	chosen, err := choose(*names)
	if err != nil {
		return err
	}
	asked, err := some("modes", *which, modes)
	if err != nil {
		return err
	}
	if b.measures, err = some("measure", *what, measures); err != nil {
		return err
	}
	b.precisions = strings.Split(*ours, ",")
	for _, p := range b.precisions {
		if _, err := kernel.ParsePrecision(p); err != nil {
			return fmt.Errorf("-precisions: %w", err)
		}
	}
	for _, path := range []*string{&b.datasets, &b.mrpc, &b.pretrained} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	for _, python := range []*string{&b.python, &b.fuxiPython} { // commands run in other folders
		if !strings.ContainsRune(*python, filepath.Separator) {
			continue
		}
		if *python, err = filepath.Abs(*python); err != nil {
			return err
		}
	}
	var r markdowner
	if *peers != "" {
		r, err = b.runJobs(ctx, *peers, log)
	} else {
		r, err = b.measure(ctx, chosen, asked, log)
	}
	if err != nil {
		return err
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
	return atomicfile.Write(*file, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// markdowner is a report.
type markdowner interface{ markdown(w io.Writer) error }

// some returns the names of a list that an option asks for.
func some(option, names string, all []string) ([]string, error) {
	asked := strings.Split(names, ",")
	for _, n := range asked {
		if !slices.Contains(all, n) {
			return nil, fmt.Errorf("-%s: unknown %q: want some of %s", option, n, strings.Join(all, ", "))
		}
	}
	return asked, nil
}

// measure measures rows.
func (b *bench) measure(ctx context.Context, chosen []row, modes []string, log io.Writer) (*report, error) {
	if err := b.build(ctx, log); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.bin)
	r := &report{Machine: machine(), Threads: b.threads, Pairs: b.pairs, Precisions: b.precisions}
	for _, what := range b.measures {
		for _, row := range chosen {
			if row.ours[what] == nil {
				continue
			}
			if row.needs != "" {
				if _, err := os.Stat(filepath.Join(b.datasets, row.needs)); err != nil {
					fmt.Fprintf(log, "%s is left out: %v\n", label(row.name, what), err)
					continue
				}
			}
			result, err := b.time(ctx, row, what, modes, log)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", label(row.name, what), err)
			}
			r.Rows = append(r.Rows, *result)
		}
	}
	return r, nil
}

// precisions are those that are worth timing on this machine.
func precisions() []string {
	var all []string
	for p := kernel.Highest; p <= kernel.Medium; p++ {
		if p.Native() == nil {
			all = append(all, p.String())
		}
	}
	return all
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
	for _, args := range [][]string{{"build", "-o", b.bin + string(filepath.Separator), "./cmd/train", "./cmd/finetune"}, {"test", "-c", "-o", filepath.Join(b.bin, "train.test"), "./train"}} {
		c := exec.CommandContext(ctx, "go", args...)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		c.Stdout, c.Stderr = log, log
		if err := c.Run(); err != nil {
			return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
		}
	}
	return nil
}

// output runs c and returns what it printed.
func output(c *exec.Cmd) (string, error) { return outputOf(c, func() {}) }

// outputOf is output; it calls begun when the process runs.
func outputOf(c *exec.Cmd, begun func()) (string, error) {
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Start()
	if err == nil {
		begun()
		err = c.Wait()
	}
	if err != nil {
		lines := strings.Split(strings.TrimSpace(errs.String()+out.String()), "\n")
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(c.Path), err, strings.Join(lines[max(0, len(lines)-5):], "\n"))
	}
	return out.String(), nil
}
