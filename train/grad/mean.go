// Package grad makes the gradient of an optimizer step of the gradients of batches: as a chain, or as a tree whose leaves may be on several
// ranks.
package grad

import (
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// Mean is the gradient of an optimizer step. It is that of one batch, or the mean over the rows of several,
//
//	Σ_b n_b·g_b / Σ_b n_b
//
// with the batches' own means g_b and their n_b rows.
type Mean struct {
	Batches int
	Rows    int64   // of data
	Weight  int64   // rows, or tokens to predict, that the loss counts
	Loss    float64 // sum over them
	Grads   []models.Grad
	Tables  []models.RowGrad

	part func(part int) // scales a part
}

// parts is the number of pieces that a gradient is added in: fixed, though no element depends on it.
const parts = 16

// scale multiplies all gradients by 1/Weight: sums become means.
func (m *Mean) scale() {
	if m.part == nil {
		m.part = m.scalePart
	}
	kernel.Parallel(parts, m.part)
}

func (m *Mean) scalePart(c int) {
	scale := float32(1 / float64(max(1, m.Weight)))
	for _, g := range m.Grads {
		lo, hi := kernel.Span(len(g.Grad), parts, c)
		kernel.Scale(g.Grad[lo:hi], g.Grad[lo:hi], scale)
	}
	for _, t := range m.Tables {
		lo, hi := kernel.Span(len(t.Grad), parts, c)
		kernel.Scale(t.Grad[lo:hi], t.Grad[lo:hi], scale)
	}
}

// AddL1 adds the gradient of l·|w|, l·sign(w), to those of weights, and of the rows of tables that the step has. 0 has none, as in PyTorch.
func (m *Mean) AddL1(embedding, net float64) {
	of := func(p *nn.Param) float32 {
		switch {
		case p.L2 != nil: // it has a prior of its own
			return 0
		case p.Embedding:
			return float32(embedding)
		}
		return float32(net)
	}
	for _, g := range m.Grads {
		addSign(g.Grad, g.Param.Data, of(g.Param))
	}
	for _, t := range m.Tables {
		d := t.Param.Dim()
		for i, id := range t.IDs {
			addSign(t.Grad[i*d:(i+1)*d], t.Param.Data[int(id)*d:], of(t.Param))
		}
	}
}

// addSign adds l·sign(w) to g.
func addSign(g, w []float32, l float32) {
	if l == 0 {
		return
	}
	for i, v := range w[:len(g)] {
		switch {
		case v > 0:
			g[i] += l
		case v < 0:
			g[i] -= l
		}
	}
}
