package align

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// ActivationsOptions says how activations are matched.
type ActivationsOptions struct {
	Rows    int64          // rows of the source that are looked at, or 0 for all of an epoch
	Batch   int            // rows of a batch, or 0 for 1024
	Weights WeightsOptions // Free and Rotate, and how groups that no node shows are matched by their weights
}

// Activations returns how the units of each group of b are moved to correspond to those of a, as Weights does. It takes the
// permutation with the largest sum of correlations between the units' values over rows of src (Li et al. 2016, "Convergent
// learning"; Ainsworth, Hayase and Srinivasa 2023, section 3.1), or the rotation with the largest sum of covariances. Weights decide
// where values do not: between units that are constant on these rows, and for groups whose values no node shows, such as the rank
// of a low-rank weight.
func Activations(ctx context.Context, m models.Model, a, b *nn.Params, src data.Source, o ActivationsOptions) ([]Map, error) {
	if o.Batch == 0 {
		o.Batch = 1024
	}
	compile := models.CompileOptions{Batch: o.Batch, Length: models.Longest(src.Schema())} // one graph, whose nodes are looked at
	pa, err := models.Compile(m, a, src.Schema(), compile)
	if err != nil {
		return nil, err
	}
	defer pa.Close()
	pb, err := models.Compile(m, b, src.Schema(), compile)
	if err != nil {
		return nil, err
	}
	defer pb.Close()
	ga, gb := pa.Symmetry().Groups, pb.Symmetry().Groups
	mt, err := newMatcher(a, b, ga, o.Weights)
	if err != nil {
		return nil, err
	}
	var looks []*look
	for _, c := range mt.coords {
		if l := newLook(c, ga, gb); l != nil {
			looks = append(looks, l)
		}
	}
	if err := watch(ctx, pa, pb, src, o.Rows, looks); err != nil {
		return nil, err
	}
	for _, l := range looks {
		mt.seen[l.group] = l.evidence(mt.turn[l.group])
	}
	if err := mt.sweep(ctx); err != nil {
		return nil, err
	}
	if err := mt.descend(ctx, o.Weights.Iterations, o.Weights.Seed); err != nil {
		return nil, err
	}
	return mt.maps, nil
}

// watch runs both programs over rows of src and shows each look the values.
func watch(ctx context.Context, pa, pb *models.Program, src data.Source, rows int64, looks []*look) error {
	if len(looks) == 0 {
		return nil
	}
	n := int64(0)
	for batch, err := range src.Batches(0, pa.Batch()) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if rows > 0 && n >= rows {
			break
		}
		for _, p := range []*models.Program{pa, pb} {
			if _, err := p.Run(batch, 0); err != nil {
				return err
			}
		}
		live := batch.N
		if rows > 0 {
			live = int(min(int64(live), rows-n))
		}
		n += int64(live)
		for _, l := range looks {
			for _, s := range l.seen {
				if err := s.add(pa, live); err != nil {
					return err
				}
			}
		}
	}
	if n < 2 {
		return errors.New("align: activations: the data has fewer than 2 rows")
	}
	return nil
}

// look is a coordinate whose values some nodes show: those of the group, or of each class of heads' units.
type look struct {
	group int
	seen  []*moments
}

// newLook returns nil if no node shows the values.
func newLook(c coord, ga, gb []nn.Group) *look {
	l := &look{group: c.group}
	if c.inner == nil {
		if len(ga[c.group].Views) == 0 {
			return nil
		}
		m := newMoments(ga[c.group].Size, ga[c.group].Size*ga[c.group].Views[0].Block)
		for i := range ga[c.group].Views {
			m.places = append(m.places, [2][]nn.View{{ga[c.group].Views[i]}, {gb[c.group].Views[i]}})
		}
		l.seen = []*moments{m}
		return l
	}
	for k, first := range c.inner[0] {
		m := newMoments(len(c.inner)*ga[first].Size, ga[first].Size)
		var place [2][]nn.View
		for u := range c.inner {
			va, vb := ga[c.inner[u][k]].Views, gb[c.inner[u][k]].Views
			if len(va) == 0 {
				return nil
			}
			place[0], place[1] = append(place[0], va[0]), append(place[1], vb[0])
		}
		m.places = append(m.places, place)
		l.seen = append(l.seen, m)
	}
	return l
}

// evidence returns what the values say of each pair of units, by class: their correlations or, for a rotation, their
// covariances as shares of the whole.
func (l *look) evidence(turn bool) []*mat.Dense {
	var out []*mat.Dense
	for _, m := range l.seen {
		if turn {
			out = append(out, m.shares())
		} else {
			out = append(out, m.correlations())
		}
	}
	return out
}

// moments are the sums over rows of the values x of n units of a, y of n units of b, and of their products.
type moments struct {
	n      int            // units
	width  int            // units of a view
	places [][2][]nn.View // each: views side by side that make up the units, in a and in b
	at     []int          // rows of a view that count
	rows   float64
	sum    [2][]float64
	square [2][]float64
	cross  *mat.Dense
}

func newMoments(n, width int) *moments {
	m := &moments{n: n, width: width, cross: mat.NewDense(n, n, nil)}
	for i := range m.sum {
		m.sum[i], m.square[i] = make([]float64, n), make([]float64, n)
	}
	return m
}

// add adds what belongs to the first n of the batch's rows that prog ran last, and another program beside it.
func (m *moments) add(prog *models.Program, n int) error {
	for _, place := range m.places {
		var x [2]*mat.Dense
		for side, views := range place {
			for at, v := range views {
				if v.Node.Value() == nil {
					return fmt.Errorf("align: activations: %s was not computed", v.Node.Name())
				}
				vals, ok := v.Node.Value().Data().([]float32)
				shape := v.Node.Shape()
				cols := shape[len(shape)-1]
				live, whole := prog.Rows(m.at[:0], v.Node, n)
				m.at = live
				if !ok || !whole {
					return fmt.Errorf("align: activations: %s holds %T of shape %v, want float32 rows of a batch of %d",
						v.Node.Name(), v.Node.Value().Data(), shape, prog.Batch())
				}
				if len(live) == 0 {
					continue
				}
				if x[side] == nil {
					x[side] = mat.NewDense(len(live), m.n, nil)
				}
				for i, r := range live {
					widen(x[side].RawRowView(i)[at*m.width:(at+1)*m.width], vals[r*cols+v.Offset:])
				}
			}
			if x[side] == nil {
				continue
			}
			r, _ := x[side].Dims()
			for i := range r {
				for j, v := range x[side].RawRowView(i) {
					m.sum[side][j] += v
					m.square[side][j] += v * v
				}
			}
			if side == 0 {
				m.rows += float64(r)
			}
		}
		if x[0] == nil || x[1] == nil {
			continue
		}
		var c mat.Dense
		c.Mul(x[0].T(), x[1])
		m.cross.Add(m.cross, &c)
	}
	return nil
}

// covariances returns the covariance of each pair of units of a and b, and the deviations of all units: 0 for constant ones.
func (m *moments) covariances() (*mat.Dense, [2][]float64) {
	c := mat.NewDense(m.n, m.n, nil)
	c.Apply(func(i, j int, v float64) float64 { return v/m.rows - m.sum[0][i]/m.rows*m.sum[1][j]/m.rows }, m.cross)
	var dev [2][]float64
	for s := range dev {
		dev[s] = make([]float64, m.n)
		for i := range dev[s] {
			mean, square := m.sum[s][i]/m.rows, m.square[s][i]/m.rows
			if v := square - mean*mean; v > 1e-12*square {
				dev[s][i] = math.Sqrt(v)
			}
		}
	}
	return c, dev
}

// correlations returns the correlation of each pair of units of a and b, 0 where one of them is constant.
func (m *moments) correlations() *mat.Dense {
	c, dev := m.covariances()
	c.Apply(func(i, j int, v float64) float64 {
		if dev[0][i] == 0 || dev[1][j] == 0 {
			return 0
		}
		return v / (dev[0][i] * dev[1][j])
	}, c)
	return c
}

// shares returns the covariance of each pair of units over the whole deviation of both models' units.
func (m *moments) shares() *mat.Dense {
	c, dev := m.covariances()
	if whole := mat.Norm(mat.NewVecDense(m.n, dev[0]), 2) * mat.Norm(mat.NewVecDense(m.n, dev[1]), 2); whole > 0 {
		c.Scale(1/whole, c)
	}
	return c
}
