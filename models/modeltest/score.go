package modeltest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// tape: a program, whether it trains or scores, and lean or not, has the results of Gorgonia's tape machine over the same graph, bit by bit.
func tape(t *testing.T, m suite) {
	t.Run("kept", func(t *testing.T) { taped(t, m, false) })
	t.Run("lean", func(t *testing.T) {
		ops.Spoil.Store(true)
		defer ops.Spoil.Store(false)
		taped(t, m, true)
	})
}

func taped(t *testing.T, m suite, lean bool) {
	for _, train := range []bool{true, false} {
		var progs [2]*models.Program
		var params [2]*nn.Params
		for i := range progs {
			progs[i], params[i] = fresh(t, m, 40, models.CompileOptions{Tape: i == 1, Lean: lean})
			if !train {
				progs[i] = evaluation(t, m, params[i], models.CompileOptions{Batch: 40, Tape: i == 1, Lean: lean})
			}
		}
		for step := range 3 { // a result of an earlier step must not show
			b := Batch(m.sc, 33+step, 40, uint64(20+step))
			loss, want := run(t, progs[0], b), run(t, progs[1], b)
			if math.Float64bits(loss) != math.Float64bits(want) {
				t.Errorf("training %v, step %d: loss %v, on the tape machine %v", train, step, loss, want)
			}
			equalBits(t, fmt.Sprintf("training %v, step %d: logits", train, step), progs[0].Logits(), progs[1].Logits())
			got, grads := snapshot(progs[0]), snapshot(progs[1])
			for i := range grads {
				equalBits(t, fmt.Sprintf("step %d: gradient of %s", step, grads[i].name), got[i].grad, grads[i].grad)
			}
			for i, q := range params[1].All() {
				if q.Kind == nn.Buffer {
					equalBits(t, fmt.Sprintf("step %d: %s", step, q.Name), params[0].All()[i].Data, q.Data)
				}
			}
		}
	}
}

// rows: the logits of a row are the same, bit by bit, whatever the number of rows that are scored with it; and scoring allocates
// nothing.
func rows(t *testing.T, m suite) {
	_, p := fresh(t, m, 2, models.CompileOptions{})
	all := Batch(m.sc, m.large, m.large, 21)
	var want []float32
	fixed := &ops.Constants{}
	for i, size := range []int{m.large, 256, 7, 1, 1} {
		o := models.CompileOptions{Batch: size}
		if i > 3 {
			o.Fixed = fixed
		}
		prog := evaluation(t, m, p, o)
		for lo := 0; lo < min(m.large, 4*size); lo += size {
			b := part(m.sc, all, lo, min(lo+size, m.large), size)
			run(t, prog, b)
			z := prog.Logits()
			width := len(z) / size
			if want == nil {
				want = slices.Clone(z)
			}
			if !equalBits(t, fmt.Sprintf("rows from %d on, %d at once: logits", lo, size), z[:b.N*width], want[lo*width:(lo+b.N)*width]) {
				return
			}
		}
		b := part(m.sc, all, 0, size, size)
		n := 1.0
		for try := 0; n != 0 && try < 3; try++ { // products may still make buffers when more of them than before run at once
			n = testing.AllocsPerRun(5, func() { run(t, prog, b) })
		}
		if n != 0 {
			t.Errorf("scoring %d rows allocates %v times", size, n)
		}
	}
}

// inBlocks: a program that scores in blocks gives a row the bits of one that does not, for any number of threads, of rows and after weights
// have changed, and allocates nothing. An id that a table has not is told with its row in the batch.
func inBlocks(t *testing.T, m suite) {
	defer kernel.SetThreads(0)
	const size = 731 // not a multiple of a block
	_, p := fresh(t, m, 2, models.CompileOptions{})
	for _, precision := range []kernel.Precision{kernel.Highest, kernel.Medium} {
		whole := evaluation(t, m, p, models.CompileOptions{Batch: size, Precision: precision})
		for _, threads := range []int{1, 2, 3, 7} {
			kernel.SetThreads(threads)
			prog := evaluation(t, m, p, models.CompileOptions{Batch: size, Precision: precision, Blocks: true})
			for i, n := range []int{size, 1, 300, 650} {
				b := Batch(m.sc, n, size, uint64(30+i))
				run(t, whole, b)
				run(t, prog, b)
				z := len(whole.Logits()) / size * n
				equalBits(t, fmt.Sprintf("%v, %d rows, %d threads: logits", precision, n, threads), prog.Logits()[:z], whole.Logits()[:z])
			}
			for _, q := range p.All() {
				for i := range q.Data {
					q.Data[i] *= 1.25
				}
			}
			prog.Refresh()
			b := Batch(m.sc, size, size, 40)
			run(t, whole, b)
			run(t, prog, b)
			equalBits(t, fmt.Sprintf("%v, %d threads, other weights: logits", precision, threads), prog.Logits(), whole.Logits())
			n := 1.0
			for try := 0; n != 0 && try < 3; try++ {
				n = testing.AllocsPerRun(3, func() { run(t, prog, b) })
			}
			if n != 0 {
				t.Errorf("scoring in blocks allocates %v times", n)
			}
			for _, f := range m.sc.Features {
				if f.Kind == data.Categorical {
					b.IDs[f.Name][size-2] = int32(f.Vocab)
					if _, err := prog.Run(b, 0); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("row %d of the batch has id %d", size-2, f.Vocab)) {
						t.Errorf("an id that %s has not: %v", f.Name, err)
					}
					break
				}
			}
			b.N = size + 1
			if _, err := prog.Run(b, 0); err == nil {
				t.Error("more rows than a batch has are scored")
			}
		}
	}
}

// predictor: calls of any number of rows, from several goroutines, give a row the logits of a program over a large batch, bit by
// bit, and allocate nothing.
func predictor(t *testing.T, m suite) {
	for _, p := range []kernel.Precision{kernel.Highest, kernel.Medium} {
		t.Run(p.String(), func(t *testing.T) { predicts(t, m, p) })
	}
}

func predicts(t *testing.T, m suite, precision kernel.Precision) {
	ctx := t.Context()
	_, params := fresh(t, m, 2, models.CompileOptions{})
	p, err := models.NewPredictor(m.m, params, m.sc, precision)
	if m.sc.Text != nil && m.sc.Text.MaskRate > 0 {
		if err == nil {
			t.Error("a model of masked tokens has a predictor")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	const n = 300
	all := Batch(m.sc, n, n, 22)
	prog := evaluation(t, m, params, models.CompileOptions{Batch: n, Precision: precision})
	run(t, prog, all)
	want := prog.Logits()
	if len(want) != n*p.Width() {
		t.Fatalf("%d logits a row, want %d", p.Width(), len(want)/n)
	}
	score := func(dst []float32, lo, hi int) ([]float32, error) {
		return p.Logits(ctx, dst, hi-lo, func(b *data.Batch, i, n int) error {
			Put(m.sc, b, all, lo+i, n)
			return nil
		})
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for lo := 0; lo < n; {
				hi := min(n, lo+[]int{1, 3, 17, 290, 40, 2}[(lo+g)%6])
				got, err := score([]float32{7}, lo, hi)
				if err != nil {
					t.Errorf("rows %d to %d: %v", lo, hi, err)
					return
				}
				if got[0] != 7 || !equalBits(t, fmt.Sprintf("rows %d to %d", lo, hi), got[1:], want[lo*p.Width():hi*p.Width()]) {
					return
				}
				lo = hi
			}
		})
	}
	wg.Wait()
	dst := make([]float32, 0, n*p.Width())
	for _, rows := range []int{1, 3, 40} {
		allocs := 1.0
		for try := 0; allocs != 0 && try < 3; try++ { // products may still make buffers when more of them than before run at once
			allocs = testing.AllocsPerRun(5, func() {
				if _, err := score(dst, 0, rows); err != nil {
					t.Fatal(err)
				}
			})
		}
		if allocs != 0 {
			t.Errorf("a call of %d rows allocates %v times", rows, allocs)
		}
	}
	// A row that cannot be encoded is the call's error, and leaves nothing behind.
	broken := errors.New("broken")
	if _, err := p.Logits(ctx, nil, 2, func(b *data.Batch, i, n int) error {
		Put(m.sc, b, all, i, n)
		return broken
	}); !errors.Is(err, broken) {
		t.Errorf("error %v, want that of the row", err)
	}
	if got, err := score(nil, 5, 6); err != nil || !equalBits(t, "after an error", got, want[5*p.Width():6*p.Width()]) {
		t.Errorf("after an error: %v", err)
	}
	if _, err := p.Logits(ctx, nil, 2, func(b *data.Batch, i, n int) error {
		Put(m.sc, b, all, i, n-1)
		return nil
	}); err == nil {
		t.Error("a row that was not encoded is not found out")
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := p.Logits(ended, nil, 1, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: error %v", err)
	}
}

// Put writes n rows of from, those from row lo on, into b, with padding behind them and sequences of the length that they need.
func Put(sc *data.Schema, b, from *data.Batch, lo, n int) {
	b.N = n
	for name, ids := range from.IDs {
		putRows(b.IDs[name], ids, lo, n, from.Size)
	}
	putRows(b.Dense, from.Dense, lo, n, from.Size)
	for k, y := range from.Labels {
		putRows(b.Labels[k], y, lo, n, from.Size)
	}
	if from.Weight != nil {
		putRows(b.Weight, from.Weight, lo, n, from.Size)
	}
	if from.Tokens == nil {
		return
	}
	longest := 0
	for _, tokens := range from.Tokens.Len[lo : lo+n] {
		longest = max(longest, int(tokens))
	}
	b.Resize(sc.Text, longest)
	b.ClearText(sc.Text, 0)
	t, f := b.Tokens, from.Tokens
	for i := range n {
		row, tokens := lo+i, int(f.Len[lo+i])
		t.Len[i] = f.Len[row]
		copy(t.IDs[i*t.L:], f.IDs[row*f.L:row*f.L+tokens])
		copy(t.Segments[i*t.L:], f.Segments[row*f.L:row*f.L+tokens])
	}
}

func putRows[T any](dst, src []T, lo, n, rows int) {
	width := len(src) / rows
	copy(dst, src[lo*width:(lo+n)*width])
	clear(dst[n*width:])
}

// part returns rows lo..hi of b in a batch of size rows.
func part(sc *data.Schema, b *data.Batch, lo, hi, size int) *data.Batch {
	var p *data.Batch
	if b.Tokens == nil {
		p = data.NewBatch(sc, size)
	} else {
		p = data.NewTokenBatch(sc, size, b.Tokens.L)
		cut(p.Tokens.IDs, b.Tokens.IDs, lo, hi, b.Size)
		cut(p.Tokens.Segments, b.Tokens.Segments, lo, hi, b.Size)
		cut(p.Tokens.Len, b.Tokens.Len, lo, hi, b.Size)
		cut(p.Tokens.At, b.Tokens.At, lo, hi, b.Size)
		for i, at := range p.Tokens.At {
			if at >= 0 && len(p.Tokens.At)/size*(hi-lo) > i {
				p.Tokens.At[i] -= int32(lo * b.Tokens.L)
			}
		}
	}
	p.N = hi - lo
	for name, ids := range b.IDs {
		cut(p.IDs[name], ids, lo, hi, b.Size)
	}
	cut(p.Dense, b.Dense, lo, hi, b.Size)
	return p
}

// cut copies rows lo..hi of a column of so many rows to the start of dst.
func cut[T any](dst, src []T, lo, hi, rows int) {
	w := len(src) / rows
	copy(dst, src[lo*w:hi*w])
}

// evaluation returns a program that computes logits alone.
func evaluation(t *testing.T, m suite, p *nn.Params, o models.CompileOptions) *models.Program {
	t.Helper()
	prog, err := models.Compile(m.m, p, m.sc, o)
	if err != nil {
		t.Fatalf("Compile(%#v): %v", m.m, err)
	}
	t.Cleanup(func() {
		if err := prog.Close(); err != nil {
			t.Error(err)
		}
	})
	return prog
}

// equalBits reports whether two lists of numbers are the same, bit by bit.
func equalBits(t *testing.T, name string, got, want []float32) bool {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return false
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Errorf("%s: [%d] is %v, want %v", name, i, got[i], want[i])
			return false
		}
	}
	return true
}
