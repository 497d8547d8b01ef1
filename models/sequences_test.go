package models_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// reader is a small model over text: embeddings of tokens, segments and positions, attention, and the mean or the masked tokens.
type reader struct {
	positions int
	masked    bool
}

func (m reader) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	const width = 6
	q := in.Sequences(s)
	if s.Err() != nil {
		return nil
	}
	e := s.Sub("embeddings")
	x := q.Embed(s,
		models.TokenTable{Weight: e.Param("words.weight", nn.Normal(1), in.Schema.Text.Vocab, width)},
		models.TokenTable{Weight: e.Param("segments.weight", nn.Normal(1), 2, width), Of: models.Segments},
		models.TokenTable{Weight: e.Param("positions.weight", nn.Normal(1), m.positions, width), Of: models.Positions, Offset: 1})
	if s.Err() != nil {
		return nil
	}
	x = s.Check(ops.Attention(x, x, x, ops.AttentionOptions{Heads: 2, Tokens: q.Live}))
	if s.Err() != nil {
		return nil
	}
	if m.masked {
		return nn.Linear(s.Sub("out"), s.Check(ops.PickRows(x, q.Masked(s))), in.Schema.Text.Vocab, kernel.None)
	}
	return nn.Linear(s.Sub("out"), s.Check(ops.MeanTokens(x, q.Live)), 3, kernel.None)
}

func crossEntropy(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	rows := s.Rows
	if in.Schema.Text.MaskRate > 0 {
		rows = nil
	}
	return s.Check(ops.SoftmaxCE(logits, ops.Target{Label: in.Label, Rows: rows}))
}

func textSchema(mask float64, lengths ...int) *data.Schema {
	return &data.Schema{Text: &data.Text{Vocab: 11, Pad: 1, Lengths: lengths, Labels: []string{"a", "b", "c"}, MaskRate: mask}}
}

// sentences returns a batch of 3 rows, one of them padding, of up to 4 tokens in length positions.
func sentences(sc *data.Schema, length int) *data.Batch {
	b := data.NewTokenBatch(sc, 3, length)
	b.N = 2
	m := sc.Text.Predictions(length)
	for r, ids := range [][]int32{{2, 5, 7, 3}, {2, 9, 3}} {
		copy(b.Tokens.IDs[r*length:], ids)
		b.Tokens.Segments[r*length+1] = 1
		b.Tokens.Len[r] = int32(len(ids))
		b.Label[r] = float32(2 - r)
		if m > 0 {
			b.Tokens.At[r*m], b.Tokens.Target[r*m] = int32(r*length+1+r), float32(4+r)
		}
	}
	return b
}

// TestPaddingChangesNothing runs the same sentences in graphs of several lengths.
func TestPaddingChangesNothing(t *testing.T) {
	for _, mask := range []float64{0, 0.25} {
		m, p := reader{positions: 17, masked: mask > 0}, nn.NewParams(1)
		sc := textSchema(mask, 4, 7, 16)
		prog, err := models.Compile(m, p, sc, models.CompileOptions{Batch: 3, Train: true, Loss: crossEntropy})
		if err != nil {
			t.Fatal(err)
		}
		defer prog.Close()
		long, err := models.Compile(m, p, sc, models.CompileOptions{Batch: 3, Train: true, Loss: crossEntropy, Length: 16})
		if err != nil {
			t.Fatal(err)
		}
		defer long.Close()
		type result struct {
			loss   float64
			logits []float32
			grads  map[string][]float32
		}
		run := func(prog *models.Program, length int) (r result) {
			b := sentences(sc, length)
			if r.loss, err = prog.Run(b, 0); err != nil {
				t.Fatal(err)
			}
			z := prog.Logits()
			for row := range b.N { // a masked model has a row for each token that it may predict: the first one counts here
				w := 3
				if mask > 0 {
					w = 11
				}
				at := row * (len(z) / 3)
				r.logits = append(r.logits, z[at:at+w]...)
			}
			r.grads = map[string][]float32{}
			for _, g := range prog.Grads() {
				r.grads[g.Param.Name] = slices.Clone(g.Grad)
			}
			return r
		}
		want := run(prog, 4)
		if len(want.grads) != 5 || want.loss == 0 {
			t.Fatalf("loss %v, %d gradients", want.loss, len(want.grads))
		}
		for _, got := range []result{run(prog, 5), run(prog, 16), run(long, 4), run(long, 7), run(prog, 4)} {
			if got.loss != want.loss || !slices.Equal(got.logits, want.logits) {
				t.Errorf("mask %v: loss %v, logits %v; want %v, %v", mask, got.loss, got.logits, want.loss, want.logits)
			}
			for name, g := range want.grads {
				for i, v := range g {
					if math.Abs(float64(v-got.grads[name][i])) > 1e-6 {
						t.Fatalf("mask %v: gradient %d of %s is %v, want %v", mask, i, name, got.grads[name][i], v)
					}
				}
			}
		}
	}
}

func TestTextThatDoesNotFit(t *testing.T) {
	compile := func(m models.Model, sc *data.Schema) (*models.Program, error) {
		return models.Compile(m, nn.NewParams(1), sc, models.CompileOptions{Batch: 3})
	}
	for _, c := range []struct {
		m    models.Model
		sc   *data.Schema
		want string
	}{
		{reader{positions: 9}, &data.Schema{}, "the model reads text, the data has none"},
		{reader{positions: 9}, textSchema(0), "no lengths"},
		{reader{positions: 9}, textSchema(0, 9), "sequences of 9 tokens need 10 positions, the model has 9: lower data.max_length"},
		{reader{positions: 9, masked: true}, textSchema(0, 4), "the data masks none: set data.mask_rate"},
	} {
		if _, err := compile(c.m, c.sc); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.sc.Text, err, c.want)
		}
	}
	sc := textSchema(0, 4)
	prog, err := compile(reader{positions: 9}, sc)
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	alien := sentences(sc, 4)
	alien.Tokens.IDs[2] = 11
	bare := sentences(sc, 4)
	bare.Tokens = nil
	small := data.NewTokenBatch(sc, 2, 4)
	small.N = 1
	for _, c := range []struct {
		b    *data.Batch
		want string
	}{
		{sentences(sc, 5), "sequences of 5 positions, the longest are 4"},
		{alien, "id 11 of row 2 is outside of table 1, which has 11 rows"},
		{bare, "the batch has no tokens"},
		{small, "no tokens of 3 sequences"},
	} {
		if _, err := prog.Run(c.b, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// TestRows: the inputs of a linear map are known by the rows that are no padding.
func TestRows(t *testing.T) {
	for _, c := range []struct {
		mask float64
		want []int // of the last layer's inputs
	}{{0, []int{0, 1}}, {0.25, []int{0, 4}}} {
		sc := textSchema(c.mask, 16)
		var x []*G.Node
		prog, err := models.Compile(reader{positions: 17, masked: c.mask > 0}, nn.NewParams(1), sc, models.CompileOptions{
			Batch: 3, Capture: func(_ string, n *G.Node) { x = append(x, n) },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer prog.Close()
		if _, err := prog.Run(sentences(sc, 16), 0); err != nil {
			t.Fatal(err)
		}
		if got, ok := prog.Rows(nil, x[0], 2); !ok || !slices.Equal(got, c.want) {
			t.Errorf("mask %v: rows %v of %v, want %v", c.mask, got, x[0].Shape(), c.want)
		}
		if c.mask > 0 {
			continue
		}
		g := G.NewGraph()
		tokens := G.NewMatrix(g, G.Float32, G.WithShape(48, 2))
		if got, ok := prog.Rows(nil, tokens, 2); !ok || !slices.Equal(got, []int{0, 1, 2, 3, 16, 17, 18}) {
			t.Errorf("rows of tokens %v", got)
		}
		if _, ok := prog.Rows(nil, G.NewMatrix(g, G.Float32, G.WithShape(5, 2)), 2); ok {
			t.Error("5 rows are taken for those of a batch of 3")
		}
	}
}
