package calibrate

import (
	"errors"
	"math"
)

// fitPlatt minimises the cross-entropy of σ(a·z + b) with the targets of Platt (1999, section 2.2), which are (n₁+1)/(n₁+2) of the n₁ rows of label 1
// and 1/(n₀+2) of the others, by Newton's method with backtracking (Lin, Lin and Weng 2007, Machine Learning 68). Rows count by their weights.
func fitPlatt(r Rows) (*Map, error) {
	var n0, n1 float64
	for i, y := range r.Labels {
		n1 += r.weight(i) * float64(y)
		n0 += r.weight(i) * (1 - float64(y))
	}
	target := func(y float32) float64 {
		if y > 0 {
			return (n1 + 1) / (n1 + 2)
		}
		return 1 / (n0 + 2)
	}
	loss := func(a, b float64) (sum float64) {
		for i, z := range r.Logits {
			x := a*float64(z) + b
			sum += r.weight(i) * (max(x, 0) - x*target(r.Labels[i]) + math.Log1p(math.Exp(-math.Abs(x))))
		}
		return sum
	}
	a, b := 0.0, math.Log((n1+1)/(n0+1))
	at := loss(a, b)
	for range 200 {
		var ga, gb, haa, hab, hbb float64
		for i, z := range r.Logits {
			x, w := float64(z), r.weight(i)
			p := sigmoid(a*x + b)
			d, h := w*(p-target(r.Labels[i])), w*p*(1-p)
			ga, gb = ga+d*x, gb+d
			haa, hab, hbb = haa+h*x*x, hab+h*x, hbb+h
		}
		haa, hbb = haa+1e-12, hbb+1e-12
		det := haa*hbb - hab*hab
		if det <= 0 {
			return nil, errors.New("no line is best: all logits of these rows are equal")
		}
		da, db := -(hbb*ga-hab*gb)/det, -(haa*gb-hab*ga)/det
		step := 1.0
		for next := 0.0; step > 1e-10; step /= 2 {
			if next = loss(a+step*da, b+step*db); next <= at+1e-4*step*(ga*da+gb*db) {
				a, b, at = a+step*da, b+step*db, next
				break
			}
		}
		if step <= 1e-10 || math.Abs(da)+math.Abs(db) <= 1e-13*(math.Abs(a)+math.Abs(b)) {
			break
		}
	}
	if !(a > 0) {
		return nil, errors.New("the higher the logits of these rows, the fewer labels are 1")
	}
	return &Map{Slope: a, Intercept: b}, nil
}
