package train_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/optim"
	"github.com/splice-ml/splice/train/task"
)

// rule is a teacher whose logit is a function of the row.
type rule struct {
	z     []float32
	value func(b *data.Batch, r int) float32
}

func (t *rule) Teach(_ context.Context, b *data.Batch) ([]float32, error) {
	t.z = t.z[:0]
	for r := range b.Size {
		if r < b.N {
			t.z = append(t.z, t.value(b, r))
		} else {
			t.z = append(t.z, float32(math.NaN())) // nobody may look
		}
	}
	return t.z, nil
}

func opinion(b *data.Batch, r int) float32 { return 3*b.Dense[r] - float32(b.IDs["a"][r])/4 }

func sigma(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func entropy(z, y float64) float64 { return max(z, 0) - z*y + math.Log1p(math.Exp(-math.Abs(z))) }

// TestDistill compares loss and gradient of a logistic regression with the formulas: at a learning rate of 1, plain SGD moves
// a weight by its gradient.
func TestDistill(t *testing.T) {
	for _, tc := range []struct {
		weight, temp float64
		size         int
	}{{0, 2, 64}, {0.3, 1, 64}, {0.5, 4, 64}, {1, 2.5, 64}, {0.7, 3, 750}} {
		d := splits(t)
		sgd, _ := optim.Types.Default("sgd")
		p := fresh(t, ctr.LR{}, d.Schema, 7)
		start := map[string][]float32{}
		for _, q := range p.All() {
			start[q.Name] = append([]float32(nil), q.Data...)
		}
		tr := trainer(t, t.TempDir())
		tr.Model, tr.Params, tr.Optimizer, tr.LearningRate, tr.MaxGradNorm, tr.MaxSteps = ctr.LR{}, p, sgd, 1, 0, 1
		tr.BatchSize = tc.size
		tr.Teacher, tr.Distill = &rule{value: opinion}, train.DistillOptions{Weight: tc.weight, Temperature: tc.temp}
		var got float64
		tr.Callbacks = []train.Callback{hear(func(e *train.Event) {
			if e.Kind == train.StepDone {
				got = e.Loss
			}
		})}
		if _, err := tr.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		var loss, bias, slope float64
		w, T := tc.weight, tc.temp
		for b, err := range d.Train.Batches(0, tc.size) {
			if err != nil {
				t.Fatal(err)
			}
			for r := range b.N {
				x, y, teacher := float64(b.Dense[r]), float64(b.Label[r]), float64(opinion(b, r))
				z := float64(start["linear.bias"][0]) + x*float64(start["linear.n.weight"][0]) +
					float64(start["linear.a.weight"][b.IDs["a"][r]]) + float64(start["linear.b.weight"][b.IDs["b"][r]])
				loss += ((1-w)*entropy(z, y) + w*T*T*entropy(z/T, sigma(teacher/T))) / float64(b.N)
				g := ((1-w)*(sigma(z)-y) + w*T*(sigma(z/T)-sigma(teacher/T))) / float64(b.N)
				bias += g
				slope += g * x
			}
			break
		}
		if math.Abs(got-loss) > 1e-5*loss {
			t.Errorf("%+v: loss %v, want %v", tc, got, loss)
		}
		for name, want := range map[string]float64{"linear.bias": bias, "linear.n.weight": slope} {
			if g := float64(start[name][0]) - float64(p.Get(name).Data[0]); math.Abs(g-want) > 1e-5*(1+math.Abs(want)) {
				t.Errorf("%+v: gradient of %s %v, want %v", tc, name, g, want)
			}
		}
	}
}

// hear is a callback that cannot fail.
type hear func(e *train.Event)

func (h hear) On(_ context.Context, e *train.Event) error {
	h(e)
	return nil
}

// plain is a task without soft labels.
type plain struct{ task.Task }

func TestDistillRefuses(t *testing.T) {
	good := train.DistillDefaults()
	for _, tc := range []struct {
		name   string
		change func(tr *train.Trainer)
		want   string
	}{
		{"task", func(tr *train.Trainer) { tr.Task = plain{tr.Task} }, "has no loss for soft labels"},
		{"temperature", func(tr *train.Trainer) { tr.Distill.Temperature = 0 }, "must be above 0"},
		{"weight", func(tr *train.Trainer) { tr.Distill.Weight = 1.5 }, "must be in [0, 1]"},
		{"not finite", func(tr *train.Trainer) {
			tr.Teacher = &rule{value: func(*data.Batch, int) float32 { return float32(math.NaN()) }}
		}, "not finite"},
		{"batch size", func(tr *train.Trainer) { tr.Teacher = team(t, tr, 32, 1) }, "a batch of 64 rows, the members score 32"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := trainer(t, t.TempDir())
			tr.Teacher, tr.Distill = &rule{value: opinion}, good
			tc.change(tr)
			if _, err := tr.Fit(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// team returns an ensemble of models with the given seeds.
func team(t *testing.T, tr *train.Trainer, batch int, seeds ...uint64) *ensemble.Ensemble {
	t.Helper()
	e, err := ensemble.New(ensemble.MeanLogits, members(t, tr, batch, seeds...)...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func members(t *testing.T, tr *train.Trainer, batch int, seeds ...uint64) []train.Predictor {
	t.Helper()
	var ms []train.Predictor
	for _, s := range seeds {
		p := fresh(t, tr.Model, tr.Data.Schema, s)
		prog, err := models.Compile(tr.Model, p, tr.Data.Schema, models.CompileOptions{Batch: batch})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { prog.Close() })
		ms = append(ms, prog)
	}
	return ms
}

// TestTeacherAllocates: a step with a teacher allocates the tapes' few kilobytes and no more.
func TestTeacherAllocates(t *testing.T) {
	tr := trainer(t, t.TempDir())
	tr.Epochs, tr.Teacher, tr.Distill = 1, team(t, tr, 64, 1, 2), train.DistillDefaults()
	c := &counter{}
	tr.Callbacks = []train.Callback{c}
	if _, err := tr.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.bytes > 3*64<<10 {
		t.Errorf("a step allocates %d bytes, want at most 64 KB for each tape", c.bytes)
	}
}

// TestEnsembleOfOne scores as its member does.
func TestEnsembleOfOne(t *testing.T) {
	tr := trainer(t, t.TempDir())
	ms := members(t, tr, 64, 3)
	want, err := train.Evaluate(t.Context(), ms[0], tr.Data.Valid, tr.Task, train.EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := train.Evaluate(t.Context(), team(t, tr, 64, 3), tr.Data.Valid, tr.Task, train.EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range want.Metrics {
		if got.Metrics[k] != v {
			t.Errorf("%s is %v, the member's %v", k, got.Metrics[k], v)
		}
	}
}

// TestDistillGoesThroughTheModel: a student of a sharp teacher alone ranks as the teacher does.
func TestDistillGoesThroughTheModel(t *testing.T) {
	tr := trainer(t, t.TempDir())
	tr.Epochs, tr.Patience = 8, 0
	tr.Teacher = &rule{value: func(b *data.Batch, r int) float32 { return -4 * b.Dense[r] }} // against the labels
	tr.Distill = train.DistillOptions{Weight: 1, Temperature: 2}
	tr.Params = nn.NewParams(5)
	tr.Monitor = "logloss"
	var auc float64
	tr.Callbacks = []train.Callback{hear(func(e *train.Event) {
		if e.Kind == train.EvalDone && e.Split == "valid" {
			auc = e.Metrics["auc"]
		}
	})}
	if _, err := tr.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if auc > 0.4 {
		t.Errorf("auc %v after learning from a teacher that is wrong", auc)
	}
}

// TestDistillPasses: in a training with two dropout passes soft labels count in each pass, by their mean. Hardly any dropout gives the loss of
// one pass, much of it does not.
func TestDistillPasses(t *testing.T) {
	loss := func(passes int, dropout float64) (first float64) {
		tr := trainer(t, t.TempDir())
		tr.Model = ctr.MLP{EmbeddingDim: 4, Tower: ctr.Tower{HiddenUnits: []int{8}, HiddenActivations: "tanh", NetDropout: dropout}}
		tr.Task = task.Binary{MetricNames: []string{"auc"}, DropoutPasses: passes}
		tr.Teacher, tr.Distill, tr.MaxSteps = &rule{value: opinion}, train.DistillOptions{Weight: 1, Temperature: 2}, 1
		p := fresh(t, tr.Model, tr.Data.Schema, 7)
		for _, q := range p.All() {
			if q.Embedding {
				for i := range q.Data {
					q.Data[i] *= 3000
				}
			}
		}
		tr.Params = p
		tr.Callbacks = []train.Callback{hear(func(e *train.Event) {
			if e.Kind == train.StepDone {
				first = e.Loss
			}
		})}
		if _, err := tr.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return first
	}
	if one, two := loss(1, 1e-9), loss(2, 1e-9); math.Abs(one-two) > 1e-6*one {
		t.Errorf("nothing is dropped: loss %v of one pass, %v of two", one, two)
	}
	if one, two := loss(1, .5), loss(2, .5); math.Abs(one-two) < 1e-4*one {
		t.Errorf("half is dropped: loss %v of one pass, %v of two", one, two)
	}
}
