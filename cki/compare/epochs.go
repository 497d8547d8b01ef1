package compare

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/method"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

// checkpoints returns the epochs whose weights the base's run has kept, the last one first, and the file of their moving average.
// The file is "" if the run has none.
func (c *comparison) checkpoints() (epochs []int, average string) {
	dir := c.base.Dir
	if dir == "" {
		return nil, ""
	}
	epochs = run.KeptEpochs(dir)
	slices.Reverse(epochs)
	average = filepath.Join(dir, run.EMAFile)
	if _, err := os.Stat(average); err != nil {
		return epochs, ""
	}
	return epochs, average
}

// epochSoup makes the row of the greedy soup of the base's epochs.
func (c *comparison) epochSoup(epochs []int) maker {
	return timed(func(ctx context.Context, r *Row) (*nn.Params, error) {
		var members []*cki.Member
		for _, n := range epochs {
			p, err := c.load(filepath.Join(c.base.Dir, run.EpochFile(n)))
			if err != nil {
				return nil, err
			}
			m := *c.base
			m.Name, m.Params, m.Mixed = c.base.Name+" epoch "+strconv.Itoa(n), p, nil
			members = append(members, &m)
		}
		return c.merging(members, all, method.Soup{})(ctx, r)
	})
}

// stored makes the row of the weights in a file.
func (c *comparison) stored(path string) maker {
	return timed(func(context.Context, *Row) (*nn.Params, error) { return c.load(path) })
}

func (c *comparison) load(path string) (*nn.Params, error) {
	p, err := c.lab.BlankParams()
	if err != nil {
		return nil, err
	}
	return p, train.LoadParams(path, p)
}
