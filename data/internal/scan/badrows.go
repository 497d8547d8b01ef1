package scan

import (
	"fmt"
	"log/slog"

	"github.com/splice-ml/splice/data"
)

// shownBad is how many bad rows a report shows.
const shownBad = 5

// BadRows counts the rows that were skipped.
type BadRows struct {
	Skip  bool  // else the first one is an error
	Limit int64 // more than this many are an error
	Count int64
	First []string // the first few
}

// BadRowsOf returns what to do with bad rows, as the options say.
func BadRowsOf(c data.Common) BadRows {
	return BadRows{Skip: c.BadRows == data.SkipBadRows, Limit: c.MaxBadRows}
}

// Add takes the bad rows of a chunk: n of them, the first few in list.
func (b *BadRows) Add(n int64, list []*data.RowError) error {
	if n == 0 {
		return nil
	}
	if !b.Skip {
		return list[0]
	}
	for _, e := range list {
		if len(b.First) < shownBad {
			b.First = append(b.First, e.Error())
		}
	}
	if b.Count += n; b.Count > b.Limit {
		return fmt.Errorf("data: more than %d rows cannot be read (max_bad_rows); the first: %s", b.Limit, b.First[0])
	}
	return nil
}

// Report logs how many rows were skipped and the first few.
func Report(log *slog.Logger, count, rows int64, first []string) {
	if count > 0 {
		log.Warn("data: skipped rows that cannot be read", "skipped", count, "read", rows, "first", first)
	}
}
