package job

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/run"
)

// Scored is a batch of rows of a part of a run's data, valid until the next one.
type Scored struct {
	Schema *data.Schema
	Batch  *data.Batch
	Logits []float32 // [Batch.N, outputs]
}

// ScoreRows calls each with the rows of a part of the run's own data, train, valid or test, and the logits that predict would have.
func (r *Run) ScoreRows(ctx context.Context, split string, each func(Scored) error) error {
	t := &Ensemble{Runs: []*Run{r}}
	all, err := t.splits(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.name == split {
			return t.scoreRows(ctx, p, each)
		}
	}
	return run.BadInput(fmt.Errorf("%s: the data has no %s part", r.Dir, split))
}

func (t *Ensemble) scoreRows(ctx context.Context, p part, each func(Scored) error) error {
	progs, closeAll, err := t.programs(p, false, false)
	if err != nil {
		return err
	}
	defer closeAll()
	s := progs[0]
	for b, err := range p.src[0].Batches(0, s.Batch()) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			_, err = s.Run(b, 0)
		}
		if err != nil {
			return run.BadInput(err)
		}
		z := s.Logits()
		if err := each(Scored{p.src[0].Schema(), b, z[:len(z)/s.Batch()*b.N]}); err != nil {
			return err
		}
	}
	return nil
}
