package task

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train/metric"
)

func init() { Register("regression", Regression{MetricNames: []string{"pearson", "spearman"}}) }

// Regression predicts a number. Its loss is the mean squared error.
type Regression struct {
	MetricNames []string `yaml:"metrics"` // what evaluation prints: pearson, spearman, mse, rmse, mae
}

// Validate reports every unknown metric.
func (t Regression) Validate() error {
	return checkMetrics(t.MetricNames, metric.Number, "[pearson, spearman]")
}

// Loss returns the mean over the live rows of (z − y)², times the row's weight.
func (t Regression) Loss(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	if s.Err() != nil || !oneOutput(s, "regression", logits) {
		return nil
	}
	return s.Check(ops.MSE(logits, in.Target(s)))
}

// Distill returns the mean squared error of z/T with the teacher's z'/T.
func (t Regression) Distill(s *nn.Scope, logits *G.Node, in *models.Inputs, of Soft) *G.Node {
	if s.Err() != nil || !oneOutput(s, "regression", logits) {
		return nil
	}
	z, soft := of.scaled(s, logits)
	if s.Err() != nil {
		return nil
	}
	return s.Check(ops.MSE(z, ops.Target{Label: soft, Weight: in.Weight, Rows: s.Rows}))
}

// Metrics returns fresh metrics in the order of MetricNames.
func (t Regression) Metrics() ([]metric.Metric, error) { return metrics(t.MetricNames) }

// Predict returns the number.
func (t Regression) Predict(logits []float32) float32 { return logits[0] }
