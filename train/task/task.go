// Package task holds what a model can be trained for. A task has a loss and metrics. It is one file, which registers its name.
package task

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/metric"
)

// Task is what a model is trained for: a `task:` section.
type Task interface {
	// Loss returns the scalar loss of a batch: the mean over its live rows.
	Loss(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node
	// Metrics returns fresh metrics, in the order in which they are printed. The first one is what selection goes by unless the
	// config names another.
	Metrics() ([]metric.Metric, error)
	// Predict turns one row's logits into its prediction.
	Predict(logits []float32) float32
}

// Registry holds the tasks by the name that a config's `type` gives.
var Registry = registry.New[Task]("task")

// Register makes a task known under a name, with its default options.
func Register(name string, defaults Task) { Registry.Register(name, defaults) }

// checkMetrics reports every metric that is unknown or measures something else, beside what else is wrong with a task.
func checkMetrics(names []string, of metric.Output, such string, errs ...error) error {
	for _, n := range names {
		if err := metric.Check(n, of); err != nil {
			errs = append(errs, registry.Field("metrics", "%v", err))
		}
	}
	if len(names) == 0 {
		errs = append(errs, registry.Field("metrics", "give at least one, such as %s", such))
	}
	return errors.Join(errs...)
}

// oneOutput checks that there is one output a row.
func oneOutput(s *nn.Scope, name string, logits *G.Node) bool {
	sh := logits.Shape()
	if len(sh) != 2 || sh[1] != 1 {
		s.Fail(fmt.Errorf("task %s: the model returns logits of shape %v, want one a row", name, sh))
		return false
	}
	return true
}

// metrics returns fresh metrics of the given names.
func metrics(names []string) ([]metric.Metric, error) {
	var ms []metric.Metric
	for _, n := range names {
		m, err := metric.New(n)
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
	}
	return ms, nil
}
