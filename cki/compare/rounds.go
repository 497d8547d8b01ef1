package compare

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/rounds"
)

// listRounds returns the rows of a training in rounds. If the family has members, each was trained on one of the shards alone: they, their
// ensemble and their merge are what the training is compared with, and one model that is trained on all rows, at its own rate.
func (c *comparison) listRounds() []*entry {
	var (
		trained = always(result(row(RowRounds, c.everyRound(), timed(c.trainRounds))))
		parents = c.family.Members
		count   = len(parents)
	)
	if count == 0 {
		return []*entry{trained}
	}
	rows := []*entry{always(row(RowBase, parents[0].Name, given(parents[0])))}
	for k, m := range parents[1:] {
		rows = append(rows, always(row(OtherRow(k+1, count), m.Name, given(m))))
	}
	rows = append(rows, always(row(RowBestParent, "", c.best(rows))))
	return append(rows,
		row(RowEnsemble, cost(count), c.ensemble(parents)),
		row(RowCounts, "one merge at the end: embedding rows by how often each parent trained them", c.merging(parents, all, byCounts())),
		trained,
		row(RowAllData, "upper bound: one model on all rows", c.allData),
		row(RowEqualCompute, "upper bound: one model on all rows, its rate tuned", c.tunedAllData))
}

// everyRound says how often workers are merged.
func (c *comparison) everyRound() string {
	o, workers := c.options.Rounds, 0
	if s, ok := c.options.Regime.(cki.Sharder); ok {
		workers, _ = s.Deal()
	}
	if o.Steps > 0 {
		return fmt.Sprintf("%d workers, merged every %d steps", workers, o.Steps)
	}
	return fmt.Sprintf("%d workers, merged every %v passes", workers, o.Every)
}

// trainRounds trains one model on the shards.
func (c *comparison) trainRounds(ctx context.Context, r *Row) (*nn.Params, error) {
	sharder, ok := c.options.Regime.(cki.Sharder)
	if !ok {
		return nil, fmt.Errorf("the regime deals no shards")
	}
	shards, err := sharder.Shards(ctx, c.lab)
	if err != nil {
		return nil, err
	}
	p, err := c.lab.NewParams(c.lab.Seed)
	if err != nil {
		return nil, err
	}
	switch start := c.options.Rounds.Start; {
	case start == rounds.StartTrunk && c.family.Trunk != nil:
		cki.CopyParams(p, c.family.Trunk.Params)
	case c.lab.Start != nil && start != rounds.StartOwn:
		cki.CopyParams(p, c.lab.Start)
	}
	c.out.Start = p.Clone()
	var workers []train.RoundsWorker
	for k, s := range shards {
		w := train.RoundsWorker{Train: s.Data.Train, Seed: s.Seed}
		if c.options.Rounds.Start == rounds.StartOwn {
			if w.Start, err = c.lab.NewParams(rng.Key(c.lab.Seed, "worker", k)); err != nil {
				return nil, err
			}
		}
		workers = append(workers, w)
	}
	o := cki.FitOptions{Name: trainingName, Params: p, Options: c.lab.Options.Derive(c.lab.Options.Length()), Seed: c.lab.Seed}
	all := &cki.Member{Data: c.lab.Data}
	fit, err := c.at(string(r.Name), all).FitRounds(ctx, o, workers, c.options.Rounds)
	if err != nil {
		return nil, err
	}
	r.Steps, c.counts = fit.Steps, fit.Counts
	return p, nil
}
