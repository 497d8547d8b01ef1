package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/splice-ml/splice/cki/gate"
)

// Settings of the entropy gate that TensorStats.Gates shows: the published ones (Lv et al. 2025, section "global").
const (
	GateBins  = 10
	GateA     = 0.4
	GateC     = 500.0
	worstOnes = 5 // units that TensorStats.Units lists, at most
)

// TensorStats says what a merge did to one tensor. The weights are found from the values alone, so they can be given for any method.
type TensorStats struct {
	Name      string    `json:"name"`
	Shape     []int     `json:"shape"`
	Entropies []float64 `json:"entropies"` // by parent: histogram entropy in nats, 10 bins
	Gates     []float64 `json:"gates"`     // by parent: the weights that the published entropy gate gives; a = 0.4, c = 500
	Shares    []float64 `json:"shares"`    // by parent: share of the result's values that are nearest to its; ties are shared
	// by parent: weights of sum 1 whose combination of the parents is nearest to the result; none if the parents do not
	// determine them
	Fit []float64 `json:"fit,omitempty"`
	// distance of that combination from the result, over the norm of the result; null without one
	Residual Float   `json:"residual"`
	Weight   *Spread `json:"weight,omitempty"`  // of the base, over the tensor's parts; none if the parents do not determine it
	Before   []Pair  `json:"before,omitempty"`  // base and each other parent, before alignment; none without alignment
	Parents  []Pair  `json:"parents,omitempty"` // base and each other parent, as they were merged
	Units    []Unit  `json:"units,omitempty"`   // the most incompatible ones: rows of a matrix in which the parents differ most
}

// Spread says how a number is spread over the parts of a tensor.
type Spread struct {
	Mean  float64 `json:"mean"`
	SD    float64 `json:"sd"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Parts int     `json:"parts"` // values with two parents, rows with more, that determine it
}

// Pair compares the base with another parent.
type Pair struct {
	Cosine Float   `json:"cosine"` // null if one of them is zero
	L2     float64 `json:"l2"`     // ||base - other||
}

// Unit is a row of a matrix. Distance is the mean over the other parents of ||base - other|| / sqrt((||base||² + ||other||²) / 2). It
// is 0 for equal rows, sqrt 2 for orthogonal rows of one length, and 2 for opposite ones.
type Unit struct {
	Row      int     `json:"row"`
	Distance float64 `json:"distance"`
}

// Tensor returns the statistics of a tensor from the values of all parents, as they were merged, and of the result. With two parents
// the weight of the base at each value is w = (m - b)/(a - b), where a, b and m are the values of the base, the other parent and the
// result. Values at which rounding hides more than a thousandth of w are left out. With more parents the weight is that of the least
// squares of each row.
func Tensor(name string, shape []int, parents [][]float32, merged []float32) (TensorStats, error) {
	if err := checkTensor(name, shape, parents, merged); err != nil {
		return TensorStats{}, err
	}
	t := TensorStats{Name: name, Shape: slices.Clone(shape), Shares: shares(parents, merged), Parents: pairs(parents)}
	for _, p := range parents {
		t.Entropies = append(t.Entropies, gate.Entropy(p, GateBins))
	}
	t.Gates = gate.Global(t.Entropies, GateA, GateC)
	t.Fit, t.Residual = fit(parents, merged)
	rows := 1
	if len(shape) > 0 {
		rows = shape[0]
	}
	switch {
	case len(parents) == 2:
		t.Weight = valueWeights(parents[0], parents[1], merged)
	case len(parents) > 2 && len(merged) > 0:
		t.Weight = rowWeights(parents, merged, len(merged)/rows)
	}
	if len(shape) > 1 && len(merged) > 0 {
		t.Units = units(parents, len(merged)/rows)
	}
	return t, nil
}

// Unaligned adds the comparison of the parents as they were before alignment.
func (t *TensorStats) Unaligned(parents [][]float32) error {
	if err := checkTensor(t.Name, t.Shape, parents, nil); err != nil {
		return err
	}
	t.Before = pairs(parents)
	return nil
}

// checkTensor reports values that do not fit the shape or are not finite. merged may be nil.
func checkTensor(name string, shape []int, parents [][]float32, merged []float32) error {
	n := 1
	for _, d := range shape {
		if d < 0 {
			return fmt.Errorf("report: tensor %s: shape %v has a negative dimension", name, shape)
		}
		n *= d
	}
	if len(parents) == 0 {
		return fmt.Errorf("report: tensor %s: no parents", name)
	}
	all := parents
	if merged != nil || n == 0 {
		all = append(slices.Clone(parents), merged)
	}
	for i, p := range all {
		what := fmt.Sprintf("parent %d", i+1)
		if i == len(parents) {
			what = "the result"
		}
		if len(p) != n {
			return fmt.Errorf("report: tensor %s: %s has %d values, shape %v has %d", name, what, len(p), shape, n)
		}
		for j, x := range p {
			if x-x != 0 {
				return fmt.Errorf("report: tensor %s: %s: value %d is %v", name, what, j, x)
			}
		}
	}
	return nil
}

func pairs(parents [][]float32) []Pair {
	var out []Pair
	for _, p := range parents[1:] {
		dot, aa, bb, dd := moments(parents[0], p)
		out = append(out, Pair{Cosine: Float(dot / (math.Sqrt(aa) * math.Sqrt(bb))), L2: math.Sqrt(dd)})
	}
	return out
}

// moments returns a·b, a·a, b·b and |a-b|².
func moments(a, b []float32) (dot, aa, bb, dd float64) {
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot, aa, bb, dd = dot+x*y, aa+x*x, bb+y*y, dd+(x-y)*(x-y)
	}
	return dot, aa, bb, dd
}

// shares counts which parent each value is nearest to. Distances that rounding makes equal are a tie.
func shares(parents [][]float32, merged []float32) []float64 {
	out := make([]float64, len(parents))
	near := make([]bool, len(parents))
	for i, m := range merged {
		best, scale := math.Inf(1), math.Abs(float64(m))
		for _, p := range parents {
			best = min(best, math.Abs(float64(p[i])-float64(m)))
			scale = max(scale, math.Abs(float64(p[i])))
		}
		ties := 0
		for k, p := range parents {
			if near[k] = math.Abs(float64(p[i])-float64(m)) <= best+scale*0x1p-22; near[k] {
				ties++
			}
		}
		for k := range parents {
			if near[k] {
				out[k] += 1 / float64(ties)
			}
		}
	}
	for k := range out {
		out[k] /= max(1, float64(len(merged)))
	}
	return out
}

// fit solves min over w of |m - p_1 - sum_{k>1} w_k·(p_k - p_1)|, with w_1 = 1 - sum_{k>1} w_k, by its normal equations. It returns nil
// and NaN if they do not determine w.
func fit(parents [][]float32, merged []float32) ([]float64, Float) {
	n := len(parents) - 1
	none := Float(math.NaN())
	if n < 1 {
		return nil, none
	}
	gram, right := mat.NewSymDense(n, nil), mat.NewVecDense(n, nil)
	var norm float64
	d := make([]float64, n)
	for i, m := range merged {
		base := float64(parents[0][i])
		norm += float64(m) * float64(m)
		for k := range d {
			d[k] = float64(parents[k+1][i]) - base
		}
		for k := range d {
			right.SetVec(k, right.AtVec(k)+d[k]*(float64(m)-base))
			for j := k; j < n; j++ {
				gram.SetSym(k, j, gram.At(k, j)+d[k]*d[j])
			}
		}
	}
	var c mat.Cholesky
	var x mat.VecDense
	if ok := c.Factorize(gram); !ok || c.Cond() > 1e10 || c.SolveVecTo(&x, right) != nil {
		return nil, none
	}
	w := make([]float64, n+1)
	w[0] = 1
	for k := range n {
		w[k+1] = x.AtVec(k)
		w[0] -= w[k+1]
	}
	var rest float64
	for i, m := range merged {
		v := float64(m)
		for k, p := range parents {
			v -= w[k] * float64(p[i])
		}
		rest += v * v
	}
	return w, Float(math.Sqrt(rest) / math.Sqrt(norm))
}

// valueWeights spreads the base's weight over the values that determine it to a thousandth.
func valueWeights(a, b, merged []float32) *Spread {
	var s Spread
	for i, m := range merged {
		x, y, v := float64(a[i]), float64(b[i]), float64(m)
		if d := x - y; math.Abs(v)*0x1p-24 < 1e-3*math.Abs(d) {
			s.add((v - y) / d)
		}
	}
	return s.done()
}

// rowWeights spreads the base's weight over the rows whose values determine it.
func rowWeights(parents [][]float32, merged []float32, width int) *Spread {
	if width < len(parents)-1 {
		return nil
	}
	var s Spread
	rows := make([][]float32, len(parents))
	for lo := 0; lo < len(merged); lo += width {
		for k, p := range parents {
			rows[k] = p[lo : lo+width]
		}
		if w, _ := fit(rows, merged[lo:lo+width]); w != nil {
			s.add(w[0])
		}
	}
	return s.done()
}

// add counts a value in; SD holds the sum of squared deviations until done (Welford 1962).
func (s *Spread) add(v float64) {
	s.Parts++
	if s.Parts == 1 {
		s.Min, s.Max = v, v
	}
	s.Min, s.Max = min(s.Min, v), max(s.Max, v)
	d := v - s.Mean
	s.Mean += d / float64(s.Parts)
	s.SD += d * (v - s.Mean)
}

func (s *Spread) done() *Spread {
	if s.Parts == 0 {
		return nil
	}
	s.SD = math.Sqrt(s.SD / float64(s.Parts))
	return s
}

// units returns the rows in which the parents differ most, the worst first.
func units(parents [][]float32, width int) []Unit {
	if len(parents) < 2 || width < 1 {
		return nil
	}
	var out []Unit
	for lo := 0; lo < len(parents[0]); lo += width {
		u := Unit{Row: lo / width}
		for _, p := range parents[1:] {
			_, aa, bb, dd := moments(parents[0][lo:lo+width], p[lo:lo+width])
			if aa+bb > 0 {
				u.Distance += math.Sqrt(dd/((aa+bb)/2)) / float64(len(parents)-1)
			}
		}
		out = append(out, u)
	}
	slices.SortStableFunc(out, func(a, b Unit) int { return cmp.Compare(b.Distance, a.Distance) })
	return out[:min(worstOnes, len(out))]
}
