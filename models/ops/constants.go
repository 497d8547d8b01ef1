package ops

import (
	"sync"
	"unsafe"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// Constants keeps what is computed once from weights that do not change, for all graphs over the same weights: these as products read
// them. Several goroutines may use it. The zero value is empty.
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

// Renew computes everything anew, from the values that the weights have now. No graph may run meanwhile.
func (c *Constants) Renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.of {
		t.Renew()
	}
}
