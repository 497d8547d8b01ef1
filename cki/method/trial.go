package method

import (
	"context"
	"fmt"
	"math"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/models/nn"
)

// trial evaluates merges on the validation rows.
type trial struct {
	ctx    context.Context
	in     *cki.Input
	name   string     // of the method
	params *nn.Params // of the model under trial; made by the first one
}

// score returns the monitored metric of the model that a tensor function makes. Batch-norm statistics are recomputed, as they are
// after the merge.
func (r *trial) score(tensor func(*cki.Tensor) error) (float64, error) {
	lab := r.in.Lab
	if lab.Data == nil || lab.Data.Valid == nil || lab.Data.Train == nil {
		return 0, fmt.Errorf("method: %s: the data has no training rows or no validation rows, which selection goes by", r.name)
	}
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	m, err := r.metrics(tensor)
	if err != nil {
		return 0, fmt.Errorf("method: %s: %w", r.name, err)
	}
	v, ok := m[lab.Monitor()]
	if !ok {
		return 0, fmt.Errorf("method: %s: the task does not measure %q, which selection goes by", r.name, lab.Monitor())
	}
	return v, nil
}

func (r *trial) metrics(tensor func(*cki.Tensor) error) (map[string]float64, error) {
	lab := r.in.Lab
	if r.params == nil {
		p, err := lab.NewParams(r.in.Seed)
		if err != nil {
			return nil, err
		}
		r.params = p
	}
	if err := r.in.Fill(cki.Merged{Tensor: tensor}, r.params); err != nil {
		return nil, err
	}
	if err := lab.RecomputeBatchNorm(r.ctx, r.params); err != nil {
		return nil, err
	}
	return lab.Evaluate(r.ctx, r.params, lab.Data.Valid)
}

// better reports whether score a is better than b; a number is better than none.
func (r *trial) better(a, b float64) bool { return r.in.Lab.Better(a, b) }

// parents returns the score of each parent: its selected tensors within the base.
func (r *trial) parents() ([]float64, error) {
	var out []float64
	for k, p := range r.in.Parents {
		v, err := r.score(pass(k))
		if err != nil {
			return nil, err
		}
		if math.IsNaN(v) {
			return nil, fmt.Errorf("method: %s: parent %s: %s is no number on the validation rows", r.name, p.Name, r.in.Lab.Monitor())
		}
		r.in.Log.Info(r.name, "parent", p.Name, r.in.Lab.Monitor(), v)
		out = append(out, v)
	}
	return out, nil
}
