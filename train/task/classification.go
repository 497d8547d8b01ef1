package task

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train/metric"
)

// Classifier is a Task whose predictions are classes.
type Classifier interface {
	Task
	// Classify returns the class of a row's logits, and sets p to the classes' probabilities. p is as long as the logits, or nil.
	Classify(logits, p []float32) int
}

func init() {
	Register("classification", Classification{MetricNames: []string{"accuracy", "cross_entropy"}})
}

// Classification is classification into as many classes as the model gives logits. Its loss is the mean cross-entropy of their
// softmax, in which a row of label -1 has no part.
type Classification struct {
	LabelSmoothing float64 `yaml:"label_smoothing"` // share of each label that is spread over all classes, in [0, 1)
	// what evaluation prints: accuracy, cross_entropy, perplexity, f1 (of class 1 of two, else macro_f1), macro_f1, mcc
	MetricNames []string `yaml:"metrics"`
}

// Validate reports every option out of range.
func (t Classification) Validate() error {
	smoothing := registry.InBelow("label_smoothing", t.LabelSmoothing, 0, 1)
	return checkMetrics(t.MetricNames, metric.Classes, "[accuracy, cross_entropy]", smoothing)
}

// Loss returns the mean over the live rows of log Σ_c exp(z_c) − z_y, or with label smoothing ε of
//
//	log Σ_c exp(z_c) − (1 − ε)·z_y − ε/C·Σ_c z_c
//
// (Szegedy et al. 2016, section 7).
func (t Classification) Loss(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	if s.Err() != nil || !wantClasses(s, "classification", logits) {
		return nil
	}
	if t.LabelSmoothing == 0 {
		return s.Check(ops.SoftmaxCE(logits, ops.Target{Label: in.Label, Rows: s.Rows}))
	}
	y := s.Check(ops.SmoothLabels(in.Label, logits.Shape()[1], t.LabelSmoothing, s.Rows))
	if s.Err() != nil {
		return nil
	}
	return s.Check(ops.SoftmaxCESoft(logits, ops.Target{Label: y, Rows: s.Rows}))
}

// Distill returns the mean cross-entropy of the softmax of logits/T with that of teacher/T (Hinton, Vinyals and Dean 2015, section 2).
func (t Classification) Distill(s *nn.Scope, logits, teacher *G.Node, temperature float64) *G.Node {
	if s.Err() != nil || !wantClasses(s, "classification", logits) {
		return nil
	}
	z, soft := s.Check(ops.Scale(logits, 1/temperature)), s.Check(ops.Scale(teacher, 1/temperature))
	if s.Err() != nil {
		return nil
	}
	soft = s.Check(ops.Softmax(soft))
	if s.Err() != nil {
		return nil
	}
	return s.Check(ops.SoftmaxCESoft(z, ops.Target{Label: soft, Rows: s.Rows}))
}

// Metrics returns fresh metrics in the order of MetricNames.
func (t Classification) Metrics() ([]metric.Metric, error) { return metrics(t.MetricNames) }

// Predict returns the class of the greatest logit.
func (t Classification) Predict(logits []float32) float32 { return float32(t.Classify(logits, nil)) }

// Classify returns the class of the greatest logit, and sets p to the softmax.
func (t Classification) Classify(logits, p []float32) int { return classify(logits, p) }

func classify(logits, p []float32) int {
	best := 0
	for c, v := range logits {
		if v > logits[best] {
			best = c
		}
	}
	if p == nil {
		return best
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - float64(logits[best]))
	}
	for c, v := range logits {
		p[c] = float32(math.Exp(float64(v)-float64(logits[best])) / sum)
	}
	return best
}

// wantClasses checks that there is a logit for each of several classes.
func wantClasses(s *nn.Scope, name string, logits *G.Node) bool {
	sh := logits.Shape()
	if len(sh) != 2 || sh[1] < 2 {
		s.Fail(fmt.Errorf("task %s: the model returns logits of shape %v, want one for each of several classes", name, sh))
		return false
	}
	return true
}
