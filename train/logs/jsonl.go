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
// checkpoint left it, in the middle of an interval too. Lines of steps after the checkpoint are dropped, since these steps are made
// again.
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
		if e.Protocol != "" {
			fmt.Fprintf(&c.buf, `,"protocol":%q`, e.Protocol)
		}
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

// jsonlState is what a resumed run needs.
type jsonlState struct {
	Offset   int64     `json:"offset"` // length of the file
	Interval rateState `json:"interval"`
}

// SaveState flushes the file and returns its length, and what there is of the log interval.
func (c *JSONL) SaveState() ([]byte, error) {
	if c.file != nil {
		if err := c.file.Sync(); err != nil {
			return nil, err
		}
	}
	return json.Marshal(jsonlState{c.offset, c.rate.state()})
}

// LoadState takes the length at which the file goes on, and the log interval.
func (c *JSONL) LoadState(b []byte) error {
	var s jsonlState
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	n := s.Offset
	if n < 0 {
		return fmt.Errorf("%s: the log cannot go on at byte %d", c.Path, n)
	}
	if err := c.rate.load(s.Interval); err != nil {
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

// rateState is an interval that a checkpoint divides.
type rateState struct {
	Rows    int64   `json:"rows"`
	Sum     float64 `json:"sum"` // of the rows' losses
	Seconds float64 `json:"seconds"`
}

// start begins the first interval of a run, or goes on with the one that load took.
func (r *rate) start(e *train.Event) {
	if !e.Resumed || r.t.IsZero() {
		*r = rate{t: time.Now()}
	}
}

func (r *rate) state() rateState { return rateState{r.rows, r.sum, time.Since(r.t).Seconds()} }

func (r *rate) load(s rateState) error {
	if s.Rows < 0 || !(s.Seconds >= 0 && s.Seconds < maxSeconds) {
		return fmt.Errorf("logs: no log interval has %d rows in %v seconds", s.Rows, s.Seconds)
	}
	*r = rate{t: time.Now().Add(-time.Duration(s.Seconds * float64(time.Second))), rows: s.Rows, sum: s.Sum}
	return nil
}

// maxSeconds is longer than any log interval: what time.Duration can hold.
const maxSeconds = 9e9

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
