package job

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

// Prepare fits and caches the data of the experiment, as a training begins, and checks that its metrics are defined. Nothing is trained, and no
// run's directory is made.
func (j *Job) Prepare(ctx context.Context) (*data.Splits, error) {
	if err := j.setup(); err != nil {
		return nil, err
	}
	if from := j.Init.From; from != "" {
		return nil, run.BadInput(fmt.Errorf("init.from: the data would be read with the feature map of %s, which is made already: leave it out to make another one", from))
	}
	d, err := j.Data.Open(ctx, data.OpenOptions{Seed: j.Seed, Threads: j.Threads, Log: j.Log})
	if err == nil {
		err = train.CheckMetrics(ctx, d, j.Task, j.Experiment.Train)
	}
	if err != nil {
		return nil, run.BadInput(err)
	}
	return d, nil
}
