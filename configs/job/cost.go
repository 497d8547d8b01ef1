package job

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/run"
)

// Cost says what it takes to score rows with a model, or with several models of which each scores every row.
type Cost struct {
	Parameters   int64   `json:"parameters"`    // values of all trained tensors, embedding tables among them
	MultiplyAdds int64   `json:"multiply_adds"` // of the products of matrices for one row; lookups, elementwise steps and single outputs do not count
	Milliseconds float64 `json:"milliseconds"`  // for one row, on one thread, in batches; the least of several passes
	Rows         int     `json:"rows"`          // that were timed
}

// Statistics say how large a data set is.
type Statistics struct {
	Train    int64          `json:"train_rows"` // -1 where it is not known before reading
	Valid    int64          `json:"valid_rows"`
	Test     int64          `json:"test_rows"`
	Features int            `json:"features"`
	Tokens   map[string]int `json:"tokens,omitempty"` // sizes of the vocabularies, by feature
}

// costRows is how many rows are timed at most, and costPasses how often.
const (
	costRows   = 2048
	costPasses = 5
)

// Measure measures what it takes to score the test rows, or the validation rows if there are none, with these runs: a run alone, or
// the members of an ensemble. The runs have one feature map. Nothing else should run meanwhile, in this process above all, whose matrix
// products are counted.
func Measure(ctx context.Context, dirs []string, set []string) (*Cost, *Statistics, error) {
	t, err := OpenEnsemble(dirs, set, "", nil)
	if err != nil {
		return nil, nil, err
	}
	parts, err := t.splits(ctx)
	if err != nil {
		return nil, nil, err
	}
	p := parts[len(parts)-1]
	progs, closeAll, err := t.programs(p, false, true)
	if err != nil {
		return nil, nil, err
	}
	defer closeAll()
	c := &Cost{}
	for _, r := range t.Runs {
		params, err := models.BlankParams(r.Model, p.src[0].Schema())
		if err != nil {
			return nil, nil, run.BadInput(err)
		}
		c.Parameters += count(params)
	}
	if err := c.time(ctx, progs, p.src[0], t.first().Experiment.Train.BatchSize); err != nil {
		return nil, nil, fmt.Errorf("cost of %s: %w", filepath.Join(dirs...), err)
	}
	return c, statistics(parts), nil
}

// count returns the number of trained values.
func count(p *nn.Params) (n int64) {
	for _, q := range p.All() {
		if q.Kind != nn.Buffer {
			n += int64(len(q.Data))
		}
	}
	return n
}

// time scores the first rows of src several times, with each program, on one thread.
func (c *Cost) time(ctx context.Context, progs []*models.Program, src data.Source, batch int) error {
	defer kernel.SetThreads(kernel.Threads())
	kernel.SetThreads(1)
	c.Milliseconds = math.Inf(1)
	for range costPasses {
		var spent time.Duration
		before := kernel.MultiplyAdds()
		c.Rows = 0
		padded := 0
		for b, err := range src.Batches(0, batch) {
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			begin := time.Now()
			for _, p := range progs {
				if _, err := p.Run(b, 0); err != nil {
					return err
				}
			}
			spent += time.Since(begin)
			c.Rows, padded = c.Rows+b.N, padded+b.Size
			if c.Rows >= costRows {
				break
			}
		}
		if c.Rows == 0 {
			return run.BadInput(errors.New("there are no rows to score"))
		}
		c.MultiplyAdds = (kernel.MultiplyAdds() - before) / int64(padded)
		c.Milliseconds = min(c.Milliseconds, float64(spent)/float64(time.Millisecond)/float64(padded))
	}
	return nil
}

// statistics returns the sizes of parts.
func statistics(parts []part) *Statistics {
	s := &Statistics{Tokens: map[string]int{}}
	for _, p := range parts {
		switch n := p.src[0].Rows(); p.name {
		case "train":
			s.Train = n
		case "valid":
			s.Valid = n
		case "test":
			s.Test = n
		}
	}
	sc := parts[0].src[0].Schema()
	s.Features = len(sc.Features) + sc.NumDense
	for _, f := range sc.Features {
		s.Tokens[f.Name] = f.Vocab
	}
	if sc.Text != nil {
		s.Tokens["text"] = sc.Text.Vocab
	}
	return s
}
