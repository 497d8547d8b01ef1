package scan

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/data"
)

// Passes runs one pass after the other over the files of a data set, which it splits in the same way each time.
type Passes struct {
	Bad     BadRows
	Threads int
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
			File: k.File, Line: k.Line, Column: c.Plan.Time,
			Msg: fmt.Sprintf("%s is a %s, but %s (%s:%d) is a %s; write all times in one format, since the rows are split by them",
				k.Cell, k.What, r.kind.Cell, r.kind.File, r.kind.Line, r.kind.What),
		}
	}
	r.rows += int64(c.N)
	r.times = append(r.times, c.time...)
	return nil
}

// units are how times are written as numbers: between which values they lie in the years 1990 to 2100.
var units = [...]struct {
	name   string
	lo, hi float64
}{
	{"a date (YYYYMMDD)", 19900101, 21001231},
	{"a date with the time (YYYYMMDDhhmmss)", 19900101000000, 21001231235959},
	{"seconds since 1970", 631152000, 4133980800},
	{"milliseconds since 1970", 631152000e3, 4133980800e3},
	{"microseconds since 1970", 631152000e6, 4133980800e6},
	{"nanoseconds since 1970", 631152000e9, 4133980800e9},
}

// oneUnit returns an error if the times are numbers of several units, which have no order. Numbers that are of no unit, such as those
// of a counter, are in one order.
func (r *rowCounts) oneUnit(column string) error {
	first, other := -1, -1
	var cells [2]float64
	for _, v := range r.times {
		u := 0
		for u < len(units) && (v < units[u].lo || v > units[u].hi) {
			u++
		}
		switch {
		case u == len(units):
			return nil
		case first < 0:
			first, cells[0] = u, v
		case u != first && other < 0:
			other, cells[1] = u, v
		}
	}
	if other < 0 {
		return nil
	}
	return fmt.Errorf("data: column %s: %.0f looks like %s, but %.0f like %s; write all times in one format, since the rows are split by them",
		column, cells[0], units[first].name, cells[1], units[other].name)
}

// Run runs a pass over files and returns what it learned about them.
func (p *Passes) Run(ctx context.Context, f Format, pl *Plan, files []string, split data.Split, to sink) (*Pass, error) {
	if p.count == nil && needsCount(split) {
		c := &rowCounts{timed: split.By == data.SplitTime}
		s := &Pass{Format: f, Plan: pl, Bad: p.Bad, Threads: p.Threads}
		if err := s.Run(ctx, files, c); err != nil {
			return nil, err
		}
		if err := c.oneUnit(pl.Time); c.timed && err != nil {
			return nil, err
		}
		p.count = c
	}
	var c rowCounts
	if p.count != nil {
		c = *p.count
	}
	sp, err := newSplitter(split, c.rows, c.times)
	if err != nil {
		return nil, err
	}
	s := &Pass{Format: f, Plan: pl, split: sp, Bad: p.Bad, Threads: p.Threads}
	return s, s.Run(ctx, files, to)
}
