// Package cki merges trained runs of one model into one model of the same size. It checks the parents and reads them tensor by
// tensor. A Method says what becomes of each tensor, and a Lab evaluates and trains the result. The methods are in cki/method
// (closed forms) and cki/assess (gates that are learned: Compatibility-aware Knowledge Integration, Lv et al., AAAI 2025).
package cki

import (
	"context"
	"log/slog"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/ckpt"
)

// Reader gives a model's tensors piece by piece.
type Reader interface {
	// Tensors returns names and shapes in the order of the file.
	Tensors() []ckpt.Info
	// ReadRows reads rows lo to hi of the tensor's first dimension (a scalar is one row) into dst, which has exactly that size.
	ReadRows(name string, lo, hi int, dst []float32) error
}

// Counts say how often each row of an embedding table was trained. The key is the table's name.
type Counts map[string][]int64

// Plus returns the sum of the counts of those tables that both have in one size. If c is nil, it returns other.
func (c Counts) Plus(other Counts) Counts {
	if c == nil {
		return other
	}
	out := Counts{}
	for name, x := range c {
		y := other[name]
		if len(y) != len(x) {
			continue
		}
		z := make([]int64, len(x))
		for i := range x {
			z[i] = x[i] + y[i]
		}
		out[name] = z
	}
	return out
}

// Parent is one of the models that are merged.
type Parent struct {
	Name string // what messages and reports call it, such as its run's directory
	Reader
	Counts Counts           // nil if its run stored none
	Map    *data.FeatureMap // nil if it has none

	Published string // its directory, if that is one of Hugging Face; else empty
}

// Input is what a method works on.
type Input struct {
	Parents []*Parent         // Parents[0] is the base; all have the base's tensors, with its shapes
	Select  func(string) bool // reports whether the tensor of a name is merged; the others are the base's, bit for bit
	Lab     *Lab              // where to evaluate and train; nil if model or data are not known
	Seed    uint64            // of the method's random choices
	Log     *slog.Logger      // never nil
}

// Tensor is a tensor, or a block of its rows, on its way through a method.
type Tensor struct {
	Name    string
	Shape   []int       // of the whole tensor
	Lo, Hi  int         // rows of the first dimension that are here
	Parents [][]float32 // the parents' values of these rows, Parents[0] the base's; read only
	Counts  [][]int64   // by parent, how often each of these rows was trained; nil if the tensor is no table, or a parent has no counts
	Out     []float32   // the result; holds the base's values at first
}

// Merged is a prepared merge.
type Merged struct {
	Whole  bool                  // Tensor wants whole tensors; otherwise it may get blocks of rows
	Tensor func(t *Tensor) error // sets t.Out; called for every selected tensor, in order, never twice at once
	Also   func(string) bool     // reports tensors that Tensor sets though they are not selected, as those trained with the gates; may be nil
	Stats  func() any            // returns what the method adds to the report; called after the last tensor; may be nil
}

// Method says how parents become one model. Its fields are the options of a `method:` section.
type Method interface {
	// Merge prepares the merge, which may take a training run.
	Merge(ctx context.Context, in *Input) (Merged, error)
}

// Registry holds the methods by the name that a config's `type` gives.
var Registry = registry.New[Method]("method")

// Register makes a method known under a name, with its default options. It panics if the name is taken.
func Register(name string, defaults Method) { Registry.Register(name, defaults) }
