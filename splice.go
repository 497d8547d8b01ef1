package splice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/dist"
	"github.com/splice-ml/splice/train/ensemble"
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
	// Group is the processes that train together, each of which makes the same call. Only the first one writes the run. Nil is one process.
	Group dist.Group
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
	if err := o.agree(err); err != nil {
		return nil, err
	}
	return o.train(ctx, e, job.RunDir(o.Run, e.Run, config))
}

// Prepare reads the data of a config's file, fits its vocabularies and caches its rows, as cmd/train --data-only does, and returns its parts. The
// training that follows has the same ids and reads the cache.
func Prepare(ctx context.Context, config string, o Options) (*data.Splits, error) {
	e, err := o.config(config).Load(ctx)
	if err != nil {
		return nil, err
	}
	j := job.Job{Experiment: e, Log: o.Log}
	return j.Prepare(ctx)
}

// Finetune trains on from a run, a Hugging Face directory or a file of weights, as cmd/finetune does. Without a config (""), data, model,
// task and training are those of the run, for one epoch; the new run is then beside it. Without from (""), the config says what to
// start from.
func Finetune(ctx context.Context, config, from string, o Options) (*Result, error) {
	e, dir, err := o.config(config).Finetune(ctx, from, o.Run)
	if err := o.agree(err); err != nil {
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

// agree returns the error of a step that all processes make before they train.
func (o Options) agree(err error) error {
	if o.Group == nil {
		return err
	}
	return dist.Agree(o.Group, err, nil)
}

func (o Options) train(ctx context.Context, e *configs.Experiment, dir string) (*Result, error) {
	j := job.Job{Experiment: e, Dir: dir, Log: o.Log, Show: o.Show, Group: o.Group}
	return j.Train(ctx, job.TrainOptions{Resume: o.Resume, Overwrite: o.Overwrite})
}

// Run is a trained model that scores rows, or several whose predictions are combined. It may be used from several goroutines at once.
type Run struct {
	dir      string
	task     task.Task
	parts    []task.Part      // several of a run that predicts several labels
	features *data.FeatureMap // of the first member
	classes  []string
	mode     string // of an ensemble
	members  []member
	tables   models.Tables

	mu   sync.Mutex
	idle []*scratch
}

// member is a model of a Run, and what reads rows for it.
type member struct {
	data      data.Dataset
	features  *data.FeatureMap
	predictor *models.Predictor
	calibrate func(z []float32, width int) // its logits, in place; nil: they stay
}

// scratch is what one call needs.
type scratch struct {
	encoders []data.RowEncoder // by member
	z        [][]float32       // by member: the logits of the call's rows
	mean     ensemble.Mean
	logits   []float32
	shares   []float32 // probabilities of a row's classes
	seen     [][]int32 // by row: what its history has
	scores   []float32 // of the items
	items    []int32
}

// Open opens the run in a directory: one that was trained, fine-tuned or merged. set overrides keys of its config, such as
// "serve.quantize=int8", which holds embedding tables in about a quarter of the memory, or "serve.calibrated=true", which has predictions
// calibrated as cmd/evaluate --calibrate fitted it. An error says what is missing. Close frees the run.
func Open(dir string, set ...string) (*Run, error) {
	return OpenEnsemble(ensemble.MeanLogits, []string{dir}, set...)
}

// OpenEnsemble opens runs of one task as one, whose predictions are those of cmd/predict for several runs. mode is "logits" or "probabilities",
// of which the predictions are the mean; empty is "logits". Every run reads a row by its own columns. Runs that rank a catalogue must have
// the same one, and classifiers the same classes. set overrides keys of all the runs' configs, as of [Open].
func OpenEnsemble(mode string, dirs []string, set ...string) (*Run, error) {
	opened, err := job.OpenEnsemble(dirs, set, mode, nil)
	if err != nil {
		return nil, err
	}
	r := &Run{dir: strings.Join(dirs, ", "), mode: opened.Mode}
	for _, m := range opened.Runs {
		if err := r.add(m, nil); err != nil {
			return nil, errors.Join(fmt.Errorf("splice: %s: %w", m.Dir, err), r.Close())
		}
	}
	return r, nil
}

// OpenMerged merges runs in memory and opens the result, which costs as much to score as one of them. method is that of a config's
// merge.method, such as "average" or "{type: average, rows: counts}". The result knows the tokens of all runs. It is neither evaluated nor
// compared with its parents, as [Merge] does. Its tables are float32. Methods that need data, and models with running statistics, are errors.
func OpenMerged(ctx context.Context, method string, dirs ...string) (*Run, error) {
	opened, params, err := job.OpenMerged(ctx, dirs, method)
	if err != nil {
		return nil, err
	}
	r := &Run{dir: strings.Join(dirs, ", ")}
	if err := r.add(opened, params); err != nil {
		return nil, errors.Join(fmt.Errorf("splice: the merge of %s: %w", r.dir, err), r.Close())
	}
	return r, nil
}

// add makes a run a member. Without params, they are those of its file.
func (r *Run) add(opened *job.Run, params *nn.Params) error {
	m := member{data: opened.Data, features: opened.Map}
	e, err := m.data.Encoder(m.features)
	if err != nil {
		return err
	}
	schema := e.Schema()
	if params == nil {
		var tables *models.Tables
		if params, tables, err = opened.Params(schema); err != nil {
			return err
		}
		r.tables.Add(tables)
		if m.calibrate, err = opened.Calibration(schema); err != nil {
			return err
		}
	}
	if m.predictor, err = models.NewPredictor(opened.Model, params, schema, opened.Experiment.Train.Precision); err != nil {
		return err
	}
	r.members = append(r.members, m)
	parts, err := task.Split(opened.Task, schema)
	if err != nil {
		return &InputError{Err: err}
	}
	classes := schema.Classes()
	if len(r.members) == 1 {
		r.task, r.parts, r.features, r.classes = opened.Task, parts, m.features, classes
		return nil
	}
	if !slices.EqualFunc(parts, r.parts, func(p, q task.Part) bool { return p.Label == q.Label && p.Lo == q.Lo && p.Hi == q.Hi }) {
		return &InputError{Err: errors.New("its labels are others than those of the first run")}
	}
	return r.fits(m, classes)
}

// fits checks that the predictions of the last member and of the first one have a mean.
func (r *Run) fits(m member, classes []string) error {
	_, ranks := r.task.(task.Ranking)
	switch first := r.members[0]; {
	case m.predictor.Width() != first.predictor.Width():
		return &InputError{Err: fmt.Errorf("it gives %d numbers for a row, the first run %d, so that they have no mean", m.predictor.Width(), first.predictor.Width())}
	case !slices.Equal(classes, r.classes):
		return &InputError{Err: fmt.Errorf("its classes are %v, those of the first run %v", classes, r.classes)}
	case ranks && m.features.Digest() != first.features.Digest():
		return &InputError{Err: errors.New("its catalogue is another one than the first run's")}
	}
	return nil
}

// Column is a column that rows must have, and the type of its values.
type Column = data.RowColumn

// Columns returns the columns that rows must have, in the order of the data.
func (r *Run) Columns() ([]Column, error) {
	s, err := r.take()
	if err != nil {
		return nil, err
	}
	defer r.give(s)
	var list []Column
	for _, e := range s.encoders {
		for _, c := range e.Columns() {
			if !slices.Contains(list, c) {
				list = append(list, c)
			}
		}
	}
	return list, nil
}

// Output is what a run predicts of a row.
type Output string

// Outputs of runs, and the method that returns them.
const (
	OutputScore Output = "score" // a probability or a number: [Run.Score]
	OutputClass Output = "class" // a class: [Run.Classify]
	OutputItems Output = "items" // the next items: [Run.Recommend]
	OutputTasks Output = "tasks" // a score for each of several labels: [Run.ScoreTasks]
)

// Output returns what the run predicts.
func (r *Run) Output() Output {
	if len(r.parts) > 1 {
		return OutputTasks
	}
	switch r.task.(type) {
	case task.Classifier:
		return OutputClass
	case task.Ranking:
		return OutputItems
	}
	return OutputScore
}

// Close frees the run, once its last call has returned.
func (r *Run) Close() error {
	var errs []error
	for _, m := range r.members {
		errs = append(errs, m.predictor.Close())
	}
	return errors.Join(errs...)
}

// Tables tells how the embedding tables of the run are held: in how many bytes, and which are int8 and which are not. Of an ensemble, they are
// those of all members. Of a merge in memory, nothing is told.
func (r *Run) Tables() models.Tables { return r.tables }

// Score returns a prediction for each row, in their order, as cmd/predict writes them: a probability, a number, or of a classifier
// the number of the class, whose name [Run.Classify] tells. A run of several tasks has [Run.ScoreTasks] instead. A row's prediction has the same bits in any call, and as a row of a file.
//
// An error about a row is a [*data.ValueError]; it tells the row and the column. The first call of a size compiles the model for it.
// Later ones allocate nothing but the result.
func (r *Run) Score(ctx context.Context, rows []Row) ([]float64, error) {
	if len(r.parts) > 1 {
		return nil, fmt.Errorf("splice: %s predicts %s: call ScoreTasks", r.dir, strings.Join(r.Tasks(), ", "))
	}
	out := make([]float64, 0, len(rows))
	err := r.predict(ctx, rows, func(_ *scratch, logits []float32) {
		out = append(out, float64(r.task.Predict(logits)))
	})
	return out, err
}

// Tasks returns the labels that a run of several tasks predicts, in the order of [Run.ScoreTasks]. It is nil for other runs.
func (r *Run) Tasks() []string {
	if len(r.parts) < 2 {
		return nil
	}
	var names []string
	for _, p := range r.parts {
		names = append(names, p.Label)
	}
	return names
}

// ScoreTasks returns what [Run.Score] does for each of several tasks: [row][task], in the order of [Run.Tasks]. Of a run with one task,
// each row has one score.
func (r *Run) ScoreTasks(ctx context.Context, rows []Row) ([][]float64, error) {
	out := make([][]float64, 0, len(rows))
	all := make([]float64, 0, len(rows)*len(r.parts))
	err := r.predict(ctx, rows, func(_ *scratch, logits []float32) {
		at := len(all)
		for _, p := range r.parts {
			all = append(all, float64(p.Task.Predict(p.Of(logits))))
		}
		out = append(out, all[at:len(all):len(all)])
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
	width := r.members[0].predictor.Width()
	for k := range r.members {
		if err := r.run(ctx, s, k, rows); err != nil {
			return err
		}
	}
	logits := s.z[0]
	if len(r.members) > 1 {
		s.logits = slices.Grow(s.logits[:0], len(logits))[:len(logits)]
		s.mean.Of(s.logits, s.z, width)
		logits = s.logits
	}
	if len(s.shares) < width {
		s.shares = make([]float32, width)
	}
	for i := range rows {
		do(s, logits[i*width:(i+1)*width])
	}
	return nil
}

// run sets s.z[k] to member k's logits of the rows, and s.seen.
func (r *Run) run(ctx context.Context, s *scratch, k int, rows []Row) (err error) {
	s.z[k], err = r.members[k].predictor.Logits(ctx, s.z[k][:0], len(rows), func(b *data.Batch, i, n int) error {
		if err := s.encoders[k].Encode(b, rows[i:i+n]...); err != nil {
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
	if err := train.CheckOutputs(s.z[k], len(rows), 0); err != nil {
		return fmt.Errorf("splice: %s: %w", r.dir, err)
	}
	if m := r.members[k]; m.calibrate != nil {
		m.calibrate(s.z[k], m.predictor.Width())
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
	s := &scratch{z: make([][]float32, len(r.members))}
	for _, m := range r.members {
		e, err := m.data.Encoder(m.features)
		if err != nil {
			return nil, err
		}
		s.encoders = append(s.encoders, e)
	}
	if len(r.members) == 1 {
		return s, nil
	}
	var err error
	s.mean, err = ensemble.NewMean(r.mode)
	s.mean.Tasks(r.parts)
	return s, err
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
