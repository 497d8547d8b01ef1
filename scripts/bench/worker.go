package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// worker is a process that takes a turn for each line that it reads.
type worker struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	error *bytes.Buffer
}

// start starts and warms up PyTorch in a mode.
func (b *bench) start(ctx context.Context, r row, what, mode string) (*worker, error) {
	args := append([]string{filepath.Join("scripts", "bench", r.torch[0])}, r.torch[1:]...)
	steps := b.steps
	switch {
	case r.needs != "":
		args[len(args)-1] = filepath.Join(b.datasets, r.needs)
		if strings.HasPrefix(r.needs, "ml-100k") {
			steps *= 10
		}
	case what == epoch:
		args = append(args, "rows="+b.exported())
	}
	args = append(args, "measure="+what, "mode="+mode, "steps="+strconv.Itoa(steps))
	return b.launch("torch "+mode, exec.CommandContext(ctx, b.python, args...))
}

// launch starts a process and waits until it is warm.
func (b *bench) launch(name string, c *exec.Cmd) (*worker, error) {
	w := &worker{name: name, cmd: c, error: &bytes.Buffer{}}
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
	return fmt.Errorf("%s: %w: %s", w.name, err, strings.Join(lines[max(0, len(lines)-5):], "\n"))
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

// turn asks for a turn.
func (w *worker) turn(context.Context) (m measure, err error) {
	if _, err := io.WriteString(w.in, "go\n"); err != nil {
		return m, w.failed(err)
	}
	line, err := w.line()
	if err != nil {
		return m, w.failed(err)
	}
	if m, err = answer(line); err != nil {
		return m, w.failed(err)
	}
	return m, nil
}

// answer reads what a worker says of a turn: milliseconds, MB, and of single rows the 99th percentile.
func answer(line string) (m measure, err error) {
	fields := strings.Fields(line)
	to := []*float64{&m.Millis, &m.PeakMB, &m.P99}
	if len(fields) < 2 || len(fields) > len(to) {
		return m, fmt.Errorf("%q: want milliseconds and MB", line)
	}
	for i, f := range fields {
		if *to[i], err = strconv.ParseFloat(f, 64); err != nil {
			return m, fmt.Errorf("%q: %w", line, err)
		}
	}
	if !(m.Millis > 0) {
		return m, fmt.Errorf("%q: want a time above 0", line)
	}
	return m, nil
}

// time measures a row, our programs and PyTorch's in turns.
func (b *bench) time(ctx context.Context, r row, what string, modes []string, log io.Writer) (*result, error) {
	out := &result{Row: r.name, What: r.what, Measure: what, Ours: map[string][]measure{}, Torch: map[string][]measure{}}
	var ours, torch []side
	defer func() {
		for _, s := range append(ours, torch...) {
			s.stop()
		}
	}()
	for _, p := range b.precisions {
		s, err := r.ours[what](ctx, b, p)
		if err != nil {
			return nil, err
		}
		ours = append(ours, s)
	}
	var ran []string
	for _, mode := range modes {
		w, err := b.start(ctx, r, what, mode)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil { // a mode that PyTorch has not for this model, such as compiled gradients of sparse tables
			fmt.Fprintf(log, "%s without %s: %v\n", r.name, mode, err)
			out.Failed = append(out.Failed, mode)
			continue
		}
		torch, ran = append(torch, w), append(ran, mode)
	}
	if len(torch) == 0 {
		return nil, errors.New("PyTorch runs in no mode")
	}
	for i := range b.pairs {
		var line strings.Builder
		fmt.Fprintf(&line, "%s, pair %d: splice", label(r.name, what), i+1)
		for k, p := range b.precisions {
			m, err := b.turn(ctx, ours[k])
			if err != nil {
				return nil, err
			}
			out.Ours[p] = append(out.Ours[p], m)
			fmt.Fprintf(&line, " %s %.4g", p, m.Millis)
		}
		for k, mode := range ran {
			m, err := b.turn(ctx, torch[k])
			if err != nil {
				return nil, err
			}
			out.Torch[mode] = append(out.Torch[mode], m)
			fmt.Fprintf(&line, ", %s %.4g", mode, m.Millis)
		}
		fmt.Fprintln(log, line.String(), "ms")
	}
	return out, nil
}

// turn lets a side take its turn.
func (b *bench) turn(ctx context.Context, s side) (measure, error) {
	time.Sleep(200 * time.Millisecond) // threads of the one before may still wait for work
	return s.turn(ctx)
}

// label names a row and what is measured of it.
func label(row, what string) string {
	if what == step {
		return row
	}
	return row + " " + what
}
