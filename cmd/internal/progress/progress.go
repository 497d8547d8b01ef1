// Package progress shows how far a command is that makes many things, several at once.
package progress

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Bar is a bar on a terminal, and lines elsewhere. Several goroutines may use it at once.
type Bar struct {
	Out      io.Writer // nil to show nothing
	Terminal bool
	Unit     string // what the things are called: cells
	mu       sync.Mutex
	bar      *progressbar.ProgressBar
	total    int
	count    int // of them that are there
	before   int // of these, those that were there when the command began
	began    time.Time
	now      []string // what is being made
}

// Start says how many there are, and how many of them are there already.
func (p *Bar) Start(total, count int) {
	p.total, p.count, p.before, p.began = total, count, count, time.Now()
	if p.Out == nil || count == total {
		return
	}
	if p.Terminal {
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(p.Out), progressbar.OptionSetWidth(24), progressbar.OptionShowCount(),
			progressbar.OptionSetElapsedTime(true), progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
		_ = p.bar.Set(count)
		return
	}
	fmt.Fprintf(p.Out, "%d %s, %d of them there already\n", total, p.Unit, count)
}

// Begin says that one is being made.
func (p *Bar) Begin(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = append(p.now, name)
	p.draw()
}

// Done says that one is made.
func (p *Bar) Done(name string) { p.DoneOf(name, 0) }

// DoneOf says that one is made, and so many are there, since others make some too; 0 if nobody else does.
func (p *Bar) DoneOf(name string, count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if count == 0 {
		count = p.count + 1
	}
	p.count = max(p.count, count)
	if i := slices.Index(p.now, name); i >= 0 {
		p.now = slices.Delete(p.now, i, i+1)
	}
	p.draw()
	if p.Out != nil && !p.Terminal {
		fmt.Fprintf(p.Out, "%d/%d %s%s\n", p.count, p.total, name, p.left())
	}
}

// Counts returns how many are there, and how many there will be.
func (p *Bar) Counts() (count, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count, p.total
}

// left returns how long the others take, if they take as long as those that were made.
func (p *Bar) left() string {
	made := p.count - p.before
	if made == 0 || p.count == p.total {
		return ""
	}
	left := time.Since(p.began) / time.Duration(made) * time.Duration(p.total-p.count)
	return fmt.Sprintf(", about %s left", left.Round(time.Second))
}

func (p *Bar) draw() {
	if p.bar == nil {
		return
	}
	p.bar.Describe(strings.Join(p.now, " | ") + p.left())
	_ = p.bar.Set(p.count)
}

// Write writes lines of the log, which take the bar's place for a moment.
func (p *Bar) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	n, err := p.Out.Write(b)
	p.draw()
	return n, err
}

// End takes the bar away.
func (p *Bar) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
		p.bar = nil
	}
}

// Warnings returns a logger of warnings, whose lines take the bar's place for a moment.
func (p *Bar) Warnings() *slog.Logger {
	if p.Out == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}
