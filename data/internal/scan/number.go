package scan

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// ParseNumber returns the value of a decimal number. Blank is NaN; infinities and NaN are no numbers.
func ParseNumber(s []byte) (float64, bool) {
	if len(s) == 0 {
		return math.NaN(), true
	}
	i, neg := 0, s[0] == '-'
	if neg {
		i = 1
	}
	if len(s)-i <= 15 && i < len(s) {
		v := int64(0)
		for ; i < len(s); i++ {
			d := s[i] - '0'
			if d > 9 {
				return slowNumber(s)
			}
			v = v*10 + int64(d)
		}
		if neg {
			v = -v
		}
		return float64(v), true
	}
	return slowNumber(s)
}

func slowNumber(s []byte) (float64, bool) {
	for _, b := range s {
		if (b < '0' || b > '9') && b != '.' && b != '-' && b != '+' && b != 'e' && b != 'E' {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(string(s), 64)
	return v + 0, err == nil && math.Abs(v) <= math.MaxFloat32 // + 0: -0 is 0
}

// NumberFault says what is wrong with a cell that ParseNumber refuses.
const NumberFault = "%s is not a number in the range of float32; want digits like -12 or 0.5, or a blank"

// ParseLabel returns the label 0 or 1.
func ParseLabel(s []byte) (float32, bool) {
	if len(s) == 1 {
		d := s[0] - '0'
		return float32(d), d <= 1
	}
	v, ok := ParseNumber(s)
	return float32(v), ok && (v == 0 || v == 1)
}

// LabelFault says what is wrong with a cell that ParseLabel refuses.
const LabelFault = "label %s; want 0 or 1"

// ParseGroup returns the key of a group: an integer as it is, other text hashed.
func ParseGroup(s []byte) int64 {
	if len(s) > 0 && len(s) < 19 {
		if v, err := strconv.ParseInt(string(s), 10, 64); err == nil && strconv.FormatInt(v, 10) == string(s) {
			return v
		}
	}
	return int64(xxhash.Sum64(s))
}

// vector reads the numbers of a cell, or NaNs of a blank one.
func (c *PlanColumn) vector(num []float64, cell []byte) (bad string) {
	if len(cell) == 0 {
		for i := range num {
			num[i] = math.NaN()
		}
		return ""
	}
	if n := len(cell); n > 1 && cell[0] == '[' && cell[n-1] == ']' {
		cell = cell[1 : n-1]
	}
	for i := range num {
		at, end := bytes.Index(cell, []byte(c.Separator)), len(cell)
		if at >= 0 {
			end = at
		}
		if (at < 0) != (i == len(num)-1) {
			return fmt.Sprintf("%%s has another number of numbers than %d (dim), with %q between them", len(num), strings.ReplaceAll(c.Separator, "%", "%%"))
		}
		v, ok := ParseNumber(bytes.TrimSpace(cell[:end]))
		if num[i] = v; !ok || math.IsNaN(v) {
			return fmt.Sprintf("number %d of %%s is none in the range of float32", i)
		}
		if at >= 0 {
			cell = cell[at+len(c.Separator):]
		}
	}
	return ""
}
