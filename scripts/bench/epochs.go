package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
)

// serveEpochs trains the model of a config, from the cache and by the trainer, as the worker of turns: an epoch to warm up, then one for
// each line of in, whose milliseconds and peak memory it writes to out. It ends with in.
func serveEpochs(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	f := flag.NewFlagSet("epochs", flag.ContinueOnError)
	config, dir, export := f.String("config", "", "config file"), f.String("dir", "", "folder of the cache and the run"), f.String("export", "", "folder to write encoded rows to")
	threads := f.Int("threads", 0, "threads")
	var settings []string
	f.Func("set", "overrides a key of the config", func(s string) error { settings = append(settings, s); return nil })
	if err := f.Parse(args); err != nil {
		return err
	}
	e, err := job.Config{File: *config, Set: settings, Offline: true}.Load(ctx)
	if err != nil {
		return err
	}
	kernel.SetThreads(*threads)
	if m, ok := e.Model.(models.Resolver); ok {
		if err := m.Resolve(); err != nil {
			return err
		}
	}
	d, err := e.Data.Open(ctx, data.OpenOptions{Seed: e.Seed, CacheDir: filepath.Join(*dir, "cache"), Threads: *threads})
	if err != nil {
		return err
	}
	if *export != "" {
		if err := exportRows(*export, d.Train, e.Train.BatchSize); err != nil {
			return err
		}
	}
	p := &pace{Source: d.Train, in: bufio.NewScanner(in), out: out}
	t := &train.Trainer{
		Options: e.Train, Model: e.Model, Task: e.Task, Data: &data.Splits{Schema: d.Schema, Map: d.Map, Train: p}, Seed: e.Seed,
		Dir: filepath.Join(*dir, "run"), Callbacks: []train.Callback{p},
	}
	if err := os.MkdirAll(t.Dir, 0o777); err != nil {
		return err
	}
	if _, err := t.Fit(ctx); !errors.Is(err, errOver) {
		return err
	}
	return nil
}

// errOver ends a training when nobody asks for epochs any more.
var errOver = errors.New("no more turns")

// pace is train rows whose epochs wait for a line each, and the clock of the epochs: from the first batch that is asked for to the last step.
type pace struct {
	data.Source
	in    *bufio.Scanner
	out   io.Writer
	begun time.Time
}

// Batches returns the rows of an epoch once it is asked for.
func (p *pace) Batches(epoch, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		if epoch == 1 {
			fmt.Fprintln(p.out, "ready")
		}
		if epoch > 0 && !p.in.Scan() {
			yield(nil, errOver)
			return
		}
		p.begun = time.Now()
		for b, err := range p.Source.Batches(epoch, size) {
			if !yield(b, err) {
				return
			}
		}
	}
}

// On writes what an epoch took, but for the one that warms up.
func (p *pace) On(_ context.Context, e *train.Event) error {
	if e.Kind != train.EpochDone || e.Epoch == 0 {
		return nil
	}
	_, err := fmt.Fprintf(p.out, "%.3f %.0f\n", 1e3*time.Since(p.begun).Seconds(), ownPeak())
	return err
}

// described is rows.json.
type described struct {
	Rows   int   `json:"rows"`
	Fields []int `json:"fields"` // ids of each categorical column
	Dense  int   `json:"dense"`  // numeric columns
	Vocab  int   `json:"vocab"`  // ids of tokens; 0 without text
}

// exportRows writes the rows of src for modes_torch.py: rows.json, labels as float32 and, little endian, either ids as int32 [rows, fields] and
// dense as float32 [rows, columns], or the ids of all tokens and the lengths of rows as int32.
func exportRows(dir string, src data.Source, size int) error {
	sc := src.Schema()
	about := described{Dense: sc.NumDense}
	for _, f := range sc.Features {
		switch f.Kind {
		case data.Categorical:
			about.Fields = append(about.Fields, f.Vocab)
		case data.Numeric:
		default:
			return fmt.Errorf("%s: only categories, numbers and texts are written", f.Name)
		}
	}
	var ids, dense, lengths, labels bytes.Buffer
	put := func(to *bytes.Buffer, x any) { binary.Write(to, binary.LittleEndian, x) } // into memory: without an error
	for b, err := range src.Batches(0, size) {
		if err != nil {
			return err
		}
		about.Rows += b.N
		put(&labels, b.Label[:b.N])
		if t := b.Tokens; t != nil {
			put(&lengths, t.Len[:b.N])
			for i := range b.N {
				put(&ids, t.IDs[i*t.L:i*t.L+int(t.Len[i])])
			}
			continue
		}
		put(&dense, b.Dense[:b.N*sc.NumDense])
		for i := range b.N {
			for _, f := range sc.Features {
				if f.Kind == data.Categorical {
					put(&ids, b.IDs[f.Name][i])
				}
			}
		}
	}
	if sc.Text != nil {
		about.Vocab = sc.Text.Vocab
	}
	text, err := json.Marshal(about)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"rows.json": text, "ids": ids.Bytes(), "dense": dense.Bytes(), "lengths": lengths.Bytes(), "labels": labels.Bytes()} {
		err := atomicfile.Write(filepath.Join(dir, name), func(w io.Writer) error {
			_, err := w.Write(content)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
