// Package calibrate makes probabilities of a trained model's logits that agree with how often labels are 1, or how often the class is right. Maps are fitted on rows that the
// model was not trained on, and change the logits of a row alone.
package calibrate

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Methods of calibration.
const (
	Temperature = "temperature" // logits are divided by one number (Guo et al. 2017, section 4.2), of labels 0 and 1 and of classes
	Platt       = "platt"       // logits are mapped linearly (Platt 1999), of labels 0 and 1
	Isotonic    = "isotonic"    // probabilities are an increasing function of the logits (Zadrozny and Elkan 2002), of labels 0 and 1
)

// Methods returns the methods of calibration.
func Methods() []string { return []string{Temperature, Platt, Isotonic} }

// Map turns the logits of one task into calibrated ones.
type Map struct {
	Label string `json:"label,omitempty"` // of a model of several tasks

	Temperature float64 `json:"temperature,omitempty"` // above 0: z/T

	Slope     float64 `json:"slope,omitempty"`     // above 0: slope·z + intercept
	Intercept float64 `json:"intercept,omitempty"` //

	// The probability is linear between the logits X, which ascend, where it is Y, and constant beyond them. It is at least Least and at most 1 - Least,
	// so that no logit is infinite.
	X     []float64 `json:"x,omitempty"`
	Y     []float64 `json:"y,omitempty"`
	Least float64   `json:"least,omitempty"`
}

// Check returns what is wrong with a map that was read as one of a method.
func (m *Map) Check(method string) error {
	finite := func(v float64) bool { return v-v == 0 }
	switch method {
	case Temperature:
		if !(m.Temperature > 0) || !finite(m.Temperature) {
			return fmt.Errorf("temperature %v", m.Temperature)
		}
	case Platt:
		if !(m.Slope > 0) || !finite(m.Slope) || !finite(m.Intercept) {
			return fmt.Errorf("slope %v, intercept %v", m.Slope, m.Intercept)
		}
	case Isotonic:
		if len(m.X) == 0 || len(m.X) != len(m.Y) || !(m.Least > 0 && m.Least < 0.5) {
			return fmt.Errorf("%d logits, %d probabilities, from %v", len(m.X), len(m.Y), m.Least)
		}
		for i, x := range m.X {
			if y := m.Y[i]; !finite(x) || !(y >= 0 && y <= 1) || i > 0 && (x <= m.X[i-1] || y < m.Y[i-1]) {
				return fmt.Errorf("probability %v of logit %v, which is the %d. one", y, x, i+1)
			}
		}
	default:
		return fmt.Errorf("unknown method %q", method)
	}
	return nil
}

// Apply replaces a row's logits by calibrated ones.
func (m *Map) Apply(z []float32) {
	for i, x := range z {
		z[i] = m.of(x)
	}
}

func (m *Map) of(x float32) float32 {
	switch {
	case m.Temperature > 0:
		return float32(float64(x) / m.Temperature)
	case m.Slope > 0:
		return float32(m.Slope*float64(x) + m.Intercept)
	}
	p := min(max(m.probability(float64(x)), m.Least), 1-m.Least)
	return float32(math.Log(p) - math.Log1p(-p))
}

// probability is that of an isotonic map, before it is bounded.
func (m *Map) probability(x float64) float64 {
	last := len(m.X) - 1
	at, equal := slices.BinarySearch(m.X, x)
	switch {
	case equal:
		return m.Y[at]
	case at == 0:
		return m.Y[0]
	case at > last:
		return m.Y[last]
	}
	share := (x - m.X[at-1]) / (m.X[at] - m.X[at-1])
	return m.Y[at-1] + share*(m.Y[at]-m.Y[at-1])
}

// Rows are the logits of one task on rows, with their labels.
type Rows struct {
	Logits  []float32 // [rows, outputs], row-major
	Labels  []float32 // 0 or 1, or a class's number
	Weights []float32 // nil: all are 1
}

// weight returns the weight of row i.
func (r Rows) weight(i int) float64 {
	if r.Weights == nil {
		return 1
	}
	return float64(r.Weights[i])
}

// Fit fits a map of a method to rows.
func Fit(method string, r Rows) (*Map, error) {
	n := len(r.Labels)
	if n == 0 {
		return nil, errors.New("there are no rows with a label")
	}
	width := len(r.Logits) / n
	if width > 1 && method != Temperature {
		return nil, fmt.Errorf("%s is for labels 0 and 1: classes are calibrated by %s", method, Temperature)
	}
	if width == 1 {
		var ones float64
		for _, y := range r.Labels {
			if y != 0 && y != 1 {
				return nil, fmt.Errorf("label %v is not 0 or 1", y)
			}
			ones += float64(y)
		}
		if ones == 0 || ones == float64(n) {
			return nil, fmt.Errorf("all labels of the %d rows are %v", n, r.Labels[0])
		}
	}
	switch method {
	case Temperature:
		return fitTemperature(r, width)
	case Platt:
		return fitPlatt(r)
	case Isotonic:
		return fitIsotonic(r)
	}
	return nil, fmt.Errorf("unknown method %q", method)
}
