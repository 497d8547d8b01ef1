// Package regime holds the ways to make the parents of a merge, one in each file: from other seeds, from one trunk, on other rows,
// or with other hyper-parameters. Each registers itself in cki.Regimes. Its fields are the options of a `regime:` section.
package regime

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/schedule"
)

// maxCount is the number of parents that have names of one letter.
const maxCount = 26

// checkCount reports a number of parents out of range.
func checkCount(n int) error {
	if n < 2 || n > maxCount {
		return registry.Field("count", "must be in [2, 26]")
	}
	return nil
}

// trunkName is the name of the directory of the run that parents branch from.
const trunkName = "trunk"

// parentName returns the name of the directory of parent k.
func parentName(k int) string { return fmt.Sprintf("parent-%c", 'a'+k) }

// streamSeed returns the seed of stream k of the Lab; stream 0 is the Lab's own.
func streamSeed(l *cki.Lab, k int) uint64 {
	if k == 0 {
		return l.Seed
	}
	return rng.Key(l.Seed, "parent", k)
}

// parent returns the training of parent k. All start from the initial weights that the Lab's seed gives. The first sees the rows
// in the Lab's order, each other one in an order of its own.
func parent(l *cki.Lab, k int) (cki.Training, error) {
	t := cki.Training{Name: parentName(k), Init: l.Seed, Seed: streamSeed(l, k), Data: l.Data, Options: l.Options}
	if k == 0 {
		return t, nil
	}
	var err error
	t.Data, err = cki.Reordered(l.Data, t.Seed)
	return t, err
}

// baseDecay is the decay of the moving average that the base keeps for the comparison.
const baseDecay = 0.99

// family trains the members one after another. trunk is the run that they branch from; it may be nil.
func family(ctx context.Context, l *cki.Lab, trunk *cki.Member, trainings []cki.Training) (*cki.Family, error) {
	f := &cki.Family{Trunk: trunk}
	if trunk != nil {
		f.Steps = trunk.Steps
	}
	for k, t := range trainings {
		if k == 0 && l.KeepBaseEpochs {
			t.Options.KeepEpochs, t.Options.EMA = true, baseDecay
		}
		m, err := l.Train(ctx, t)
		if err != nil {
			return nil, err
		}
		f.Members = append(f.Members, m)
		f.Steps += m.Steps
	}
	return f, nil
}

// trunkOptions returns the Lab's options for a number of epochs or of steps at a constant learning rate. The last parameters are
// kept.
func trunkOptions(l *cki.Lab, epochs int, steps int64) train.Options {
	constant, _ := schedule.Types.Default("constant")
	length := train.Length{Epochs: max(1, epochs), MaxSteps: steps, Schedule: constant}
	if steps > 0 {
		length.Epochs = 1 << 20
	}
	o := l.Options.Derive(length)
	o.Keep = "last"
	return o
}
