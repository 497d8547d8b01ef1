package embed

import (
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// derived is a parameter whose rows are computed before they are gathered.
type derived struct {
	*nn.Derived
	param *nn.Param
	field *Field // nil, or of a numeric feature: there is one row
	run   func(chunk int)
	all   func(chunk int) // computes all rows; nil if those of the batch are enough
}

// one reports whether the parameter is one row, not a table.
func (d *derived) one() bool { return d.field == nil || d.field.Feature.Kind == data.Numeric }

// from returns the row of From that belongs to row id.
func (d *derived) from(id int) []float32 {
	m := d.From.Dim()
	if d.shared() {
		id = 0
	}
	return d.From.Data[id*m : (id+1)*m]
}

// shared reports whether From has one row for all.
func (d *derived) shared() bool { return d.From.Shape[0] != d.param.Shape[0] }

func (d *derived) row(id int) {
	w := d.param.Dim()
	d.Row(id, d.from(id), d.param.Data[id*w:(id+1)*w])
}

// addDerived registers the parameter of a field, or of a bias, to be computed before each gather.
func (p *Plan) addDerived(param *nn.Param, n *nn.Derived, f *Field) {
	if n == nil || n.From == nil {
		return
	}
	for _, d := range p.derived {
		if d.param == param {
			return
		}
	}
	d := &derived{Derived: n, param: param, field: f}
	if !d.one() {
		x := f.index
		d.run = func(c int) {
			for _, id := range x.ids[len(x.ids)*c/chunks : len(x.ids)*(c+1)/chunks] {
				d.row(int(id))
			}
		}
		if !x.early {
			x.early = true
			p.early = append(p.early, x)
		}
	}
	p.derived = append(p.derived, d)
}

// DeriveAll makes each gather compute all rows of a derived table, not those of the batch alone. A table that is not derived has them.
func (p *Plan) DeriveAll(param *nn.Param) {
	for _, d := range p.derived {
		if d.param == param && !d.one() {
			rows := param.Shape[0]
			d.all = func(c int) {
				for id := max(1, rows*c/chunks); id < rows*(c+1)/chunks; id++ {
					d.row(id)
				}
			}
		}
	}
}

// derive computes the derived rows of the batch: those of its distinct ids. Row 0, padding, stays as it is.
func (p *Plan) derive(b *data.Batch) error {
	for _, d := range p.derived {
		if d.one() {
			continue
		}
		for i := range d.field.index.lanes {
			lane := &d.field.index.lanes[i]
			f, v := lane.feature, lane.own
			if v == nil {
				var err error
				if v, err = ids(b, f, p.batch); err != nil {
					return err
				}
				v = v[:b.N*width(f)]
			}
			rows := int32(d.param.Shape[0])
			for k, id := range v {
				if uint32(id) >= uint32(rows) {
					return outside(&Field{Feature: f, Param: d.param}, k/width(f), id, rows)
				}
			}
		}
	}
	kernel.Parallel(len(p.early), func(i int) { p.early[i].build(b) })
	for _, d := range p.derived {
		switch {
		case d.one():
			d.row(0)
		case d.all != nil:
			kernel.Parallel(chunks, d.all)
		default:
			kernel.Parallel(chunks, d.run)
		}
	}
	return nil
}

// rowGrads sets dst to the gradients of From's rows, given those of the table's rows ids: one row for each, or the sum of all.
func (d *derived) rowGrads(dst []float32, ids []int32, dy []float32) {
	m, w := d.From.Dim(), d.param.Dim()
	if !d.shared() {
		for i, id := range ids {
			d.Grad(int(id), d.from(int(id)), dy[i*w:(i+1)*w], dst[i*m:(i+1)*m])
		}
		return
	}
	sum, one := make([]float64, m), make([]float32, m)
	for i, id := range ids {
		d.Grad(int(id), d.from(int(id)), dy[i*w:(i+1)*w], one)
		for k, v := range one {
			sum[k] += float64(v)
		}
	}
	for k, v := range sum {
		dst[k] = float32(v)
	}
}
