package splice

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// Row is a row in memory: a value for each column by its name, as the header of a file or the data section of the run's config
// calls it. A value is a string, a number, a list of these for a column of several tokens, or nil for a blank cell. The label
// may be left out; columns that are features or texts may not.
type Row = map[string]any

// Run is a trained model that scores rows. It may be used from several goroutines at once.
type Run struct {
	dir       string
	data      data.Dataset
	features  *data.FeatureMap
	task      task.Task
	classes   []string
	predictor *models.Predictor

	mu   sync.Mutex
	idle []*scratch
}

// scratch is what one call needs.
type scratch struct {
	encoder data.RowEncoder
	logits  []float32
	shares  []float32 // probabilities of a row's classes
}

// Open opens the run in a directory: one that was trained, fine-tuned or merged. An error says what is missing. Close frees the run.
func Open(dir string) (*Run, error) {
	if err := kernel.Err(); err != nil {
		return nil, fmt.Errorf("splice: %w", err)
	}
	files, err := run.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("splice: %w", err)
	}
	e, err := configs.Load(files.Config, nil)
	if err != nil {
		return nil, fmt.Errorf("splice: %w", err)
	}
	r := &Run{dir: dir, data: e.Data, features: files.Map, task: e.Task}
	s, err := r.newScratch()
	if err != nil {
		return nil, fmt.Errorf("splice: %s: %w", dir, err)
	}
	r.idle = append(r.idle, s)
	schema := s.encoder.Schema()
	if schema.Text != nil {
		r.classes = schema.Text.Labels
	}
	params, err := models.NewParams(e.Model, schema, e.Seed)
	if err != nil {
		return nil, fmt.Errorf("splice: %s: %w", dir, err)
	}
	if err := train.LoadParams(files.Model, params); err != nil {
		return nil, fmt.Errorf("splice: %w", err)
	}
	if r.predictor, err = models.NewPredictor(e.Model, params, schema); err != nil {
		return nil, fmt.Errorf("splice: %s: %w", dir, err)
	}
	return r, nil
}

// Close frees the run, once its last call has returned.
func (r *Run) Close() error { return r.predictor.Close() }

// Score returns a prediction for each row, in their order, as cmd/predict writes them: a probability, a number, or of a classifier
// the number of the class, whose name [Run.Classify] tells. A row's prediction has the same bits in any call, and as a row of a file.
//
// An error about a row is a [*data.ValueError]; it tells the row and the column. The first call of a size compiles the model for it.
// Later ones allocate nothing but the result.
func (r *Run) Score(ctx context.Context, rows []Row) ([]float64, error) {
	out := make([]float64, 0, len(rows))
	err := r.predict(ctx, rows, func(_ *scratch, logits []float32) {
		out = append(out, float64(r.task.Predict(logits)))
	})
	return out, err
}

// Class is what a classifier says of a row.
type Class struct {
	Name        string  // of the most probable class; its number if the classes have no names
	Probability float64 // of that class
}

// Classify returns the most probable class of each row, in their order. The run must be a classifier's.
func (r *Run) Classify(ctx context.Context, rows []Row) ([]Class, error) {
	c, ok := r.task.(task.Classifier)
	if !ok {
		return nil, fmt.Errorf("splice: %s is not a classifier: call Score", r.dir)
	}
	out := make([]Class, 0, len(rows))
	err := r.predict(ctx, rows, func(s *scratch, logits []float32) {
		k := c.Classify(logits, s.shares)
		out = append(out, Class{r.className(k), float64(s.shares[k])})
	})
	return out, err
}

// className returns the name of class k.
func (r *Run) className(k int) string {
	if k < len(r.classes) {
		return r.classes[k]
	}
	return fmt.Sprint(k)
}

// Classes returns the names of a classifier's classes by their numbers. It is nil if they have none.
func (r *Run) Classes() []string { return append([]string(nil), r.classes...) }

// predict gives the logits of each row to do.
func (r *Run) predict(ctx context.Context, rows []Row, do func(s *scratch, logits []float32)) error {
	s, err := r.take()
	if err != nil {
		return fmt.Errorf("splice: %s: %w", r.dir, err)
	}
	defer r.give(s)
	s.logits, err = r.predictor.Logits(ctx, s.logits[:0], len(rows), func(b *data.Batch, i, n int) error {
		if err := s.encoder.Encode(b, rows[i:i+n]...); err != nil {
			return fromRow(i, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	width := r.predictor.Width()
	if len(s.shares) < width {
		s.shares = make([]float32, width)
	}
	for i := range rows {
		do(s, s.logits[i*width:(i+1)*width])
	}
	return nil
}

// fromRow returns the error of a batch that begins with row i of a call as one of the call.
func fromRow(i int, err error) error {
	var bad *data.ValueError
	if errors.As(err, &bad) {
		bad.Row += i
	}
	return err
}

func (r *Run) newScratch() (*scratch, error) {
	e, err := r.data.Encoder(r.features)
	return &scratch{encoder: e}, err
}

// take returns a scratch that no other call uses.
func (r *Run) take() (*scratch, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle); n > 0 {
		s := r.idle[n-1]
		r.idle = r.idle[:n-1]
		return s, nil
	}
	return r.newScratch()
}

func (r *Run) give(s *scratch) {
	r.mu.Lock()
	r.idle = append(r.idle, s)
	r.mu.Unlock()
}
