// Package logs has the callbacks that report on a training to a person, to a file of JSON lines, or to TensorBoard.
package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/splice-ml/splice/train"
)

// JSONL appends a line to a file for every log interval and every evaluation. After --resume the file goes on where the
// checkpoint left it. Lines of steps after the checkpoint are dropped, since these steps are made again.
type JSONL struct {
	Path     string
	LogSteps int64
	file     *os.File
	rate     rate
	buf      bytes.Buffer
	offset   int64
}

// Name returns "jsonl".
func (c *JSONL) Name() string { return "jsonl" }

// On writes the line of an event.
func (c *JSONL) On(_ context.Context, e *train.Event) error {
	switch e.Kind {
	case train.RunStart:
		c.rate.start(e)
		return c.open()
	case train.StepDone:
		c.rate.add(e)
		if c.LogSteps == 0 || e.Step%c.LogSteps != 0 {
			return nil
		}
		loss, perSec := c.rate.take()
		c.begin(e)
		c.field("loss", loss)
		c.field("lr", e.LR)
		c.field("samples_per_s", math.Round(perSec))
		return c.end()
	case train.EpochDone:
		c.begin(e)
		c.field("epoch_loss", e.Loss)
		return c.end()
	case train.EvalDone:
		c.begin(e)
		fmt.Fprintf(&c.buf, `,"split":%q`, e.Split)
		for _, n := range e.MetricOrder {
			c.field(n, e.Metrics[n])
		}
		return c.end()
	case train.RunEnd:
		if c.file != nil {
			err := c.file.Close()
			c.file = nil
			return err
		}
	}
	return nil
}

func (c *JSONL) open() error {
	f, err := os.OpenFile(c.Path, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("logs: %w", err)
	}
	if err := f.Truncate(c.offset); err != nil {
		return errors.Join(fmt.Errorf("logs: %w", err), f.Close())
	}
	if _, err := f.Seek(c.offset, 0); err != nil {
		return errors.Join(fmt.Errorf("logs: %w", err), f.Close())
	}
	c.file = f
	return nil
}

func (c *JSONL) begin(e *train.Event) {
	c.buf.Reset()
	fmt.Fprintf(&c.buf, `{"time":%q,"step":%d,"epoch":%d`, time.Now().UTC().Format(time.RFC3339), e.Step, e.Epoch+1)
}

func (c *JSONL) field(name string, v float64) {
	fmt.Fprintf(&c.buf, ",%q:%s", name, jsonNumber(v))
}

// jsonNumber is v, or null if it is not finite.
func jsonNumber(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "null"
	}
	return strconv.FormatFloat(v, 'g', 9, 64)
}

func (c *JSONL) end() error {
	c.buf.WriteString("}\n")
	n, err := c.file.Write(c.buf.Bytes())
	c.offset += int64(n)
	if err != nil {
		return fmt.Errorf("logs: %w", err)
	}
	return nil
}

// SaveState flushes the file and returns its length.
func (c *JSONL) SaveState() ([]byte, error) {
	if c.file != nil {
		if err := c.file.Sync(); err != nil {
			return nil, err
		}
	}
	return json.Marshal(c.offset)
}

// LoadState takes the length at which the file goes on.
func (c *JSONL) LoadState(b []byte) error {
	var n int64
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	st, err := os.Stat(c.Path)
	if errors.Is(err, fs.ErrNotExist) {
		n = 0
	} else if err != nil {
		return err
	} else if st.Size() < n {
		n = st.Size()
	}
	c.offset = n
	return nil
}

// rate measures loss and speed between two log lines.
type rate struct {
	t    time.Time
	rows int64
	sum  float64
}

func (r *rate) start(*train.Event) { *r = rate{t: time.Now()} }

func (r *rate) add(e *train.Event) {
	r.rows += e.Rows
	r.sum += e.Loss * float64(e.Rows)
}

// take returns the mean loss and the rows a second since the last call.
func (r *rate) take() (loss, perSec float64) {
	now := time.Now()
	loss, perSec = r.sum/float64(max(r.rows, 1)), float64(r.rows)/max(now.Sub(r.t).Seconds(), 1e-9)
	*r = rate{t: now}
	return loss, perSec
}
