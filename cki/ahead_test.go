package cki

import (
	"errors"
	"strings"
	"testing"
)

// TestReadAhead: blocks come in order, each once, and an error of either side ends both.
func TestReadAhead(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		rows, step   int
		readAt, want int // read fails at this row; rows that are used
		useAt        int
		err          error
	}{
		{10, 3, -1, 10, -1, nil},
		{9, 3, -1, 9, -1, nil},
		{2, 5, -1, 2, -1, nil},
		{0, 1, -1, 0, -1, nil},
		{10, 3, 6, 6, -1, boom},
		{10, 3, 0, 0, -1, boom},
		{10, 3, -1, 3, 3, boom},
		{2, 5, 0, 0, -1, boom},
		{2, 5, -1, 0, 0, boom},
	} {
		used := 0
		err := readAhead(tc.rows, tc.step, tc.step, func(lo, hi int, buf []float32) error {
			if lo == tc.readAt {
				return boom
			}
			for i := range hi - lo {
				buf[i] = float32(lo + i)
			}
			return nil
		}, func(lo, hi int, buf []float32) error {
			if lo == tc.useAt {
				return boom
			}
			for i := range hi - lo {
				if buf[i] != float32(used) {
					t.Fatalf("%+v: row %d is %v", tc, used, buf[i])
				}
				used++
			}
			return nil
		})
		if err != tc.err || used != tc.want {
			t.Errorf("%+v: %d rows used, %v", tc, used, err)
		}
	}
	panics := readAhead(4, 2, 2, func(int, int, []float32) error { panic("read") }, func(int, int, []float32) error { return nil })
	if panics == nil || !strings.Contains(panics.Error(), "read") {
		t.Errorf("a panic of the reader is %v", panics)
	}
}
