package compare

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/cki/method"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
)

// given makes the row of a parent.
func given(m *cki.Member) maker {
	return func(_ context.Context, r *Row) (*nn.Params, error) {
		r.Seconds, r.Steps = m.Seconds, m.Steps
		return m.Params, nil
	}
}

// best makes the row of the parent that is best on the validation rows. parents are the entries made so far, which are theirs.
func (c *comparison) best(parents []*entry) maker {
	return func(_ context.Context, r *Row) (*nn.Params, error) {
		at := 0
		for i := range parents {
			if c.better(&c.out.Rows[i], &c.out.Rows[at]) {
				at = i
			}
		}
		b := &c.out.Rows[at]
		r.Note, r.Valid, r.Test = fmt.Sprintf("on validation: %s", b.Name), b.Valid, b.Test
		return parents[at].params, nil
	}
}

// ensemble makes the row of the members' ensemble by mean logits. It costs as much as all members together.
func (c *comparison) ensemble(members []*cki.Member) maker {
	return timed(func(ctx context.Context, r *Row) (*nn.Params, error) {
		p := paramsOf(members)
		var err error
		if r.Valid, err = c.lab.EvaluateEnsemble(ctx, p, c.lab.Data.Valid); err == nil && c.lab.Data.Test != nil {
			r.Test, err = c.lab.EvaluateEnsemble(ctx, p, c.lab.Data.Test)
		}
		return nil, err
	})
}

func paramsOf(members []*cki.Member) []*nn.Params {
	var out []*nn.Params
	for _, m := range members {
		out = append(out, m.Params)
	}
	return out
}

// merging makes the row of a merge of members.
func (c *comparison) merging(members []*cki.Member, selected func(string) bool, m cki.Method) maker {
	return timed(func(ctx context.Context, r *Row) (*nn.Params, error) {
		p, _, err := c.merge(ctx, string(r.Name), members, selected, m)
		return p, err
	})
}

// configured makes the row of the merge that the options ask for.
func (c *comparison) configured() maker {
	return timed(func(ctx context.Context, r *Row) (p *nn.Params, err error) {
		p, c.out.Stats, err = c.merge(ctx, string(r.Name), c.aligned, c.selected, c.options.Method)
		c.out.Result = p
		return p, err
	})
}

// merge merges members by a method and recomputes the statistics of batch norm. stats are what the method adds to the report.
func (c *comparison) merge(
	ctx context.Context, name string, members []*cki.Member, selected func(string) bool, m cki.Method,
) (p *nn.Params, stats any, err error) {
	in := &cki.Input{Select: selected, Lab: c.at(name, members[0]), Seed: rng.Key(c.lab.Seed, "merge", name), Log: c.lab.Log}
	for _, p := range members {
		in.Parents = append(in.Parents, p.Parent(c.lab.Data.Map))
	}
	merged, err := m.Merge(ctx, in)
	if err != nil {
		return nil, nil, err
	}
	if p, err = c.lab.NewParams(0); err != nil {
		return nil, nil, err
	}
	if err := in.Fill(merged, p); err != nil {
		return nil, nil, err
	}
	if merged.Stats != nil {
		stats = merged.Stats()
	}
	if c.options.BatchNorm {
		err = in.Lab.RecomputeBatchNorm(ctx, p)
	}
	return p, stats, err
}

// rounds returns the rows of further rounds. In each, every parent is trained on from the merge before, on its own rows, and the
// trained parents are merged again.
func (c *comparison) rounds(merge *entry) []*entry {
	var out []*entry
	from, members := merge, c.aligned
	for round := 2; round <= c.options.Rounds.Count; round++ {
		last := from
		e := result(row(RoundRow(round), "each parent trained on from the merge, on its own rows", nil)).from(last)
		e.make = timed(func(ctx context.Context, r *Row) (*nn.Params, error) {
			var next []*cki.Member
			for k, m := range members {
				p, steps, err := c.finetune(ctx, fmt.Sprintf("%s/parent-%c", r.Name, 'a'+k), last.params, m, c.options.Finetune)
				if err != nil {
					return nil, err
				}
				trained := *m
				trained.Params, trained.Mixed = p, nil
				next, r.Steps = append(next, &trained), r.Steps+steps
			}
			members = next
			p, _, err := c.merge(ctx, string(r.Name), members, c.selected, c.options.Method)
			return p, err
		})
		out, from = append(out, e), e
	}
	return out
}

// training is a training on the base's rows that one row of the comparison made, with its result.
type training struct {
	start    *nn.Params
	finetune cki.Finetune
	params   *nn.Params
	steps    int64
	seconds  float64
}

// trained makes the row of a training on the base's rows, from the model that start gives. A training that another row has
// made is not made again.
func (c *comparison) trained(start func(context.Context) (*nn.Params, error), f cki.Finetune) maker {
	return timed(func(ctx context.Context, r *Row) (*nn.Params, error) {
		from, err := start(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range c.trainings {
			if reflect.DeepEqual(t.finetune, f) && t.start.Equal(from, nil) { // its model is the same, bit for bit
				r.Seconds, r.Steps = t.seconds, t.steps
				return t.params, nil
			}
		}
		begin := time.Now()
		p, steps, err := c.finetune(ctx, string(r.Name), from, c.base, f)
		if err != nil {
			return nil, err
		}
		c.trainings = append(c.trainings, training{from, f, p, steps, time.Since(begin).Seconds()})
		r.Steps = steps
		return p, nil
	})
}

// finetune trains from start on the rows of a member. Its result is the last model, not the best one, since the start has a row of
// its own in the comparison.
func (c *comparison) finetune(
	ctx context.Context, name string, start *nn.Params, m *cki.Member, f cki.Finetune,
) (p *nn.Params, steps int64, err error) {
	o := c.lab.Options.Derive(train.Length{Epochs: f.Epochs, Schedule: f.Schedule})
	o.LearningRate, o.Freeze = f.LearningRate, f.Freeze
	seed := rng.Key(c.lab.Seed, "finetune")
	d, err := cki.Reordered(m.Data, seed)
	if err != nil {
		return nil, 0, err
	}
	p = start.Clone()
	fit := cki.FitOptions{Name: trainingName, Params: p, Options: o, Data: d, Seed: seed}
	var teachers []*nn.Params
	switch f.Teacher {
	case cki.TeacherSelf:
		teachers = []*nn.Params{start.Clone()}
	case cki.TeacherParents:
		teachers = paramsOf(c.family.Members)
	}
	if teachers != nil {
		e, done, err := c.lab.Ensemble(teachers)
		if err != nil {
			return nil, 0, err
		}
		defer done()
		fit.Teacher, fit.Distill = e, f.Distill
	}
	r, err := c.at(name, m).Fit(ctx, fit)
	if err != nil {
		return nil, 0, err
	}
	return p, r.Steps, nil
}

// trainingName is the name of a training's directory within its row's.
const trainingName = "training"

// halfHead returns the base with its head times 0.5.
func (c *comparison) halfHead(ctx context.Context) (*nn.Params, error) {
	p, _, err := c.merge(ctx, "head x 0.5", c.family.Members[:1], c.head, method.Scale{Factor: 0.5})
	return p, err
}

// permuted returns the base averaged, as far as tensors are merged, with a copy of itself whose hidden units are permuted.
func (c *comparison) permuted(ctx context.Context) (*nn.Params, error) {
	other := *c.base
	other.Params = c.base.Params.Clone()
	if err := align.Shuffle(c.lab.Model, c.lab.Data.Schema, other.Params, rng.Key(c.lab.Seed, "permuted")); err != nil {
		return nil, err
	}
	p, _, err := c.merge(ctx, "permuted average", []*cki.Member{c.base, &other}, c.selected, defaults[method.Average]())
	return p, err
}

// longer makes the row of the base's training for k times the epochs.
func (c *comparison) longer(k int) maker {
	return timed(func(ctx context.Context, r *Row) (*nn.Params, error) {
		l := c.lab.Options.Length()
		l.Epochs *= k
		l.MaxSteps *= int64(k)
		t := cki.Training{Name: trainingName, Init: c.lab.Seed, Seed: c.base.Seed, Data: c.base.Data, Options: c.lab.Options.Derive(l)}
		if c.family.SplitBy != "" && c.family.Trunk != nil {
			t.Start = c.family.Trunk.Params
		}
		return c.train(ctx, r, t)
	})
}

// allData makes the row of one model on the rows of all parents.
func (c *comparison) allData(ctx context.Context, r *Row) (*nn.Params, error) {
	return timed(func(ctx context.Context, r *Row) (*nn.Params, error) {
		o := c.lab.Options.Derive(c.lab.Options.Length())
		return c.train(ctx, r, cki.Training{Name: trainingName, Init: c.lab.Seed, Seed: c.lab.Seed, Data: c.lab.Data, Options: o})
	})(ctx, r)
}

func (c *comparison) train(ctx context.Context, r *Row, t cki.Training) (*nn.Params, error) {
	m, err := c.at(string(r.Name), &cki.Member{Data: t.Data}).Train(ctx, t)
	if err != nil {
		return nil, err
	}
	r.Steps = m.Steps
	return m.Params, nil
}
