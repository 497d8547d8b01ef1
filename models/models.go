// Package models turns a model's description into programs that run: a Model builds its graph over a batch's Inputs, Compile
// makes a Program of it. One model is one file in ctr, seq or text.
package models

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/nn"
)

// Model builds a graph. Its fields are the options of a `model:` section. It knows no optimizer, path, logger or loop.
type Model interface {
	// Build returns the logits of a batch, [B, outputs]. Mistakes are recorded in s.
	Build(s *nn.Scope, in *Inputs) *G.Node
}

// Registry holds the models by the name that a config's `type` gives.
var Registry = registry.New[Model]("model")

// Register makes a model known under a name, with its default options. It panics if the name is taken.
func Register(name string, defaults Model) { Registry.Register(name, defaults) }
