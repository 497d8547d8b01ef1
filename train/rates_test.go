package train_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/optim"
	"github.com/splice-ml/splice/train/task"
)

// moved returns by how much one step of plain gradient descent moves each parameter of a reader.
func moved(t *testing.T, change func(*train.Trainer)) map[string][]float64 {
	t.Helper()
	tr := reader(t, t.TempDir())
	tr.Optimizer, tr.LearningRate, tr.MaxSteps, tr.MaxGradNorm = optim.SGD{}, 0.5, 1, 0
	change(tr)
	start := reader(t, t.TempDir())
	start.MaxSteps, start.Optimizer, start.LearningRate = 1, optim.SGD{}, 1e-30
	for _, x := range []*train.Trainer{start, tr} {
		x.Keep = "last"
		if _, err := x.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string][]float64{}
	for _, q := range tr.Params.All() {
		from := start.Params.Get(q.Name).Data
		for i, v := range q.Data {
			out[q.Name] = append(out[q.Name], float64(v)-float64(from[i]))
		}
	}
	return out
}

func TestRates(t *testing.T) {
	t.Parallel()
	plain := moved(t, func(*train.Trainer) {})
	for name, change := range map[string]func(*train.Trainer){
		"layers": func(tr *train.Trainer) { tr.LayerDecay = 0.5 },
		"both": func(tr *train.Trainer) {
			tr.LayerDecay = 0.5
			tr.LearningRates = []train.RateOptions{{Match: []string{"head.*"}, Factor: 7}, {Match: []string{"*.bias", "!layer.*"}, Factor: 3}}
		},
	} {
		want := map[string]float64{"embed.weight": 0.25, "layer.weight": 0.5, "layer.bias": 0.5, "head.weight": 1, "head.bias": 1}
		if name == "both" {
			want["head.weight"], want["head.bias"] = 7, 3
		}
		for p, d := range moved(t, change) {
			for i := range d {
				if math.Abs(d[i]-want[p]*plain[p][i]) > 1e-6 {
					t.Fatalf("%s: value %d of %s moved by %v, at the whole rate by %v: want %v times",
						name, i, p, d[i], plain[p][i], want[p])
				}
			}
			if slices.Max(plain[p]) == 0 {
				t.Errorf("%s does not move", p)
			}
		}
	}
}

// Weight decay is of matrices, without the patterns of no_decay.
func TestNoDecay(t *testing.T) {
	t.Parallel()
	run := func(decay float64, no ...string) map[string][]float64 {
		return moved(t, func(tr *train.Trainer) {
			tr.Optimizer, tr.NoDecay = optim.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: decay}, no
			tr.LearningRate = 0.01
		})
	}
	differ := func(a, b map[string][]float64) (names []string) {
		for n := range a {
			if !slices.Equal(a[n], b[n]) {
				names = append(names, n)
			}
		}
		slices.Sort(names)
		return names
	}
	none := run(0)
	if got := differ(none, run(0.5)); !slices.Equal(got, []string{"embed.weight", "head.weight", "layer.weight"}) {
		t.Errorf("%v decay, want the matrices", got)
	}
	if got := differ(none, run(0.5, "embed.*", "head.*")); !slices.Equal(got, []string{"layer.weight"}) {
		t.Errorf("%v decay, want layer.weight", got)
	}
}

func TestRatesMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(*train.Trainer)
		want   string
	}{
		{
			func(tr *train.Trainer) { tr.NoDecay = []string{"haed.*"} },
			`train: no_decay: "haed.*" matches no parameter; nearest is "head.weight"`,
		},
		{func(tr *train.Trainer) {
			tr.LearningRates = []train.RateOptions{{Match: []string{"layr.*"}, Factor: 2}}
		}, `train: learning_rates.0.match: "layr.*" matches no parameter; nearest is "layer.weight"`},
	} {
		tr := reader(t, t.TempDir())
		c.change(tr)
		if _, err := tr.Fit(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	tr := trainer(t, t.TempDir())
	tr.LayerDecay = 0.9
	if _, err := tr.Fit(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "layer_decay: the parameters of model ctr.DeepFM lie in no layers") {
		t.Errorf("error %v", err)
	}
	o := train.Defaults()
	o.GradientAccumulation, o.LayerDecay, o.NoDecay = 0, 1.5, []string{"!x"}
	err := o.Validate()
	for _, want := range []string{"gradient_accumulation", "layer_decay", "no_decay"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one of %s", err, want)
		}
	}
	if err := (train.RateOptions{Factor: -1}).Validate(); err == nil || !strings.Contains(err.Error(), "match") ||
		!strings.Contains(err.Error(), "factor") {
		t.Errorf("error %v", err)
	}
}

// TestDistillOverLengths: the teacher's logits reach the graph of each length of text.
func TestDistillOverLengths(t *testing.T) {
	t.Parallel()
	run := func(length int) *train.Trainer {
		tr := reader(t, t.TempDir())
		tr.Teacher, tr.Distill = firstToken{}, train.DistillOptions{Weight: 1, Temperature: 2}
		tr.Compile.Length, tr.Epochs, tr.Keep, tr.Patience = length, 2, "last", 0
		if _, err := tr.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	one, several := run(16), run(0)
	for _, q := range one.Params.All() {
		for i, v := range several.Params.Get(q.Name).Data {
			if math.Abs(float64(v-q.Data[i])) > 1e-3 {
				t.Fatalf("value %d of %s is %v with a graph for each length, %v with one", i, q.Name, v, q.Data[i])
			}
		}
	}
	tr := reader(t, t.TempDir())
	tr.Model, tr.Data = bag{Dim: 6, Masked: true}, texts(0.3)
	tr.Task, _ = task.Registry.Default("masked_lm")
	tr.Teacher, tr.Distill = firstToken{}, train.DistillDefaults()
	if _, err := tr.Fit(t.Context()); err == nil || !strings.Contains(err.Error(), "has no loss for soft labels") {
		t.Errorf("error %v", err)
	}
}
