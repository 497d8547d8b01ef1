package run

import (
	"encoding/json"
	"math"
)

// Metrics are values of metrics by name. In JSON, a value that is not finite is null.
type Metrics map[string]float64

// MarshalJSON writes the metrics in the order of their names.
func (n Metrics) MarshalJSON() ([]byte, error) {
	m := make(map[string]*float64, len(n))
	for k, v := range n {
		m[k] = nil
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			m[k] = &v
		}
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads metrics, and null as NaN.
func (n *Metrics) UnmarshalJSON(b []byte) error {
	var in map[string]*float64
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*n = nil
	for k, v := range in {
		if *n == nil {
			*n = make(Metrics, len(in))
		}
		if v == nil {
			(*n)[k] = math.NaN()
		} else {
			(*n)[k] = *v
		}
	}
	return nil
}
