package task

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train/metric"
)

func init() { Register("binary_classification", Binary{MetricNames: []string{"auc", "logloss"}}) }

// Binary is classification into 0 and 1 by one logit. Its loss is the mean binary cross-entropy.
type Binary struct {
	// what evaluation prints: auc, logloss, accuracy, f1, mcc, calibration, ece; of the rows of each group, such as a user, user_auc and
	// gauc (their mean, and the one weighted by rows), ndcg@k, hr@k, recall@k and mrr@k. With _pessimistic behind the k, negatives come
	// first among equal scores
	MetricNames []string `yaml:"metrics"`
}

// Validate reports every unknown metric.
func (t Binary) Validate() error {
	return checkMetrics(t.MetricNames, metric.Logit, "[auc, logloss]")
}

// Loss returns the mean over the live rows of max(z, 0) - z·y + ln(1 + exp(-|z|)).
func (t Binary) Loss(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	if s.Err() != nil {
		return nil
	}
	if !oneOutput(s, "binary_classification", logits) {
		return nil
	}
	return s.Check(ops.BCE(logits, in.Label, s.Rows))
}

// Metrics returns fresh metrics in the order of MetricNames.
func (t Binary) Metrics() ([]metric.Metric, error) { return metrics(t.MetricNames) }

// Predict returns the probability of label 1.
func (t Binary) Predict(logits []float32) float32 { return metric.Sigmoid(logits[0]) }
