package text_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/text"
)

// reference is a case of testdata/parity.json, which parity.py writes.
type reference struct {
	Name      string
	IDs       []int32
	Segments  []int32
	Len       []int32
	Labels    []float32
	Logits    []float64
	Loss      float64
	Gradients map[string]struct {
		Sum, Norm float64
		At        []float64
	}
}

func references(t *testing.T) []reference {
	t.Helper()
	b, err := os.ReadFile("testdata/parity.json")
	if err != nil {
		t.Fatal(err)
	}
	var out []reference
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// parityCase is the model of a case and its data.
type parityCase struct {
	m  models.Model
	sc *data.Schema
}

func parityCases() map[string]parityCase {
	mean := bert(nil)
	mean.Pooling = "mean"
	return map[string]parityCase{
		"bert":               {bert(nil), schema(3, 0, 0)},
		"bert/gelu_new":      {bert(func(e *text.Encoder) { e.HiddenAct = "gelu_new" }), schema(3, 0, 0)},
		"bert/relu":          {bert(func(e *text.Encoder) { e.HiddenAct = "relu" }), schema(3, 0, 0)},
		"bert/mean":          {mean, schema(3, 0, 0)},
		"bert/regression":    {bert(nil), schema(0, 0, 0)},
		"roberta":            {roberta(), schema(3, 0, 1)},
		"roberta/regression": {roberta(), schema(0, 0, 1)},
		"bert_mlm":           {&text.BERTMasked{Encoder: tiny}, schema(0, 0.3, 0)},
		"roberta_mlm":        {&text.RoBERTaMasked{Encoder: robertaEncoder(func(e *text.Encoder) { e.HiddenAct = "gelu_new" })}, schema(0, 0.3, 1)},
	}
}

func close5(got, want float64) bool { return math.Abs(got-want) <= 1e-5*max(1, math.Abs(want)) }

// predicted returns the logits of the tokens that are to be predicted, or of the live rows.
func predicted(c *reference, sc *data.Schema, b *data.Batch, z []float32) []float32 {
	if sc.Text.MaskRate == 0 {
		return z[:b.N*len(z)/b.Size]
	}
	var out []float32
	v := len(z) / len(b.Tokens.At)
	for i, at := range b.Tokens.At {
		if at >= 0 {
			out = append(out, z[i*v:(i+1)*v]...)
		}
	}
	return out
}

// TestParity compares logits, losses and all gradients with transformers'.
func TestParity(t *testing.T) {
	cases := parityCases()
	for _, c := range references(t) {
		p, ok := cases[c.Name]
		delete(cases, c.Name)
		if !ok {
			t.Errorf("%s: no model", c.Name)
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			params := nn.NewParams(1)
			prog := compile(t, p.m, params, p.sc, models.CompileOptions{Batch: 4, Train: true, Loss: mean})
			b := c.sentences(p.sc, 4, 8)
			loss, z := run(t, prog, b, 0)
			if !close5(loss, c.Loss) {
				t.Errorf("loss %v, want %v", loss, c.Loss)
			}
			z = predicted(&c, p.sc, b, z)
			if len(z) != len(c.Logits) {
				t.Fatalf("%d logits, want %d", len(z), len(c.Logits))
			}
			for i, v := range z {
				if !close5(float64(v), c.Logits[i]) {
					t.Fatalf("logit %d is %v, want %v", i, v, c.Logits[i])
				}
			}
			grads := prog.Grads()
			if len(grads) != len(c.Gradients) || len(params.All()) != len(grads) {
				t.Errorf("%d gradients of %d parameters, want %d", len(grads), len(params.All()), len(c.Gradients))
			}
			for _, g := range grads {
				want, ok := c.Gradients[g.Param.Name]
				if !ok {
					t.Errorf("transformers has no parameter %s", g.Param.Name)
					continue
				}
				sum, norm := 0.0, math.Sqrt(kernel.SumSq(g.Grad))
				for _, v := range g.Grad {
					sum += float64(v)
				}
				if !close5(sum, want.Sum) || !close5(norm, want.Norm) {
					t.Errorf("gradient of %s has sum %v, norm %v; want %v, %v", g.Param.Name, sum, norm, want.Sum, want.Norm)
				}
				step := max(1, len(g.Grad)/16)
				for i, v := range want.At {
					if got := float64(g.Grad[i*step]); !close5(got, v) {
						t.Errorf("gradient of %s at %d is %v, want %v", g.Param.Name, i*step, got, v)
						break
					}
				}
			}
		})
	}
	for name := range cases {
		t.Errorf("%s: no reference", name)
	}
}

// TestPadding: the same sentences in a longer bucket have the same logits, bit by bit.
func TestPadding(t *testing.T) {
	cases := parityCases()
	for _, c := range references(t) {
		p := cases[c.Name]
		t.Run(c.Name, func(t *testing.T) {
			params := nn.NewParams(1)
			short := compile(t, p.m, params, p.sc, models.CompileOptions{})
			long := compile(t, p.m, params, p.sc, models.CompileOptions{Batch: 7, Length: 13})
			b, bucket, wide := c.sentences(p.sc, 3, 8), c.sentences(p.sc, 3, 13), c.sentences(p.sc, 7, 11)
			_, z := run(t, short, b, 0)
			want := predicted(&c, p.sc, b, z)
			_, z = run(t, short, bucket, 0)
			if got := predicted(&c, p.sc, bucket, z); !slices.Equal(got, want) {
				t.Errorf("in a bucket of 13: logits %v, want %v", got, want)
			}
			_, z = run(t, long, wide, 0)
			if got := predicted(&c, p.sc, wide, z); !slices.Equal(got, want) {
				t.Errorf("padded to 13: logits %v, want %v", got, want)
			}
		})
	}
}
