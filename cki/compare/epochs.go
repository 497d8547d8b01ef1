package compare

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/method"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
)

// checkpoints returns the files that the base's run kept: the weights after its epochs, the last one first, and their moving
// average, "" if it has none.
func (c *comparison) checkpoints() (epochs []string, average string, err error) {
	dir := c.base.Dir
	if dir == "" {
		return nil, "", nil
	}
	if epochs, err = filepath.Glob(filepath.Join(dir, train.EpochsDir, "model-*.safetensors")); err != nil {
		return nil, "", err
	}
	slices.SortFunc(epochs, func(a, b string) int { return epochOf(b) - epochOf(a) })
	average = filepath.Join(dir, train.EMAFile)
	if _, err := os.Stat(average); err != nil {
		average = ""
	}
	return epochs, average, nil
}

// epochOf returns the epoch that a file of weights is from, 0 if its name does not say.
func epochOf(path string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "model-"), ".safetensors"))
	if err != nil {
		return 0
	}
	return n
}

// epochSoup is the row of the greedy soup of the base's epochs.
func (c *comparison) epochSoup(files []string) maker {
	return timed(func(ctx context.Context, r *Row) (*nn.Params, error) {
		var members []*cki.Member
		for _, path := range files {
			p, err := c.load(path)
			if err != nil {
				return nil, err
			}
			m := *c.base
			m.Name, m.Params, m.Mixed = c.base.Name+" epoch "+strconv.Itoa(epochOf(path)), p, nil
			members = append(members, &m)
		}
		return c.merging(members, all, method.Soup{})(ctx, r)
	})
}

// stored is the row of the weights in a file.
func (c *comparison) stored(path string) maker {
	return timed(func(context.Context, *Row) (*nn.Params, error) { return c.load(path) })
}

func (c *comparison) load(path string) (*nn.Params, error) {
	p, err := c.lab.NewParams(0)
	if err != nil {
		return nil, err
	}
	return p, train.LoadParams(path, p)
}
