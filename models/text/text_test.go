package text_test

import (
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/text"
)

// tiny are the encoder's options of testdata/parity.py.
var tiny = text.Encoder{
	HiddenSize: 32, NumHiddenLayers: 2, NumAttentionHeads: 4, IntermediateSize: 64, HiddenAct: "gelu", MaxPositionEmbeddings: 20,
	TypeVocabSize: 2, LayerNormEps: 1e-12, InitializerRange: 0.02,
}

// with returns a changed copy of tiny.
func with(change func(e *text.Encoder)) text.Encoder {
	e := tiny
	if change != nil {
		change(&e)
	}
	return e
}

func bert(change func(e *text.Encoder)) *text.BERT {
	return &text.BERT{Encoder: with(change), Classifier: text.Classifier{Pooling: "cls"}}
}

func robertaEncoder(change func(e *text.Encoder)) text.Encoder {
	return with(func(e *text.Encoder) {
		e.MaxPositionEmbeddings, e.TypeVocabSize, e.LayerNormEps = 22, 1, 1e-5
		if change != nil {
			change(e)
		}
	})
}

func roberta() *text.RoBERTa {
	return &text.RoBERTa{Encoder: robertaEncoder(nil), Classifier: text.Classifier{Pooling: "cls"}}
}

// schema is that of the batches of testdata/parity.py.
func schema(classes int, mask float64, pad int32) *data.Schema {
	t := &data.Text{Vocab: 100, Pad: pad, Lengths: []int{8, 13}, MaskRate: mask}
	if classes > 1 {
		t.Labels = []string{"no", "yes", "maybe"}[:classes]
	}
	return &data.Schema{Text: t}
}

// mean is the loss that fits the data: of masked tokens, of classes, or of numbers.
func mean(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	switch t := in.Schema.Text; {
	case t.MaskRate > 0:
		return s.Check(ops.SoftmaxCE(logits, ops.Target{Label: in.Label}))
	case len(t.Labels) > 0:
		return s.Check(ops.SoftmaxCE(logits, ops.Target{Label: in.Label, Rows: s.Rows}))
	}
	return s.Check(ops.MSE(logits, ops.Target{Label: in.Label, Rows: s.Rows}))
}

// filled returns values of a tensor: parity.py's fill.
func filled(name string, dst []float32) {
	seed := uint64(crc32.ChecksumIEEE([]byte(name)))
	for i := range dst {
		x := (seed + uint64(i)*2654435761) & 0xffffffff
		for range 2 {
			x = ((x ^ x>>16) * 0x45d9f3b) & 0xffffffff
		}
		u := float64(x^x>>16)/(1<<32) - 0.5
		switch {
		case strings.HasSuffix(name, ".bias"):
			u *= 0.4
		case strings.Contains(strings.ToLower(name), "norm"):
			u = 1 + 0.4*u
		default:
			u *= 0.5
		}
		dst[i] = float32(u)
	}
}

// compile returns a program over p, which is filled.
func compile(t *testing.T, m models.Model, p *nn.Params, sc *data.Schema, o models.CompileOptions) *models.Program {
	t.Helper()
	o.Batch, o.Seed = max(3, o.Batch), 1
	prog, err := models.Compile(m, p, sc, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := prog.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, q := range p.All() {
		filled(q.Name, q.Data)
	}
	return prog
}

func run(t *testing.T, p *models.Program, b *data.Batch, step int64) (float64, []float32) {
	t.Helper()
	loss, err := p.Run(b, step)
	if err != nil {
		t.Fatal(err)
	}
	return loss, slices.Clone(p.Logits())
}

// sentences returns the batch of a case of parity.json in sequences of length positions.
func (c *reference) sentences(sc *data.Schema, size, length int) *data.Batch {
	b := data.NewTokenBatch(sc, size, length)
	b.N = len(c.Len)
	m := sc.Text.Predictions(length)
	for r, n := range c.Len {
		copy(b.Tokens.IDs[r*length:], c.IDs[r*8:][:n])
		copy(b.Tokens.Segments[r*length:], c.Segments[r*8:][:n])
		b.Tokens.Len[r] = n
		if m == 0 {
			b.Label[r] = c.Labels[r]
			continue
		}
		k := r * m
		for i, y := range c.Labels[r*8:][:8] {
			if y >= 0 {
				b.Tokens.At[k], b.Tokens.Target[k] = int32(r*length+i), y
				k++
			}
		}
	}
	return b
}

// TestPaddingInText holds that a literal padding token takes RoBERTa's position of padding and that the tokens after it count on without it.
func TestPaddingInText(t *testing.T) {
	sc, p := schema(3, 0, 1), nn.NewParams(1)
	prog := compile(t, roberta(), p, sc, models.CompileOptions{})
	b := data.NewTokenBatch(sc, 3, 8)
	b.N = 1
	copy(b.Tokens.IDs, []int32{0, 5, 1, 7, 2})
	b.Tokens.Len[0] = 5
	const width = 32
	table := p.Get("roberta.embeddings.position_embeddings.weight").Data
	_, before := run(t, prog, b, 0)
	for _, tc := range []struct {
		row  int
		used bool
	}{{0, false}, {1, true}, {2, true}, {3, true}, {4, true}, {5, true}, {6, false}} {
		was := slices.Clone(table)
		for i := range width {
			table[tc.row*width+i] += float32(i%3) - 0.5
		}
		_, after := run(t, prog, b, 0)
		if got := !slices.Equal(before[:3], after[:3]); got != tc.used {
			t.Errorf("position %d is used: %v, want %v", tc.row, got, tc.used)
		}
		copy(table, was)
	}
}
