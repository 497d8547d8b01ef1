package scan

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/splice-ml/splice/data"
)

// Passes runs one pass after the other over the files of a data set, which it splits in the same way each time.
type Passes struct {
	Bad     BadRows
	Threads int
	MaxRows int64      // of a pass; 0: all
	count   *rowCounts // of the rows that are split, when needed
}

// rowCounts is what the first pass over the rows of a split by number or time finds out.
type rowCounts struct {
	rows  int64
	times []float64
	timed bool     // the rows are split by time
	kind  Sighting // of the times
}

// Work does nothing.
func (r *rowCounts) Work(*Chunk) {}

// Emit counts the rows of a chunk.
func (r *rowCounts) Emit(c *Chunk) error {
	if k := r.kind.another(c.Kinds); k != nil && r.timed {
		return &data.RowError{
			File: k.File, Line: k.Line, InRows: k.rows, Column: c.Plan.Time,
			Msg: fmt.Sprintf("%s is a %s, but %s (%s) is a %s; write all times in one format, since the rows are split by them",
				k.Cell, k.What, r.kind.Cell, r.kind.where(), r.kind.What),
		}
	}
	r.rows += int64(c.N)
	r.times = append(r.times, c.time...)
	return nil
}

// Run runs a pass over files and returns what it learned about them.
func (p *Passes) Run(ctx context.Context, f Format, pl *Plan, files []string, split data.Split, to Sink) (*Pass, error) {
	if p.count == nil && needsCount(split) {
		c := &rowCounts{timed: split.By == data.SplitTime}
		s := &Pass{Format: f, Plan: pl, Bad: p.Bad, Threads: p.Threads, MaxRows: p.MaxRows}
		if err := s.Run(ctx, files, c); err != nil {
			return nil, err
		}
		if fault := OneUnit(slices.Values(c.times)); c.timed && fault != "" {
			return nil, fmt.Errorf("data: column %s: %s; write all times in one format, since the rows are split by them", pl.Time, fault)
		}
		p.count = c
	}
	var c rowCounts
	if p.count != nil {
		c = *p.count
	}
	return p.pass(ctx, f, pl, files, split, &c, to)
}

// RunFresh is Run with a sink that fresh makes. It saves the pass that counts the rows of a split by order or of exact counts, as it
// takes them to be as many as the counts' sum or the lines. If that turns out to be wrong, it runs again with another sink.
func (p *Passes) RunFresh(ctx context.Context, f Format, pl *Plan, files []string, split data.Split, fresh func() Sink) (*Pass, error) {
	if p.count == nil && needsCount(split) && split.By != data.SplitTime {
		if n, err := guessRows(ctx, f, pl, files, split); err == nil { // the pass has an error of a file again, at its place among others
			if p.MaxRows > 0 && len(split.Counts) == 0 {
				n = min(n, p.MaxRows)
			}
			s, err := p.pass(ctx, f, pl, files, split, &rowCounts{rows: n}, fresh())
			if err != nil {
				return nil, err
			}
			p.count = &rowCounts{rows: s.Rows}
			if s.Rows == n {
				return s, nil
			}
		}
	}
	return p.Run(ctx, f, pl, files, split, fresh())
}

// pass runs one pass over rows that were counted.
func (p *Passes) pass(ctx context.Context, f Format, pl *Plan, files []string, split data.Split, c *rowCounts, to Sink) (*Pass, error) {
	sp, err := newSplitter(split, c.rows, c.times)
	if err != nil {
		return nil, err
	}
	s := &Pass{Format: f, Plan: pl, split: sp, Bad: p.Bad, Threads: p.Threads, MaxRows: p.MaxRows}
	return s, s.Run(ctx, files, to)
}

// guessRows returns the sum of a split's counts, or else how many lines the files have without headers and blank lines at their ends.
func guessRows(ctx context.Context, f Format, pl *Plan, files []string, split data.Split) (rows int64, err error) {
	for _, n := range split.Counts {
		rows += n
	}
	if len(split.Counts) > 0 {
		return rows, nil
	}
	if f, ok := f.(Columnar); ok {
		for _, path := range files {
			n, err := f.Rows(path)
			if err != nil {
				return 0, err
			}
			rows += n
		}
		return rows, nil
	}
	s := &Scanner{Format: f, Plan: pl, MaxLine: pl.MaxLine, Free: make(chan []byte, 1)}
	err = s.run(ctx, files, func(b *Block) error {
		text := b.Data
		if b.last {
			text = bytes.TrimRight(text, "\r\n")
			rows += int64(min(len(text), 1)) // the last line, whose end is gone
		}
		rows += int64(bytes.Count(text, Newline))
		s.Recycle(b.Buf)
		return nil
	})
	return rows, err
}
