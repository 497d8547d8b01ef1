package search

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Tree-structured Parzen estimator (Bergstra et al. 2011, NeurIPS, section 4), a key at a time. Trials are split into good and bad ones; l
// and g are the densities of their values, and the value is taken, of some drawn from l, at which l/g is greatest. Where the paper leaves
// a choice, it is that of Optuna's TPESampler with its defaults: the share of good trials, the widths, and one kernel for the prior. Settings
// that earlier trials of a wave try count as bad ones until they are known, its constant_liar.

const (
	goodShare = .1 // of trials that are good: γ in the paper,
	mostGood  = 25 // and how many at most
	recent    = 25 // trials whose weight is whole; before them it falls to 1/n
)

// split returns the good trials and the others, each in the order in which they were made. Trials that ended by themselves are better than
// those that were stopped; of these, those are better that came further. A training that diverged is no better than any.
func split(trials []past) (good, bad []past) {
	order := make([]int, len(trials))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return trials[i].compare(&trials[j]) })
	n := min(int(math.Ceil(goodShare*float64(len(trials)))), mostGood)
	isGood := make([]bool, len(trials))
	for _, i := range order[:n] {
		isGood[i] = trials[i].state != Diverged
	}
	for i, t := range trials {
		if isGood[i] {
			good = append(good, t)
		} else {
			bad = append(bad, t)
		}
	}
	return good, bad
}

// compare returns a number below 0 if a is better than b, above 0 if it is worse.
func (a *past) compare(b *past) int {
	rank := map[State]int{Complete: 0, Stopped: 1, Diverged: 2}
	if d := rank[a.state] - rank[b.state]; d != 0 {
		return d
	}
	if a.state == Stopped && a.rung != b.rung {
		return b.rung - a.rung
	}
	switch {
	case a.value < b.value:
		return -1
	case a.value > b.value:
		return 1
	}
	return 0
}

// weights returns the weights of n trials, the oldest first.
func weights(n int) []float64 {
	w := make([]float64, n)
	old := n - recent
	for i := range w {
		w[i] = 1
		if i < old {
			w[i] = 1/float64(n) + (1-1/float64(n))*float64(i)/float64(max(1, old-1))
		}
	}
	return w
}

// parzen returns the best of some values that are drawn from the density of the good ones.
func (p *Param) parzen(r *rand.Rand, good, bad []float64, candidates int) float64 {
	l, g := p.density(good), p.density(bad)
	best, most := 0.0, math.Inf(-1)
	for range candidates {
		v := p.round(l.draw(r))
		if score := math.Log(l.at(v)) - math.Log(g.at(v)); score > most {
			best, most = v, score
		}
	}
	return best
}

// density is a density over the values of a parameter.
type density interface {
	draw(r *rand.Rand) float64
	at(v float64) float64 // up to a factor that is that of all densities of the parameter
}

func (p *Param) density(seen []float64) density {
	if p.listed() {
		return newCounts(len(p.Values), seen)
	}
	return p.newMixture(seen)
}

// counts is a distribution over a list: each value has the weights of the trials that had it, and one more for the prior.
type counts []float64

func newCounts(n int, seen []float64) counts {
	c := make(counts, n)
	sum := 0.0
	for i := range c {
		c[i] = 1
		sum++
	}
	for i, w := range weights(len(seen)) {
		c[int(seen[i])] += w
		sum += w
	}
	for i := range c {
		c[i] /= sum
	}
	return c
}

func (c counts) draw(r *rand.Rand) float64 { return float64(pick(r, c)) }

func (c counts) at(v float64) float64 { return c[int(v)] }

// pick returns an index with the probability of its weight. The weights sum to 1.
func pick(r *rand.Rand, w []float64) int {
	u := r.Float64()
	for i, v := range w {
		if u -= v; u < 0 {
			return i
		}
	}
	return len(w) - 1
}

// mixture is a mixture of normal distributions, each cut off at the ends of the parameter's interval. One of them, as wide as the
// interval, is the prior.
type mixture struct {
	p                *Param
	low, high        float64
	weight, mu, sd   []float64
	inside, leftTail []float64 // of each normal distribution: its share inside the interval, and below it
}

// newMixture returns a mixture with a normal distribution at each value that was seen. It is as wide as the way to the farther one of its
// two neighbours, or to its only one; a value that is alone has the ends of the interval as neighbours.
func (p *Param) newMixture(seen []float64) *mixture {
	m := &mixture{p: p}
	m.low, m.high = p.ends()
	wide := m.high - m.low
	n := len(seen)
	var at []float64
	for _, v := range seen {
		at = append(at, p.there(v))
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(at[i], at[j]) })
	w := append(weights(n), 1)
	sum := 0.0
	for _, v := range w {
		sum += v
	}
	least := wide / float64(min(100, n+2))
	for k, i := range order {
		var sd float64
		switch {
		case n == 1:
			sd = max(at[i]-m.low, m.high-at[i])
		case k == 0:
			sd = at[order[1]] - at[i]
		case k == n-1:
			sd = at[i] - at[order[k-1]]
		default:
			sd = max(at[i]-at[order[k-1]], at[order[k+1]]-at[i])
		}
		m.add(w[i]/sum, at[i], min(max(sd, least), wide))
	}
	m.add(1/sum, (m.low+m.high)/2, wide)
	return m
}

func (m *mixture) add(weight, mu, sd float64) {
	below := normalCDF((m.low - mu) / sd)
	m.weight, m.mu, m.sd = append(m.weight, weight), append(m.mu, mu), append(m.sd, sd)
	m.leftTail, m.inside = append(m.leftTail, below), append(m.inside, normalCDF((m.high-mu)/sd)-below)
}

func (m *mixture) draw(r *rand.Rand) float64 {
	i := pick(r, m.weight)
	u := min(m.leftTail[i]+r.Float64()*m.inside[i], 1)
	x := m.mu[i] + m.sd[i]*math.Sqrt2*math.Erfinv(2*u-1)
	return m.p.back(min(max(x, m.low), m.high))
}

// at returns the density at v on the axis on which values are drawn; of a whole number, the share of what is rounded to it.
func (m *mixture) at(v float64) float64 {
	sum := 0.0
	for i, mu := range m.mu {
		var share float64
		if m.p.Int {
			share = normalCDF((m.p.there(v+.5)-mu)/m.sd[i]) - normalCDF((m.p.there(v-.5)-mu)/m.sd[i])
		} else {
			z := (m.p.there(v) - mu) / m.sd[i]
			share = math.Exp(-z*z/2) / m.sd[i]
		}
		sum += m.weight[i] * share / m.inside[i]
	}
	return sum
}

func normalCDF(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }
