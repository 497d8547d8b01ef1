package assess

import (
	"cmp"
	"math"
	"slices"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train/run"
)

// Stats is what the method adds to a report.
type Stats struct {
	Perspective string         `json:"perspective"`
	Form        string         `json:"form,omitempty"` // of the dual perspective
	Splice      string         `json:"splice"`
	Least       float64        `json:"least"`   // weight that the base can get with these options, whatever is learned
	Largest     float64        `json:"largest"` // the same
	Note        string         `json:"note,omitempty"`
	Learned     *Learned       `json:"learned,omitempty"` // nil if gates are at their start
	Tensors     []*TensorStats `json:"tensors"`
}

// LearningSteps returns the optimizer steps that the gates took to learn.
func (s Stats) LearningSteps() int64 {
	if s.Learned == nil {
		return 0
	}
	return s.Learned.Steps
}

// Learned says how gates were trained.
type Learned struct {
	Rows     string      `json:"rows"`      // train or valid
	RowCount int64       `json:"row_count"` // that gates learned on
	Values   int         `json:"values"`    // trained gate and assessor parameters
	Encoder  bool        `json:"encoder"`   // all other parameters were trained with the gates
	Epoch    int         `json:"epoch"`     // that the gates are from
	Steps    int64       `json:"steps"`
	Valid    run.Metrics `json:"valid"` // of these gates
}

// TensorStats describes the weights of one spliced tensor, before a hard splice chooses.
type TensorStats struct {
	Name    string    `json:"name"`
	Shape   []int     `json:"shape"`
	Gates   string    `json:"gates"`   // one for each weight, unit, layer, row or table; or entropy: none
	Entropy []float64 `json:"entropy"` // of each parent
	Global  []float64 `json:"global"`  // g of each parent
	Weights []float64 `json:"weights"` // mean of each parent
	Mean    float64   `json:"mean"`    // of the base's weights
	SD      float64   `json:"sd"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Taken   []float64 `json:"taken"`           // share of the values at which each parent weighs most; of two, the base's above 1/2
	Units   []Unit    `json:"units,omitempty"` // rows of the tensor at which the base weighs least: its most incompatible units
}

// Unit is a row of a tensor.
type Unit struct {
	Row    int     `json:"row"`
	Weight float64 `json:"weight"` // of the base, mean over the row
}

// unitCount is the number of units that are listed.
const unitCount = 5

// report returns the statistics.
func (a *assessment) report() Stats {
	s := Stats{Perspective: a.Perspective, Splice: a.Splice, Learned: a.learned, Tensors: []*TensorStats{}}
	s.Least, s.Largest = a.Range(len(a.in.Parents))
	if a.Perspective == "dual" {
		s.Form = a.Form
	}
	if a.form() == ops.SpliceRecommendation {
		s.Note = "in the recommendation form the base's weight always lies between least and largest " +
			"(for two parents with the published options: .413 and .587), whatever assessors learn"
	}
	for _, name := range a.order {
		s.Tensors = append(s.Tensors, a.stats[name])
	}
	return s
}

// record keeps the statistics of a tensor.
func (a *assessment) record(c *collector) {
	s := c.finish()
	if a.stats[s.Name] == nil {
		a.order = append(a.order, s.Name)
	}
	a.stats[s.Name] = s
}

// collector sums the weights of a tensor.
type collector struct {
	*TensorStats
	ops.Splicing
	w, rest []float64
	n       int       // values so far
	sq      float64   // of the base's weights' differences from 1/2
	row     int       // values of a row
	rows    []float64 // sums of the base's weights
}

func newCollector(name string, shape []int, gates string, g *global, p ops.Splicing) *collector {
	k := len(g.g)
	c := &collector{
		TensorStats: &TensorStats{
			Name: name, Shape: shape, Gates: gates, Entropy: g.entropy, Global: g.g,
			Weights: make([]float64, k), Taken: make([]float64, k), Min: math.Inf(1), Max: math.Inf(-1),
		},
		Splicing: p, w: make([]float64, k), rest: make([]float64, 3*k), row: 1,
	}
	if len(shape) > 0 {
		c.rows = make([]float64, shape[0])
		for _, n := range shape[1:] {
			c.row *= n
		}
	}
	return c
}

// add counts a gate that is shared by n values, which are whole rows or lie in one.
func (c *collector) add(logits []float64, n int) {
	c.Splicing.Weights(c.w, logits, c.rest)
	x := float64(n)
	for k, w := range c.w {
		c.TensorStats.Weights[k] += x * w
	}
	base := c.w[0]
	c.sq += x * (base - 0.5) * (base - 0.5)
	c.Min, c.Max = min(c.Min, base), max(c.Max, base)
	c.Taken[ops.Chosen(c.w)] += x
	for i := c.n; i < c.n+n && len(c.rows) > 0; {
		end := min(c.n+n, (i/c.row+1)*c.row)
		c.rows[i/c.row] += base * float64(end-i)
		i = end
	}
	c.n += n
}

func (c *collector) finish() *TensorStats {
	s, n := c.TensorStats, float64(c.n)
	for k := range s.Weights {
		s.Weights[k] /= n
		s.Taken[k] /= n
	}
	s.Mean = s.Weights[0]
	s.SD = math.Sqrt(max(0, c.sq/n-(s.Mean-0.5)*(s.Mean-0.5)))
	if s.Gates == "layer" || s.Gates == "table" || s.Gates == "entropy" || len(c.rows) < 2 {
		return s
	}
	for r, sum := range c.rows {
		s.Units = append(s.Units, Unit{r, sum / float64(c.row)})
	}
	slices.SortStableFunc(s.Units, func(a, b Unit) int { return cmp.Compare(a.Weight, b.Weight) })
	s.Units = slices.Clone(s.Units[:min(unitCount, len(s.Units))])
	return s
}
