package ckpt

// Tensor is a named array in row-major order. Either Data holds its values, which are stored as F32, or Raw holds its little-endian
// bytes in the type DType.
type Tensor struct {
	Name  string
	Shape []int     // nil for a scalar, which has one element
	Data  []float32 // values; nil if Raw is used
	DType DType     // type of Raw; "" means F32
	Raw   []byte    // little-endian values of DType
}

// Checkpoint is an ordered set of named tensors, with a map of strings as metadata.
type Checkpoint struct {
	Tensors []Tensor
	Meta    map[string]string
}

// Get returns the tensor called name, or nil.
func (c *Checkpoint) Get(name string) *Tensor {
	for i := range c.Tensors {
		if c.Tensors[i].Name == name {
			return &c.Tensors[i]
		}
	}
	return nil
}
