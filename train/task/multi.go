package task

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train/metric"
)

func init() { Register("multi_task", MultiTask{}) }

// MultiTask is several tasks of one model, each of which has a label of its own.
type MultiTask struct {
	// each of the data's labels, with its task and its part in the loss. Without train.monitor, selection goes by the first metric of the first
	Tasks []LabelTask `yaml:"tasks"`
}

// LabelTask is the task of one label.
type LabelTask struct {
	Label  string   `yaml:"label,required"` // column of the label; the task's metrics are auc.LABEL and so on
	Task   Task     `yaml:"task"`           // binary_classification, regression or classification; left out: binary_classification
	Weight *float64 `yaml:"weight"`         // factor of the task's loss, 0 or more; left out: 1
}

// Validate reports every option out of range.
func (t MultiTask) Validate() error {
	var errs []error
	if len(t.Tasks) == 0 {
		errs = append(errs, registry.Field("tasks", "is missing; want the task of each label, such as [{label: click}, {label: like}]"))
	}
	sum := 0.0
	for i, p := range t.Tasks {
		bad := func(key, format string, args ...any) {
			errs = append(errs, registry.Field(fmt.Sprintf("tasks.%d.%s", i, key), format, args...))
		}
		if slices.ContainsFunc(t.Tasks[:i], func(o LabelTask) bool { return o.Label == p.Label }) {
			bad("label", "%s is there twice; a label has one task", p.Label)
		}
		switch own := p.Task.(type) {
		case nil, Regression, Classification:
		case Binary:
			if own.Passes() > 1 {
				bad("task.dropout_passes", "a model of several tasks has one pass; remove it")
			}
		default:
			name, _ := Registry.NameOf(p.Task)
			bad("task", "%s is no task of a label; want binary_classification, regression or classification", name)
		}
		if p.Weight != nil {
			if err := registry.In(fmt.Sprintf("tasks.%d.weight", i), *p.Weight, 0, 1e6); err != nil {
				errs = append(errs, err)
			}
		}
		sum += p.weight()
	}
	if len(t.Tasks) > 0 && sum == 0 {
		errs = append(errs, registry.Field("tasks", "all have the weight 0; nothing would be learned"))
	}
	return errors.Join(errs...)
}

func (p LabelTask) weight() float64 {
	if p.Weight == nil {
		return 1
	}
	return *p.Weight
}

func (p LabelTask) task() Task {
	if p.Task == nil {
		t, _ := Registry.Default("binary_classification")
		return t
	}
	return p.Task
}

// Loss returns the sum of the tasks' losses times their weights. Each is the mean over all live rows, of which those without the label
// count 0: so a row counts for as much whichever rows are beside it.
func (t MultiTask) Loss(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	parts, err := Split(t, in.Schema)
	s.Fail(err)
	if s.Err() != nil {
		return nil
	}
	if sh, want := logits.Shape(), parts[len(parts)-1].Hi; len(sh) != 2 || sh[1] != want {
		s.Fail(fmt.Errorf("task multi_task: the model returns logits of shape %v, want %d a row, for labels %s: give a model of several tasks, "+
			"such as shared_bottom, mmoe or ple", sh, want, labelNames(in.Schema)))
		return nil
	}
	var losses G.Nodes
	for i, p := range parts {
		if p.weight == 0 {
			continue
		}
		z := s.Check(ops.Columns(logits, p.Lo, p.Hi-p.Lo))
		if s.Err() != nil {
			return nil
		}
		loss := p.Task.Loss(s, z, in.Of(s, i))
		if s.Err() != nil {
			return nil
		}
		if p.weight != 1 {
			loss = s.Check(ops.Scale(loss, p.weight))
		}
		losses = append(losses, loss)
	}
	return s.Check(ops.Add(losses...))
}

// Metrics returns fresh metrics of each task, as metric.LABEL.
func (t MultiTask) Metrics() ([]metric.Metric, error) {
	var all []metric.Metric
	for _, p := range t.Tasks {
		ms, err := p.task().Metrics()
		if err != nil {
			return nil, err
		}
		for _, m := range ms {
			own, err := metric.New(metric.OfTask(m.Name(), p.Label))
			if err != nil {
				return nil, err
			}
			all = append(all, own)
		}
	}
	return all, nil
}

// Predict returns the prediction of the first task, if the data has its label first: [Split] has the others.
func (t MultiTask) Predict(logits []float32) float32 { return t.Tasks[0].task().Predict(logits) }

// Part is one of the tasks of a model: that of one label.
type Part struct {
	Label  string // empty if the rows have one label
	Task   Task
	Lo, Hi int // its logits are those from Lo to Hi of a row
	weight float64
}

// Of returns the part's logits among those of a row.
func (p Part) Of(logits []float32) []float32 {
	if p.Hi < 0 {
		return logits
	}
	return logits[p.Lo:p.Hi]
}

// Classes returns the names of the classes of the part's label, nil if they have none.
func (p Part) Classes(sc *data.Schema) []string {
	for _, l := range sc.Labels {
		if l.Name == p.Label && len(sc.Labels) > 1 {
			return l.Classes
		}
	}
	return sc.Classes()
}

// Split returns the tasks of the labels of rows, in the order of the schema. It is the task itself for rows of one label. Labels that do
// not go with the task are an error.
func Split(t Task, sc *data.Schema) ([]Part, error) {
	m, several := t.(MultiTask)
	if !several {
		switch {
		case len(sc.Labels) > 1:
			return nil, fmt.Errorf("task: the data has the labels %s: take task.type multi_task, which has a task of each", labelNames(sc))
		case len(sc.Labels) == 1:
			if err := fits(t, sc.Labels[0]); err != nil {
				return nil, err
			}
		}
		return []Part{{Task: t, Hi: -1, weight: 1}}, nil
	}
	if len(m.Tasks) == 0 {
		return nil, errors.New("task multi_task: there is no task: name one for each label in task.tasks")
	}
	labels := sc.Labels
	if len(labels) == 0 && len(m.Tasks) == 1 {
		labels = []data.Label{{Name: m.Tasks[0].Label}}
	}
	var parts []Part
	for _, l := range labels {
		i := slices.IndexFunc(m.Tasks, func(p LabelTask) bool { return p.Label == l.Name })
		if i < 0 {
			return nil, fmt.Errorf("task multi_task: label %s of the data has no task: name it in task.tasks", l.Name)
		}
		p := Part{Label: l.Name, Task: m.Tasks[i].task(), weight: m.Tasks[i].weight()}
		if err := fits(p.Task, l); err != nil {
			return nil, err
		}
		if len(parts) > 0 {
			p.Lo = parts[len(parts)-1].Hi
		}
		p.Hi = p.Lo + l.Outputs()
		parts = append(parts, p)
	}
	if len(parts) != len(m.Tasks) {
		for _, p := range m.Tasks {
			if !slices.ContainsFunc(labels, func(l data.Label) bool { return l.Name == p.Label }) {
				return nil, fmt.Errorf("task multi_task: the data has no label %s: it has %s; name it in data.label, which types csv and parquet have", p.Label, labelNames(sc))
			}
		}
	}
	return parts, nil
}

// fits reports a label of another kind than the task's.
func fits(t Task, l data.Label) error {
	c, classes := t.(Classification)
	switch {
	case classes && len(l.Classes) == 0:
		return fmt.Errorf("task: label %s has no classes, which a classification needs: name them in data.class_labels", l.Name)
	case !classes && len(l.Classes) > 0:
		return fmt.Errorf("task: label %s is a class (data.class_labels): its task is of type classification", l.Name)
	case classes && len(c.ClassWeights) > 0 && len(c.ClassWeights) != len(l.Classes):
		return fmt.Errorf("task: class_weights has %d numbers, label %s has %d classes", len(c.ClassWeights), l.Name, len(l.Classes))
	}
	return nil
}

func labelNames(sc *data.Schema) string {
	var names []string
	for _, l := range sc.Labels {
		names = append(names, l.Name)
	}
	if names == nil {
		return "one without a name"
	}
	return strings.Join(names, ", ")
}
