package models

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// ownLabel is what the loss of one of several labels reads.
type ownLabel struct {
	at                  int // its number in the schema
	label, weight       *G.Node
	labelData, rowsData []float32 // the values of both
}

// target makes the leaves of labels and weights, unless they are there.
func (in *Inputs) target(s *nn.Scope) {
	if in.Label != nil || s.Err() != nil {
		return
	}
	s = s.Root()
	in.Label, in.label = s.Input("label", in.targets(s.Batch), 1)
	if in.Schema.HasWeight {
		in.Weight, in.weight = s.Input("weight", s.Batch, 1)
	}
}

// Target returns what a loss of the batch's labels compares the logits with. A model may ask for it while it builds, for a loss of its own in
// training.
func (in *Inputs) Target(s *nn.Scope) ops.Target {
	in.target(s)
	return ops.Target{Label: in.Label, Weight: in.Weight, Rows: s.Rows}
}

// Of returns the inputs as the loss of one of several labels sees them, by its number in the schema. Rows that lack the label have the
// weight 0 there. Without several labels it returns in.
func (in *Inputs) Of(s *nn.Scope, label int) *Inputs {
	if len(in.Schema.Labels) < 2 {
		return in
	}
	at := -1
	for i := range in.labels {
		if in.labels[i].at == label {
			at = i
		}
	}
	if at < 0 {
		own, name := ownLabel{at: label}, s.Sub("label").Sub(in.Schema.Labels[label].Name)
		own.label, own.labelData = name.Input("value", s.Batch, 1)
		own.weight, own.rowsData = name.Input("weight", s.Batch, 1)
		in.labels, at = append(in.labels, own), len(in.labels)
	}
	of := *in
	of.Label, of.Weight = in.labels[at].label, in.labels[at].weight
	return &of
}

// fillWeights writes the weights of a batch, and the labels of its tasks.
func (in *Inputs) fillWeights(b *data.Batch, batch int) error {
	if in.weight != nil {
		if len(b.Weight) < batch {
			return fmt.Errorf("models: batch has %d weights, want %d", len(b.Weight), batch)
		}
		copy(in.weight, b.Weight[:batch])
	}
	for i := range in.labels {
		l := &in.labels[i]
		if len(b.Labels) != len(in.Schema.Labels) || len(b.Labels[l.at]) < batch {
			return fmt.Errorf("models: batch has %d labels a row, want %d", len(b.Labels), len(in.Schema.Labels))
		}
		for r, y := range b.Labels[l.at][:batch] {
			w := float32(1)
			if in.weight != nil {
				w = in.weight[r]
			}
			if y != y { // the row has none
				y, w = 0, 0
			}
			l.labelData[r], l.rowsData[r] = y, w
		}
	}
	return nil
}
