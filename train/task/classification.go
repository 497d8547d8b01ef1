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
	// focusing parameter of the focal loss: the cross-entropy of a row is times (1 − the probability of its class) to this power; 0: none
	FocalGamma   float64   `yaml:"focal_gamma,added"`
	ClassWeights []float64 `yaml:"class_weights,added"` // factors of the rows of each class in the loss, in the order of the classes; empty: all are 1
	// what evaluation prints: accuracy, cross_entropy, perplexity, f1 (of class 1 of two, else macro_f1), macro_f1, mcc
	MetricNames []string `yaml:"metrics"`
}

// Validate reports every option out of range.
func (t Classification) Validate() error {
	errs := []error{registry.InBelow("label_smoothing", t.LabelSmoothing, 0, 1), registry.In("focal_gamma", t.FocalGamma, 0, 100)}
	for i, w := range t.ClassWeights {
		errs = append(errs, registry.Above(fmt.Sprintf("class_weights.%d", i), w, 0))
	}
	if t.LabelSmoothing > 0 && t.focuses() {
		errs = append(errs, registry.Field("label_smoothing", "does not go with focal_gamma and class_weights; remove these, or label_smoothing"))
	}
	return checkMetrics(t.MetricNames, metric.Classes, "[accuracy, cross_entropy]", errs...)
}

// focuses reports whether the loss is another one than the cross-entropy.
func (t Classification) focuses() bool { return t.FocalGamma > 0 || len(t.ClassWeights) > 0 }

// Loss returns the mean over the live rows of log Σ_c exp(z_c) − z_y, times the row's weight, or with label smoothing ε of
//
//	log Σ_c exp(z_c) − (1 − ε)·z_y − ε/C·Σ_c z_c
//
// (Szegedy et al. 2016, section 7). With focal_gamma or class_weights it is [ops.SoftmaxFocal].
func (t Classification) Loss(s *nn.Scope, logits *G.Node, in *models.Inputs) *G.Node {
	if s.Err() != nil || !wantClasses(s, "classification", logits) {
		return nil
	}
	y := in.Target(s)
	switch {
	case t.focuses():
		return s.Check(ops.SoftmaxFocal(logits, ops.SoftmaxFocalOptions{Factors: t.ClassWeights, Gamma: t.FocalGamma}, y))
	case t.LabelSmoothing == 0:
		return s.Check(ops.SoftmaxCE(logits, y))
	}
	if y.Label = s.Check(ops.SmoothLabels(y.Label, logits.Shape()[1], t.LabelSmoothing, s.Rows)); s.Err() != nil {
		return nil
	}
	return s.Check(ops.SoftmaxCESoft(logits, y))
}

// Distill returns the mean cross-entropy of the softmax of logits/T with that of teacher/T (Hinton, Vinyals and Dean 2015, section 2).
func (t Classification) Distill(s *nn.Scope, logits *G.Node, in *models.Inputs, of Soft) *G.Node {
	if s.Err() != nil || !wantClasses(s, "classification", logits) {
		return nil
	}
	z, soft := of.scaled(s, logits)
	if s.Err() != nil {
		return nil
	}
	soft = s.Check(ops.Softmax(soft))
	if s.Err() != nil {
		return nil
	}
	return s.Check(ops.SoftmaxCESoft(z, ops.Target{Label: soft, Weight: in.Weight, Rows: s.Rows}))
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
