package scan

import (
	"fmt"
	"iter"
	"math"
	"time"
)

// timeLayouts are how dates are written, by whether they have a zone.
var timeLayouts = []struct {
	kind, layout string
}{
	{LocalTime, time.DateTime},
	{LocalTime, time.DateOnly},
	{LocalTime, "2006-01-02 15:04"},
	{LocalTime, "2006-01-02T15:04"},
	{ZonedTime, time.RFC3339Nano},
	{LocalTime, "2006-01-02T15:04:05"},
	{ZonedTime, "2006-01-02 15:04:05Z07:00"},
	{ZonedTime, "2006-01-02 15:04:05 Z07:00"},
	{ZonedTime, "2006-01-02 15:04:05Z0700"},
	{ZonedTime, "2006-01-02 15:04:05 Z0700"},
	{ZonedTime, "2006-01-02 15:04:05Z07"},
	{ZonedTime, "2006-01-02 15:04:05 UTC"},
	{ZonedTime, "2006-01-02T15:04:05Z0700"},
	{ZonedTime, "2006-01-02T15:04:05Z07"},
	{ZonedTime, "2006-01-02 15:04Z07:00"},
	{ZonedTime, "2006-01-02T15:04Z07:00"},
}

// Formats of times that do not go together.
const (
	NumberTime = "number"
	LocalTime  = "date without a zone"
	ZonedTime  = "date with a zone"
)

// ParseTime returns a time as a number, as it is or the seconds of Unix time of a date, and how it is written.
func ParseTime(s []byte) (v float64, kind string, ok bool) {
	if v, ok := ParseNumber(s); ok {
		return v, NumberTime, !math.IsNaN(v)
	}
	for _, l := range timeLayouts {
		if t, err := time.Parse(l.layout, string(s)); err == nil {
			return float64(t.Unix()) + float64(t.Nanosecond())/1e9, l.kind, true
		}
	}
	return 0, "", false
}

// Read reads the cell of a column that is Special into the numbers of a row; bad says what is wrong with it, with %s for the cell.
func (c *PlanColumn) Read(num []float64, cell []byte) (bad string) {
	if c.Count > 0 {
		return c.vector(num[c.At:c.At+c.Count], cell)
	}
	v, number := ParseNumber(cell)
	switch {
	case len(cell) == 0:
	case c.Clock.Digits():
		v, bad = c.Clock.Parse(cell)
	case number:
		v, bad = c.Clock.Number(v)
	default:
		var ok bool
		if v, _, ok = ParseTime(cell); !ok {
			bad = "%s is not a time; want a number, 2006-01-02, 2006-01-02 15:04:05 or RFC 3339, or set time_format"
		}
	}
	if bad != "" {
		return bad
	}
	num[c.At] = v
	return ""
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

// OneUnit says which times are numbers of several units, which have no order; it is empty if none are. Numbers that are of no unit, such
// as those of a counter, are in one order.
func OneUnit(times iter.Seq[float64]) (fault string) {
	first, other := -1, -1
	var cells [2]float64
	for v := range times {
		u := 0
		for u < len(units) && (v < units[u].lo || v > units[u].hi) {
			u++
		}
		switch {
		case u == len(units):
			return ""
		case first < 0:
			first, cells[0] = u, v
		case u != first && other < 0:
			other, cells[1] = u, v
		}
	}
	if other < 0 {
		return ""
	}
	return fmt.Sprintf("%.0f looks like %s, but %.0f like %s", cells[0], units[first].name, cells[1], units[other].name)
}
