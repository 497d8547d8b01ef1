package text_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
)

// TestSymmetry: permuting and turning the units of each group, the heads among them, changes no logit.
func TestSymmetry(t *testing.T) {
	for _, c := range references(t) {
		if c.Name != "bert" && c.Name != "roberta" && c.Name != "bert_mlm" {
			continue
		}
		m := parityCases()[c.Name]
		t.Run(c.Name, func(t *testing.T) {
			p := nn.NewParams(1)
			prog := compile(t, m.m, p, m.sc, models.CompileOptions{})
			b := c.sentences(m.sc, 3, 8)
			logits := func() []float32 {
				_, z := run(t, prog, b, 0)
				return predicted(&c, m.sc, b, z)
			}
			want := logits()
			sym := prog.Symmetry()
			var names []string
			for i, g := range sym.Groups {
				names = append(names, fmt.Sprintf("%s:%d", g.Name, g.Size))
				values := func() (all []float32) {
					for _, q := range p.All() {
						all = append(all, q.Data...)
					}
					return all
				}
				before := values()
				if err := align.Apply(p, g, rng.New(rng.Key(3, i)).Perm(g.Size)); err != nil {
					t.Fatal(err)
				}
				if g.Orthogonal {
					if err := align.Rotate(p, g, modeltest.Rotation(g.Size, uint64(i))); err != nil {
						t.Fatal(err)
					}
				}
				if slices.Equal(values(), before) {
					t.Errorf("%s: nothing moved", g.Name)
				}
				for k, v := range logits() { // of this group, and of all before it
					if math.Abs(float64(v-want[k])) > 1e-5 {
						t.Fatalf("%s: logit %d is %v, was %v", g.Name, k, v, want[k])
					}
				}
			}
			family, _, _ := strings.Cut(c.Name, "_")
			head := map[string]string{"bert": "bert.pooler.dense:32", "roberta": "classifier.dense:32"}[c.Name]
			groups := []string{family + ".embeddings:32", head}
			for i := range 2 {
				layer := fmt.Sprintf("%s.encoder.layer.%d.", family, i)
				self := layer + "attention.self."
				groups = append(groups, self+"heads:4", layer+"intermediate.dense:64")
				for h := range 4 {
					groups = append(groups, fmt.Sprintf("%shead%d.qk:8", self, h), fmt.Sprintf("%shead%d.v:8", self, h))
				}
			}
			groups = slices.DeleteFunc(groups, func(g string) bool { return g == "" })
			slices.Sort(groups)
			slices.Sort(names)
			if !slices.Equal(names, groups) {
				t.Errorf("groups\n%q\nwant\n%q", names, groups)
			}
		})
	}
}
