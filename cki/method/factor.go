package method

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models/nn"
)

// FactorStats says what became of tables that were merged by factors.
type FactorStats struct {
	Tables []string `json:"tables"`
	Rank   int      `json:"rank"`   // of the factors; less than the width of the rows if the contributions have no more
	Energy float64  `json:"energy"` // share of the contributions' weighted sum of squares, or of the tables' if they are projected, that the factors keep
	// share of the squares of inner products between fields that the factors keep; 0 where none are taken
	Products float64 `json:"products,omitempty"`
}

// columns are the columns of a layer that read the rows of tables.
type columns struct {
	layer  nn.Layer
	offset int
}

// basis is a set of tables whose rows lie in one basis, and the layers that read them.
type basis struct {
	group  nn.Group
	tables []string
	reads  []columns
}

// factor merges all tables by factors, and the columns of the layers that read them.
func (f *fitting) factor(ctx context.Context) error {
	all, err := f.bases()
	if err != nil {
		return err
	}
	folded := map[string][]affine{} // by weight, the parents' maps
	merged := map[string]affine{}
	for _, b := range all {
		for _, c := range b.reads {
			if w := c.layer.Weight; folded[w] == nil {
				for _, p := range f.params {
					folded[w] = append(folded[w], fold(p, c.layer))
				}
				merged[w] = f.mean(c.layer)
			}
		}
	}
	for _, b := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := f.pair(b, folded)
		fields := p.fields()
		switch {
		case b.group.Linear:
			err = p.contributions(f.single(b))
		case fields == nil:
			err = p.project()
		default:
			err = f.balance(ctx, p, fields)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", bound.Names(b.tables), err)
		}
		p.write(merged)
		f.stats.Tables = append(f.stats.Tables, FactorStats{Tables: b.tables, Rank: p.rank, Energy: p.energy, Products: p.products})
		f.in.Log.Info("least_squares", "tables", bound.Names(b.tables), "rank", p.rank, "energy kept", p.energy, "products kept", p.products)
	}
	for _, l := range f.sym.Layers {
		if a, ok := merged[l.Weight]; ok && !f.written[l.Weight] {
			f.written[l.Weight] = true
			if err := f.write(ctx, l, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// bases returns the tables by their bases, without those of rows of one value, which are averaged. All tables that cannot be factored are an error.
func (f *fitting) bases() ([]basis, error) {
	layers := map[string]nn.Layer{}
	for _, l := range f.sym.Layers {
		layers[l.Weight] = l
	}
	var out []basis
	var errs []error
	left := false // tables that are the base's
	for _, g := range slices.Concat(f.sym.Groups, f.sym.Fixed) {
		b := basis{group: g}
		var others []string
		for _, u := range g.Uses {
			p := f.result.Get(u.Param)
			l, mapped := layers[u.Param]
			switch {
			case p.Embedding && u.Axis == 1 && u.Offset == 0 && g.Size == p.Dim():
				b.tables = append(b.tables, u.Param)
			case mapped && u.Axis == 1 && u.Block == 1:
				b.reads = append(b.reads, columns{l, u.Offset})
			default:
				others = append(others, u.Param)
			}
		}
		if len(b.tables) == 0 || g.Size == 1 {
			continue
		}
		slices.Sort(b.tables)
		b.tables = slices.Compact(b.tables)
		if f.in.Select != nil && !slices.ContainsFunc(b.tables, f.in.Select) {
			left = true
			continue
		}
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s: "+format, append([]any{bound.Names(b.tables)}, args...)...))
		}
		switch {
		case len(others) > 0:
			slices.Sort(others)
			bad("their rows are not read by linear layers alone, but by %s too: use tables: average or counts", bound.Names(slices.Compact(others)))
		case !g.Orthogonal:
			bad("their columns have a meaning each, and no basis can be chosen, since an operation reads them entry by entry: use tables: average or counts")
		case len(b.reads) == 0 && g.Linear:
			bad("no linear layer reads their rows: use tables: average or counts")
		case f.unselected(b) != "":
			bad("merge.select leaves %s out, which a merge by factors changes: select it, or use tables: average or counts", f.unselected(b))
		default:
			out = append(out, b)
		}
	}
	if len(errs) > 0 {
		return nil, bound.Join(errs...)
	}
	if len(out) == 0 && !left {
		return nil, errors.New("the model has no tables of embeddings: use tables: average")
	}
	return out, nil
}

// unselected returns a tensor that a merge by factors changes and that is not merged.
func (f *fitting) unselected(b basis) string {
	if f.in.Select == nil {
		return ""
	}
	for _, t := range b.tables {
		if !f.in.Select(t) {
			return t
		}
	}
	for _, c := range b.reads {
		if !f.selects(c.layer) {
			return c.layer.Weight
		}
	}
	return ""
}

// single reports whether each row of the data has one id of the basis's table, whose row the layers read as it is: then the mean of what
// the table contributes is a bias.
func (f *fitting) single(b basis) bool {
	if len(b.tables) != 1 {
		return false
	}
	for _, c := range b.reads {
		if c.layer.In.Op() != nil || c.layer.Bias == "" && c.layer.Norm == nil { // what a lookup fills is a leaf
			return false
		}
	}
	found := false
	for _, ft := range f.in.Lab.Data.Schema.Features {
		name := ft.Table
		if name == "" {
			name = ft.Name
		}
		if strings.HasSuffix(b.tables[0], "."+name+".weight") {
			if found = ft.Kind == data.Categorical; !found {
				return false
			}
		}
	}
	return found
}

// pair is a basis on its way to factors: z is a row of the parents' tables side by side, [K·d], weighted by the parents' shares of the row.
type pair struct {
	basis
	f       *fitting
	dim     int           // d
	width   int           // K·d
	moments *mat.SymDense // Σ z·zᵀ, rows weighted to a sum of 1 for each table
	mean    []float64     // Σ z, that goes into the bias; nil without
	reading *mat.Dense    // the parents' columns side by side, those of all layers below each other: [units, K·d]
	rooted  bool          // shares are their square roots: for inner products, which have them twice

	to       *mat.Dense            // the result's rows are (z − mean)·to, [K·d, d]
	own      map[string]*mat.Dense // by table, in the place of to; may be nil
	columns  *mat.Dense            // the result's columns of the layers, [units, d]
	rank     int
	energy   float64 // see FactorStats
	products float64
}

// pair returns a basis with the layers' columns.
func (f *fitting) pair(b basis, folded map[string][]affine) *pair {
	k, d := len(f.params), b.group.Size
	p := &pair{basis: b, f: f, dim: d, width: k * d, rooted: !b.group.Linear, rank: d, energy: 1}
	units := 0
	for _, c := range b.reads {
		out, _ := folded[c.layer.Weight][0].Dims()
		units += out
	}
	if units == 0 {
		return p
	}
	p.reading = mat.NewDense(units, p.width, nil)
	at := 0
	for _, c := range b.reads {
		out := 0
		for i, a := range folded[c.layer.Weight] {
			out, _ = a.Dims()
			p.reading.Slice(at, at+out, i*d, (i+1)*d).(*mat.Dense).Copy(a.Slice(0, out, c.offset, c.offset+d))
		}
		at += out
	}
	return p
}

// contributions sets the factors to the best of the contributions z·readingᵀ. The rows are the contributions' coordinates along their d
// largest right singular vectors, and the columns are those vectors. Each factor takes the root of a singular value, and the tables get the
// size that the parents' have.
func (p *pair) contributions(center bool) error {
	p.sum(center)
	var e mat.EigenSym
	if !e.Factorize(p.moments, true) {
		return errors.New("the tables' moments have no eigenvalues: look for extreme values")
	}
	var n, vectors mat.Dense
	e.VectorsTo(&vectors)
	n.Mul(vectors.T(), p.reading.T()) // [K·d, units], then rows times the roots of the eigenvalues
	for i, v := range e.Values(nil) {
		r := n.RawRowView(i)
		for c := range r {
			r[c] *= math.Sqrt(max(0, v))
		}
	}
	var svd mat.SVD
	if !svd.Factorize(&n, mat.SVDThin) {
		return errors.New("the contributions have no singular values: look for extreme values")
	}
	values := svd.Values(nil)
	var v mat.Dense
	svd.VTo(&v)
	p.rank, p.energy = kept(values, p.dim)
	units, _ := p.reading.Dims()
	p.columns, p.to = mat.NewDense(units, p.dim, nil), mat.NewDense(p.width, p.dim, nil)
	size, have := 0.0, 0.0
	for i := range p.width {
		m := 0.0
		if p.mean != nil {
			m = p.mean[i]
		}
		size += p.moments.At(i, i) + m*m
	}
	for _, s := range values[:p.rank] {
		have += s
	}
	// the parents' rows have the mean square Σ_k |e_k|²/K, and a row of z has their halves, thirds and so on
	scale := math.Sqrt(size * float64(len(p.f.params)) / have)
	for j := range p.rank {
		column := vector(&v, j)
		to := mat.NewVecDense(p.width, nil)
		to.MulVec(p.reading.T(), column)
		root := math.Sqrt(values[j])
		for i := range p.width {
			p.to.Set(i, j, to.AtVec(i)*scale/root)
		}
		for i := range units {
			p.columns.Set(i, j, column.AtVec(i)*root/scale)
		}
	}
	return nil
}

// kept returns how many of the first d singular values are not 0, and the share of their squares.
func kept(values []float64, d int) (rank int, energy float64) {
	var sum, all float64
	for i, s := range values {
		all += s * s
		if i < d && s > 1e-7*values[0] {
			rank++
			sum += s * s
		}
	}
	if all == 0 {
		return 0, 1
	}
	return rank, sum / all
}

// vector returns column j, with the sign that makes its largest entry positive; of equal ones the first counts.
func vector(m *mat.Dense, j int) *mat.VecDense {
	v := mat.VecDenseCopyOf(m.ColView(j))
	at := 0
	for i := range v.Len() {
		if math.Abs(v.AtVec(i)) > math.Abs(v.AtVec(at)) {
			at = i
		}
	}
	if v.AtVec(at) < 0 {
		v.ScaleVec(-1, v)
	}
	return v
}

// project sets the rows to the coordinates of z along the d largest principal directions of all tables, so that inner products change least,
// and the columns to those of the parents in them.
func (p *pair) project() error {
	p.sum(false)
	var e mat.EigenSym
	if !e.Factorize(p.moments, true) {
		return errors.New("the tables' moments have no eigenvalues: look for extreme values")
	}
	var vectors mat.Dense
	e.VectorsTo(&vectors)
	values := e.Values(nil)
	p.to = mat.NewDense(p.width, p.dim, nil)
	var sum, all float64
	for i, v := range values {
		all += max(0, v)
		if j := p.width - 1 - i; j < p.dim { // they ascend
			sum += max(0, v)
			p.to.SetCol(j, vector(&vectors, i).RawVector().Data)
		}
	}
	if all > 0 {
		p.energy = sum / all
	}
	if p.reading != nil {
		var c mat.Dense
		c.Mul(p.reading, p.to)
		c.Scale(1/math.Sqrt(float64(len(p.f.params))), &c)
		p.columns = &c
	}
	return nil
}

// sum adds up the moments of the rows, and their mean if that goes into the bias.
func (p *pair) sum(center bool) {
	p.moments = mat.NewSymDense(p.width, nil)
	mean := mat.NewVecDense(p.width, nil)
	for _, t := range p.tables {
		m := p.of(t, mean)
		p.moments.AddSym(p.moments, m)
	}
	if center {
		p.moments.SymRankOne(p.moments, -1, mean)
		p.mean = mean.RawVector().Data
	}
}

// of returns the moments of the rows of one table, and adds their mean to mean.
func (p *pair) of(table string, mean *mat.VecDense) *mat.SymDense {
	moments, z := mat.NewSymDense(p.width, nil), mat.NewVecDense(p.width, nil)
	counts, rows, total := p.f.counts(table), p.f.result.Get(table).Shape[0], 0.0
	for r := range rows {
		total += p.weight(table, counts, r)
	}
	for r := range rows {
		if w := p.weight(table, counts, r); w > 0 {
			p.row(table, counts, r, z.RawVector().Data)
			moments.SymRankOne(moments, w/total, z)
			mean.AddScaledVec(mean, w/total, z)
		}
	}
	return moments
}

// counts returns the parents' counts of a table's rows, or nil if one of them has none.
func (f *fitting) counts(table string) [][]int64 {
	var all [][]int64
	for _, p := range f.in.Parents {
		c := p.Counts[table]
		if len(c) != f.result.Get(table).Shape[0] {
			return nil
		}
		all = append(all, c)
	}
	return all
}

// weight returns how much a row counts: one more than how often it was trained. Padding does not count, nor do rows alike without counts.
func (p *pair) weight(table string, counts [][]int64, r int) float64 {
	if r == data.PadID && p.f.result.Get(table).Kind == nn.Table {
		return 0
	}
	w := 1.0
	for _, c := range counts {
		w += float64(c[r])
	}
	return w
}

// row sets z to a row of the parents' tables side by side.
func (p *pair) row(table string, counts [][]int64, r int, z []float64) {
	var sum float64
	for _, c := range counts {
		sum += float64(c[r])
	}
	for k, q := range p.f.params {
		share := 1 / float64(len(p.f.params))
		if sum > 0 {
			share = float64(counts[k][r]) / sum
		}
		if p.rooted {
			share = math.Sqrt(share)
		}
		for i, v := range q.Get(table).Data[r*p.dim : (r+1)*p.dim] {
			z[k*p.dim+i] = share * float64(v)
		}
	}
}

// write sets the tables of the result, and the columns and biases of the merged maps.
func (p *pair) write(merged map[string]affine) {
	z, y := make([]float64, p.width), mat.NewVecDense(p.dim, nil)
	for _, t := range p.tables {
		q, counts, to := p.f.result.Get(t), p.f.counts(t), p.to
		if p.own != nil {
			to = p.own[t]
		}
		for r := range q.Shape[0] {
			p.row(t, counts, r, z)
			for i, m := range p.mean {
				z[i] -= m
			}
			y.MulVec(to.T(), mat.NewVecDense(p.width, z))
			for i := range p.dim {
				q.Data[r*p.dim+i] = float32(y.AtVec(i))
			}
		}
		if q.Kind == nn.Table {
			clear(q.Data[data.PadID*p.dim : (data.PadID+1)*p.dim])
		}
	}
	at := 0
	for _, c := range p.reads {
		a := merged[c.layer.Weight]
		out, width := a.Dims()
		for r := range out {
			row := a.RawRowView(r)
			for i := range p.rank { // columns beyond meet zeros
				row[c.offset+i] = p.columns.At(at+r, i)
			}
			for i, m := range p.mean {
				row[width-1] += p.reading.At(at+r, i) * m
			}
		}
		at += out
	}
}
