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
	of map[place]*kernel.Transposed
}

// place is where weights are, and what they are wanted for.
type place struct {
	at        *float32
	precision kernel.Precision
}

// transposed returns the weights w, [n, k], as a transpose.
func (c *Constants) transposed(p kernel.Precision, n, k int, w []float32) *kernel.Transposed {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := place{unsafe.SliceData(w), p}
	if c.of[at] == nil {
		if c.of == nil {
			c.of = map[place]*kernel.Transposed{}
		}
		c.of[at] = p.Transpose(n, k, w)
	}
	return c.of[at]
}
