package table

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how far a table is: a bar on a terminal, lines elsewhere. Several goroutines may use it at once.
type progress struct {
	out      io.Writer // nil to show nothing
	terminal bool
	mu       sync.Mutex
	bar      *progressbar.ProgressBar
	total    int
	count    int // cells that are there
	before   int // of these, those that were there when the command began
	began    time.Time
	now      []string // cells that are being made
}

// start says how many cells there are, and how many of them are there already.
func (p *progress) start(total, count int) {
	p.total, p.count, p.before, p.began = total, count, count, time.Now()
	if p.out == nil || count == total {
		return
	}
	if p.terminal {
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(p.out), progressbar.OptionSetWidth(24), progressbar.OptionShowCount(),
			progressbar.OptionSetElapsedTime(true), progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
		_ = p.bar.Set(count)
		return
	}
	fmt.Fprintf(p.out, "%d cells, %d of them there already\n", total, count)
}

// begin says that a cell is being made.
func (p *progress) begin(cell string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = append(p.now, cell)
	p.draw()
}

// done says that a cell is made.
func (p *progress) done(cell string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	if i := slices.Index(p.now, cell); i >= 0 {
		p.now = slices.Delete(p.now, i, i+1)
	}
	p.draw()
	if p.out != nil && !p.terminal {
		fmt.Fprintf(p.out, "%d/%d %s%s\n", p.count, p.total, cell, p.left())
	}
}

// left returns how long the other cells take, if they take as long as those that were made.
func (p *progress) left() string {
	made := p.count - p.before
	if made == 0 || p.count == p.total {
		return ""
	}
	left := time.Since(p.began) / time.Duration(made) * time.Duration(p.total-p.count)
	return fmt.Sprintf(", about %s left", left.Round(time.Second))
}

func (p *progress) draw() {
	if p.bar == nil {
		return
	}
	p.bar.Describe(strings.Join(p.now, " | ") + p.left())
	_ = p.bar.Set(p.count)
}

// Write writes lines of the log, which take the bar's place for a moment.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	n, err := p.out.Write(b)
	p.draw()
	return n, err
}

// end takes the bar away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
		p.bar = nil
	}
}
