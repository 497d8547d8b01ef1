// Package report says what a merge did: to each tensor, along the line between the parents, and against the other models of its
// comparison. It writes report.json, report.md and figures. It also compares methods over several seeds, pair by pair.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/train/run"
)

// Report holds everything that is known of one merge.
type Report struct {
	Title     string        `json:"title"`
	Method    string        `json:"method"`             // registered name
	Settings  string        `json:"settings,omitempty"` // the merge section, as YAML
	Model     string        `json:"model,omitempty"`
	Data      string        `json:"data,omitempty"`
	Synthetic bool          `json:"synthetic"`          // the rows are drawn, not measured
	Protocol  string        `json:"protocol,omitempty"` // what the metrics rank; empty if they rank nothing
	Seed      uint64        `json:"seed"`
	Metrics   []string      `json:"metrics"` // in the order of the tables; selection goes by the first
	Parents   []Parent      `json:"parents"` // the base first
	Guard     Guard         `json:"guard"`
	Rows      []Row         `json:"rows"`
	Groups    []Group       `json:"groups,omitempty"`
	Barriers  []Barrier     `json:"barriers,omitempty"`
	Tensors   []TensorStats `json:"tensors,omitempty"`
	Notes     []string      `json:"notes,omitempty"` // what a reader must know of the method, a sentence each
	Stats     any           `json:"stats,omitempty"` // what the method has to say

	BestParent string `json:"-"` // name of the row that the figure of the rows is ruled at; may be empty
}

// Parent is a model that was merged.
type Parent struct {
	Name   string  `json:"name"`
	Digest string  `json:"digest,omitempty"`
	Valid  Metrics `json:"valid,omitempty"`
}

// Guard says which model is passed on, and why. Result and Parent are values of the metric that selection goes by, on validation rows.
type Guard struct {
	On     bool   `json:"on"`     // a result worse than the best parent is not passed on
	Kept   bool   `json:"kept"`   // the result is worse, so the best parent is passed on
	Passed string `json:"passed"` // name of the row whose model is passed on
	Result Float  `json:"result"` // value of the merge
	Parent Float  `json:"parent"` // value of the best parent
}

// Row is a model of the comparison, or an ensemble of several.
type Row struct {
	Name    string  `json:"name"`
	Note    string  `json:"note,omitempty"`
	Valid   Metrics `json:"valid"`
	Test    Metrics `json:"test,omitempty"`
	Seconds float64 `json:"seconds"`
	Steps   int64   `json:"steps,omitempty"`
}

// Group is a set of hidden units that an alignment moved together.
type Group struct {
	Other  string  `json:"other,omitempty"` // the parent that was moved
	Name   string  `json:"name"`
	Size   int     `json:"size"`   // units
	Moved  int     `json:"moved"`  // units that are not where they were
	Before float64 `json:"before"` // cosine of the parents along the group's weights
	After  float64 `json:"after"`
}

// Barrier describes the line of models (1-alpha)·base + alpha·other, without alignment and, unless After is empty, with it.
type Barrier struct {
	Other  string  `json:"other"`
	Before []Point `json:"before"`
	After  []Point `json:"after,omitempty"`
}

// Point is a model of a Barrier on the validation rows.
type Point struct {
	Alpha float64 `json:"alpha"`
	Valid Metrics `json:"valid"`
}

// Height returns how far a metric L rises at most above the straight line between its values at the ends (Frankle et al. 2020): the
// maximum over alpha of L(alpha) - ((1-alpha)·L(0) + alpha·L(1)). For a metric of which more is better it is how far L falls below that
// line. It is 0 if the models are nowhere worse than the line, and NaN if the metric is missing at a point or there are fewer than 2
// points.
func Height(points []Point, metric string, higherIsBetter bool) float64 {
	if len(points) < 2 {
		return math.NaN()
	}
	value := func(p Point) float64 {
		v, ok := p.Valid[metric]
		switch {
		case !ok:
			return math.NaN()
		case higherIsBetter:
			return -v
		}
		return v
	}
	first, last := value(points[0]), value(points[len(points)-1])
	h := 0.0
	for _, p := range points {
		h = max(h, value(p)-((1-p.Alpha)*first+p.Alpha*last)) // max of NaN is NaN
	}
	return h
}

// Float is a number that is null in JSON if it is not finite.
type Float float64

// MarshalJSON writes the number, or null.
func (f Float) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(f))
}

// UnmarshalJSON reads a number, or null as NaN.
func (f *Float) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*f = Float(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(f))
}

// Metrics holds the values of metrics by name. One that is not finite is null in JSON.
type Metrics map[string]float64

// MarshalJSON writes the metrics in the order of their names.
func (m Metrics) MarshalJSON() ([]byte, error) {
	out := make(map[string]Float, len(m))
	for k, v := range m {
		out[k] = Float(v)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads metrics, and null as NaN.
func (m *Metrics) UnmarshalJSON(b []byte) error {
	var in map[string]Float
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*m = make(Metrics, len(in))
	for k, v := range in {
		(*m)[k] = float64(v)
	}
	return nil
}

// order returns the metrics of the report's tables: r.Metrics, or all names if there are none.
func (r *Report) order() []string {
	if len(r.Metrics) > 0 {
		return r.Metrics
	}
	return metricNames(r.Rows)
}

func metricNames(rows []Row) []string {
	seen := map[string]bool{}
	for _, row := range rows {
		for k := range row.Valid {
			seen[k] = true
		}
		for k := range row.Test {
			seen[k] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Write writes report.json, report.md and the figures into a directory, which is made if it is missing.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return errors.Join(r.WriteJSON(filepath.Join(dir, run.ReportFile)), r.WriteMarkdown(filepath.Join(dir, run.MarkdownFile)),
		r.Figures(dir))
}

// WriteJSON writes the report as JSON, atomically.
func (r *Report) WriteJSON(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return writeFile(path, append(b, '\n'))
}

func writeFile(path string, b []byte) error {
	if err := atomicfile.WriteBytes(path, b); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
