package ckpt

import (
	"fmt"
	"slices"

	"github.com/splice-ml/splice/data/bound"
)

// Match checks that have holds the tensors of want and no others, of the same shapes and with values in float32. The error lists
// every tensor that is missing, unexpected or misshapen.
func Match(have, want *Checkpoint) error {
	var errs []error
	index := make(map[string]*Tensor, len(have.Tensors))
	for i := range have.Tensors {
		index[have.Tensors[i].Name] = &have.Tensors[i]
	}
	wanted := make(map[string]bool, len(want.Tensors))
	for i := range want.Tensors {
		w := &want.Tensors[i]
		wanted[w.Name] = true
		h := index[w.Name]
		switch {
		case h == nil:
			errs = append(errs, fmt.Errorf("ckpt: tensor %s: missing, model wants %v", w.Name, w.Shape))
		case !slices.Equal(h.Shape, w.Shape):
			errs = append(errs, fmt.Errorf("ckpt: tensor %s: have %v, model wants %v", w.Name, h.Shape, w.Shape))
		case h.Data == nil && h.Raw != nil:
			errs = append(errs, fmt.Errorf("ckpt: tensor %s: has %s values that float32 cannot hold", w.Name, h.DType))
		}
	}
	for i := range have.Tensors {
		if h := &have.Tensors[i]; !wanted[h.Name] {
			errs = append(errs, fmt.Errorf("ckpt: tensor %s: unexpected %v, the model has none of that name", h.Name, h.Shape))
		}
	}
	return bound.Join(errs...)
}
