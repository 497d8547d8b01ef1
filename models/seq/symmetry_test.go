package seq_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/seq"
)

// TestSymmetry: permuting and turning the units of each group changes no logit, whether an item is scored or all are, and whether items and
// histories share their table or not.
func TestSymmetry(t *testing.T) {
	all := cases()
	for name, m := range cases() {
		switch m := m.(type) {
		case seq.ESASRec:
			m.Output.Output = seq.Items
			all[name+"/catalogue"] = m
		case seq.GRU4Rec:
			m.Output.Output = seq.Items
			all[name+"/catalogue"] = m
		case seq.SASRec:
			m.Output.Output = seq.Items
			all[name+"/catalogue"] = m
		}
	}
	for name := range cases() {
		all[name+"/apart"] = all[name]
	}
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			sc, p := modeltest.Histories(), nn.NewParams(1)
			if strings.HasSuffix(name, "/apart") {
				sc.Features[1].Table = ""
			}
			const rows = 40
			prog, err := models.Compile(m, p, sc, models.CompileOptions{Batch: rows})
			if err != nil {
				t.Fatal(err)
			}
			defer prog.Close()
			for _, q := range p.All() { // nothing at its initial 0 or 1
				r := rng.New(rng.Key(1, "test", q.Name))
				for i := range q.Data {
					if q.Kind != nn.Table || i >= q.Dim() {
						q.Data[i] = float32(.4 * r.NormFloat64())
					}
					if q.Kind == nn.Buffer {
						q.Data[i] = float32(math.Exp(float64(q.Data[i])))
					}
				}
			}
			b := modeltest.Batch(sc, rows, rows, 3)
			logits := func() []float32 {
				if _, err := prog.Run(b, 0); err != nil {
					t.Fatal(err)
				}
				return slices.Clone(prog.Logits())
			}
			want, sym := logits(), prog.Symmetry()
			scale := 0.0
			for _, v := range want {
				scale = max(scale, math.Abs(float64(v)))
			}
			var names []string
			for i, g := range sym.Groups {
				names = append(names, fmt.Sprintf("%s:%d", g.Name, g.Size))
				perm := rng.New(rng.Key(3, i)).Perm(g.Size)
				before := p.Digest()
				if err := align.Apply(p, g, perm); err != nil {
					t.Fatal(err)
				}
				if g.Orthogonal {
					if err := align.Rotate(p, g, modeltest.Rotation(g.Size, uint64(i))); err != nil {
						t.Fatal(err)
					}
				}
				if p.Digest() == before && !slices.IsSorted(perm) {
					t.Errorf("%s: nothing moved", g.Name)
				}
				for k, v := range logits() { // of this group, and of all before it
					if d := math.Abs(float64(v - want[k])); !(d <= 1e-5*scale) {
						t.Fatalf("%s: logit %d is %v, was %v", g.Name, k, v, want[k])
					}
				}
			}
			for _, g := range groups[name] {
				if !slices.Contains(names, g) {
					t.Errorf("there is no group %s among\n%s", g, strings.Join(names, "\n"))
				}
			}
		})
	}
}

// TestRows: the rows of positions with the item behind the history are those of its items and of the item.
func TestRows(t *testing.T) {
	sc := modeltest.Histories()
	prog, err := models.Compile(cases()["bst"], nn.NewParams(1), sc, models.CompileOptions{Batch: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	b := data.NewBatch(sc, 9)
	b.N = 3
	copy(b.IDs["history"], []int32{2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7})
	if _, err := prog.Run(b, 0); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range prog.Symmetry().Groups {
		if g.Name != "blocks.0.linear1" {
			continue
		}
		for _, v := range g.Views {
			n++
			got, ok := prog.Rows(nil, v.Node, 2)
			if want := []int{0, 1, 2, 3, 4, 5, 6}; !ok || !slices.Equal(got, want) {
				t.Errorf("the live rows of %v are %v, want %v", v.Node.Shape(), got, want)
			}
		}
	}
	if n == 0 {
		t.Error("there is no node of units over positions")
	}
}

// groups are those that a model must have, so that none is lost silently by being fixed.
var groups = map[string][]string{
	"din":        {"classifier.0:8", "classifier.1:4"},
	"dien":       {"embedding.item:6", "extractor:6", "evolving:6", "classifier.0:8"},
	"dien/apart": {"embedding.item:6", "embedding.history:6", "extractor:6", "evolving:6"},
	"din/dice":   {"attention.0:5", "attention.1:3", "classifier.0:8", "classifier.1:4", "embedding.item:6"},
	"gru4rec":    {"gru:5", "classifier.0:8"},
	"esasrec":    {"blocks.0.attention.heads:2", "blocks.0.feed_forward.gate_proj:24", "blocks.1.feed_forward.gate_proj:24", "classifier.0:8", "sequence:6"},
	"esasrec/catalogue": {
		"blocks.0.attention.head0.qk:3", "blocks.0.attention.head1.v:3", "blocks.1.feed_forward.gate_proj:24", "embedding.item:6",
	},
}
