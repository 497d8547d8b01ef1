package task

import (
	"cmp"

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
	// first among equal scores. A weighted sum of them is one, too, such as auc - 0.5*logloss
	MetricNames []string `yaml:"metrics"`
	// 2: each training step runs the model twice over the batch, with dropout of its own each time, and adds to the cross-entropy of the
	// passes' mean probability that of each pass with the mean as its label (self-ensemble loss, KDD 2025); 0 or 1: one pass. Evaluation
	// has one pass, without dropout
	DropoutPasses int `yaml:"dropout_passes,added"`
	// factor of the part of label 1 in the loss, such as the ratio of negatives to positives; 0 or 1: none
	PosWeight float64 `yaml:"pos_weight,added"`
	// focusing parameter of the focal loss: the cross-entropy of a row is times (1 − the probability of its label) to this power; 0: none
	FocalGamma float64 `yaml:"focal_gamma,added"`
	// alpha of the focal loss: the factor of label 1, that of label 0 is 1 − alpha; 0: both are 1
	FocalAlpha     float64 `yaml:"focal_alpha,added"`
	LabelSmoothing float64 `yaml:"label_smoothing,added"` // share of each label that is spread over both, in [0, 1)
}

// Validate reports every unknown metric and every option out of range.
func (t Binary) Validate() error {
	var errs []error
	if t.DropoutPasses < 0 || t.DropoutPasses > 2 {
		errs = append(errs, registry.Field("dropout_passes", "must be 1, or 2 for the self-ensemble loss"))
	}
	if t.PosWeight != 0 && t.PosWeight != 1 && t.FocalAlpha != 0 {
		errs = append(errs, registry.Field("focal_alpha", "pos_weight is given too; remove one of them, since both are factors of label 1"))
	}
	if t.DropoutPasses == 2 && t.focuses() {
		errs = append(errs, registry.Field("dropout_passes", "the self-ensemble loss is another one than that of pos_weight, focal_gamma and focal_alpha; "+
			"remove these, or dropout_passes"))
	}
	errs = append(errs, registry.In("pos_weight", t.PosWeight, 0, 1e6), registry.In("focal_gamma", t.FocalGamma, 0, 100),
		registry.InBelow("focal_alpha", t.FocalAlpha, 0, 1), registry.InBelow("label_smoothing", t.LabelSmoothing, 0, 1))
	return checkMetrics(t.MetricNames, metric.Logit, "[auc, logloss]", errs...)
}

// focuses reports whether the loss is another one than the cross-entropy.
func (t Binary) focuses() bool {
	return t.PosWeight != 0 && t.PosWeight != 1 || t.FocalGamma != 0 || t.FocalAlpha != 0
}

// Loss returns the mean over the live rows of max(z, 0) - z·y + ln(1 + exp(-|z|)), times the row's weight. In training with two dropout
// passes it is [ops.SelfEnsemble] of both passes' logits. With pos_weight or a focal loss it is [ops.Focal]. With label smoothing ε the
// label y is (1 − ε)·y + ε/2.
func (t Binary) Loss(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	if s.Err() != nil {
		return nil
	}
	if !oneOutput(s, "binary_classification", logits) {
		return nil
	}
	y := in.Target(s)
	if t.LabelSmoothing > 0 {
		if y.Label = s.Check(ops.SmoothShares(y.Label, t.LabelSmoothing, y.Rows)); s.Err() != nil {
			return nil
		}
	}
	if t.focuses() {
		o := ops.FocalOptions{Positive: cmp.Or(t.PosWeight, 1), Negative: 1, Gamma: t.FocalGamma}
		if t.FocalAlpha > 0 {
			o.Positive, o.Negative = t.FocalAlpha, 1-t.FocalAlpha
		}
		return s.Check(ops.Focal(logits, o, y))
	}
	if t.DropoutPasses < 2 || !s.Train {
		return s.Check(ops.BCE(logits, y))
	}
	other := in.Pass(s, 1)
	if s.Err() != nil {
		return nil
	}
	return s.Check(ops.SelfEnsemble(logits, other, y))
}

// Passes returns the number of passes over a batch that a training step makes.
func (t Binary) Passes() int { return max(1, t.DropoutPasses) }

// Metrics returns fresh metrics in the order of MetricNames.
func (t Binary) Metrics() ([]metric.Metric, error) { return metrics(t.MetricNames) }

// Predict returns the probability of label 1.
func (t Binary) Predict(logits []float32) float32 { return metric.Sigmoid(logits[0]) }
