package ops

import (
	"sync"
	"unsafe"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// Constants keeps what is computed once from weights that do not change any more, for all graphs over the same weights. These are
// the transposes that graphs of single rows need. Several goroutines may use it. The zero value is empty.
type Constants struct {
	mu sync.Mutex
	of map[*float32]*kernel.Transposed // by the weights' place
}

// transposed returns the weights w, [n, k], as a transpose.
func (c *Constants) transposed(n, k int, w []float32) *kernel.Transposed {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := unsafe.SliceData(w)
	if c.of[at] == nil {
		if c.of == nil {
			c.of = map[*float32]*kernel.Transposed{}
		}
		c.of[at] = kernel.Transpose(n, k, w)
	}
	return c.of[at]
}
