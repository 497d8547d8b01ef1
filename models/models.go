// Package models turns a model's description into programs that run: a Model builds its graph over a batch's Inputs, Compile
// makes a Program of it. One model is one file in ctr, seq or text.
package models

import (
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
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

// Staged is a model whose first part can run once for all epochs if nothing in it is trained: the stem makes features of a
// row, the head logits of them. Together they are the model, over parameters of the same names. A stem without a weight that
// trains runs without dropout.
type Staged interface {
	Model
	Stem() Model // Build returns features, [B, F]
	Head() Model // Build starts from Inputs.Features
}

// Resolver is a model whose options may name a file that describes it. Resolve reads the file into the options and clears the
// reference, so that the options stand alone.
type Resolver interface{ Resolve() error }

// Importer is a model that knows how published checkpoints call its tensors.
type Importer interface {
	// Import returns the name that a checkpoint's tensor has here. ok is false for one that is known and not needed.
	Import(tensor string) (name string, ok bool)
	// Fresh reports whether a published checkpoint may lack a parameter: it starts from fresh values, as a new head does.
	Fresh(name string) bool
}

// Exporter is a model whose run's directory is that of another framework too.
type Exporter interface {
	// Files returns what lies beside the weights, by name: Hugging Face's config.json.
	Files(sc *data.Schema) (map[string][]byte, error)
}
