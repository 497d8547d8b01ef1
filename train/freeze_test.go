package train_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/optim"
)

// TestFreeze: neither gradient nor L2 nor weight decay moves a frozen parameter, in either form of embeddings; all others move.
func TestFreeze(t *testing.T) {
	for _, embeddings := range []string{"lazy", "dense"} {
		for _, freeze := range [][]string{
			{"embedding.*"},
			{"embedding.*", "linear.*"},
			{"linear.bias", "embedding.n.weight", "mlp.0.*"},
			{"*", "!mlp.1.*"},
			{"*.weight", "!*.bn.*"},
		} {
			tr := trainer(t, t.TempDir())
			tr.Embeddings, tr.Freeze, tr.Epochs = embeddings, freeze, 1
			tr.EmbeddingRegularizer, tr.NetRegularizer, tr.MaxGradNorm = 0.1, 0.1, 0.01
			tr.Optimizer, _ = optim.Types.Default("adamw")
			tr.Compile.Freeze = func(name string) bool { return name == "mlp.1.bn.bias" }
			tr.Params = fresh(t, tr.Model, tr.Data.Schema, 5)
			kernel.Fill(tr.Params.Get("linear.bias").Data, 1)
			start := map[string][]float32{}
			for _, q := range tr.Params.All() {
				start[q.Name] = slices.Clone(q.Data)
			}
			if _, err := tr.Fit(t.Context()); err != nil {
				t.Fatalf("%s %q: %v", embeddings, freeze, err)
			}
			m, err := nn.Match(freeze)
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range tr.Params.All() {
				want := q.Kind == nn.Buffer || !m(q.Name) && q.Name != "mlp.1.bn.bias"
				if moved := !slices.Equal(q.Data, start[q.Name]); moved != want {
					t.Errorf("%s, freeze %q: %s moved: %v, want %v", embeddings, freeze, q.Name, moved, want)
				}
			}
		}
	}
}

func TestFreezeRefuses(t *testing.T) {
	for _, tc := range []struct {
		freeze []string
		want   []string
	}{
		{[]string{"embeding.*"}, []string{`"embeding.*" matches no parameter; nearest is "embedding.n.weight"`}},
		{[]string{"mlp.0.weigth", "linear.x.*", "mlp.*"}, []string{`"mlp.0.weigth" matches no parameter; nearest is "mlp.0.weight"`, `"linear.x.*" matches no parameter; nearest is "linear.`}},
		{[]string{"mlp.0.bn.running_mean"}, []string{"matches no parameter"}},
		{[]string{"zzz"}, []string{"the parameters are embedding.n.weight, "}},
		{[]string{"*"}, []string{"no parameter is left to train"}},
		{[]string{"!a"}, []string{"out of nothing"}},
	} {
		tr := trainer(t, t.TempDir())
		tr.Freeze = tc.freeze
		_, err := tr.Fit(t.Context())
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: error %v, want one with %q", tc.freeze, err, want)
			}
		}
	}
	o := train.Defaults()
	o.Freeze = []string{""}
	if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "freeze") {
		t.Errorf("an empty pattern: %v", err)
	}
}

// TestFreezeResumes: the optimizer's state has no frozen parameters, and none are asked for.
func TestFreezeResumes(t *testing.T) {
	dir := t.TempDir()
	for _, stop := range []int64{5, 0} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		tr := trainer(t, dir)
		tr.Freeze, tr.Resume, tr.Epochs = []string{"embedding.*", "mlp.*.bias"}, true, 1
		tr.Callbacks = append(tr.Callbacks, &stopper{stop, cancel})
		r, err := tr.Fit(ctx)
		if stop > 0 && !errors.Is(err, train.ErrInterrupted) {
			t.Fatalf("not interrupted: %v", err)
		}
		if stop == 0 && (err != nil || r.Steps != 11) {
			t.Errorf("%v, %v; want 11 steps", r, err)
		}
	}
}
