package logs

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/tfevent"
)

// TensorBoard writes scalars to an event file of the run. These are the loss, the learning rate and the speed every LogSteps steps,
// and the metrics of every evaluation. A resumed run starts a new file, which TensorBoard reads as a continuation.
type TensorBoard struct {
	Dir      string
	LogSteps int64
	w        *tfevent.Writer
	rate     rate
}

// Name returns "tensorboard".
func (c *TensorBoard) Name() string { return "tensorboard" }

// SaveState returns what there is of the log interval.
func (c *TensorBoard) SaveState() ([]byte, error) { return json.Marshal(c.rate.state()) }

// LoadState takes the log interval that a resumed run goes on with.
func (c *TensorBoard) LoadState(b []byte) error {
	var s rateState
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	return c.rate.load(s)
}

// On writes the scalars of an event.
func (c *TensorBoard) On(_ context.Context, e *train.Event) (err error) {
	switch e.Kind {
	case train.RunStart:
		c.rate.start(e)
		if c.w, err = tfevent.Create(c.Dir, time.Now); err != nil {
			return fmt.Errorf("logs: %w", err)
		}
		if e.Resumed {
			return c.w.Restart(e.Step) // points of steps that are made again go
		}
	case train.StepDone:
		c.rate.add(e)
		if c.LogSteps == 0 || e.Step%c.LogSteps != 0 {
			return nil
		}
		loss, perSec := c.rate.take()
		return c.write(e, map[string]float64{"train/loss": loss, "train/lr": e.LR, "train/samples_per_s": perSec}, "train/loss", "train/lr",
			"train/samples_per_s")
	case train.EvalDone:
		m, order := map[string]float64{}, make([]string, 0, len(e.MetricOrder))
		for _, n := range e.MetricOrder {
			if v := e.Metrics[n]; v != v {
				continue // a metric that is undefined has no point
			}
			tag := e.Split + "/" + n
			m[tag] = e.Metrics[n]
			order = append(order, tag)
		}
		return c.write(e, m, order...)
	case train.RunEnd:
		if c.w != nil {
			err = c.w.Close()
			c.w = nil
		}
	}
	return err
}

func (c *TensorBoard) write(e *train.Event, m map[string]float64, order ...string) error {
	for _, tag := range order {
		if err := c.w.Scalar(tag, e.Step, m[tag]); err != nil {
			return fmt.Errorf("logs: %w", err)
		}
	}
	return nil
}
