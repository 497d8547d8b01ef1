package logs

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/metric"
)

// Progress reports on a run to a person. On a terminal it shows a bar with loss, speed and the time that is left. Elsewhere it writes
// plain lines.
type Progress struct {
	Out      io.Writer
	Terminal bool  // Out is a terminal
	LogSteps int64 // steps between plain lines
	bar      *progressbar.ProgressBar
	rate     rate
	drawn    time.Time
	began    time.Time
	first    int64 // steps that were done when the run began
}

// On reports an event.
func (c *Progress) On(_ context.Context, e *train.Event) error {
	switch e.Kind {
	case train.RunStart:
		c.rate.start(e)
		c.began, c.first = time.Now(), e.Step
		if e.Resumed {
			fmt.Fprintf(c.Out, "resumed after step %d\n", e.Step)
		}
	case train.StepDone:
		c.rate.add(e)
		if c.Terminal {
			c.draw(e)
		} else if c.LogSteps > 0 && e.Step%c.LogSteps == 0 {
			loss, perSec := c.rate.take()
			fmt.Fprintf(c.Out, "epoch %d step %d%s loss %.5f lr %.3g %.0f samples/s%s\n", e.Epoch+1, e.Step, of(e.Steps), loss, e.LR, perSec,
				c.eta(e))
		}
	case train.EvalStart:
		c.clear()
		if c.Terminal {
			fmt.Fprintf(c.Out, "evaluating on %s ...\r", e.Split)
		}
	case train.EvalDone:
		var b strings.Builder
		for _, n := range e.MetricOrder {
			fmt.Fprintf(&b, " %s %s", n, metric.Format(e.Metrics[n], 6))
		}
		if e.Best {
			b.WriteString(" (best)")
		}
		switch {
		case e.Split == "test":
			fmt.Fprintf(c.Out, "best model, test:%s\n", b.String())
		case strings.HasPrefix(e.Split, "valid/"):
			fmt.Fprintf(c.Out, "averaged weights, %s:%s\n", e.Split, b.String())
		default:
			fmt.Fprintf(c.Out, "epoch %d step %d %s:%s\n", e.Epoch+1, e.Step, e.Split, b.String())
		}
		c.rate.t = time.Now()
	case train.EpochDone:
		c.clear()
		c.rate.start(e)
		fmt.Fprintf(c.Out, "epoch %d/%d: mean loss %.5f\n", e.Epoch+1, e.Epochs, e.Loss)
	case train.RunEnd:
		c.clear()
	}
	return nil
}

func of(steps int64) string {
	if steps == 0 {
		return ""
	}
	return fmt.Sprintf("/%d", steps)
}

func (c *Progress) eta(e *train.Event) string {
	done := e.Step - c.first
	if e.Steps <= e.Step || done < 1 {
		return ""
	}
	left := time.Since(c.began) / time.Duration(done) * time.Duration(e.Steps-e.Step)
	return fmt.Sprintf(" at most %s left", left.Round(time.Second))
}

// draw moves the bar, at most ten times a second.
func (c *Progress) draw(e *train.Event) {
	if c.bar == nil {
		total := e.Steps
		if total == 0 {
			total = -1
		}
		c.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(c.Out), progressbar.OptionSetWidth(24),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetElapsedTime(true), progressbar.OptionThrottle(0))
		c.rate.start(e)
	}
	if time.Since(c.drawn) < 100*time.Millisecond && e.Step != e.Steps {
		return
	}
	if rows := c.rate.rows; rows > 0 {
		loss, perSec := c.rate.sum/float64(rows), float64(rows)/max(time.Since(c.rate.t).Seconds(), 1e-9)
		c.bar.Describe(fmt.Sprintf("epoch %d/%d loss %.5f %.0f samples/s", e.Epoch+1, e.Epochs, loss, perSec))
	}
	_ = c.bar.Set64(e.Step)
	c.drawn = time.Now()
}

func (c *Progress) clear() {
	if c.bar != nil {
		_ = c.bar.Clear()
	}
}
