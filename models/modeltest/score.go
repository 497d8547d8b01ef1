package modeltest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// tape: a program, whether it trains or scores, has the results of Gorgonia's tape machine over the same graph, bit by bit.
func tape(t *testing.T, m suite) {
	for _, train := range []bool{true, false} {
		var progs [2]*models.Program
		var params [2]*nn.Params
		for i := range progs {
			progs[i], params[i] = fresh(t, m, 40, models.CompileOptions{Tape: i == 1})
			if !train {
				progs[i] = evaluation(t, m, params[i], models.CompileOptions{Batch: 40, Tape: i == 1})
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
