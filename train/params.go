package train

import (
	"fmt"

	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/ckpt"
)

// Snapshot returns the parameters as a checkpoint over the same memory, which must be written before the next step. Its metadata say
// that the tensors are PyTorch's, as transformers wants to read it.
func Snapshot(p *nn.Params) *ckpt.Checkpoint {
	c := &ckpt.Checkpoint{Meta: map[string]string{"format": "pt"}}
	for _, q := range p.All() {
		c.Tensors = append(c.Tensors, ckpt.Tensor{Name: q.Name, Shape: q.Shape, Data: q.Data})
	}
	return c
}

// LoadParams reads the checkpoint at path into the parameters of p, all of them or none. The error lists every tensor that is
// missing, unexpected or misshapen.
func LoadParams(path string, p *nn.Params) error {
	c, err := ckpt.Load(path)
	if err != nil {
		return err
	}
	want := Snapshot(p)
	if err := ckpt.Match(c, want); err != nil {
		return fmt.Errorf("train: %s: %w", path, err)
	}
	for _, q := range p.All() {
		copy(q.Data, c.Get(q.Name).Data)
	}
	return nil
}
