package task_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/task"
)

// table is a model whose logits are its parameter z: [rows, len(z)/rows].
type table struct {
	rows   int
	z      []float32
	masked bool
}

func (m table) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	if m.masked {
		in.Sequences(s).Masked(s)
	}
	return s.Param("z", func(_ *rand.Rand, _ []int, dst []float32) { copy(dst, m.z) }, m.rows, len(m.z)/m.rows)
}

// lossOf returns a task's loss and its gradient for the logits.
func lossOf(t *testing.T, loss models.LossFunc, m table, b *data.Batch, sc *data.Schema) (float64, []float32) {
	t.Helper()
	p, err := models.Compile(m, nn.NewParams(1), sc, models.CompileOptions{Batch: b.Size, Train: true, Loss: loss})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l, err := p.Run(b, 0)
	if err != nil {
		t.Fatal(err)
	}
	return l, slices.Clone(p.Grads()[0].Grad)
}

func labels(n int, y ...float32) *data.Batch {
	b := data.NewBatch(&data.Schema{}, len(y))
	b.N = n
	copy(b.Label, y)
	return b
}

func near(t *testing.T, what string, loss, want float64, grad, wantGrad []float32) {
	t.Helper()
	if math.Abs(loss-want) > 1e-6 {
		t.Errorf("%s: loss %v, want %v", what, loss, want)
	}
	if len(grad) != len(wantGrad) {
		t.Fatalf("%s: %d gradients, want %d", what, len(grad), len(wantGrad))
	}
	for i, g := range grad {
		if math.Abs(float64(g-wantGrad[i])) > 1e-6 {
			t.Errorf("%s: gradient %v, want %v", what, grad, wantGrad)
			return
		}
	}
}

var logits = []float32{1, -2, .5, 0, 3, 1, 2, 2, -1, 7, 8, 9} // the last row is padding

// The numbers are those of PyTorch's functions: cross_entropy with label_smoothing and ignore_index, mse_loss.
func TestLossesArePyTorchs(t *testing.T) {
	m := table{rows: 4, z: logits}
	for _, c := range []struct {
		name string
		task task.Classification
		b    *data.Batch
		loss float64
		grad []float32
	}{
		{
			"plain",
			task.Classification{},
			labels(3, 2, 1, 0, 0), 0.6307262778282166,
			[]float32{
				0.2012496441602707, 0.010019629262387753, -0.21126925945281982, 0.01400335505604744, -0.05206843465566635, 0.038065068423748016,
				-0.1707148253917694, 0.1626185178756714, 0.00809630099684, 0, 0, 0,
			},
		},
		{
			"smooth",
			task.Classification{LabelSmoothing: 0.1},
			labels(3, 2, 1, 0, 0), 0.7418373823165894,
			[]float32{
				0.19013851881027222, -0.001091483049094677, -0.18904702365398407, 0.00289224274456501, -0.029846208170056343, 0.02695395238697529,
				-0.14849258959293365, 0.1515073925256729, -0.0030148110818117857, 0, 0, 0,
			},
		},
		{
			"ignored",
			task.Classification{},
			labels(3, 2, -1, 0, 0), 0.8611664175987244,
			[]float32{
				0.30187445878982544, 0.015029443427920341, -0.31690388917922974, 0.0, 0.0, 0.0,
				-0.2560722231864929, 0.24392777681350708, 0.012144451029598713, 0, 0, 0,
			},
		},
	} {
		loss, grad := lossOf(t, c.task.Loss, m, c.b, &data.Schema{})
		near(t, c.name, loss, c.loss, grad, c.grad)
	}
	loss, grad := lossOf(t, task.Regression{}.Loss, table{rows: 3, z: []float32{1, -2, 9}}, labels(2, 2.5, 1, 0), &data.Schema{})
	near(t, "regression", loss, (1.5*1.5+9)/2, grad, []float32{-1.5, -3, 0})
}

func TestDistill(t *testing.T) {
	teach := func(d task.Distiller, teacher []float32, temperature float64) models.LossFunc {
		return func(s *nn.Scope, z *G.Node, in *models.Inputs) *G.Node {
			node, values := s.Input("teacher", z.Shape()...)
			copy(values, teacher)
			return d.Distill(s, z, in, task.Soft{Logits: node, Temperature: temperature})
		}
	}
	loss, grad := lossOf(t, teach(task.Classification{}, []float32{0, 1, 2, 1, 1, 1, -3, 0, 2, 0, 0, 0}, 2), table{rows: 4, z: logits}, labels(3, 0, 0, 0, 0), &data.Schema{})
	near(t, "classes", loss, 1.4708842039108276, grad,
		[]float32{0.05219900980591774, -0.03262307122349739, -0.019575929269194603, -0.03218149393796921, 0.04919973388314247, -0.017018241807818413, 0.0655340701341629, 0.03268333151936531, -0.0982174202799797, 0, 0, 0})
	loss, grad = lossOf(t, teach(task.Regression{}, []float32{3, 1, 0}, 2), table{rows: 3, z: []float32{1, -2, 9}}, labels(2, 9, 9, 9), &data.Schema{})
	near(t, "number", loss, (1+2.25)/2, grad, []float32{-0.5, -0.75, 0})
	if _, ok := task.Task(task.MaskedLM{}).(task.Distiller); ok {
		t.Error("masked_lm claims to learn from a teacher: its soft loss would count tokens that are not to be predicted")
	}
}

// A masked language model has rows of logits for tokens, whatever the number of live rows is.
func TestMaskedLM(t *testing.T) {
	sc := &data.Schema{Text: &data.Text{Vocab: 3, Lengths: []int{4}, MaskRate: 0.5}}
	b := data.NewTokenBatch(sc, 2, 4)
	b.N = 1
	b.Tokens.At[0], b.Tokens.Target[0] = 2, 2
	loss, grad := lossOf(t, task.MaskedLM{}.Loss, table{rows: 4, z: logits, masked: true}, b, sc)
	want := math.Log(math.Exp(1)+math.Exp(-2)+math.Exp(.5)) - .5
	near(t, "masked", loss, want, grad, []float32{3 * 0.2012496441602707, 3 * 0.010019629262387753, 3 * -0.21126925945281982, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	b.Tokens.Target[0] = -1
	if loss, grad = lossOf(t, task.MaskedLM{}.Loss, table{rows: 4, z: logits, masked: true}, b, sc); loss != 0 || slices.Max(grad) != 0 {
		t.Errorf("nothing to predict: loss %v, gradient %v", loss, grad)
	}
}

func TestPredict(t *testing.T) {
	var _, _ task.Classifier = task.Classification{}, task.MaskedLM{}
	p := make([]float32, 3)
	if c := (task.Classification{}).Classify([]float32{0, 1000, 1000}, p); c != 1 || !slices.Equal(p, []float32{0, .5, .5}) {
		t.Errorf("class %d, probabilities %v", c, p)
	}
	if got := (task.MaskedLM{}).Predict([]float32{-3, -5, -1}); got != 2 {
		t.Errorf("token %v", got)
	}
	if got := (task.Regression{}).Predict([]float32{-1.5}); got != -1.5 {
		t.Errorf("number %v", got)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		task interface{ Validate() error }
		want string
	}{
		{task.Classification{LabelSmoothing: 1, MetricNames: []string{"f1"}}, "label_smoothing: must be in [0, 1)"},
		{task.Classification{MetricNames: []string{"auc"}}, "auc does not measure this task: there are accuracy, cross_entropy"},
		{task.Regression{MetricNames: []string{"persson"}}, "did you mean pearson?"},
		{task.Regression{}, "give at least one, such as [pearson, spearman]"},
		{task.MaskedLM{MetricNames: []string{"mse"}}, "mse does not measure this task"},
		{task.Binary{MetricNames: []string{"cross_entropy"}}, "cross_entropy does not measure this task"},
	} {
		if err := c.task.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.task, err, c.want)
		}
	}
	for _, c := range []struct {
		task task.Task
		z    []float32
		want string
	}{
		{
			task.Classification{},
			[]float32{1, 2},
			"task classification: the model returns logits of shape (2, 1), want one for each of several classes",
		},
		{task.Regression{}, []float32{1, 2, 3, 4}, "task regression: the model returns logits of shape (2, 2), want one a row"},
	} {
		_, err := models.Compile(table{rows: 2, z: c.z}, nn.NewParams(1), &data.Schema{},
			models.CompileOptions{Batch: 2, Loss: c.task.Loss})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}
