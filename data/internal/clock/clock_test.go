package clock_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/splice-ml/splice/data/internal/clock"
)

// Hours and days are those of Go's calendar, in UTC.
func TestDerived(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64Range(-2208988800, 7258118399).Draw(t, "seconds")
		at := time.Unix(0, 0).UTC().Add(time.Duration(v * 1e9))
		weekend := 0
		if d := at.Weekday(); d == time.Saturday || d == time.Sunday {
			weekend = 1
		}
		v = float64(at.Unix())
		if got := [3]int{clock.Hour(v), clock.Weekday(v), clock.Weekend(v)}; got != [3]int{at.Hour(), int(at.Weekday()), weekend} {
			t.Errorf("of %v: hour, weekday, weekend are %v", at, got)
		}
	})
}

func TestFormats(t *testing.T) {
	for _, tc := range []struct {
		format, text, want string // of the time; or a part of the message
	}{
		{"YYYYMMDDhh", "2014102103", "2014-10-21T03:00:00Z"},
		{"YYMMDDhh", "14102123", "2014-10-21T23:00:00Z"},
		{"DD.MM.YYYY hh:mm:ss", "01.02.2024 10:20:30", "2024-02-01T10:20:30Z"},
		{"YYYYMMDD", "20241301", "%s is no time written as YYYYMMDD"},
		{"YYYYMMDD", "2024010112", "%s is no time written as YYYYMMDD"},
	} {
		if err := clock.Check(tc.format); err != nil {
			t.Fatal(err)
		}
		v, got := clock.NewReader(tc.format).Parse([]byte(tc.text))
		if got == "" {
			got = time.Unix(int64(v), 0).UTC().Format(time.RFC3339)
		}
		if got != tc.want {
			t.Errorf("%s as %s: %s, want %s", tc.text, tc.format, got, tc.want)
		}
	}
	for _, tc := range []struct {
		format string
		number float64
		want   float64
		bad    bool
	}{
		{"", 1.7e9, 1.7e9, false},
		{clock.Seconds, 1.7e9, 1.7e9, false},
		{clock.Milliseconds, 1.7e12, 1.7e9, false},
		{clock.Microseconds, 1.7e15, 1.7e9, false},
		{"", 1.7e12, 0, true},
		{clock.Milliseconds, 1.7e15, 0, true},
	} {
		if got, bad := clock.NewReader(tc.format).Number(tc.number); got != tc.want || (bad != "") != tc.bad {
			t.Errorf("%g as %q: %g %q", tc.number, tc.format, got, bad)
		}
	}
}

func TestCheck(t *testing.T) {
	for format, want := range map[string]string{
		"sec": `unknown "sec"`, "YYYYMMDDMM": "has MM twice", "hh:mm": "has no day", "YYYYMM": "has no day", "%Y-%m-%d": "unknown",
	} {
		if err := clock.Check(format); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", format, err, want)
		}
	}
}
