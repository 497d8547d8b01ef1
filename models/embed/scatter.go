package embed

import (
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// use is one place where a lookup's leaf holds rows of a parameter.
type use struct {
	lookup *Lookup
	field  *Field
	offset int // first column in the leaf
}

// tableGrad merges the gradients of all uses of one table.
type tableGrad struct {
	param    *nn.Param
	index    *index
	uses     []use
	grad     []float32
	place    int       // position in Plan.rows
	derived  *derived  // nil if param is trained itself
	fromGrad []float32 // of what is trained in param's place
	// cuts are the parts of the columns that are merged one beside the other; nil if all are merged at once. Each has room for the slots of a
	// lookup's own ids, as rows of the part.
	cuts [][]int32
}

// trained returns what takes the gradient.
func (t *tableGrad) trained() *nn.Param {
	if t.derived != nil {
		return t.derived.From
	}
	return t.param
}

// denseGrad sums the gradient of a numeric feature's vector, or of a bias, over the rows.
type denseGrad struct {
	param    *nn.Param
	uses     []use
	sum      []float64
	part     []float32 // sum over a few rows
	grad     []float32
	derived  *derived  // nil if param is trained itself
	fromGrad []float32 // of what is trained in param's place
}

// trained returns what takes the gradient.
func (t *denseGrad) trained() *nn.Param {
	if t.derived != nil {
		return t.derived.From
	}
	return t.param
}

// prepare groups the lookups' fields by parameter, once.
func (p *Plan) prepare() {
	byParam := map[*nn.Param]int{}
	denseBy := map[*nn.Param]int{}
	for _, l := range p.lookups {
		for i := range l.Fields {
			f := &l.Fields[i]
			u := use{l, f, l.offset(i)}
			switch {
			case f.Frozen:
			case f.Feature.Kind == data.Numeric:
				k, ok := denseBy[f.Param]
				if !ok {
					k = p.addDense(f.Param)
					denseBy[f.Param] = k
				}
				p.dense[k].uses = append(p.dense[k].uses, u)
			default:
				k, ok := byParam[f.Param]
				if !ok {
					k = len(p.tables)
					byParam[f.Param] = k
					p.addTable(f)
				}
				p.tables[k].uses = append(p.tables[k].uses, u)
			}
		}
		if l.Bias != nil && !l.BiasFrozen {
			p.dense[p.addDense(l.Bias)].uses = []use{{lookup: l}}
		}
	}
	for _, t := range p.tables {
		p.cut(t)
		for c := range t.cuts {
			p.tasks = append(p.tasks, func() { p.mergeColumns(t, c) })
		}
		if t.cuts == nil {
			p.tasks = append(p.tasks, func() { p.mergeRows(t) })
		}
	}
	for _, d := range p.dense {
		p.tasks = append(p.tasks, func() { p.sumRows(d) })
	}
	p.runTask = func(i int) { p.tasks[i]() }
	p.buildIndex = func(i int) {
		if x := p.indexes[i]; !x.early {
			x.build(p.current)
		}
	}
	p.prepared = true
}

// Trained returns the parameters that take a gradient from the lookups.
func (p *Plan) Trained() []*nn.Param {
	if !p.prepared {
		p.prepare()
	}
	var out []*nn.Param
	for _, t := range p.tables {
		out = append(out, t.trained())
	}
	for _, d := range p.dense {
		out = append(out, d.trained())
	}
	return out
}

// Layout returns the parameters that Scatter returns gradients of, in its order: of the rows of tables, and of whole parameters.
func (p *Plan) Layout() ([]RowGrad, []Grad) {
	if !p.prepared {
		p.prepare()
	}
	return p.rows, p.grads
}

func (p *Plan) addDense(q *nn.Param) int {
	if p.Needs != nil {
		p.Needs.Count(4 * q.Bytes())
		p.dense = append(p.dense, &denseGrad{param: q})
		return len(p.dense) - 1
	}
	d := &denseGrad{param: q, sum: make([]float64, len(q.Data)), part: make([]float32, len(q.Data)), grad: make([]float32, len(q.Data))}
	p.dense = append(p.dense, d)
	if d.derived = p.derivedOf(q); d.derived != nil {
		d.fromGrad = make([]float32, len(d.derived.From.Data))
		p.grads = append(p.grads, Grad{d.derived.From, d.fromGrad})
	} else {
		p.grads = append(p.grads, Grad{q, d.grad})
	}
	return len(p.dense) - 1
}

// addTable adds the table of a field. One that is derived from a single row has the gradient of a whole parameter.
func (p *Plan) addTable(f *Field) {
	t := &tableGrad{param: f.Param, index: f.index, place: len(p.rows), derived: p.derivedOf(f.Param)}
	p.tables = append(p.tables, t)
	if p.Needs != nil { // the rows that a batch touches
		rows := min(float64(p.batch)*float64(width(f.Feature)), float64(f.Param.Shape[0]))
		p.Needs.Count(1.5 * 4 * rows * float64(f.Param.Dim()))
	}
	if t.derived != nil && t.derived.shared() {
		t.fromGrad = make([]float32, len(t.derived.From.Data))
		p.grads = append(p.grads, Grad{t.derived.From, t.fromGrad})
		return
	}
	p.rows = append(p.rows, RowGrad{Param: t.trained()})
}

// derivedOf returns how the parameter is derived, or nil.
func (p *Plan) derivedOf(q *nn.Param) *derived {
	for _, d := range p.derived {
		if d.param == q {
			return d
		}
	}
	return nil
}

// Scatter merges the gradients of the leaves into row gradients and dense gradients, which are valid until the next call. grads[i]
// belongs to lookup i. The sums run over the batch's rows in order, so the number of threads changes no bit.
func (p *Plan) Scatter(b *data.Batch, grads [][]float32) ([]RowGrad, []Grad) {
	if !p.prepared {
		p.prepare()
	}
	p.current = b
	for i, l := range p.lookups {
		l.leafGrad = grads[i]
	}
	kernel.Parallel(len(p.indexes), p.buildIndex)
	for _, t := range p.tables {
		if t.cuts != nil {
			p.rows[t.place].IDs, p.rows[t.place].Grad = t.index.ids, t.zeros()
		}
	}
	kernel.Parallel(len(p.tasks), p.runTask)
	for _, l := range p.lookups {
		kernel.CountBytes(4 * len(l.leafGrad))
	}
	for _, r := range p.rows {
		kernel.CountBytes(4 * len(r.Grad))
	}
	return p.rows, p.grads
}

// Columns of a table that is merged in parts.
const (
	cutColumns = 32
	mostCuts   = 4
)

// cut cuts the columns of a table whose rows lookups name, such as those of sequences, into parts: it is often the only one, and the other
// threads would have nothing to do.
func (p *Plan) cut(t *tableGrad) {
	d, most := t.uses[0].lookup.Dim, 0
	parts := min(mostCuts, d/cutColumns)
	if parts < 2 || d%parts != 0 || t.derived != nil {
		return
	}
	for _, u := range t.uses {
		if u.lookup.Count == 0 {
			return
		}
		most = max(most, u.lookup.Count)
	}
	if p.Needs != nil {
		p.Needs.Count(4 * float64(parts) * float64(most))
		return
	}
	for range parts {
		t.cuts = append(t.cuts, make([]int32, most))
	}
}

// zeros returns room for the gradients of the batch's rows.
func (t *tableGrad) zeros() []float32 {
	n := len(t.index.ids) * t.uses[0].lookup.Dim
	if cap(t.grad) < n {
		t.grad = make([]float32, n, min(len(t.param.Data), n+n/2))
	}
	t.grad = t.grad[:n]
	clear(t.grad)
	return t.grad
}

// mergeColumns merges part c of the columns of a table: each sum runs over the same rows in the same order as that of mergeRows.
func (p *Plan) mergeColumns(t *tableGrad, c int) {
	d, parts := t.uses[0].lookup.Dim, len(t.cuts)
	width := d / parts
	lo := c * width
	for _, u := range t.uses {
		slots, dy := t.index.lanes[u.field.lane].slots, u.lookup.leafGrad
		slots = slots[:u.lookup.rows(p)]
		if len(slots) == 0 {
			continue
		}
		cut := t.cuts[c][:len(slots)] // rows of the table as rows of its parts
		for i, s := range slots {
			cut[i] = s
			if s >= 0 {
				cut[i] = s*int32(parts) + int32(c)
			}
		}
		kernel.ScatterAddRows(t.grad, width, cut, dy[lo:], d)
	}
}

func (p *Plan) mergeRows(t *tableGrad) {
	x, d := t.index, t.uses[0].lookup.Dim
	g := t.zeros()
	for _, u := range t.uses {
		w, stride := width(u.field.Feature), u.lookup.stride()
		slots, dy := x.lanes[u.field.lane].slots, u.lookup.leafGrad
		if u.lookup.Count > 0 {
			kernel.ScatterAddRows(g, d, slots[:u.lookup.rows(p)], dy, d)
			continue
		}
		if u.field.Feature.Kind.Lists() {
			ids := p.current.IDs[u.field.Feature.Name]
			for r := range p.current.N {
				scale := poolScale(u.field.Pool, ids[r*w:(r+1)*w])
				src := dy[r*stride+u.offset : r*stride+u.offset+d]
				for _, s := range slots[r*w : (r+1)*w] {
					if s >= 0 {
						kernel.Axpy(g[int(s)*d:int(s)*d+d], scale, src)
					}
				}
			}
			continue
		}
		if d == 1 {
			for r := range p.current.N {
				if s := slots[r]; s >= 0 {
					g[s] += dy[r*stride+u.offset]
				}
			}
			continue
		}
		kernel.ScatterAddRows(g, d, slots[:p.current.N], dy[u.offset:], stride)
	}
	if t.derived != nil {
		if !t.derived.shared() {
			n := len(x.ids) * t.derived.From.Dim()
			if cap(t.fromGrad) < n {
				t.fromGrad = make([]float32, n, n+n/2)
			}
			t.fromGrad = t.fromGrad[:n]
		}
		t.derived.rowGrads(t.fromGrad, x.ids, g)
		if t.derived.shared() {
			return
		}
		g = t.fromGrad
	}
	p.rows[t.place].IDs, p.rows[t.place].Grad = x.ids, g
}

// partRows is the number of rows that are summed in float32 before they go to the float64 sum.
const partRows = 64

func (p *Plan) sumRows(t *denseGrad) {
	clear(t.sum)
	nd := p.schema.NumDense
	for _, u := range t.uses {
		d, dy, stride := u.lookup.Dim, u.lookup.leafGrad, u.lookup.stride()
		for lo := 0; lo < p.current.N; lo += partRows {
			clear(t.part)
			for r := lo; r < min(lo+partRows, p.current.N); r++ {
				x := float32(1)
				if u.field != nil {
					x = p.current.Dense[r*nd+u.field.Feature.Column]
				}
				if d == 1 {
					t.part[0] += x * dy[r*stride+u.offset]
				} else {
					kernel.Axpy(t.part, x, dy[r*stride+u.offset:r*stride+u.offset+d])
				}
			}
			for k, v := range t.part {
				t.sum[k] += float64(v)
			}
		}
	}
	for k, v := range t.sum {
		t.grad[k] = float32(v)
	}
	if t.derived != nil {
		t.derived.Grad(0, t.derived.from(0), t.grad, t.fromGrad)
	}
}
