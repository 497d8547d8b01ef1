// Package task says what a model is trained for: its loss and its metrics.
package task

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train/metric"
)

// Task is a `task:` section.
type Task interface {
	// Loss returns the scalar loss of a batch, the mean over its live rows.
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

func init() {
	Register("binary_classification", Binary{MetricNames: []string{"auc", "logloss"}})
	Register("classification", Classification{MetricNames: []string{"accuracy", "cross_entropy"}})
	Register("regression", Regression{MetricNames: []string{"pearson", "spearman"}})
	Register("masked_lm", MaskedLM{MetricNames: []string{"cross_entropy", "perplexity", "accuracy"}})
}

// Binary is classification into 0 and 1 by one logit: the loss is the mean binary cross-entropy.
type Binary struct {
	MetricNames []string `yaml:"metrics"` // what evaluation prints: auc, logloss, gauc, user_auc, ndcg@k, hr@k, accuracy, f1, mcc, calibration, ece
}

// Validate reports every unknown metric.
func (t Binary) Validate() error {
	return checkMetrics(t.MetricNames, metric.Logit, "[auc, logloss]")
}

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

// Loss is the mean over the live rows of max(z, 0) - z·y + ln(1 + exp(-|z|)).
func (t Binary) Loss(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	if s.Err() != nil {
		return nil
	}
	if !oneOutput(s, "binary_classification", logits) {
		return nil
	}
	return s.Check(ops.BCE(logits, in.Label, s.Rows))
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

// Metrics returns the metrics by name.
func (t Binary) Metrics() ([]metric.Metric, error) { return metrics(t.MetricNames) }

// metrics returns fresh metrics by name.
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

// Predict returns the probability of label 1.
func (t Binary) Predict(logits []float32) float32 { return metric.Sigmoid(logits[0]) }
