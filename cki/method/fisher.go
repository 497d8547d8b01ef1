package method

import (
	"context"
	"errors"
	"fmt"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
)

// Fisher is the mean weighted by each parent's diagonal Fisher information (Matena and Raffel 2022, eq. 4), value by value:
//
//	W = sum_k v_k (F_k + e) W_k / sum_k v_k (F_k + e),  F_k = mean over batches of (d loss / d W_k)²
//
// with the gradients of parent k's model on the Lab's training rows and their labels (the empirical Fisher). The model runs in
// training mode: batch norm uses the batch's statistics, and dropout drops. The gradient of a batch's mean loss stands for those of
// its rows. Near a minimum its square is smaller by the number of rows, which cancels. e is `epsilon` times the mean of all F of the
// tensor, so `epsilon` has no unit; the authors use an e of 1e-6 without a scale. A tensor without gradients is averaged with the
// weights v. Merging a model with itself returns it.
type Fisher struct {
	Weights   []float64 `yaml:"weights"`    // v_k of each parent; empty: equal
	Rows      int64     `yaml:"rows"`       // training rows that F is estimated from, at most
	BatchSize int       `yaml:"batch_size"` // rows whose gradients are squared as one; fewer are truer to the formula, and slower
	Epsilon   float64   `yaml:"epsilon"`    // e as a share of the tensor's mean F: values that nobody's loss depends on are averaged
}

func init() { cki.Register("fisher", Fisher{Rows: 8192, BatchSize: 32, Epsilon: 1e-3}) }

// Validate reports every option out of range.
func (m Fisher) Validate() error {
	errs := []error{validWeights(m.Weights), registry.AtLeast("epsilon", m.Epsilon, 0)}
	if m.Rows < 1 {
		errs = append(errs, registry.Field("rows", "must be at least 1"))
	}
	if m.BatchSize < 1 {
		errs = append(errs, registry.Field("batch_size", "must be at least 1"))
	}
	return errors.Join(errs...)
}

// Merge estimates the parents' Fisher information.
func (m Fisher) Merge(ctx context.Context, in *cki.Input) (cki.Merged, error) {
	err := errors.Join(checkParents(in, "fisher", 1, 0), valid("fisher", m), needsLab(in, "fisher", "estimating gradients"))
	if err != nil {
		return cki.Merged{}, err
	}
	v, err := weightsOf("fisher", m.Weights, len(in.Parents), "parents")
	if err != nil {
		return cki.Merged{}, err
	}
	info := make([]map[string][]float64, len(in.Parents))
	for k, p := range in.Parents {
		if info[k], err = m.information(ctx, in, k); err != nil {
			return cki.Merged{}, err
		}
		in.Log.Info("fisher", "parent", p.Name, "tensors", len(info[k]))
	}
	floor := map[string]float64{}
	for name := range info[0] {
		var sum float64
		n := 0
		for _, f := range info {
			for _, x := range f[name] {
				sum += x
			}
			n += len(f[name])
		}
		floor[name] = m.Epsilon * sum / float64(n)
	}
	even := normalised(v)
	return cki.Merged{Tensor: func(t *cki.Tensor) error {
		if info[0][t.Name] == nil {
			return mean(even)(t)
		}
		begin, e := t.Lo*dim(t.Shape), floor[t.Name]
		for i := range t.Out {
			var num, den, plain float64
			for k, x := range t.Parents {
				w := v[k] * (info[k][t.Name][begin+i] + e)
				num += w * float64(x[i])
				den += w
				plain += even[k] * float64(x[i])
			}
			if den > 0 {
				plain = num / den
			}
			t.Out[i] = float32(plain)
		}
		return nil
	}}, nil
}

// information returns the mean squared gradients of parent k's selected tensors.
func (m Fisher) information(ctx context.Context, in *cki.Input, k int) (map[string][]float64, error) {
	out := map[string][]float64{}
	add := func(name string, size, at int, g []float32) {
		if in.Select != nil && !in.Select(name) {
			return
		}
		if out[name] == nil {
			out[name] = make([]float64, size)
		}
		f := out[name][at : at+len(g)]
		for i, x := range g {
			f[i] += float64(x) * float64(x)
		}
	}
	batches := 0
	p := &passes{in: in, name: "fisher", rows: m.Rows, compile: models.CompileOptions{
		Batch: m.BatchSize, Train: true, Seed: rng.Key(in.Seed, "fisher"), Loss: in.Lab.Task.Loss, WholeCatalogue: in.Lab.WholeCatalogue(),
	}}
	err := p.run(ctx, k, func(prog *models.Program, _ int) {
		batches++
		for _, g := range prog.Grads() {
			add(g.Param.Name, len(g.Param.Data), 0, g.Grad)
		}
		for _, g := range prog.RowGrads() {
			d := g.Param.Dim()
			for i, id := range g.IDs {
				add(g.Param.Name, len(g.Param.Data), int(id)*d, g.Grad[i*d:(i+1)*d])
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for name, f := range out {
		for i := range f {
			f[i] /= float64(batches)
			if f[i]-f[i] != 0 {
				return nil, fmt.Errorf("method: fisher: parent %s: gradient of %s is not finite: look for extreme values in the data",
					in.Parents[k].Name, name)
			}
		}
	}
	return out, nil
}
