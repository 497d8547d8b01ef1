package compare

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
)

// learner is what a method adds to the report if it trains something.
type learner interface{ LearningSteps() int64 }

// spent returns the optimizer steps behind the result that took most: of all parents and of what they branch from, of what the
// method learned, and of the trainings that came after. It is 0 if the parents' are not known, since they were given.
func (c *comparison) spent(results []*entry) int64 {
	if c.family.Steps == 0 {
		return 0
	}
	return c.family.Steps + c.after(results)
}

// after returns the steps that the result that took most made after its parents were there.
func (c *comparison) after(results []*entry) int64 {
	var learned, rounds, most int64
	if l, ok := c.out.Stats.(learner); ok {
		learned = l.LearningSteps()
	}
	for _, e := range results {
		r := c.out.Rows.Get(e.name)
		switch {
		case r == nil:
		case e.name == RowMergeTrained:
			most = max(most, learned+r.Steps)
		default: // the merge, and the rounds after it, each of which learns anew
			rounds += learned + r.Steps
			most = max(most, rounds)
		}
	}
	return most
}

// equalCompute makes the row of one run that takes as many steps as all trainings behind the results together, on the base's rows, from
// where the parents started. Its learning rate is tuned on the validation rows, and it does not stop early. What teachers and measurements
// cost beside the steps is not counted.
func (c *comparison) equalCompute(results []*entry) maker {
	return timed(func(ctx context.Context, r *Row) (*nn.Params, error) {
		l := c.lab.Options.Length()
		l.Patience = 0
		switch steps := c.spent(results); {
		case steps > 0:
			l.Epochs, l.MaxSteps = 1<<20, steps
		default: // parents that were given are taken to be as long as the config's training
			n := len(c.family.Members)
			l.Epochs = l.Epochs*n + c.options.Finetune.Epochs
			if l.MaxSteps > 0 {
				l.MaxSteps = l.MaxSteps*int64(n) + c.after(results)
			}
		}
		t := cki.Training{Init: c.lab.Seed, Seed: c.base.Seed, Data: c.base.Data}
		if c.family.SplitBy != "" && c.family.Trunk != nil {
			t.Start = c.family.Trunk.Params
			if l.MaxSteps > 0 {
				l.MaxSteps = max(1, l.MaxSteps-c.family.Trunk.Steps)
			}
		}
		return c.tuned(ctx, r, t, l)
	})
}

// tunedAllData makes the row of one model on all rows, at a rate that is tuned: as many passes as a training in rounds makes.
func (c *comparison) tunedAllData(ctx context.Context, r *Row) (*nn.Params, error) {
	return timed(func(ctx context.Context, r *Row) (*nn.Params, error) {
		return c.tuned(ctx, r, cki.Training{Init: c.lab.Seed, Seed: c.lab.Seed, Data: c.lab.Data}, c.lab.Options.Length())
	})(ctx, r)
}

// tuned trains once with each learning rate that the options name, and returns the model that is best on the validation rows.
func (c *comparison) tuned(ctx context.Context, r *Row, t cki.Training, l train.Length) (*nn.Params, error) {
	var best *nn.Params
	var valid float64
	lab, metric := c.at(string(r.Name), &cki.Member{Data: t.Data}), c.lab.Monitor()
	factors := c.options.Rates()
	for i, factor := range factors {
		t.Name, t.Options = fmt.Sprintf("rate-%d", i+1), c.lab.Options.Derive(l)
		t.Options.LearningRate *= factor
		m, err := lab.Train(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("at %v times the learning rate: %w", factor, err)
		}
		v, err := c.lab.Evaluate(ctx, m.Params, c.lab.Data.Valid)
		if err != nil {
			return nil, fmt.Errorf("valid: %w", err)
		}
		if best == nil || c.lab.Better(v[metric], valid) {
			best, valid, r.Steps = m.Params, v[metric], m.Steps
			r.Note = fmt.Sprintf("control: %d steps at %v times the learning rate, on validation the best of %v", m.Steps, factor, factors)
		}
	}
	return best, nil
}
