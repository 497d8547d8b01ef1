package task

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train/metric"
)

func init() {
	Register("masked_lm", MaskedLM{MetricNames: []string{"cross_entropy", "perplexity", "accuracy"}})
}

// MaskedLM predicts the tokens that were masked, by logits over the vocabulary. Its loss is the mean cross-entropy over the tokens to
// predict (Devlin et al. 2019, section 3.1). There is a row of logits for each of them, and so several for a row of the data.
type MaskedLM struct {
	// what evaluation prints, over the tokens to predict: cross_entropy, perplexity (exp of it), accuracy
	MetricNames []string `yaml:"metrics"`
}

// Validate reports every unknown metric.
func (t MaskedLM) Validate() error {
	return checkMetrics(t.MetricNames, metric.Classes, "[cross_entropy, perplexity, accuracy]")
}

// Loss returns the mean of log Σ_c exp(z_c) − z_y over the tokens y to predict, or 0 if a batch has none.
func (t MaskedLM) Loss(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	if s.Err() != nil || !wantClasses(s, "masked_lm", logits) {
		return nil
	}
	return s.Check(ops.SoftmaxCE(logits, ops.Target{Label: in.Label})) // padding rows have none to predict
}

// Metrics returns fresh metrics in the order of MetricNames.
func (t MaskedLM) Metrics() ([]metric.Metric, error) { return metrics(t.MetricNames) }

// Predict returns the id of a token.
func (t MaskedLM) Predict(logits []float32) float32 { return float32(classify(logits, nil)) }

// Classify returns the id of a token, and sets p to the probabilities of the vocabulary.
func (t MaskedLM) Classify(logits, p []float32) int { return classify(logits, p) }
