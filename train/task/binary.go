package task

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train/metric"
)

func init() { Register("binary_classification", Binary{MetricNames: []string{"auc", "logloss"}}) }

// Binary is classification into 0 and 1 by one logit. Its loss is the mean binary cross-entropy or, with two dropout passes, the
// self-ensemble loss.
type Binary struct {
	// what evaluation prints: auc, logloss, accuracy, f1, mcc, calibration, ece; of the rows of each group, such as a user, user_auc and
	// gauc (their mean, and the one weighted by rows), ndcg@k, hr@k, recall@k and mrr@k. With _pessimistic behind the k, negatives come
	// first among equal scores
	MetricNames []string `yaml:"metrics"`
	// 2: each training step runs the model twice over the batch, with dropout of its own each time, and adds to the cross-entropy of the
	// passes' mean probability that of each pass with the mean as its label (self-ensemble loss, KDD 2025); 0 or 1: one pass. Evaluation
	// has one pass, without dropout
	DropoutPasses int `yaml:"dropout_passes,added"`
}

// Validate reports every unknown metric and every option out of range.
func (t Binary) Validate() error {
	var errs []error
	if t.DropoutPasses < 0 || t.DropoutPasses > 2 {
		errs = append(errs, registry.Field("dropout_passes", "must be 1, or 2 for the self-ensemble loss"))
	}
	return checkMetrics(t.MetricNames, metric.Logit, "[auc, logloss]", errs...)
}

// Loss returns the mean over the live rows of max(z, 0) - z·y + ln(1 + exp(-|z|)). In training with two dropout passes it is
// [ops.SelfEnsemble] of both passes' logits.
func (t Binary) Loss(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	if s.Err() != nil {
		return nil
	}
	if !oneOutput(s, "binary_classification", logits) {
		return nil
	}
	if t.DropoutPasses < 2 || !s.Train {
		return s.Check(ops.BCE(logits, ops.Target{Label: in.Label, Rows: s.Rows}))
	}
	other := in.Pass(s, 1)
	if s.Err() != nil {
		return nil
	}
	return s.Check(ops.SelfEnsemble(logits, other, ops.Target{Label: in.Label, Rows: s.Rows}))
}

// Passes returns the number of passes over a batch that a training step makes.
func (t Binary) Passes() int { return max(1, t.DropoutPasses) }

// Metrics returns fresh metrics in the order of MetricNames.
func (t Binary) Metrics() ([]metric.Metric, error) { return metrics(t.MetricNames) }

// Predict returns the probability of label 1.
func (t Binary) Predict(logits []float32) float32 { return metric.Sigmoid(logits[0]) }
