package ops

import (
	"fmt"
	"math"

	"github.com/splice-ml/splice/data/bound"
)

// SpliceForm is the formula of the parents' weights.
type SpliceForm uint8

// The forms. Parent 1 is the base; L_k is the local weight of parent k, g_k its global one, l_k = L_k / sum_j L_j.
const (
	SpliceLocal          SpliceForm = iota // w_k = l_k
	SpliceGlobal                           // w_k = g_k
	SpliceRecommendation                   // w = softmax(v), v_k = g_k·(1 - exp(-g_k·L_k))
	SpliceLanguage                         // w_k = g_1·l_k, and 1 - g_1 more for the base
)

// SpliceChoice says how the weights of the parents make a tensor of theirs.
type SpliceChoice uint8

// The choices.
const (
	SpliceSoft            SpliceChoice = iota // W = sum_k w_k·W_k
	SpliceHard                                // W = W_k of the largest w_k, and of equal ones the last; it has no gradient
	SpliceStraightThrough                     // forward as hard, backward as soft (Bengio et al. 2013)
)

// Splicing turns gate logits into the weights of K parents, which sum to 1 (Lv et al. 2025, section 3). With the logits s_k,
//
//	L_k = sigmoid(scale·s_k)
//	w_k = u_k^(1/T) / sum_j u_j^(1/T)
//
// where u are the weights of the Form and T is the temperature: in the recommendation form w is softmax(v/T), in the local form
// of two parents sigmoid(scale·s/T).
//
// Two parents have one logit: s_2 = -s_1, so L_2 = 1 - L_1, l = L, and with g_2 = 1 - g_1 the forms are the published ones,
//
//	local           w_A = L
//	global          w_A = g
//	recommendation  (w_A, w_B) = softmax(g·(1 - exp(-g·L)), (1-g)·(1 - exp(-(1-g)·(1-L))))
//	language        w_A = g·L + (1 - g)
//
// More parents have one logit each.
type Splicing struct {
	Form        SpliceForm
	Choice      SpliceChoice
	Global      []float64 // g_k, which the local form does not use
	Scale       float64   // factor of the logits in the sigmoid
	Temperature float64   // T
}

// Logits returns the number of gate logits of a number of parents; the global form has none.
func (p *Splicing) Logits(parents int) int {
	switch {
	case p.Form == SpliceGlobal:
		return 0
	case parents == 2:
		return 1
	}
	return parents
}

// Check reports what is wrong with the splicing of a number of parents.
func (p *Splicing) Check(parents int) error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(parents < 2, "%d parents, want at least 2", parents)
	bad(p.Form > SpliceLanguage, "unknown form %d", p.Form)
	bad(p.Choice > SpliceStraightThrough, "unknown choice %d", p.Choice)
	bad(p.Form != SpliceLocal && len(p.Global) != parents, "%d global weights of %d parents", len(p.Global), parents)
	bad(p.Form != SpliceGlobal && !(p.Scale >= 1e-6 && p.Scale <= 1e6), "scale %v, want a number in [1e-6, 1e6]", p.Scale)
	bad(!(p.Temperature >= 1e-6 && p.Temperature <= 1e6), "temperature %v, want a number in [1e-6, 1e6]", p.Temperature)
	if p.Form != SpliceLocal {
		for _, g := range p.Global {
			bad(!(g >= 0 && g <= 1), "global weight %v is not in [0, 1]", g)
		}
	}
	return bound.Join(errs...)
}

// Weights sets w, which has one value for each parent, to the weights for the logits s. scratch may be nil, or have 3 values for
// each parent.
func (p *Splicing) Weights(w, s, scratch []float64) {
	k := len(w)
	if len(scratch) < 3*k {
		scratch = make([]float64, 3*k)
	}
	p.forward(w, s, scratch[:k])
}

// forward sets w and the local weights L.
func (p *Splicing) forward(w, s, local []float64) {
	p.locals(local, s)
	g := p.Global
	switch p.Form {
	case SpliceRecommendation:
		for k := range w {
			w[k] = g[k] * (1 - math.Exp(-g[k]*local[k])) / p.Temperature
		}
		softmax(w)
		return
	case SpliceGlobal:
		copy(w, g)
	case SpliceLocal:
		sum := total(local)
		for k := range w {
			w[k] = local[k] / sum
		}
	case SpliceLanguage:
		sum := total(local)
		for k := range w {
			w[k] = g[0] * local[k] / sum
		}
		w[0] += 1 - g[0]
	}
	if p.Temperature != 1 {
		for k := range w {
			w[k] = math.Log(w[k]) / p.Temperature
		}
		softmax(w)
	}
}

// locals sets L_k. Sigmoids that underflow are kept above 0, so that they have a sum to divide by.
func (p *Splicing) locals(local, s []float64) {
	if p.Form == SpliceGlobal {
		return
	}
	if len(s) == 1 {
		local[0], local[1] = both(p.Scale * s[0])
		return
	}
	for k, x := range s {
		local[k] = logistic(p.Scale * x)
	}
}

// Grad sets ds to the gradient of the logits s, given the gradient dw of the weights and their soft values w. scratch may be nil,
// or have 3 values for each parent.
func (p *Splicing) Grad(ds, s, w, dw, scratch []float64) {
	if p.Form == SpliceGlobal {
		return
	}
	n := len(w)
	if len(scratch) < 3*n {
		scratch = make([]float64, 3*n)
	}
	local, u, d := scratch[:n], scratch[n:2*n], scratch[2*n:3*n]
	p.locals(local, s)
	mean := 0.0
	for k := range w {
		mean += w[k] * dw[k]
	}
	if p.Form == SpliceRecommendation {
		for k, g := range p.Global {
			d[k] = w[k] * (dw[k] - mean) / p.Temperature * g * g * math.Exp(-g*local[k])
		}
	} else {
		p.normalGrad(d, u, local, w, dw, mean)
	}
	if len(s) == 1 {
		ds[0] = p.Scale * local[0] * local[1] * (d[0] - d[1])
		return
	}
	for k := range ds {
		ds[k] = p.Scale * local[k] * (1 - local[k]) * d[k]
	}
}

// normalGrad sets d to the gradient of L in the forms that use l = L / sum L.
func (p *Splicing) normalGrad(d, l, local, w, dw []float64, mean float64) {
	sum := total(local)
	for k := range l {
		l[k] = local[k] / sum
	}
	share := 1.0
	if p.Form == SpliceLanguage {
		share = p.Global[0]
	}
	dot := 0.0
	for k := range d {
		d[k] = dw[k]
		if p.Temperature != 1 {
			u := share * l[k]
			if k == 0 {
				u += 1 - share
			}
			d[k] = 0
			if u > 0 {
				d[k] = w[k] * (dw[k] - mean) / (p.Temperature * u)
			}
		}
		d[k] *= share
		dot += l[k] * d[k]
	}
	for k := range d {
		d[k] = (d[k] - dot) / sum
	}
}

// Chosen returns the parent that the hard splice takes: the one with the largest weight, and of equal ones the last, as in the
// published "A if w_A > w_B, else B".
func Chosen(w []float64) int {
	at := 0
	for k := range w {
		if w[k] >= w[at] {
			at = k
		}
	}
	return at
}

// logistic is the sigmoid, kept above 0.
func logistic(x float64) float64 { return 1 / (1 + math.Exp(-max(x, -700))) }

// both returns sigmoid(x) and sigmoid(-x).
func both(x float64) (a, b float64) {
	e := math.Exp(-min(math.Abs(x), 700))
	a, b = 1/(1+e), e/(1+e)
	if x < 0 {
		return b, a
	}
	return a, b
}

func softmax(x []float64) {
	if len(x) == 2 {
		d := x[0] - x[1]
		if math.IsInf(x[1], -1) { // both may be
			d = math.Inf(1)
		}
		x[0], x[1] = both(d)
		return
	}
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	sum := 0.0
	for k, v := range x {
		x[k] = math.Exp(v - top)
		sum += x[k]
	}
	for k := range x {
		x[k] /= sum
	}
}

func total(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum
}
