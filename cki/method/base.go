package method

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
)

// Base passes one parent through (mergekit's passthrough). It makes the control rows of a table.
type Base struct {
	Parent int `yaml:"parent"` // which one, from 0, the base
}

func init() { cki.Register("base", Base{}) }

// Validate reports every option out of range.
func (m Base) Validate() error {
	if m.Parent < 0 {
		return registry.Field("parent", "must not be negative")
	}
	return nil
}

// Merge checks that there is such a parent.
func (m Base) Merge(_ context.Context, in *cki.Input) (cki.Merged, error) {
	if err := valid("base", m); err != nil {
		return cki.Merged{}, err
	}
	if n := len(in.Parents); m.Parent >= n {
		return cki.Merged{}, fmt.Errorf("method: base: there is no parent %d: have %d, counted from 0", m.Parent, n)
	}
	return cki.Merged{Tensor: pass(m.Parent)}, nil
}
