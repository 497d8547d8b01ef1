// Package job does what a config asks for. It trains an experiment into the directory of a run, trains on from a run, merges runs, and
// evaluates and predicts with finished runs. It prints nothing. Its messages go to a logger and to callbacks.
package job

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/dist"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

// Job is an experiment and the directory of its run.
type Job struct {
	*configs.Experiment
	Dir  string
	Log  *slog.Logger                           // nil to log nothing
	Show func(o train.Options) []train.Callback // returns what shows the progress of a training with these options; may be nil
	// Group is the ranks that train together; nil is one.
	Group dist.Group

	holdOut bool // see [TrainOptions]
}

// RunDir returns the directory of a run. It is the one asked for, else the config's, else runs/ and the name of the config file.
func RunDir(asked, config, file string) string {
	switch {
	case asked != "":
		return asked
	case config != "":
		return config
	}
	return filepath.Join("runs", strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
}

// setup applies what the config says of the machine, and reads the files that describe its model into the config.
func (j *Job) setup() error {
	if j.Log == nil {
		j.Log = slog.New(slog.DiscardHandler)
	}
	if err := kernel.Err(); err != nil {
		return run.BadInput(err)
	}
	if j.Threads > 0 {
		kernel.SetThreads(j.Threads)
	}
	if p := j.Experiment.Train.Precision; p != kernel.Highest {
		if err := p.Native(); err != nil {
			j.Log.Info("products are float32's, of rounded factors: no faster here than train.precision: highest", "precision", p.String(), "because", err)
		}
	}
	if m, ok := j.Model.(models.Resolver); ok {
		return run.BadInput(m.Resolve())
	}
	return nil
}

// names returns the registered names of the experiment's model and data.
func (j *Job) names() (model, dataset string) {
	model, _ = models.Registry.NameOf(j.Model)
	dataset, _ = data.Datasets.NameOf(j.Data)
	return model, dataset
}

// Metrics returns the names of the task's metrics in their order.
func (j *Job) Metrics() ([]string, error) {
	ms, err := j.Task.Metrics()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range ms {
		names = append(names, m.Name())
	}
	return names, nil
}

// describe writes what a run needs to be opened again: its config, which stands alone, and its feature map.
func (j *Job) describe(d *data.Splits) error {
	about, err := j.description(d)
	if err != nil {
		return err
	}
	return run.Describe(j.Dir, *about)
}

func (j *Job) description(d *data.Splits) (*run.Description, error) {
	e := *j.Experiment
	e.Fetch, e.Fallback = nil, configs.FallbackNone
	y, err := e.YAML()
	if err != nil {
		return nil, err
	}
	about := &run.Description{Config: y, Map: d.Map}
	if m, ok := j.Model.(models.Exporter); ok { // what makes the directory one of another framework too
		if about.Extra, err = m.Files(d.Schema); err != nil {
			return nil, err
		}
	}
	return about, nil
}

// complete checks that the run in the job's directory can be opened, now that it is written. A part of its description that was removed
// or changed in the meantime is written again.
func (j *Job) complete(d *data.Splits) error {
	about, err := j.description(d)
	if err != nil {
		return err
	}
	lost, err := run.Restore(j.Dir, *about)
	if err != nil {
		return err
	}
	for _, name := range lost {
		j.Log.Warn("a file of the run was removed or changed while the run was written: it is written again", "file", filepath.Join(j.Dir, name))
	}
	_, err = run.Open(j.Dir)
	return err
}

func (j *Job) writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return run.Write(j.Dir, name, append(b, '\n'))
}

// lock keeps others from writing into the job's directory until unlock is called.
func (j *Job) lock() (unlock func(), err error) {
	l, err := run.Acquire(j.Dir, run.Command(append([]string{filepath.Base(os.Args[0])}, os.Args[1:]...)))
	if errors.Is(err, run.ErrUnsupported) {
		j.Log.Warn("no lock keeps a second command from writing into the run's directory: do not start one", "error", err)
		return func() {}, nil
	}
	if err != nil {
		return nil, run.BadInput(err)
	}
	run.Sweep(j.Dir) // nobody else writes there now
	return func() {
		if err := l.Release(); err != nil {
			j.Log.Warn("the lock of the run's directory stays behind, without a holder", "error", err)
		}
	}, nil
}

// Result is the result of a run: the content of result.json, and what a reader needs to understand it.
type Result struct {
	Model     string      `json:"model"`
	Data      string      `json:"data"`
	Seed      uint64      `json:"seed"`
	Digest    string      `json:"digest"` // of the config
	BestEpoch int         `json:"best_epoch"`
	BestStep  int64       `json:"best_step"`
	Steps     int64       `json:"steps"`
	Start     run.Metrics `json:"start,omitempty"`    // of the weights that training started from, on the validation rows
	Protocol  string      `json:"protocol,omitempty"` // what the metrics rank: see train.Protocol
	Valid     run.Metrics `json:"valid,omitempty"`
	Test      run.Metrics `json:"test,omitempty"`
	Reachable run.Metrics `json:"reachable,omitempty"` // synthetic data: what the true probabilities reach on the test rows
	Train     Time        `json:"train"`

	Dir       string   `json:"-"` // of the run
	Metrics   []string `json:"-"` // their names in the task's order
	Monitor   string   `json:"-"` // the metric that selection went by
	From      string   `json:"-"` // what training started from; empty for fresh weights
	Synthetic bool     `json:"-"` // the data is generated
}

// Time says how long a training took.
type Time struct {
	SamplesPerSec float64 `json:"samples_per_s"` // training rows a second; evaluation and checkpoints do not count
	Seconds       float64 `json:"seconds"`       // spent in training steps
}

// Worse reports whether the run's model is worse on the validation rows than the weights that training started from.
func (r *Result) Worse() bool {
	return r.Start != nil && r.Valid != nil && metric.Better(r.Monitor, r.Start[r.Monitor], r.Valid[r.Monitor])
}
