package compare

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/models/nn"
)

// Barrier evaluates models along the straight line between two, with batch norm's statistics recomputed at each (Frankle et
// al. 2020: linear mode connectivity). points is the number of models, both ends included.
func Barrier(ctx context.Context, l *cki.Lab, a, b *nn.Params, points int) ([]report.Point, error) {
	if points < 2 {
		return nil, fmt.Errorf("compare: a line needs at least 2 points, have %d", points)
	}
	p, err := l.BlankParams()
	if err != nil {
		return nil, err
	}
	var out []report.Point
	for i := range points {
		alpha := float64(i) / float64(points-1)
		for _, q := range p.All() {
			x, y := a.Get(q.Name), b.Get(q.Name)
			if x == nil || y == nil || len(x.Data) != len(q.Data) || len(y.Data) != len(q.Data) {
				return nil, fmt.Errorf("compare: tensor %s is not in both models", q.Name)
			}
			for j := range q.Data {
				q.Data[j] = float32((1-alpha)*float64(x.Data[j]) + alpha*float64(y.Data[j]))
			}
		}
		if i > 0 && i < points-1 {
			if err := l.RecomputeBatchNorm(ctx, p); err != nil {
				return nil, err
			}
		}
		m, err := l.Evaluate(ctx, p, l.Data.Valid)
		if err != nil {
			return nil, err
		}
		out = append(out, report.Point{Alpha: alpha, Valid: m})
	}
	return out, nil
}
