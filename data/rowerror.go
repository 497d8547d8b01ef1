package data

import (
	"fmt"
	"log/slog"
)

// RowError is a row that cannot be read.
type RowError struct {
	File   string
	Line   int64  // its first line, from 1
	Column string // name or number; empty if the row as a whole is at fault
	Msg    string // what is wrong, what to do
}

// Error returns "data: file:line: column C3: message".
func (e *RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("data: %s:%d: %s", e.File, e.Line, e.Msg)
	}
	return fmt.Sprintf("data: %s:%d: column %s: %s", e.File, e.Line, e.Column, e.Msg)
}

// shownBad is how many bad rows a report shows.
const shownBad = 5

// badRows counts the rows that were skipped.
type badRows struct {
	skip  bool  // else the first one is an error
	limit int64 // more than this many are an error
	count int64
	first []string // the first few
}

// add takes the bad rows of a chunk: n of them, the first few in list.
func (b *badRows) add(n int64, list []*RowError) error {
	if n == 0 {
		return nil
	}
	if !b.skip {
		return list[0]
	}
	for _, e := range list {
		if len(b.first) < shownBad {
			b.first = append(b.first, e.Error())
		}
	}
	if b.count += n; b.count > b.limit {
		return fmt.Errorf("data: more than %d rows cannot be read (max_bad_rows); the first: %s", b.limit, b.first[0])
	}
	return nil
}

// report logs how many rows were skipped and the first few.
func report(log *slog.Logger, count, rows int64, first []string) {
	if count > 0 {
		log.Warn("data: skipped rows that cannot be read", "skipped", count, "read", rows, "first", first)
	}
}
