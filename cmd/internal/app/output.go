package app

import (
	"context"

	"github.com/splice-ml/splice/data/output"
	"github.com/splice-ml/splice/train/run"
)

// Output opens the file that a flag names for what the command writes, as [output.Open] does. It must not be one of the inputs, nor a
// file of a run.
func (c *Command) Output(ctx context.Context, path string, inputs ...string) (*output.Output, error) {
	out, err := output.Open(ctx, path, output.Options{Inputs: inputs, Refuse: run.CheckOutput})
	if err != nil {
		return nil, c.Prefixed(run.BadInput(err))
	}
	return out, nil
}
