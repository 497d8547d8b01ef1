package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/set"
	trainrun "github.com/splice-ml/splice/train/run"
)

// whole is a piece of work, from files to metrics, that programs do in turns.
type whole struct {
	name, what string
	programs   func(b *bench) []program
}

// program is one that does a job. The first one of a job is that whose times others are compared with.
type program struct {
	name string
	run  func(ctx context.Context, dir string) (outcome, error) // in an empty folder, as its working directory
}

// outcome is what a program came to.
type outcome struct {
	Seconds  float64            `json:"seconds"`          // of the whole command
	Training float64            `json:"training_seconds"` // of these, those of training as the program tells them
	PeakMB   float64            `json:"peak_mb"`          // of the process that held the most
	AllMB    float64            `json:"all_mb"`           // of all its processes together, shared pages counted once; 0 if not known
	Scores   map[string]float64 `json:"scores"`
}

// jobs are all that can be run.
func jobs() map[string][]whole {
	fuxi := func(model, name string) whole {
		return whole{"fuxictr_" + model, name + " from generated rows of Criteo's layout to test metrics, one epoch", func(b *bench) []program {
			return []program{b.criteo(model, "dense"), b.criteo(model, "lazy"), b.fuxictr(model)}
		}}
	}
	return map[string][]whole{
		"fuxictr": {fuxi("deepfm", "DeepFM"), fuxi("dcnv2", "DCN-V2")},
		"mrpc": {{"mrpc", "MiniLM-L6 fine-tuned on MRPC, to metrics of the dev rows", func(b *bench) []program {
			var out []program
			for _, p := range b.precisions {
				out = append(out, b.finetune(p))
			}
			return append(out, b.trainer("fp32"), b.trainer("bf16"))
		}}},
	}
}

// criteo is our training on the rows of a Criteo file, with an empty cache.
func (b *bench) criteo(model, embeddings string) program {
	return program{"Splice, embeddings " + embeddings, func(ctx context.Context, dir string) (outcome, error) {
		return b.splice(ctx, dir, "train", filepath.Join(b.root, "configs", "criteo_"+model+".yaml"), "test", "data.path="+b.clicks(), "data.fallback=none",
			"train.epochs=1", "train.max_grad_norm=10", "train.embeddings="+embeddings)
	}}
}

// finetune is our fine-tuning on MRPC.
func (b *bench) finetune(precision string) program {
	return program{"Splice, precision " + precision, func(ctx context.Context, dir string) (outcome, error) {
		return b.splice(ctx, dir, "finetune", filepath.Join(b.root, "configs", "mrpc.yaml"), "valid", "fallback=none", "data.path="+b.pairsOfMRPC(),
			"data.tokenizer="+b.pretrained, "model.config="+b.pretrained, "init.from="+b.pretrained, "train.epochs="+strconv.Itoa(b.epochsOfJob), "train.precision="+precision)
	}}
}

// splice runs one of our commands and reads the metrics of a part from its result.
func (b *bench) splice(ctx context.Context, dir, command, config, part string, settings ...string) (outcome, error) {
	args := []string{"-quiet", "-offline", "-config", config, "-run", filepath.Join(dir, "run"), "-set", "threads=" + strconv.Itoa(b.threads)}
	for _, s := range settings {
		args = append(args, "-set", s)
	}
	o, _, err := b.command(exec.CommandContext(ctx, filepath.Join(b.bin, command), args...), dir)
	if err != nil {
		return o, err
	}
	text, err := bound.ReadFile(filepath.Join(dir, "run", trainrun.ResultFile), bound.JSON)
	if err != nil {
		return o, err
	}
	return o, o.read(string(text), part)
}

// read takes the metrics of a part and the seconds of training from our result.json.
func (o *outcome) read(text, part string) error {
	var r struct {
		Train       struct{ Seconds float64 }
		Valid, Test map[string]float64
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return fmt.Errorf("%s: %w", trainrun.ResultFile, err)
	}
	o.Training, o.Scores = r.Train.Seconds, map[string]map[string]float64{"valid": r.Valid, "test": r.Test}[part]
	if len(o.Scores) == 0 {
		return fmt.Errorf("%s has no metrics of the %s part", trainrun.ResultFile, part)
	}
	return nil
}

// fuxictr is FuxiCTR's training on the same rows.
func (b *bench) fuxictr(model string) program {
	return program{"FuxiCTR, " + b.fuxiPython, func(ctx context.Context, dir string) (outcome, error) {
		c := exec.CommandContext(ctx, b.fuxiPython, filepath.Join(b.root, "scripts", "bench", "fuxictr_job.py"), model, b.clicks(), strconv.Itoa(b.jobRows), dir)
		o, text, err := b.command(c, dir)
		if err != nil {
			return o, err
		}
		return o, o.peer(text, "train", "auc", "logloss")
	}}
}

// trainer is the fine-tuning of transformers' Trainer.
func (b *bench) trainer(precision string) program {
	return program{"transformers' Trainer, " + precision, func(ctx context.Context, dir string) (outcome, error) {
		c := exec.CommandContext(ctx, b.python, filepath.Join(b.root, "scripts", "finetune_torch.py"), "mrpc", b.mrpc, b.pretrained, "1",
			"epochs="+strconv.Itoa(b.epochsOfJob), "sampling=group_by_length", "precision="+precision)
		o, text, err := b.command(c, dir)
		if err != nil {
			return o, err
		}
		return o, o.peer(text, "seconds", "accuracy", "f1")
	}}
}

// peer takes the seconds of training and the metrics from the line of JSON that ends what a peer printed.
func (o *outcome) peer(text, seconds string, scores ...string) error {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	line := lines[len(lines)-1]
	var r map[string]any
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		return fmt.Errorf("%q instead of a line of JSON: %w", line, err)
	}
	o.Scores = map[string]float64{}
	for _, name := range append(scores, seconds) {
		v, ok := r[name].(float64)
		if !ok {
			return fmt.Errorf("no number %s in %s", name, line)
		}
		o.Scores[name] = v
	}
	o.Training = o.Scores[seconds]
	delete(o.Scores, seconds)
	return nil
}

// pairsOfMRPC is the folder of MRPC's train and dev rows alone: the peer scores no others, and the folder that was given may have a labelled test part.
func (b *bench) pairsOfMRPC() string { return filepath.Join(b.bin, "mrpc") }

// copyMRPC makes it.
func (b *bench) copyMRPC() error {
	if err := os.MkdirAll(b.pairsOfMRPC(), 0o777); err != nil {
		return err
	}
	for _, name := range []string{"train.tsv", "dev.tsv"} {
		from, err := os.Open(filepath.Join(b.mrpc, name))
		if err != nil {
			return err
		}
		err = atomicfile.Write(filepath.Join(b.pairsOfMRPC(), name), func(w io.Writer) error {
			_, err := io.Copy(w, from)
			return err
		})
		if err := errors.Join(err, from.Close()); err != nil {
			return err
		}
	}
	return nil
}

// clicks is the file of generated rows of Criteo's layout.
func (b *bench) clicks() string { return filepath.Join(b.bin, "criteo.tsv") }

// command runs c in a folder, measures it, and returns what it printed.
func (b *bench) command(c *exec.Cmd, dir string) (o outcome, text string, err error) {
	c.Dir = dir
	c.Env = append(os.Environ(), "THREADS="+strconv.Itoa(b.threads), "OMP_NUM_THREADS="+strconv.Itoa(b.threads))
	begun := time.Now()
	text, o.AllMB, err = watched(c)
	o.Seconds = time.Since(begun).Seconds()
	if err == nil {
		o.PeakMB = peak(c)
	}
	return o, text, err
}

// run has the programs of a job take their turns.
func (b *bench) run(ctx context.Context, j whole, log io.Writer) (*jobResult, error) {
	out := &jobResult{Job: j.name, What: j.what}
	programs := j.programs(b)
	for _, p := range programs {
		out.Programs = append(out.Programs, programResult{Program: p.name})
	}
	for i := range b.pairs {
		for k, p := range programs {
			dir, err := os.MkdirTemp(b.bin, "job")
			if err != nil {
				return nil, err
			}
			time.Sleep(200 * time.Millisecond)
			o, err := p.run(ctx, dir)
			os.RemoveAll(dir)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			out.Programs[k].Outcomes = append(out.Programs[k].Outcomes, o)
			fmt.Fprintf(log, "%s, turn %d: %s: %.1f s, %.1f s of training, %s\n", j.name, i+1, p.name, o.Seconds, o.Training, scores(o.Scores))
		}
	}
	return out, nil
}

// chooseJobs returns the jobs of these names.
func chooseJobs(names string) ([]whole, error) {
	var out []whole
	all := jobs()
	for name := range strings.SplitSeq(names, ",") {
		if len(all[name]) == 0 {
			return nil, fmt.Errorf("-jobs: unknown job %q: want some of fuxictr, mrpc", name)
		}
		out = append(out, all[name]...)
	}
	return out, nil
}

// runJobs builds what the jobs need and runs them.
func (b *bench) runJobs(ctx context.Context, names string, log io.Writer) (*jobReport, error) {
	chosen, err := chooseJobs(names)
	if err != nil {
		return nil, err
	}
	if err := b.needs(names); err != nil {
		return nil, err
	}
	if err := b.build(ctx, log); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.bin)
	if strings.Contains(names, "fuxictr") {
		if _, err := set.SynthFile(ctx, b.clicks(), set.SynthOptions{Rows: int64(b.jobRows), Seed: 1}); err != nil {
			return nil, err
		}
	}
	if strings.Contains(names, "mrpc") {
		if err := b.copyMRPC(); err != nil {
			return nil, err
		}
	}
	r := &jobReport{Machine: machine(), Threads: b.threads, Turns: b.pairs}
	for _, j := range chosen {
		result, err := b.run(ctx, j, log)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", j.name, err)
		}
		r.Jobs = append(r.Jobs, *result)
	}
	return r, nil
}

// needs says what is missing for the jobs, before anything runs.
func (b *bench) needs(names string) error {
	for _, f := range []struct{ job, file, do string }{
		{"fuxictr", b.fuxiPython, "make bench-jobs makes it; -fuxictr names another one"},
		{"mrpc", filepath.Join(b.mrpc, "train.tsv"), "scripts/get_glue.sh gets it; -mrpc names another folder"},
		{"mrpc", filepath.Join(b.pretrained, trainrun.ModelFile), "scripts/get_model.sh gets it; -pretrained names another folder"},
	} {
		if !strings.Contains(names, f.job) {
			continue
		}
		if _, err := exec.LookPath(f.file); err == nil {
			continue
		}
		if _, err := os.Stat(f.file); err != nil {
			return fmt.Errorf("%s: %w: %s", f.job, err, f.do)
		}
	}
	return nil
}
