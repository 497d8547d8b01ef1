// Package models turns the description of a model into programs that run. A Model builds its graph over a batch's Inputs, and
// Compile makes a Program of that graph. One model is one file in ctr, seq or text.
package models

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
)

// Model is an architecture: it builds a graph. Its fields are the options of a `model:` section. It knows no optimizer, path,
// logger or loop.
type Model interface {
	// Build returns the logits of a batch, [B, outputs]. It records mistakes in s.
	Build(s *nn.Scope, in *Inputs) *G.Node
}

// Registry holds the models by the name that a config's `type` gives.
var Registry = registry.New[Model]("model")

// Register makes a model known under a name, with its default options. It panics if the name is taken.
func Register(name string, defaults Model) { Registry.Register(name, defaults) }

// Staged is a model whose first part, the stem, can run once for all epochs if nothing in it is trained. The stem turns a row
// into features, and the head turns the features into logits. Together they are the model, over parameters of the same names.
// A stem whose weights are all frozen runs without dropout.
type Staged interface {
	Model
	Stem() Model // its Build returns features, [B, F]
	Head() Model // its Build starts from Inputs.Features
}

// Resolver is a model whose options may name a file that describes it.
type Resolver interface {
	// Resolve reads the file into the options and clears its name, so that the options stand alone.
	Resolve() error
}

// Importer is a model that knows how published checkpoints call its tensors.
type Importer interface {
	// Import returns the name that a checkpoint's tensor has here. ok is false for a tensor that the model does not need.
	Import(tensor string) (name string, ok bool)
	// Fresh reports whether a published checkpoint may lack a parameter. Such a parameter, a new head's for instance, starts from
	// fresh values.
	Fresh(name string) bool
}

// Exporter is a model that another framework can load from a run's directory.
type Exporter interface {
	// Files returns the contents of the files that the other framework wants beside the weights, by name, such as Hugging Face's
	// config.json.
	Files(sc *data.Schema) (map[string][]byte, error)
}
