package method

import (
	"context"
	"errors"
	"fmt"

	"gonum.org/v1/gonum/mat"
	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// RegMean merges weights of linear maps so that the result's outputs are closest, in least squares, to those of every parent on
// the parent's own inputs X_k, [rows, in] (Jin et al. 2023, eq. 2; W is [out, in] here):
//
//	W = (sum_k v_k W_k G_k) (sum_k v_k G_k)⁻¹,  G_k = X_kᵀX_k with values off the diagonal times alpha
//
// X_k is what parent k's model feeds the layer on the Lab's training rows, in evaluation mode. A small ridge, 1e-6 of the parents'
// mean diagonal, is added to each G_k, so that weights of inputs that are always 0 are averaged. The formula is for the weights of
// linear layers and of DCN-V2's cross layers, of which those of low rank have v. All other tensors are averaged. Merging a model with
// itself returns it up to rounding.
type RegMean struct {
	Weights   []float64 `yaml:"weights"`    // v_k of each parent; empty: equal
	Alpha     float64   `yaml:"alpha"`      // how much of the inputs' correlations counts; 0: of the inputs' sizes alone
	Rows      int64     `yaml:"rows"`       // training rows that inputs are taken from, at most
	BatchSize int       `yaml:"batch_size"` // rows of a batch
}

func init() { cki.Register("regmean", RegMean{Alpha: 0.9, Rows: 8192, BatchSize: 1024}) }

// ridge is the share of the mean diagonal that is added to it: enough for a factorisation in float64, far below what data says.
const ridge = 1e-6

// Validate reports every option out of range.
func (m RegMean) Validate() error {
	errs := []error{validWeights(m.Weights), registry.In("alpha", m.Alpha, 0, 1)}
	if m.Rows < 1 {
		errs = append(errs, registry.Field("rows", "must be at least 1"))
	}
	if m.BatchSize < 1 {
		errs = append(errs, registry.Field("batch_size", "must be at least 1"))
	}
	return errors.Join(errs...)
}

// Merge runs the parents' models for the Gram matrices of their layers' inputs.
func (m RegMean) Merge(ctx context.Context, in *cki.Input) (cki.Merged, error) {
	err := errors.Join(checkParents(in, "regmean", 1, 0), valid("regmean", m), needsLab(in, "regmean", "measuring layers' inputs"))
	if err != nil {
		return cki.Merged{}, err
	}
	v, err := weightsOf("regmean", m.Weights, len(in.Parents), "parents")
	if err != nil {
		return cki.Merged{}, err
	}
	even := normalised(v)
	gram := make([]map[string]*mat.SymDense, len(in.Parents))
	for k := range in.Parents {
		if gram[k], err = m.inputs(ctx, in, k); err != nil {
			return cki.Merged{}, err
		}
		in.Log.Info("regmean", "parent", in.Parents[k].Name, "layers", len(gram[k]))
	}
	factor, err := m.factors(gram, even)
	if err != nil {
		return cki.Merged{}, err
	}
	return cki.Merged{Tensor: func(t *cki.Tensor) error {
		chol := factor[t.Name]
		if chol == nil {
			return mean(even)(t)
		}
		n := dim(t.Shape)
		if chol.SymmetricDim() != n {
			return fmt.Errorf("method: regmean: the layer's inputs are %d wide, its weight is %v", chol.SymmetricDim(), t.Shape)
		}
		w, part, sum := mat.NewVecDense(n, nil), mat.NewVecDense(n, nil), mat.NewVecDense(n, nil)
		for r := range t.Hi - t.Lo { // row by row: the same bits for any blocks
			sum.Zero()
			for k, x := range t.Parents {
				for i := range n {
					w.SetVec(i, float64(x[r*n+i]))
				}
				part.MulVec(gram[k][t.Name], w)
				sum.AddScaledVec(sum, even[k], part)
			}
			if err := chol.SolveVecTo(w, sum); err != nil {
				var bad mat.Condition // the solution is there, with fewer digits
				if !errors.As(err, &bad) {
					return fmt.Errorf("method: regmean: %w", err)
				}
			}
			for i := range n {
				t.Out[r*n+i] = float32(w.AtVec(i))
			}
		}
		return nil
	}}, nil
}

// inputs returns the Gram matrices of the inputs of parent k's selected layers, divided by the number of rows, by weight.
func (m RegMean) inputs(ctx context.Context, in *cki.Input, k int) (map[string]*mat.SymDense, error) {
	type layer struct {
		name string
		x    *G.Node
	}
	var layers []layer
	var compile models.CompileOptions
	compile.Batch = m.BatchSize
	compile.Capture = nn.Capture(func(name string, x *G.Node) {
		if in.Select == nil || in.Select(name) {
			layers = append(layers, layer{name, x})
		}
	})
	out := map[string]*mat.SymDense{}
	total := map[string]int{} // rows of each layer's inputs
	var at []int
	var bad error
	p := &passes{in: in, name: "regmean", rows: m.Rows, compile: compile}
	err := p.run(ctx, k, func(prog *models.Program, rows int) {
		for _, l := range layers {
			n := l.x.Shape()[1]
			values, ok := l.x.Value().Data().([]float32)
			var whole bool
			if at, whole = prog.Rows(at[:0], l.x, rows); !ok || !whole {
				bad = fmt.Errorf("method: regmean: inputs of %s are %T of shape %v, want float32 rows of a batch",
					l.name, l.x.Value().Data(), l.x.Shape())
				return
			}
			if len(at) == 0 {
				continue
			}
			total[l.name] += len(at)
			if out[l.name] == nil {
				out[l.name] = mat.NewSymDense(n, nil)
			}
			x := mat.NewDense(len(at), n, nil)
			for i, r := range at {
				for c, v := range values[r*n : (r+1)*n] {
					x.Set(i, c, float64(v))
				}
			}
			out[l.name].SymRankK(out[l.name], 1, x.T())
		}
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, err
	}
	for name, g := range out {
		g.ScaleSym(1/float64(total[name]), g)
	}
	return out, nil
}

// factors scales the Gram matrices off their diagonals, adds the ridge, and returns the factors of their weighted sums. A layer
// whose inputs are all 0 has none.
func (m RegMean) factors(gram []map[string]*mat.SymDense, v []float64) (map[string]*mat.Cholesky, error) {
	out := map[string]*mat.Cholesky{}
	for name, first := range gram[0] {
		n := first.SymmetricDim()
		var trace float64
		for k := range gram {
			trace += mat.Trace(gram[k][name])
		}
		if trace == 0 {
			continue
		}
		floor := ridge * trace / float64(n*len(gram))
		sum := mat.NewSymDense(n, nil)
		for k := range gram {
			g := gram[k][name]
			for i := range n {
				g.SetSym(i, i, g.At(i, i)+floor)
				for j := i + 1; j < n; j++ {
					g.SetSym(i, j, m.Alpha*g.At(i, j))
				}
			}
			var part mat.SymDense
			part.ScaleSym(v[k], g)
			sum.AddSym(sum, &part)
		}
		out[name] = new(mat.Cholesky)
		if !out[name].Factorize(sum) {
			return nil, fmt.Errorf("method: regmean: the inputs of %s do not determine it: "+
				"give a smaller alpha, and look for extreme values in the data", name)
		}
	}
	return out, nil
}
