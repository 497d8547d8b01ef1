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
