// Package clock reads times as they are written in logs, and says what follows from them. A time is seconds since 1970 in UTC.
package clock

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Units of numbers that are times.
const (
	Seconds      = "seconds"
	Milliseconds = "milliseconds"
	Microseconds = "microseconds"
)

var perSecond = map[string]float64{"": 1, Seconds: 1, Milliseconds: 1e3, Microseconds: 1e6}

// Times are from the beginning of 1900 to that of 2200. What is outside of that is of another unit.
const (
	first = -2208988800
	end   = 7258118400
)

// fields are what digits of a format stand for, and Go's layout of them.
var fields = []struct{ name, layout string }{
	{"YYYY", "2006"}, {"YY", "06"}, {"MM", "01"}, {"DD", "02"}, {"hh", "15"}, {"mm", "04"}, {"ss", "05"},
}

// Check returns what is wrong with a format of times: "", a unit, or fields of digits such as YYYYMMDDhh.
func Check(format string) error {
	if _, ok := perSecond[format]; ok {
		return nil
	}
	_, err := layout(format)
	return err
}

// layout returns Go's layout of a format of digits, with whatever stands between them.
func layout(format string) (string, error) {
	var out strings.Builder
	seen := map[string]bool{}
	for rest := format; rest != ""; {
		at := -1
		for i, f := range fields {
			if strings.HasPrefix(rest, f.name) {
				at = i
				break
			}
		}
		switch {
		case at >= 0 && seen[fields[at].layout]:
			return "", fmt.Errorf("%q has %s twice", format, fields[at].name)
		case at >= 0:
			seen[fields[at].layout] = true
			out.WriteString(fields[at].layout)
			rest = rest[len(fields[at].name):]
		case strings.ContainsRune("-/.:_T ", rune(rest[0])):
			out.WriteByte(rest[0])
			rest = rest[1:]
		default:
			return "", fmt.Errorf("unknown %q; want %s, %s, %s, or fields YYYY, YY, MM, DD, hh, mm and ss, such as YYYYMMDDhh or DD.MM.YYYY", format,
				Seconds, Milliseconds, Microseconds)
		}
	}
	if !seen["2006"] && !seen["06"] || !seen["01"] || !seen["02"] {
		return "", fmt.Errorf("%q has no day; want YYYY or YY, MM and DD in it", format)
	}
	return out.String(), nil
}

// Reader reads the times of one format.
type Reader struct {
	per    float64
	unit   string
	format string
	layout string // of digits; empty for numbers
}

// NewReader returns the reader of a format that [Check] takes.
func NewReader(format string) Reader {
	if per, ok := perSecond[format]; ok {
		unit := format
		if unit == "" {
			unit = Seconds
		}
		return Reader{per: per, unit: unit}
	}
	l, _ := layout(format)
	return Reader{format: format, layout: l}
}

// Digits reports whether times are digits of a format, and not numbers or dates.
func (r Reader) Digits() bool { return r.layout != "" }

// Parse returns the time of digits; bad says what is wrong with them, with %s for them.
func (r Reader) Parse(text []byte) (seconds float64, bad string) {
	t, err := time.Parse(r.layout, string(text))
	if err != nil {
		return 0, "%s is no time written as " + r.format
	}
	return float64(t.Unix()), ""
}

// Number returns the time of a number; bad says what is wrong with it, with %s for its cell. NaN, a blank, stays.
func (r Reader) Number(v float64) (seconds float64, bad string) {
	s := v / r.per
	if s < first || s >= end {
		return 0, fmt.Sprintf("%%s is not in the years 1900 to 2199 as %s since 1970; set time_format: seconds, milliseconds or microseconds, or one of digits such as YYYYMMDD", r.unit)
	}
	return s, ""
}

// Hour returns the hour of a time, 0 to 23.
func Hour(t float64) int { return int(mod(math.Floor(t/3600), 24)) }

// Weekday returns the day of the week of a time, 0 (Sunday) to 6, as C's tm_wday.
func Weekday(t float64) int { return int(mod(math.Floor(t/86400)+4, 7)) } // 1970-01-01 was a Thursday

// Weekend returns 1 on Saturdays and Sundays, else 0.
func Weekend(t float64) int {
	if d := Weekday(t); d == 0 || d == 6 {
		return 1
	}
	return 0
}

// mod is the rest of v that is not negative.
func mod(v, n float64) float64 { return v - n*math.Floor(v/n) }
