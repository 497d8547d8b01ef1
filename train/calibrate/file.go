package calibrate

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/sealed"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// Calibration is the content of a run's calibration.json: a map for each task that has one.
type Calibration struct {
	Method string `json:"method"`
	Model  string `json:"model"` // SHA-256 of the file of the model that it was fitted on
	Part   string `json:"part"`  // of the run's data, whose rows it was fitted on
	Rows   int64  `json:"rows"`
	Tasks  []*Map `json:"tasks"`
}

// Write writes the calibration of the run in a directory.
func (c *Calibration) Write(dir string) error {
	if err := sealed.Write(filepath.Join(dir, run.CalibrationFile), c); err != nil {
		return fmt.Errorf("calibrate: %w", err)
	}
	return nil
}

// Read reads the calibration of the run in a directory, whose tasks are the parts. One of another model is an error.
func Read(dir string, parts []task.Part) (*Calibration, error) {
	path := filepath.Join(dir, run.CalibrationFile)
	c := &Calibration{}
	if err := sealed.Read(path, bound.JSON, c); errors.Is(err, fs.ErrNotExist) {
		return nil, run.Advise(fmt.Errorf("%s has no %s", dir, run.CalibrationFile), again(dir))
	} else if err != nil {
		return nil, run.Advise(err, again(dir))
	}
	model, err := run.ModelSum(dir)
	if err != nil {
		return nil, err
	}
	if c.Model != model {
		return nil, run.Advise(fmt.Errorf("%s was fitted on another model than the one that is there now", path), again(dir))
	}
	if len(c.Tasks) == 0 {
		return nil, run.Advise(fmt.Errorf("%s has no task", path), again(dir))
	}
	for _, m := range c.Tasks {
		if err := m.Check(c.Method); err != nil {
			return nil, run.Advise(fmt.Errorf("%s: %w", path, err), again(dir))
		}
		if c.of(m, parts) < 0 {
			return nil, run.Advise(fmt.Errorf("%s: the run has no label %q", path, m.Label), again(dir))
		}
	}
	return c, nil
}

// again is what makes a calibration.
func again(dir string) run.Remedy {
	return run.Do(fmt.Sprintf("calibrate it: evaluate --run %s --calibrate temperature", dir))
}

// of returns the number of the part that a map is of, -1 if there is none.
func (c *Calibration) of(m *Map, parts []task.Part) int {
	for i, p := range parts {
		if p.Label == m.Label || len(parts) == 1 {
			return i
		}
	}
	return -1
}

// Apply calibrates the logits of rows, [rows, outputs] of all tasks, in place.
func (c *Calibration) Apply(z []float32, width int, parts []task.Part) {
	for _, m := range c.Tasks {
		p := parts[c.of(m, parts)]
		for lo := 0; lo+width <= len(z); lo += width {
			m.Apply(p.Of(z[lo : lo+width]))
		}
	}
}
