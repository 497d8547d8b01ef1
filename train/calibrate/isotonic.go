package calibrate

import (
	"cmp"
	"slices"
)

// block is rows of one probability.
type block struct {
	first, last    float64 // logits
	weight, labels float64 // sums
}

func (b block) mean() float64 { return b.labels / b.weight }

// fitIsotonic finds the increasing function of the logits that is nearest to the labels by squares, pooling adjacent violators (Ayer et al. 1955).
// Rows of one logit have one probability. Between blocks it is linear, as scikit-learn's IsotonicRegression has it.
func fitIsotonic(r Rows) (*Map, error) {
	order := make([]int, len(r.Labels))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(r.Logits[i], r.Logits[j]) })
	var blocks []block
	at := 0
	for at < len(order) {
		x := float64(r.Logits[order[at]])
		b := block{first: x, last: x}
		for ; at < len(order) && float64(r.Logits[order[at]]) == x; at++ {
			i := order[at]
			b.weight, b.labels = b.weight+r.weight(i), b.labels+r.weight(i)*float64(r.Labels[i])
		}
		for len(blocks) > 0 && blocks[len(blocks)-1].mean() >= b.mean() {
			p := blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			b = block{p.first, b.last, p.weight + b.weight, p.labels + b.labels}
		}
		blocks = append(blocks, b)
	}
	m := &Map{Least: 1 / float64(len(r.Labels)+2)}
	for _, b := range blocks {
		y := min(max(b.mean(), 0), 1)
		m.X, m.Y = append(m.X, b.first), append(m.Y, y)
		if b.last > b.first {
			m.X, m.Y = append(m.X, b.last), append(m.Y, y)
		}
	}
	return m, nil
}
