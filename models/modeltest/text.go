package modeltest

import (
	"fmt"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// TextSchema returns a small schema of text in buckets of 6 and 9 positions. Rows are in that many classes, and have numbers to
// regress on if there are fewer than 2 classes. Tokens are masked at the rate mask if it is above 0.
func TextSchema(classes int, mask float64) *data.Schema {
	t := &data.Text{Vocab: 23, Pad: 1, Lengths: []int{6, 9}, MaskRate: mask}
	if classes > 1 {
		t.Labels = []string{"a", "b", "c", "d", "e"}[:classes]
	}
	return &data.Schema{Text: t}
}

// sentences returns random rows of text, of the first bucket; each has a token to predict at least where tokens are masked.
func sentences(sc *data.Schema, n, size int, seed uint64) *data.Batch {
	text := sc.Text
	length, m := text.Lengths[0], text.Predictions(text.Lengths[0])
	b := data.NewTokenBatch(sc, size, length)
	b.N = n
	r := rng.New(rng.Key(seed, "modeltest", "text"))
	for i := range n {
		live := 2 + r.IntN(length-1)
		b.Tokens.Len[i] = int32(live)
		for k := range live {
			b.Tokens.IDs[i*length+k] = int32(2 + r.IntN(text.Vocab-2))
			if k > live/2 {
				b.Tokens.Segments[i*length+k] = 1
			}
		}
		for k, at := range r.Perm(live)[:min(m, 1+r.IntN(live))] {
			b.Tokens.At[i*m+k], b.Tokens.Target[i*m+k] = int32(i*length+at), float32(r.IntN(text.Vocab))
		}
		b.Label[i] = float32(r.NormFloat64())
		if len(text.Labels) > 0 {
			b.Label[i] = float32(r.IntN(len(text.Labels)))
		}
	}
	return b
}

// TextLoss is the loss that fits a schema of text: the mean cross-entropy of masked tokens or of classes, or the mean squared error.
func TextLoss(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	switch t := in.Schema.Text; {
	case t.MaskRate > 0:
		return s.Check(ops.SoftmaxCE(logits, ops.Target{Label: in.Label}))
	case len(t.Labels) > 0:
		return s.Check(ops.SoftmaxCE(logits, ops.Target{Label: in.Label, Rows: s.Rows}))
	}
	return s.Check(ops.MSE(logits, ops.Target{Label: in.Label, Rows: s.Rows}))
}

// CheckText runs the suite on a model over a schema of text, such as [TextSchema].
func CheckText(t *testing.T, m models.Model, sc *data.Schema) {
	s := suite{m: m, sc: sc, loss: TextLoss, large: 400}
	check(t, s)
	t.Run("buckets", func(t *testing.T) { buckets(t, s) })
	if m, ok := m.(models.Staged); ok {
		t.Run("stages", func(t *testing.T) { stages(t, s, m) })
	}
}

// buckets: a batch in a longer bucket has the same logits, bit by bit, and so has its first row alone.
func buckets(t *testing.T, m suite) {
	p := nn.NewParams(1)
	logits := func(length, size int) []float32 {
		prog, err := models.Compile(m.m, p, m.sc, models.CompileOptions{Batch: size, Length: length})
		if err != nil {
			t.Fatal(err)
		}
		defer prog.Close()
		b := part(m.sc, Batch(m.sc, 12, 12, 11), 0, size, size)
		run(t, prog, b)
		z, per := prog.Logits(), len(b.Tokens.At)/b.Size
		if per == 0 {
			return slices.Clone(z)
		}
		var live []float32
		rows := m.sc.Text.Predictions(length)
		w := len(z) / (rows * b.Size)
		for i, at := range b.Tokens.At {
			if at >= 0 {
				r := i/per*rows + i%per
				live = append(live, z[r*w:(r+1)*w]...)
			}
		}
		return live
	}
	want := logits(m.sc.Text.Lengths[0], 12)
	for length := m.sc.Text.Lengths[0]; length <= m.sc.Text.MaxLen(); length++ {
		equalBits(t, fmt.Sprintf("%d positions", length), logits(length, 12), want)
		one := logits(length, 1)
		equalBits(t, fmt.Sprintf("%d positions, one row", length), one, want[:len(one)])
	}
}

// stages: the head over the stem's features is the model, and a frozen stem makes the same features at each step of training.
func stages(t *testing.T, m suite, staged models.Staged) {
	p := nn.NewParams(1)
	frozen := map[string]bool{}
	compile := func(model models.Model, o models.CompileOptions) *models.Program {
		o.Batch, o.Seed = 12, 1
		prog, err := models.Compile(model, p, m.sc, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := prog.Close(); err != nil {
				t.Error(err)
			}
		})
		return prog
	}
	logits := func(prog *models.Program, b *data.Batch, step int64) []float32 {
		if _, err := prog.Run(b, step); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(prog.Logits())
	}
	b := Batch(m.sc, 12, 12, 12)
	stem := compile(staged.Stem(), models.CompileOptions{})
	for _, q := range p.All() {
		frozen[q.Name] = true
	}
	all := compile(m.m, models.CompileOptions{})
	n := len(p.All())
	if len(frozen) == 0 || len(frozen) == n {
		t.Errorf("the stem has %d of %d parameters", len(frozen), n)
	}
	want := logits(all, b, 0)
	b.Features = logits(stem, b, 0)
	if got := logits(compile(staged.Head(), models.CompileOptions{}), b, 0); !slices.Equal(got, want) {
		t.Errorf("stem and head give %v, the model %v", got, want)
	}
	if len(p.All()) != n {
		t.Errorf("the head has %d parameters of its own", len(p.All())-n)
	}
	freeze := models.CompileOptions{Train: true, Loss: m.loss, Freeze: func(name string) bool { return frozen[name] }}
	training := compile(staged.Stem(), models.CompileOptions{Train: true, Freeze: freeze.Freeze})
	if !slices.Equal(logits(training, b, 1), b.Features) {
		t.Error("in training a frozen stem makes other features")
	}
	whole, head := compile(m.m, freeze), compile(staged.Head(), freeze)
	for step := range int64(2) {
		logits(whole, b, step)
		logits(head, b, step)
		want, got := snapshot(whole), snapshot(head)
		if len(got) != len(want) || len(got) == 0 {
			t.Fatalf("%d gradients of the head, %d of the model with a frozen stem", len(got), len(want))
		}
		for i := range want {
			near(t, want[i].name, got[i].grad, want[i].grad, 1e-6)
		}
	}
}
