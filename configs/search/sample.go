package search

import (
	"math"
	"math/rand/v2"

	"github.com/splice-ml/splice/data/rng"
)

// past is what a trial comes to for those that look at it.
type past struct {
	values []float64
	state  State
	value  float64 // smaller is better
	rung   int     // of a trial that was stopped: the last one that it came to
}

// propose returns the settings of trial k, which look at trials before its horizon. They are a function of the options, of k and of these.
func (s *Spec) propose(k int, seen []past) []float64 {
	switch {
	case s.Method == Grid:
		return s.combination(k)
	case s.Method == Random || k < s.Startup:
		return s.random(k)
	}
	good, bad := split(seen)
	for j := len(seen); ; j++ { // what the trials before it in its wave try, too, so that it tries something else
		v := s.random(j)
		if j >= s.Startup && len(good) > 0 {
			v = s.parzen(j, good, bad)
		}
		if j == k {
			return v
		}
		bad = append(bad, past{values: v, state: Running})
	}
}

// combination returns the settings of trial k of a grid. The last key changes first.
func (s *Spec) combination(k int) []float64 {
	out := make([]float64, len(s.Params))
	for i := len(s.Params) - 1; i >= 0; i-- {
		n := len(s.Params[i].Values)
		out[i] = float64(k % n)
		k /= n
	}
	return out
}

// stream returns the random numbers for a key of trial k.
func (s *Spec) stream(k int, p *Param) *rand.Rand {
	return rng.New(rng.Key(s.Options.Seed, "search", s.Method, k, p.Path))
}

// random returns settings that are drawn from the parameters' distributions.
func (s *Spec) random(k int) []float64 {
	var out []float64
	for _, p := range s.Params {
		out = append(out, p.draw(s.stream(k, p).Float64()))
	}
	return out
}

// parzen returns settings that are more likely among good trials than among bad ones.
func (s *Spec) parzen(k int, good, bad []past) []float64 {
	var out []float64
	for i, p := range s.Params {
		out = append(out, p.parzen(s.stream(k, p), column(good, i), column(bad, i), s.Candidates))
	}
	return out
}

// draw returns the value at u in [0, 1) of the parameter's distribution: uniform over a list or an interval, or over the logarithms of
// an interval. Each whole number of an interval has the same share, or that of the logarithms half to either side.
func (p *Param) draw(u float64) float64 {
	low, high := p.ends()
	return p.round(p.back(low + u*(high-low)))
}

// ends returns the ends of the interval in which values are drawn, in which logarithms take the place of values of log. Whole numbers
// reach half to either side.
func (p *Param) ends() (low, high float64) {
	low, high = p.low(), p.high()
	if p.Int || p.listed() {
		low, high = low-.5, high+.5
	}
	return p.there(low), p.there(high)
}

// there returns the place of a value on the axis on which it is drawn.
func (p *Param) there(v float64) float64 {
	if p.Kind == kindLog {
		return math.Log(v)
	}
	return v
}

// back is the inverse of there.
func (p *Param) back(x float64) float64 {
	if p.Kind == kindLog {
		return math.Exp(x)
	}
	return x
}

func column(trials []past, i int) []float64 {
	var out []float64
	for _, t := range trials {
		out = append(out, t.values[i])
	}
	return out
}
