package metric

import (
	"fmt"
	"math"

	"github.com/splice-ml/splice/models/ops/kernel"
)

func init() {
	Register("cross_entropy", Kind{New: newCrossEntropy(false), Reads: Classes})
	Register("perplexity", Kind{New: newCrossEntropy(true), Reads: Classes})
}

// CrossEntropy is the mean over the rows of the cross-entropy of the logits' softmax with the class y:
//
//	log Σ_c exp(z_c) − z_y
//
// and perplexity is exp of it.
type CrossEntropy struct {
	rows
	exp   bool
	sum   float64
	loss  []float64 // of the rows of a call
	parts []lossPart
}

// lossPart is a part of the rows of a call, and its workspace.
type lossPart struct {
	buf   [512]float32
	n     int64
	nans  int64
	total float64
	err   error
}

// lossParts is the number of parts: fixed, though each row's loss is its own and they are summed in order.
const lossParts = 16

func newCrossEntropy(exp bool) func(string, int) Metric {
	return func(name string, _ int) Metric {
		return &CrossEntropy{rows: rows{name: name}, exp: exp, parts: make([]lossPart, lossParts)}
	}
}

// Add implements [Metric].
func (m *CrossEntropy) Add(logits, labels []float32, _ []int64) error {
	return m.AddWeighted(logits, labels, nil)
}

// AddWeighted implements [Weighted].
func (m *CrossEntropy) AddWeighted(logits, labels, weights []float32) error {
	C, err := m.width(logits, labels)
	if err != nil {
		return err
	}
	if C < 2 {
		return fmt.Errorf("metric: %s: one logit a row, want one for each class", m.name)
	}
	if err := m.weigh(labels, weights); err != nil {
		return err
	}
	if len(m.loss) < len(labels) {
		m.loss = make([]float64, len(labels))
	}
	kernel.Parallel(lossParts, func(i int) {
		p := &m.parts[i]
		p.n, p.nans, p.total, p.err = 0, 0, 0, nil
		for r, hi := len(labels)*i/lossParts, len(labels)*(i+1)/lossParts; r < hi; r++ {
			m.loss[r] = 0
			ok, err := m.class(labels[r], C)
			if err != nil && p.err == nil {
				p.err = err
			}
			if ok {
				m.loss[r] = at(weights, r) * p.of(logits[r*C:(r+1)*C], int(labels[r]))
				p.total += at(weights, r)
			}
		}
	})
	for i := range m.parts {
		if p := &m.parts[i]; p.err != nil {
			return p.err
		}
		m.n += m.parts[i].n
		m.nans += m.parts[i].nans
		m.total += m.parts[i].total
	}
	for _, l := range m.loss[:len(labels)] {
		m.sum += l
	}
	return nil
}

// of returns the cross-entropy of a row.
func (p *lossPart) of(z []float32, y int) float64 {
	p.n++
	best, ok := greatest(z)
	if !ok {
		p.nans++
		return 0
	}
	top, sum := z[best], 0.0
	for x := z; len(x) > 0; {
		e := p.buf[:min(len(x), len(p.buf))]
		for i := range e {
			e[i] = x[i] - top
		}
		kernel.Exp(e, e)
		sum += float64(kernel.Sum(e))
		x = x[len(e):]
	}
	return math.Log(sum) - (float64(z[y]) - float64(top))
}

// Value implements [Metric].
func (m *CrossEntropy) Value() (float64, error) {
	if err := m.err(); err != nil {
		return 0, err
	}
	v := m.sum / m.total
	if m.exp {
		v = math.Exp(v)
	}
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, fmt.Errorf("metric: %s: a logit is infinite, or too great", m.name)
	}
	return v, nil
}

// Reset implements [Metric].
func (m *CrossEntropy) Reset() {
	m.reset()
	m.sum = 0
}
