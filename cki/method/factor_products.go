package method

import (
	"context"
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/splice-ml/splice/models"
)

// field is one of the fields that a lookup has side by side, and the layers' columns that read it.
type field struct {
	table   string
	reads   []int      // places among the basis's columns
	reading *mat.Dense // the parents' columns side by side, [units, K·d], for rows z
	columns *mat.Dense // the result's, [units, d]
}

// sweeps is how often the least squares of products and contributions go over all fields. What they leave hardly changes after a few.
const sweeps = 60

// fields returns the fields of the lookup whose inner products are taken, or nil if the tables are not those of one lookup, or if no linear layer
// reads it as it is.
func (p *pair) fields() []field {
	if p.group.Linear || p.reading == nil {
		return nil
	}
	in, d := p.reads[0].layer.In, p.dim
	for _, l := range p.f.sym.Lookups {
		if l.Node != in {
			continue
		}
		var out []field
		seen := map[string]bool{}
		for _, t := range l.Tables {
			out = append(out, field{table: t})
			seen[t] = true
		}
		for i, c := range p.reads {
			if at := c.offset / d; c.layer.In == in && c.offset%d == 0 && at < len(out) {
				out[at].reads = append(out[at].reads, i)
			} else {
				return nil
			}
		}
		for _, t := range p.tables {
			if !seen[t] {
				return nil
			}
		}
		return out
	}
	return nil
}

// balance finds a map P_f of each table and columns W_f of each field f, so that z·P_f are the rows. It lowers, by turns in P and in W, with the
// moments A_f of the rows,
//
//	Σ_f |A_f^½·(C_f − P_f·W_fᵀ)|² + γ·Σ_{f<g} |A_f^½·(P_f·P_gᵀ − I)·A_g^½|²
//
// from the projection on common directions on. C_f are the parents' columns: the first term is what the contributions lose, and the second what
// the inner products between fields do. γ makes a share of the contributions' squares count as much as that share of the logits' variance.
func (f *fitting) balance(ctx context.Context, p *pair, fields []field) error {
	if err := p.project(); err != nil {
		return err
	}
	logits, err := f.variance(ctx)
	if err != nil {
		return err
	}
	moments, nothing := map[string]*mat.SymDense{}, mat.NewVecDense(p.width, nil)
	p.own = map[string]*mat.Dense{}
	for _, t := range p.tables {
		moments[t], p.own[t] = p.of(t, nothing), mat.DenseCopyOf(p.to)
	}
	all := 0.0
	for i := range fields {
		p.split(&fields[i])
		all += energy(fields[i].reading, moments[fields[i].table])
	}
	gamma := 0.0
	if logits > 0 {
		gamma = all / logits
	}
	for range sweeps {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range fields {
			if err := fields[i].fit(moments[fields[i].table], p.own[fields[i].table]); err != nil {
				return err
			}
		}
		for _, t := range p.tables {
			if err := p.turn(t, fields, moments, gamma); err != nil {
				return err
			}
		}
	}
	p.measure(fields, moments, all)
	return nil
}

// variance returns that of the mean of the parents' logits over training rows.
func (f *fitting) variance(ctx context.Context) (float64, error) {
	var n, sum, square float64
	err := f.run.rows(ctx, max(f.Rows, 8192), func(progs []*models.Program, rows int) error {
		for r := range rows {
			z := 0.0
			for k := range f.params {
				z += float64(progs[k].Logits()[r]) / float64(len(f.params))
			}
			n, sum, square = n+1, sum+z, square+z*z
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return square/n - sum/n*sum/n, nil
}

// split takes the field's part of the layers' columns.
func (p *pair) split(f *field) {
	if len(f.reads) == 0 {
		return
	}
	starts, units, at := make([][2]int, len(p.reads)), 0, 0
	for i, c := range p.reads {
		out := p.f.result.Get(c.layer.Weight).Shape[0]
		starts[i] = [2]int{at, at + out}
		at += out
	}
	for _, i := range f.reads {
		units += starts[i][1] - starts[i][0]
	}
	f.reading, f.columns = mat.NewDense(units, p.width, nil), mat.NewDense(units, p.dim, nil)
	to := 0
	for _, i := range f.reads {
		n := starts[i][1] - starts[i][0]
		f.reading.Slice(to, to+n, 0, p.width).(*mat.Dense).Scale(1/math.Sqrt(float64(len(p.f.params))), p.reading.Slice(starts[i][0], starts[i][1], 0, p.width))
		f.columns.Slice(to, to+n, 0, p.dim).(*mat.Dense).Copy(p.columns.Slice(starts[i][0], starts[i][1], 0, p.dim))
		to += n
	}
}

// unsplit is the way back of the result's columns.
func (p *pair) unsplit(f *field) {
	to := 0
	at := 0
	for i, c := range p.reads {
		out := p.f.result.Get(c.layer.Weight).Shape[0]
		for _, j := range f.reads {
			if i == j {
				p.columns.Slice(at, at+out, 0, p.dim).(*mat.Dense).Copy(f.columns.Slice(to, to+out, 0, p.dim))
				to += out
			}
		}
		at += out
	}
}

// fit sets the field's columns to the least squares of the contributions for rows z·by.
func (f *field) fit(moments *mat.SymDense, by *mat.Dense) error {
	if f.columns == nil {
		return nil
	}
	var half, gram, rhs mat.Dense
	half.Mul(by.T(), moments) // [d, K·d]
	gram.Mul(&half, by)
	rhs.Mul(&half, f.reading.T()) // [d, units]
	x, err := nearSolve(&gram, &rhs, f.columns.T())
	if err != nil {
		return err
	}
	f.columns.Copy(x.T())
	return nil
}

// turn sets the map of a table to the least squares of contributions and products, with the columns and the maps of the other tables as they are.
func (p *pair) turn(table string, fields []field, moments map[string]*mat.SymDense, gamma float64) error {
	gram, rhs := mat.NewDense(p.dim, p.dim, nil), mat.NewDense(p.dim, p.width, nil)
	for i, f := range fields {
		if f.table != table {
			continue
		}
		if f.columns != nil {
			var g, r mat.Dense
			g.Mul(f.columns.T(), f.columns)
			r.Mul(f.columns.T(), f.reading)
			gram.Add(gram, &g)
			rhs.Add(rhs, &r)
		}
		for j, other := range fields {
			if i == j {
				continue
			}
			var half, g mat.Dense
			half.Mul(p.own[other.table].T(), moments[other.table]) // P_gᵀ·A_g
			g.Mul(&half, p.own[other.table])
			g.Scale(gamma, &g)
			half.Scale(gamma, &half)
			gram.Add(gram, &g)
			rhs.Add(rhs, &half)
		}
	}
	x, err := nearSolve(gram, rhs, p.own[table].T())
	if err != nil {
		return err
	}
	p.own[table].Copy(x.T())
	return nil
}

// nearSolve returns the x of gram·x = rhs that lies near to another where gram says nothing.
func nearSolve(gram, rhs *mat.Dense, near mat.Matrix) (*mat.Dense, error) {
	n, _ := gram.Dims()
	floor := 1e-9 * mat.Trace(gram) / float64(n)
	if floor <= 0 {
		return mat.DenseCopyOf(near), nil
	}
	sym := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			sym.SetSym(i, j, (gram.At(i, j)+gram.At(j, i))/2)
		}
		sym.SetSym(i, i, sym.At(i, i)+floor)
	}
	var chol mat.Cholesky
	if !chol.Factorize(sym) {
		return nil, errors.New("the tables do not determine their factors: look for extreme values")
	}
	var r, x mat.Dense
	r.Scale(floor, near)
	r.Add(&r, rhs)
	var bad mat.Condition // the solution is there, with fewer digits
	if err := chol.SolveTo(&x, &r); err != nil && !errors.As(err, &bad) {
		return nil, err
	}
	return &x, nil
}

// energy returns the sum of squares of z·cᵀ over rows z with those moments.
func energy(c *mat.Dense, moments *mat.SymDense) float64 {
	if c == nil {
		return 0
	}
	var half, square mat.Dense
	half.Mul(c, moments)
	square.MulElem(&half, c)
	return mat.Sum(&square)
}

// measure sets what is kept, and the columns.
func (p *pair) measure(fields []field, moments map[string]*mat.SymDense, all float64) {
	var lost, products, missing float64
	for i := range fields {
		f := &fields[i]
		a, to := moments[f.table], p.own[f.table]
		if f.columns != nil {
			var d mat.Dense
			d.Mul(f.columns, to.T())
			d.Sub(f.reading, &d)
			lost += energy(&d, a)
			p.unsplit(f)
		}
		for _, g := range fields[:i] {
			b := moments[g.table]
			var d, left mat.Dense
			d.Mul(to, p.own[g.table].T())
			for k := range p.width {
				d.Set(k, k, d.At(k, k)-1)
			}
			left.Product(a, &d, b)
			left.MulElem(&left, &d)
			missing += mat.Sum(&left)
			left.Reset()
			left.MulElem(a, b)
			products += mat.Sum(&left)
		}
	}
	if all > 0 {
		p.energy = 1 - lost/all
	}
	if products > 0 {
		p.products = 1 - missing/products
	}
}
