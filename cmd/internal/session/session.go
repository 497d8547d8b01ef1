// Package session puts a config's parts together: it trains an experiment into a run directory, and opens a run for
// evaluation and prediction.
package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/run"
)

// Session is an experiment with its run directory.
type Session struct {
	*configs.Experiment
	Dir      string
	Out      io.Writer // results
	Progress io.Writer // may be nil
	Terminal bool
	Log      *slog.Logger
}

// New returns the session of e in dir, reporting through c.
func New(c *cli.Command, e *configs.Experiment, dir string) *Session {
	return &Session{Experiment: e, Dir: dir, Out: c.Out, Progress: c.Progress(), Terminal: c.Terminal(), Log: c.Log()}
}

// RunDir returns the directory of a run: the flag's, the config's, or runs/ and the config file's name.
func RunDir(flag, config, file string) string {
	switch {
	case flag != "":
		return flag
	case config != "":
		return config
	}
	return filepath.Join("runs", strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
}

// setup applies what the config says of the machine, and reads the files that describe its model into the config.
func (s *Session) setup() error {
	if err := kernel.Err(); err != nil {
		return cli.BadInput(err)
	}
	if s.Threads > 0 {
		kernel.SetThreads(s.Threads)
	}
	if m, ok := s.Model.(models.Resolver); ok {
		return cli.BadInput(m.Resolve())
	}
	return nil
}

// names returns the registered names of the experiment's model and data.
func (s *Session) names() (model, dataset string) {
	model, _ = models.Registry.NameOf(s.Model)
	dataset, _ = data.Datasets.NameOf(s.Data)
	return model, dataset
}

// result is result.json.
type result struct {
	Model     string      `json:"model"`
	Data      string      `json:"data"`
	Seed      uint64      `json:"seed"`
	Digest    string      `json:"digest"`
	BestEpoch int         `json:"best_epoch"`
	BestStep  int64       `json:"best_step"`
	Steps     int64       `json:"steps"`
	Start     run.Metrics `json:"start,omitempty"` // of the weights that training started from, on the validation rows
	Valid     run.Metrics `json:"valid,omitempty"`
	Test      run.Metrics `json:"test,omitempty"`
	Reachable run.Metrics `json:"reachable,omitempty"` // synthetic data: what the true probabilities reach on the test rows
	Train     trainTime   `json:"train"`
}

type trainTime struct {
	SamplesPerSec float64 `json:"samples_per_s"`
	Seconds       float64 `json:"seconds"`
}

// line writes metrics in the given order: " auc 0.812345 logloss 0.441234".
func line(m map[string]float64, order []string) string {
	var b strings.Builder
	for _, k := range order {
		if v, ok := m[k]; ok {
			fmt.Fprintf(&b, " %s %.6f", k, v)
		}
	}
	return b.String()
}

func (s *Session) writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return run.Write(s.Dir, name, append(b, '\n'))
}

// lock keeps other commands from writing into the session's directory until unlock is called.
func (s *Session) lock() (unlock func(), err error) {
	l, err := run.Acquire(s.Dir, run.Command(append([]string{filepath.Base(os.Args[0])}, os.Args[1:]...)))
	if errors.Is(err, run.ErrUnsupported) {
		s.Log.Warn("no lock keeps a second command from writing into the run's directory: do not start one", "error", err)
		return func() {}, nil
	}
	if err != nil {
		return nil, cli.BadInput(err)
	}
	return func() {
		if err := l.Release(); err != nil {
			s.Log.Warn("the lock of the run's directory stays behind, without a holder", "error", err)
		}
	}, nil
}
