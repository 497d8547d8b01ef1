package calibrate

import (
	"fmt"
	"math"
)

// Bounds of temperatures.
const (
	coldest = 1e-3
	hottest = 1e3
)

// fitTemperature minimises the mean cross-entropy of softmax(z/T), or of σ(z/T) of labels 0 and 1. It is convex in 1/T, so the root of its
// derivative is found by Newton's steps, which are halved into the bracket if they leave it.
func fitTemperature(r Rows, width int) (*Map, error) {
	lo, hi := 1/hottest, 1/coldest
	slopeLo, _ := slopes(r, width, lo)
	slopeHi, _ := slopes(r, width, hi)
	switch {
	case slopeLo >= 0:
		return nil, fmt.Errorf("no temperature up to %g is best: the logits do not go with the labels of these rows", hottest)
	case slopeHi <= 0:
		return nil, fmt.Errorf("no temperature from %g is best: the logits tell the labels of these rows apart without an error", coldest)
	}
	b := 1.0
	for range 200 {
		slope, curve := slopes(r, width, b)
		if slope > 0 {
			hi = b
		} else {
			lo = b
		}
		next := b - slope/curve
		if !(next > lo && next < hi) {
			next = (lo + hi) / 2
		}
		if math.Abs(next-b) <= 1e-14*b {
			break
		}
		b = next
	}
	return &Map{Temperature: 1 / b}, nil
}

// slopes returns the first and the second derivative of the sum of cross-entropies of b·z with respect to b:
//
//	Σ w·(E[z] − z_y)   and   Σ w·(E[z²] − E[z]²)
//
// where the expectation is over the classes by their probabilities. Of labels 0 and 1 the logit of the class 0 is 0.
func slopes(r Rows, width int, b float64) (first, second float64) {
	for i, y := range r.Labels {
		w := r.weight(i)
		if width == 1 {
			z := float64(r.Logits[i])
			p := sigmoid(b * z)
			first += w * (p - float64(y)) * z
			second += w * p * (1 - p) * z * z
			continue
		}
		row := r.Logits[i*width : (i+1)*width]
		most := math.Inf(-1)
		for _, z := range row {
			most = max(most, float64(z))
		}
		var sum, mean, square float64
		for _, z := range row {
			e := math.Exp(b * (float64(z) - most))
			sum, mean, square = sum+e, mean+e*float64(z), square+e*float64(z)*float64(z)
		}
		mean, square = mean/sum, square/sum
		first += w * (mean - float64(row[int(y)]))
		second += w * (square - mean*mean)
	}
	return first, second
}

func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}
