package splice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// Row is a row in memory: a value for each column by its name, as the header of a file or the data section of the run's config
// calls it. A value is a string, a number, a list of these for a column of several tokens, or nil for a blank cell. The label
// may be left out; columns that are features or texts may not.
type Row = map[string]any

// Options are what a call decides beside the config. The zero value is ready to use.
type Options struct {
	// Set overrides keys of the config, such as "train.epochs=2".
	Set []string
	// Run is the directory of the run. Without it, the directory is the one that the config names, or runs/ and the name of the
	// config's file.
	Run       string
	Resume    bool // go on from the run's last checkpoint, if there is one
	Overwrite bool // replace a run that is in the directory
	// Offline never touches the network. What the config would fetch must be there, or the config has a fallback.
	Offline bool
	// Log hears what happens. Without it, nothing is logged.
	Log *slog.Logger
	// Show returns what shows the progress of a training. Without it, nothing does.
	Show func(o train.Options) []train.Callback
	// Downloads shows the progress of downloads. Without it, nothing does.
	Downloads io.Writer
}

// Result is what a training came to, and Merged what a merge came to.
type (
	Result = job.Result
	Merged = job.Merged
)

// InputError is a mistake in what the caller gave: a config, a directory, a file. Other errors are the machine's.
type InputError = run.InputError

// Train trains the experiment of a config's file, as cmd/train does, and returns what the run came to. If ctx ends, a checkpoint is
// written, and the error is [train.ErrInterrupted].
func Train(ctx context.Context, config string, o Options) (*Result, error) {
	e, err := o.config(config).Load(ctx)
	if err != nil {
		return nil, err
	}
	return o.train(ctx, e, job.RunDir(o.Run, e.Run, config))
}

// Finetune trains on from a run, a Hugging Face directory or a file of weights, as cmd/finetune does. Without a config (""), data, model,
// task and training are those of the run, for one epoch; the new run is then beside it. Without from (""), the config says what to
// start from.
func Finetune(ctx context.Context, config, from string, o Options) (*Result, error) {
	e, dir, err := o.config(config).Finetune(ctx, from, o.Run)
	if err != nil {
		return nil, err
	}
	return o.train(ctx, e, dir)
}

// Merge merges runs as the merge section of a config's file says, as cmd/cki does. A merge that is done already is read.
func Merge(ctx context.Context, config string, o Options) (*Merged, error) {
	e, err := o.config(config).LoadMerge(ctx)
	if err != nil {
		return nil, err
	}
	j := job.Job{Experiment: e, Dir: job.RunDir(o.Run, e.Run, config), Log: o.Log, Show: o.Show}
	return j.Merge(ctx, o.Overwrite)
}

func (o Options) config(file string) job.Config {
	return job.Config{File: file, Set: o.Set, Offline: o.Offline, Log: o.Log, Progress: o.Downloads}
}

func (o Options) train(ctx context.Context, e *configs.Experiment, dir string) (*Result, error) {
	j := job.Job{Experiment: e, Dir: dir, Log: o.Log, Show: o.Show}
	return j.Train(ctx, job.TrainOptions{Resume: o.Resume, Overwrite: o.Overwrite})
}

// Run is a trained model that scores rows. It may be used from several goroutines at once.
type Run struct {
	dir       string
	data      data.Dataset
	features  *data.FeatureMap
	task      task.Task
	classes   []string
	predictor *models.Predictor
	tables    models.Tables

	mu   sync.Mutex
	idle []*scratch
}

// scratch is what one call needs.
type scratch struct {
	encoder data.RowEncoder
	logits  []float32
	shares  []float32 // probabilities of a row's classes
	seen    [][]int32 // by row: what its history has
	scores  []float32 // of the items
	items   []int32
}

// Open opens the run in a directory: one that was trained, fine-tuned or merged. set overrides keys of its config, such as
// "serve.quantize=int8", which holds embedding tables in about a quarter of the memory. An error says what is missing. Close frees the run.
func Open(dir string, set ...string) (*Run, error) {
	opened, err := job.Open(dir, set, nil)
	if err != nil {
		return nil, err
	}
	r := &Run{dir: dir, data: opened.Data, features: opened.Map, task: opened.Task}
	s, err := r.newScratch()
	if err != nil {
		return nil, fmt.Errorf("splice: %s: %w", dir, err)
	}
	r.idle = append(r.idle, s)
	schema := s.encoder.Schema()
	if schema.Text != nil {
		r.classes = schema.Text.Labels
	}
	params, tables, err := opened.Params(schema)
	if err != nil {
		return nil, fmt.Errorf("splice: %s: %w", dir, err)
	}
	r.tables = *tables
	if r.predictor, err = models.NewPredictor(opened.Model, params, schema, opened.Experiment.Train.Precision); err != nil {
		return nil, fmt.Errorf("splice: %s: %w", dir, err)
	}
	return r, nil
}

// Close frees the run, once its last call has returned.
func (r *Run) Close() error { return r.predictor.Close() }

// Tables tells how the embedding tables of the run are held: in how many bytes, and which are int8 and which are not.
func (r *Run) Tables() models.Tables { return r.tables }

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

// Item is a recommended item.
type Item struct {
	Name  string
	Score float64 // its logit; scores of one row can be compared
}

// Recommend returns the k items of the catalogue that each row's user is most likely to have next, the likeliest first. The run must be one
// that ranks a catalogue, of the task next_item. Items that the row's history has are left out if the task says so. Where fewer than k
// items are left, there are fewer.
func (r *Run) Recommend(ctx context.Context, rows []Row, k int) ([][]Item, error) {
	t, ok := r.task.(task.Ranking)
	if !ok {
		return nil, fmt.Errorf("splice: %s ranks no catalogue: call Score", r.dir)
	}
	out := make([][]Item, 0, len(rows))
	for len(out) < len(rows) { // a row has a logit of each item
		err := r.predict(ctx, rows[len(out):min(len(rows), len(out)+ranked)], func(s *scratch, logits []float32) {
			row := len(out) % ranked
			s.scores = append(s.scores[:0], logits...)
			s.items = t.Recommend(s.items[:0], logits, s.seen[row], k)
			list := make([]Item, len(s.items))
			for i, id := range s.items {
				list[i] = Item{r.features.ItemName(id), float64(s.scores[id])}
			}
			out = append(out, list)
		})
		if err != nil {
			return nil, fromRow(len(out), err)
		}
	}
	return out, nil
}

// ranked is how many rows are ranked at once.
const ranked = 32

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
		for k, ids := range b.Seen[:min(n, len(b.Seen))] {
			if i+k == len(s.seen) {
				s.seen = append(s.seen, nil)
			}
			s.seen[i+k] = append(s.seen[i+k][:0], ids...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	width := r.predictor.Width()
	if err := train.CheckOutputs(s.logits, len(rows), 0); err != nil {
		return fmt.Errorf("splice: %s: %w", r.dir, err)
	}
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
