package task_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/task"
)

// several is a task of a click, a number and a class.
func several(weights ...float64) task.MultiTask {
	parts := []task.LabelTask{
		{Label: "click"},
		{Label: "seconds", Task: task.Regression{MetricNames: []string{"rmse", "mae"}}},
		{Label: "stars", Task: task.Classification{MetricNames: []string{"accuracy"}}},
	}
	for i, w := range weights {
		parts[i].Weight = &w
	}
	return task.MultiTask{Tasks: parts}
}

func severalLabels() []data.Label {
	return []data.Label{{Name: "click"}, {Name: "seconds"}, {Name: "stars", Classes: []string{"one", "two", "many"}}}
}

// TestLossesOfLabels: losses and gradients are those of PyTorch, in testdata/tasks.json, which torch_tasks.py beside it writes; also if rows
// of padding follow.
func TestLossesOfLabels(t *testing.T) {
	var want struct {
		Weight  []float32
		Labels  map[string][]float32
		Several [][]*float32
		Cases   []struct {
			Task     string
			Weighted bool
			Options  struct {
				PosWeight      float64   `json:"pos_weight"`
				FocalGamma     float64   `json:"focal_gamma"`
				FocalAlpha     float64   `json:"focal_alpha"`
				LabelSmoothing float64   `json:"label_smoothing"`
				ClassWeights   []float64 `json:"class_weights"`
				Weights        []float64
			}
			Logits, Gradient []float32
			Value            float64
		}
	}
	text, err := os.ReadFile("testdata/tasks.json")
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil || len(want.Cases) == 0 {
		t.Fatalf("%d cases, %v", len(want.Cases), err)
	}
	n := len(want.Weight)
	for _, c := range want.Cases {
		o := c.Options
		sc := &data.Schema{HasWeight: c.Weighted}
		var of task.Task
		switch c.Task {
		case "binary_classification":
			of = task.Binary{PosWeight: o.PosWeight, FocalGamma: o.FocalGamma, FocalAlpha: o.FocalAlpha, LabelSmoothing: o.LabelSmoothing}
		case "classification":
			of = task.Classification{FocalGamma: o.FocalGamma, LabelSmoothing: o.LabelSmoothing, ClassWeights: o.ClassWeights}
		case "regression":
			of = task.Regression{}
		default:
			of, sc.Labels = several(o.Weights...), severalLabels()
		}
		const padding = 3
		b := data.NewBatch(sc, n+padding)
		b.N = n
		copy(b.Label, want.Labels[c.Task])
		copy(b.Weight, want.Weight)
		for k := range b.Labels {
			for i, y := range want.Several[k] {
				if b.Labels[k][i] = float32(math.NaN()); y != nil {
					b.Labels[k][i] = *y
				}
			}
		}
		width := len(c.Logits) / n
		m := table{rows: n + padding, z: append(slices.Clone(c.Logits), make([]float32, padding*width)...)}
		loss, grad := lossOf(t, of.Loss, m, b, sc)
		near(t, fmt.Sprintf("%s %+v, weighted %v", c.Task, o, c.Weighted), loss, c.Value, grad, append(slices.Clone(c.Gradient), make([]float32, padding*width)...))
	}
}

// The sum over batches of the loss of a batch times its rows is that of all rows, so that a step's gradient does not depend on how its rows
// come in batches.
func TestLossIsLinearInRows(t *testing.T) {
	const n = 9
	sc := &data.Schema{HasWeight: true, Labels: severalLabels()}
	rows := func(lo, hi int) (*data.Batch, []float32) {
		b := data.NewBatch(sc, hi-lo)
		b.N = hi - lo
		var z []float32
		for i := lo; i < hi; i++ {
			b.Weight[i-lo] = float32(i%4) / 2
			b.Labels[0][i-lo], b.Labels[1][i-lo], b.Labels[2][i-lo] = float32(i%2), float32(i)/4, float32(i%3)
			b.Labels[i%3][i-lo] = float32(math.NaN())
			for k := range 5 {
				z = append(z, float32(math.Sin(float64(7*i+k))))
			}
		}
		return b, z
	}
	of := several(1, .5, 2)
	b, z := rows(0, n)
	whole, _ := lossOf(t, of.Loss, table{rows: n, z: z}, b, sc)
	sum := 0.0
	for _, cut := range [][2]int{{0, 1}, {1, 5}, {5, 9}} {
		b, z := rows(cut[0], cut[1])
		part, _ := lossOf(t, of.Loss, table{rows: b.N, z: z}, b, sc)
		sum += part * float64(b.N)
	}
	if math.Abs(whole*n-sum) > 1e-5 {
		t.Errorf("the loss of all rows is %v, those of the parts sum to %v", whole*n, sum)
	}
}

// Each task measures the rows that have its label and a weight.
func TestMeasure(t *testing.T) {
	sc := &data.Schema{HasWeight: true, HasGroup: true, Labels: severalLabels()}
	b := data.NewBatch(sc, 6)
	b.N = 5
	nan := float32(math.NaN())
	copy(b.Weight, []float32{1, 2, 0, .5, 1, 9})
	copy(b.Group, []int64{1, 1, 2, 2, 3, 0})
	copy(b.Labels[0], []float32{1, 0, 1, nan, 0})
	copy(b.Labels[1], []float32{nan, 1, 50, 3, nan})
	copy(b.Labels[2], []float32{nan, nan, 2, nan, nan})
	z := []float32{ // click, seconds, three classes
		2, 9, 0, 0, 1,
		-1, 2, 0, 0, 1,
		9, 9, 9, 0, 0,
		9, 3.5, 9, 0, 0,
		3, 9, 0, 0, 1,
	}
	of := several()
	ms, err := of.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range ms {
		names = append(names, m.Name())
	}
	if got, want := strings.Join(names, " "), "auc.click logloss.click rmse.seconds mae.seconds accuracy.stars"; got != want {
		t.Errorf("metrics %s, want %s", got, want)
	}
	m, err := task.NewMeasure(of, sc, ms, task.MeasureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	labels := m.Labels()
	for range 2 { // twice the rows have the same means
		if err := m.Add(z, b); err != nil {
			t.Fatal(err)
		}
		labels.Add(b)
	}
	values, undefined, err := metric.Values(ms)
	if err != nil {
		t.Fatal(err)
	}
	soft := func(x float64) float64 { return math.Log1p(math.Exp(x)) }
	for name, want := range map[string]float64{
		"auc.click":     2. / 3, // the positive, of weight 1, is above a negative of weight 2 and below one of weight 1
		"logloss.click": (soft(-2) + 2*soft(-1) + soft(3)) / 4,
		"mae.seconds":   (2*1 + .5*.5) / 2.5,
		"rmse.seconds":  math.Sqrt((2*1 + .5*.25) / 2.5),
	} {
		if got := values[name]; math.Abs(got-want) > 1e-6 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if len(undefined) != 1 || undefined[0].Metric != "accuracy.stars" {
		t.Errorf("undefined: %v, want the accuracy of a label that no row of a weight has", undefined)
	}
	if u := labels.Undefined(); len(u) != 1 || u[0].Metric != "accuracy.stars" {
		t.Errorf("undefined by labels: %v", u)
	}
}

func TestSplit(t *testing.T) {
	parts, err := task.Split(several(), &data.Schema{Labels: []data.Label{severalLabels()[2], severalLabels()[0], severalLabels()[1]}})
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, p := range parts {
		got.WriteString(fmt.Sprintf("%s %d:%d %v ", p.Label, p.Lo, p.Hi, p.Classes(&data.Schema{Labels: severalLabels()})))
	}
	if want := "stars 0:3 [one two many] click 3:4 [] seconds 4:5 [] "; got.String() != want {
		t.Errorf("parts %q, want %q", got.String(), want)
	}
	two, classes := severalLabels()[:2], severalLabels()[2:]
	for _, c := range []struct {
		of     task.Task
		labels []data.Label
		want   string
	}{
		{task.Binary{}, two, "task: the data has the labels click, seconds: take task.type multi_task, which has a task of each"},
		{task.Binary{}, classes, "task: label stars is a class (data.class_labels): its task is of type classification"},
		{task.Classification{}, two[:1], "task: label click has no classes, which a classification needs: name them in data.class_labels"},
		{task.Classification{ClassWeights: []float64{1, 2}}, classes, "task: class_weights has 2 numbers, label stars has 3 classes"},
		{several(), two, "task multi_task: the data has no label stars: it has click, seconds; name it in data.label, which types csv and parquet have"},
		{task.MultiTask{Tasks: several().Tasks[:1]}, two, "task multi_task: label seconds of the data has no task: name it in task.tasks"},
		{several(), nil, "task multi_task: the data has no label click: it has one without a name; name it in data.label, which types csv and parquet have"},
		{task.MultiTask{}, nil, "task multi_task: there is no task: name one for each label in task.tasks"},
	} {
		if _, err := task.Split(c.of, &data.Schema{Labels: c.labels}); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
	for _, of := range []task.Task{task.Binary{}, task.MultiTask{Tasks: several().Tasks[:1]}} {
		if parts, err := task.Split(of, &data.Schema{}); err != nil || len(parts) != 1 {
			t.Errorf("%T: %d parts of rows of one label, %v", of, len(parts), err)
		}
	}
}

// A model of another width than the labels' is an error that says which models have it.
func TestSeveralWidth(t *testing.T) {
	sc := &data.Schema{Labels: severalLabels()}
	_, err := models.Compile(table{rows: 2, z: []float32{1, 2}}, nn.NewParams(1), sc, models.CompileOptions{Batch: 2, Loss: several().Loss})
	want := "task multi_task: the model returns logits of shape (2, 1), want 5 a row, for labels click, seconds, stars: give a model of several tasks"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestBadLabelTasks(t *testing.T) {
	negative, none := -1., 0.
	for _, c := range []struct {
		of   interface{ Validate() error }
		want string
	}{
		{task.MultiTask{}, "is missing; want the task of each label"},
		{task.MultiTask{Tasks: []task.LabelTask{{Label: "a"}, {Label: "a"}}}, "a is there twice; a label has one task"},
		{task.MultiTask{Tasks: []task.LabelTask{{Label: "a", Task: task.MaskedLM{}}}}, "masked_lm is no task of a label"},
		{task.MultiTask{Tasks: []task.LabelTask{{Label: "a", Task: task.Binary{DropoutPasses: 2}}}}, "a model of several tasks has one pass"},
		{task.MultiTask{Tasks: []task.LabelTask{{Label: "a", Weight: &negative}}}, "must be in [0, 1e+06]"},
		{task.MultiTask{Tasks: []task.LabelTask{{Label: "a", Weight: &none}}}, "all have the weight 0; nothing would be learned"},
		{task.Binary{MetricNames: []string{"auc"}, PosWeight: 2, FocalAlpha: .25}, "pos_weight is given too; remove one of them"},
		{task.Binary{MetricNames: []string{"auc"}, PosWeight: -1}, "must be in [0, 1e+06]"},
		{task.Binary{MetricNames: []string{"auc"}, FocalAlpha: 1}, "must be in [0, 1)"},
		{task.Binary{MetricNames: []string{"auc"}, FocalGamma: -1}, "must be in [0, 100]"},
		{task.Binary{MetricNames: []string{"auc"}, LabelSmoothing: 1}, "must be in [0, 1)"},
		{task.Binary{MetricNames: []string{"auc"}, DropoutPasses: 2, FocalGamma: 1}, "the self-ensemble loss is another one"},
		{task.Binary{MetricNames: []string{"auc.click"}}, "metric: auc.click: write auc; the metrics of task click are those under it"},
		{task.Classification{MetricNames: []string{"accuracy"}, FocalGamma: 1, LabelSmoothing: .1}, "does not go with focal_gamma and class_weights"},
		{task.Classification{MetricNames: []string{"accuracy"}, ClassWeights: []float64{1, 0}}, "must be above 0"},
	} {
		if err := c.of.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.of, err, c.want)
		}
	}
	if err := several(1, 0, 3).Validate(); err != nil {
		t.Errorf("error %v of good options", err)
	}
}
