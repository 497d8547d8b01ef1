package assess

import (
	"math"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// table is a spliced parameter of a lookup: an embedding table, or the one row of a numeric feature.
type table struct {
	ops.Splicing
	values [][]float32 // the parents'
	rows   int
	dim    int
	start  []float32 // [rows, logits]: what gates start from; nil for zeros
	gate   *nn.Param // the gates' change from their start, for each row or for all; nil if there is none
}

// newTable returns the table over the parents' values.
func (a *assessment) newTable(name string, shape []int, values [][]float32) *table {
	t := &table{Splicing: a.splicing(a.global(name, values).g), values: values, rows: shape[0]}
	t.dim = len(values[0]) / t.rows
	if n := t.Logits(len(values)); n > 0 && a.Start == "counts" && a.params.Get(name).Kind == nn.Table {
		t.start = a.counts(name, t.rows, n)
	}
	return t
}

// counts returns the gate logits of weights by counts, n_k + smoothing over their sum.
func (a *assessment) counts(name string, rows, n int) []float32 {
	out := make([]float32, rows*n)
	for r := range rows {
		sum := 0.0
		for _, p := range a.in.Parents {
			sum += float64(p.Counts[name][r]) + a.Smoothing
		}
		for k := range n {
			share := (float64(a.in.Parents[k].Counts[name][r]) + a.Smoothing) / sum
			out[r*n+k] = float32(math.Log(share/(1-share)) / a.Scale)
		}
	}
	return out
}

// scratch is the space for one row of up to 8 parents.
type scratch [8 * 7]float64

// row returns the gate logits and weights of a row, and space for a gradient.
func (t *table) row(x *scratch, id int, change []float32) (s, w, dw, ds, rest []float64) {
	k := len(t.values)
	n := t.Logits(k)
	all := x[:]
	if k > 8 {
		all = make([]float64, 7*k)
	}
	s, w, dw, ds, rest = all[:n], all[k:2*k], all[2*k:3*k], all[3*k:3*k+n], all[4*k:7*k]
	for i := range s {
		s[i] = 0
		if change != nil {
			s[i] = float64(change[i])
		}
		if t.start != nil {
			s[i] += float64(t.start[id*n+i])
		}
	}
	t.Weights(w, s, rest)
	return s, w, dw, ds, rest
}

// set sets dst to row id of the spliced table.
func (t *table) set(id int, change, dst []float32) {
	var x scratch
	_, w, _, _, _ := t.row(&x, id, change)
	at := id * t.dim
	if t.Choice != ops.SpliceSoft {
		copy(dst, t.values[ops.Chosen(w)][at:at+t.dim])
		return
	}
	base := t.values[0][at : at+t.dim]
	for i := range dst {
		b := float64(base[i])
		sum := b
		for k := 1; k < len(t.values); k++ {
			sum += w[k] * (float64(t.values[k][at+i]) - b)
		}
		dst[i] = float32(sum)
	}
}

// grad sets g to the gradient of the gate logits of row id.
func (t *table) grad(id int, change, dy, g []float32) {
	var x scratch
	s, w, dw, ds, rest := t.row(&x, id, change)
	at := id * t.dim
	base := t.values[0][at : at+t.dim]
	dw[0] = 0
	for k := 1; k < len(t.values); k++ {
		sum := 0.0
		for i, v := range t.values[k][at : at+t.dim] {
			sum += float64(dy[i]) * (float64(v) - float64(base[i]))
		}
		dw[k] = sum
	}
	t.Grad(ds, s, w, dw, rest)
	for i, v := range ds {
		g[i] = float32(v)
	}
}

// change returns the gates' change from their start for row id.
func (t *table) change(id int) []float32 {
	if t.gate == nil {
		return nil
	}
	n := t.gate.Shape[1]
	if t.gate.Shape[0] == 1 {
		id = 0
	}
	return t.gate.Data[id*n : (id+1)*n]
}

// derive takes the place of a lookup's parameter.
func (a *assessment) derive(s *nn.Scope, p *nn.Param) *nn.Derived {
	values := a.values[p.Name]
	if values == nil {
		return nil
	}
	t := a.newTable(p.Name, p.Shape, values)
	d := &nn.Derived{}
	if n := t.Logits(len(values)); n > 0 && !a.still() {
		rows, kind := t.rows, nn.Table
		if a.Tables == "table" || p.Kind != nn.Table {
			rows, kind = 1, nn.Weight
		}
		t.gate = s.Root().Sub(prefix).Sub(p.Name).Table("gate", kind, rows, n, nn.Zeros)
		if t.gate == nil {
			return nil // the scope holds the error
		}
		t.gate.L2 = &a.l2
		d = &nn.Derived{From: t.gate, Row: t.set, Grad: t.grad}
	}
	for r := range t.rows {
		t.set(r, t.change(r), p.Data[r*t.dim:(r+1)*t.dim])
	}
	return d
}

// bakeTable sets a spliced table of the result.
func (a *assessment) bakeTable(m *cki.Tensor) error {
	t := a.newTable(m.Name, m.Shape, m.Parents)
	t.gate = a.params.Get(prefix + "." + m.Name + ".gate")
	gates := a.Tables
	if t.rows == 1 {
		gates = "table"
	}
	if a.form() == ops.SpliceGlobal {
		gates = "entropy"
	}
	c := newCollector(m.Name, m.Shape, gates, a.global(m.Name, m.Parents), t.Splicing)
	for r := range t.rows {
		t.set(r, t.change(r), m.Out[r*t.dim:(r+1)*t.dim])
		var x scratch
		s, _, _, _, _ := t.row(&x, r, t.change(r))
		c.add(s, t.dim)
	}
	a.record(c)
	return nil
}

func sqrt(n int) float64 { return math.Sqrt(float64(n)) }
