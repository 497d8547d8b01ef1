package align_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/cki/mergetest"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/modeltest"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/task"
)

// opaque squares hidden units with an operation that no layer declares.
type opaque struct{}

func (opaque) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	h := nn.Linear(s.Sub("a"), in.Embeddings(s, "embedding", 4), 6, kernel.ReLU)
	h = nn.Linear(s.Sub("b"), h, 5, kernel.ReLU)
	h = s.Check(G.Square(h))
	return nn.Linear(s.Sub("fc"), h, 1, kernel.None)
}

// secret multiplies hidden units by a weight that it does not declare.
type secret struct{}

func (secret) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	h := nn.Linear(s.Sub("a"), in.Embeddings(s, "embedding", 4), 6, kernel.ReLU)
	w := s.Param("secret", nn.XavierNormal, 6, 3)
	h = s.Check(G.Mul(h, w))
	return nn.Linear(s.Sub("fc"), h, 1, kernel.None)
}

func TestUndeclared(t *testing.T) {
	p := nn.NewParams(1)
	sym := symmetry(t, mergetest.RowsOf(opaque{}), p)
	var moving []string
	for _, g := range sym.Groups {
		moving = append(moving, g.Name)
	}
	if slices.Contains(moving, "b") || !slices.Contains(moving, "a") {
		t.Errorf("groups %v, want a, and not b, which an undeclared operation sees", moving)
	}
	if u := sym.Uncovered(p); u != nil {
		t.Errorf("uncovered: %v", u)
	}
	p = nn.NewParams(1)
	want := "[secret: 6 of the 6 entries of axis 0 secret: 3 of the 3 entries of axis 1]"
	if u := symmetry(t, mergetest.RowsOf(secret{}), p).Uncovered(p); fmt.Sprint(u) != want {
		t.Errorf("uncovered: %v, want %s", u, want)
	}
	o := align.Defaults()
	o.Match = "weights"
	if _, err := align.Align(context.Background(), secret{}, modeltest.Schema(), p, clone(t, p), nil, o); err == nil {
		t.Error("a model with an undeclared weight is aligned")
	}
}

// TestIndependentModels: of two models with nothing in common, one moves, by its weights closer to the other, and computes what
// it did whatever the options; the base stays as it is.
func TestIndependentModels(t *testing.T) {
	for _, match := range []string{"weights", "activations"} {
		for _, embeddings := range []string{"none", "permutation", "orthogonal"} {
			for _, name := range []string{"deepfm/batch_norm", "dcn", "dcnv2/low_rank"} {
				m := cases()[name]
				a, b := fresh(t, m, 1), fresh(t, m, 2)
				before, base, want := distance(b, a), clone(t, a), logits(t, m, b)
				tables := clone(t, b)
				o := align.Options{Match: match, Embeddings: embeddings, Scaled: true, Iterations: 50, Rows: 500}
				r, err := align.Align(context.Background(), m.Model, m.Schema, a, b, source{m.Schema, 500}, o)
				if err != nil {
					t.Fatal(err)
				}
				if d := apart(logits(t, m, b), want); d > 1e-5 {
					t.Errorf("%s %s %s: the logits change by %v", name, match, embeddings, d)
				}
				if after := distance(b, a); match == "weights" && (after > 0.99*before || r.After <= r.Before) {
					t.Errorf("%s %s %s: distance goes from %v to %v, similarity from %v to %v",
						name, match, embeddings, before, after, r.Before, r.After)
				}
				if distance(a, base) != 0 {
					t.Errorf("%s %s %s: the base has changed", name, match, embeddings)
				}
				same := slices.Equal(b.Get("embedding.bc.weight").Data, tables.Get("embedding.bc.weight").Data)
				if same != (embeddings == "none") {
					t.Errorf("%s %s %s: the embeddings stay: %v", name, match, embeddings, same)
				}
			}
		}
	}
}

// TestAlignedStay: a model that lies at its best place already, such as the base itself, is not moved.
func TestAlignedStay(t *testing.T) {
	for _, match := range []string{"weights", "activations"} {
		m := cases()["dcn/batch_norm"]
		a := fresh(t, m, 1)
		b := clone(t, a)
		o := align.Options{Match: match, Embeddings: "permutation", Scaled: true, Iterations: 50, Rows: 500}
		r, err := align.Align(context.Background(), m.Model, m.Schema, a, b, source{m.Schema, 500}, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range r.Groups {
			if g.Moved != 0 || g.Rotated {
				t.Errorf("%s: %d units of %s are moved", match, g.Moved, g.Name)
			}
		}
	}
}

// TestTrainingPrograms: a program that trains has the same groups, dropout and gradients or not.
func TestTrainingPrograms(t *testing.T) {
	forEach(t, func(t *testing.T, m mergetest.Setting, p *nn.Params, want nn.Symmetry) {
		if _, ranks := m.Task.(task.Ranking); ranks {
			return // in training it ends with states, of which no columns move
		}
		prog, err := models.Compile(m.Model, p, m.Schema, models.CompileOptions{Batch: 8, Train: true, Loss: modeltest.LossOf(m.Schema)})
		if err != nil {
			t.Fatal(err)
		}
		defer prog.Close()
		if got := names(prog.Symmetry()); got != names(want) {
			t.Errorf("groups %s, want %s", got, names(want))
		}
	})
}

func TestShuffle(t *testing.T) {
	m := cases()["deepfm/batch_norm"]
	p := fresh(t, m, 1)
	q, again := clone(t, p), clone(t, p)
	for _, x := range []*nn.Params{q, again} {
		if err := align.Shuffle(m.Model, m.Schema, x, 5); err != nil {
			t.Fatal(err)
		}
	}
	if d := apart(logits(t, m, q), logits(t, m, p)); d > 2e-6 {
		t.Errorf("the logits change by %v", d)
	}
	if slices.Equal(q.Get("mlp.0.weight").Data, p.Get("mlp.0.weight").Data) ||
		!slices.Equal(q.Get("embedding.a.weight").Data, p.Get("embedding.a.weight").Data) {
		t.Error("want the hidden units to move, and the embeddings to stay")
	}
	if distance(q, again) != 0 {
		t.Error("the same key shuffles otherwise")
	}
}

func TestBadModels(t *testing.T) {
	m := cases()["mlp"]
	for _, tc := range []struct {
		name  string
		spoil func(a, b *nn.Params) (*nn.Params, *nn.Params)
		want  string
	}{
		{"a value that is no number", func(a, b *nn.Params) (*nn.Params, *nn.Params) {
			b.Get("mlp.1.bias").Data[2] = float32(math.NaN())
			return a, b
		}, "align: mlp.1.bias of the other model has a value that is not a finite number"},
		{"another shape", func(a, b *nn.Params) (*nn.Params, *nn.Params) {
			q := b.Get("mlp.0.bias")
			q.Shape, q.Data = []int{3}, q.Data[:3]
			return a, b
		}, "align: mlp.0.bias is [24] in the base and [3] in the other model"},
		{
			"a parameter is missing", func(a, _ *nn.Params) (*nn.Params, *nn.Params) { return a, nn.NewParams(1) },
			"has no parameter embedding.n1.weight",
		},
		{
			"the base lacks one", func(_, b *nn.Params) (*nn.Params, *nn.Params) { return nn.NewParams(1), b },
			"align: the parameters lack embedding.n1.weight of the model",
		},
	} {
		a, b := tc.spoil(fresh(t, m, 1), fresh(t, m, 2))
		o := align.Defaults()
		o.Match = "weights"
		_, err := align.Align(context.Background(), m.Model, m.Schema, a, b, nil, o)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %s", tc.name, err, tc.want)
		}
	}
	o := align.Defaults()
	o.Match = "activations"
	a, b := fresh(t, m, 1), fresh(t, m, 2)
	if _, err := align.Align(context.Background(), m.Model, m.Schema, a, b, nil, o); err == nil ||
		!strings.Contains(err.Error(), "needs rows") {
		t.Errorf("activations without rows: %v", err)
	}
	if _, err := align.Align(context.Background(), m.Model, m.Schema, a, b, source{m.Schema, 0}, o); err == nil ||
		!strings.Contains(err.Error(), "fewer than 2 rows") {
		t.Errorf("activations of no rows: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, match := range []string{"weights", "activations"} {
		o.Match = match
		if _, err := align.Align(ctx, m.Model, m.Schema, a, b, source{m.Schema, 5000}, o); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: a cancelled alignment says %v", match, err)
		}
	}
	if distance(b, fresh(t, m, 2)) != 0 {
		t.Error("an alignment that failed has moved units")
	}
}

func TestBadMaps(t *testing.T) {
	m := cases()["mlp"]
	p := fresh(t, m, 1)
	g := symmetry(t, m, p).Groups[6] // mlp.0
	want := clone(t, p)
	for _, perm := range [][]int{
		nil, {0, 1}, make([]int, 24), append(slices.Repeat([]int{0}, 23), -1), append(slices.Repeat([]int{0}, 23), 24),
	} {
		if err := align.Apply(p, g, perm); err == nil {
			t.Errorf("Apply(%v) says nothing", perm)
		}
	}
	if err := align.Rotate(p, g, mat.NewDense(24, 24, nil)); err == nil {
		t.Error("Rotate turns units before an activation")
	}
	for _, u := range []nn.Use{
		{Param: "none", Block: 1},
		{Param: "mlp.0.weight", Axis: 2, Block: 1},
		{Param: "mlp.0.weight", Offset: 1, Block: 1},
		{Param: "mlp.0.weight", Block: 2},
	} {
		bad := nn.Group{Name: "bad", Size: 24, Uses: []nn.Use{u}, Orthogonal: true}
		if err := align.Apply(p, bad, make([]int, 24)); err == nil {
			t.Errorf("Apply along %+v says nothing", u)
		}
		if err := align.Rotate(p, bad, modeltest.Rotation(24, 1)); err == nil {
			t.Errorf("Rotate along %+v says nothing", u)
		}
	}
	if distance(p, want) != 0 {
		t.Error("a map that was refused has moved units")
	}
}

func TestOptions(t *testing.T) {
	if err := align.Defaults().Validate(); err != nil {
		t.Error(err)
	}
	err := align.Options{Match: "weight", Embeddings: "rotate"}.Validate()
	for _, want := range []string{
		"match", "must be none, weights or activations", "embeddings", "must be orthogonal, permutation or none", "iterations", "must be at least 1", "rows", "must be at least 2",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate says %v, want it to mention %q", err, want)
		}
	}
}
