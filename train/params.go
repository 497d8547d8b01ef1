package train

import (
	"fmt"

	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
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
// missing, unexpected or misshapen. A table that p holds as int8 is read and quantized some rows at a time: it is never in memory as
// float32. If it has a value that is NaN or infinite, p is filled in part, and the error names it.
func LoadParams(path string, p *nn.Params) error {
	f, err := ckpt.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := f.Load(func(name string) bool { return p.Get(name) == nil || p.Get(name).Int8 == nil })
	if err != nil {
		return err
	}
	want := Snapshot(p)
	if err := ckpt.Match(c, want); err != nil {
		return fmt.Errorf("train: %s: %w", path, err)
	}
	for _, q := range p.All() {
		if q.Int8 == nil {
			copy(q.Data, c.Get(q.Name).Data)
		} else if err := quantize(f, q); err != nil {
			return err
		}
	}
	return nil
}

// quantizedAtOnce is about how many values of a table are read at once.
const quantizedAtOnce = 1 << 18

// quantize reads a table into its rows of int8.
func quantize(f *ckpt.File, q *nn.Param) error {
	dim, size := q.Dim(), kernel.Int8RowBytes(q.Dim())
	step := max(1, quantizedAtOnce/dim)
	buf := make([]float32, min(step, q.Shape[0])*dim)
	for lo := 0; lo < q.Shape[0]; lo += step {
		hi := min(lo+step, q.Shape[0])
		x := buf[:(hi-lo)*dim]
		if err := f.ReadRows(q.Name, lo, hi, x); err != nil {
			return err
		}
		if i := kernel.QuantizeInt8(q.Int8[lo*size:hi*size], x, dim); i >= 0 {
			return fmt.Errorf("train: %s: tensor %s: row %d has the value %v, which int8 cannot hold", f.Path, q.Name, lo+i/dim, x[i])
		}
	}
	return nil
}
