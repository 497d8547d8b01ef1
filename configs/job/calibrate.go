package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/calibrate"
	"github.com/splice-ml/splice/train/inspect"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// Calibrated is what calibrating a run came to.
type Calibrated struct {
	Dir, Method string
	Tasks       []CalibratedTask
	Left        []string // labels of tasks that predict numbers, which have nothing to calibrate
}

// CalibratedTask is a task's map, and what it changes.
type CalibratedTask struct {
	Label string // of a run of several tasks
	Map   *calibrate.Map
	Parts []CalibratedPart
}

// CalibratedPart is what a map changes on a part of the data.
type CalibratedPart struct {
	Part          string
	Rows          int              // that have the label
	Changes       []inspect.Change // by inspect.CalibrationErrors
	Before, After []inspect.Bin
}

// Calibrate fits maps of the run's logits on its validation rows, for each task with a probability, and writes them into the run's directory, with
// what draw makes of them: figures by their names. It measures them on validation and test rows.
func (t *Ensemble) Calibrate(ctx context.Context, method string, draw func(*Calibrated) (map[string][]byte, error)) (*Calibrated, error) {
	r := t.first()
	if len(t.Runs) > 1 {
		return nil, run.BadInput(errors.New("--calibrate is of one run: give --run once"))
	}
	if !slices.Contains(calibrate.Methods(), method) {
		return nil, run.BadInput(fmt.Errorf("--calibrate %q: want %s", method, strings.Join(calibrate.Methods(), ", ")))
	}
	if _, ranks := r.Task.(task.Ranking); ranks {
		return nil, run.BadInput(fmt.Errorf("--calibrate: %s ranks a catalogue, and predicts no probability", r.Dir))
	}
	unlock, err := r.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	model, err := run.ModelSum(r.Dir) // before it is read: another model that takes its place is noticed
	if err != nil {
		return nil, err
	}
	parts, err := t.chosen(ctx, "", "")
	if err != nil {
		return nil, err
	}
	if parts[0].name != data.ValidPart.String() {
		return nil, run.BadInput(fmt.Errorf("--calibrate: the data of %s has no validation rows, on which a calibration is fitted", r.Dir))
	}
	progs, closeAll, err := t.programs(parts[0], false, false)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	tasks, err := task.Split(r.Task, parts[0].src[0].Schema())
	if err != nil {
		return nil, run.BadInput(err)
	}
	out := &Calibrated{Dir: r.Dir, Method: method}
	c := &calibrate.Calibration{Method: method, Model: model, Part: parts[0].name}
	for _, p := range parts {
		rows, err := t.logits(ctx, progs, p, tasks)
		if err == nil && p.name == c.Part {
			c.Rows = p.src[0].Rows()
			err = out.fit(method, tasks, rows)
		}
		if err != nil {
			return nil, run.BadInput(err)
		}
		for i := range out.Tasks {
			if err := out.Tasks[i].measure(p.name, r.Seed, rows[out.Tasks[i].Label]); err != nil {
				return nil, err
			}
		}
	}
	for _, one := range out.Tasks {
		c.Tasks = append(c.Tasks, one.Map)
	}
	files, err := draw(out)
	if err != nil {
		return nil, err
	}
	if err := run.ClearCalibration(r.Dir); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := run.Write(r.Dir, name, files[name]); err != nil {
			return nil, err
		}
	}
	return out, c.Write(r.Dir)
}

// logits returns the logits of each task on the rows of a part that have its label, by label.
func (t *Ensemble) logits(ctx context.Context, progs []*models.Program, p part, tasks []task.Part) (map[string]metric.Rows, error) {
	measure, err := task.NewMeasure(t.first().Task, p.src[0].Schema(), nil, task.MeasureOptions{})
	if err != nil {
		return nil, err
	}
	out := map[string]metric.Rows{}
	prog := progs[0]
	var seen int64
	for b, err := range p.src[0].Batches(0, prog.Batch()) {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		if _, err := prog.Run(b, 0); err != nil {
			return nil, err
		}
		z := prog.Logits()
		z = z[:len(z)/prog.Batch()*b.N]
		if err := train.CheckOutputs(z, b.N, seen); err != nil {
			return nil, fmt.Errorf("%s: %w", t.first().Dir, err)
		}
		seen += int64(b.N)
		err := measure.Each(z, b, func(part int, _ []metric.Metric, r metric.Rows) error {
			to := out[tasks[part].Label]
			width := len(r.Logits) / len(r.Labels)
			for i, y := range r.Labels {
				if width > 1 && y == metric.Ignored {
					continue
				}
				to.Labels = append(to.Labels, y)
				to.Logits = append(to.Logits, r.Logits[i*width:(i+1)*width]...)
				if r.Weights != nil {
					to.Weights = append(to.Weights, r.Weights[i])
				}
			}
			out[tasks[part].Label] = to
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fit fits a map for each task that predicts a probability.
func (c *Calibrated) fit(method string, tasks []task.Part, rows map[string]metric.Rows) error {
	var errs []error
	for _, p := range tasks {
		switch p.Task.(type) {
		case task.Regression:
			c.Left = append(c.Left, cmp.Or(p.Label, "label"))
			continue
		case task.MaskedLM:
			return fmt.Errorf("--calibrate: %s predicts masked words, not a label of a row", c.Dir)
		}
		r := rows[p.Label]
		m, err := calibrate.Fit(method, calibrate.Rows{Logits: r.Logits, Labels: r.Labels, Weights: r.Weights})
		if err != nil {
			if p.Label != "" {
				err = fmt.Errorf("%s: %w", p.Label, err)
			}
			errs = append(errs, fmt.Errorf("--calibrate %s: %w", method, err))
			continue
		}
		m.Label = p.Label
		c.Tasks = append(c.Tasks, CalibratedTask{Label: p.Label, Map: m})
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if len(c.Tasks) == 0 {
		return fmt.Errorf("--calibrate: %s predicts numbers, not probabilities", c.Dir)
	}
	return nil
}

// measure measures what the map changes on the rows of a part.
func (c *CalibratedTask) measure(part string, seed uint64, r metric.Rows) error {
	p := CalibratedPart{Part: part, Rows: len(r.Labels)}
	if p.Rows > 0 {
		var err error
		if p.Changes, err = inspect.Calibrated(rng.Key(seed, "calibration", part, c.Label), r, c.Map.Apply); err != nil {
			return err
		}
		after := r
		after.Logits = slices.Clone(r.Logits)
		c.Map.Apply(after.Logits)
		p.Before, p.After = inspect.Reliability(r), inspect.Reliability(after)
	}
	c.Parts = append(c.Parts, p)
	return nil
}

// Calibration returns what calibrates the logits of rows of a schema, all outputs of each row, in place; nil if the run's serve section wants no
// calibration.
func (r *Run) Calibration(sc *data.Schema) (func(z []float32, width int), error) {
	if !r.Experiment.Serve.Calibrated {
		return nil, nil
	}
	parts, err := task.Split(r.Task, sc)
	if err != nil {
		return nil, run.BadInput(err)
	}
	c, err := calibrate.Read(r.Dir, parts)
	if err != nil {
		return nil, run.BadInput(err)
	}
	return func(z []float32, width int) { c.Apply(z, width, parts) }, nil
}

// calibrated is a predictor whose logits are calibrated.
type calibrated struct {
	train.Predictor
	apply  func(z []float32, width int)
	logits []float32
}

// Run scores a batch.
func (c *calibrated) Run(b *data.Batch, step int64) (float64, error) {
	if _, err := c.Predictor.Run(b, step); err != nil {
		return 0, err
	}
	z := c.Predictor.Logits()
	c.logits = append(c.logits[:0], z...)
	width := len(z) / c.Batch()
	if err := train.CheckOutputs(z[:b.N*width], b.N, 0); err == nil { // what is no number stays so
		c.apply(c.logits[:b.N*width], width)
	}
	return 0, nil
}

// Logits returns the last run's logits.
func (c *calibrated) Logits() []float32 { return c.logits }
