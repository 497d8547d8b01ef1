package data

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// plan is what a parser must deliver of a row, apart from the label: the columns of a feature map.
type plan struct {
	features   []MapFeature
	at         []int // of feature i: its index among a chunk's tokens or numbers
	tokens     int   // columns of tokens
	numbers    int   // columns of numbers
	group      string
	time       string
	unlabelled bool // files may come without labels, as to predict
	maxLine    int
}

func newPlan(features []MapFeature) *plan {
	p := &plan{features: features, at: make([]int, len(features))}
	for i := range features {
		if features[i].numbers() {
			p.at[i] = p.numbers
			p.numbers++
		} else {
			p.at[i] = p.tokens
			p.tokens++
		}
	}
	return p
}

// block is a run of whole records of one file.
type block struct {
	seq     int64
	src     *fileRun
	line    int64  // number of its first line
	buf     []byte // that data lies in
	data    []byte
	tooLong bool // its one record is longer than the limit and left out
	last    bool // of its file
}

// fileRun is a file while it is scanned.
type fileRun struct {
	path   string
	parser parser
	rows   int64 // good ones so far, counted in order
	bad    int64
}

// parser turns the records of a block into the rows of a chunk. It is used by many goroutines at once.
type parser interface{ parse(c *chunk) }

// span is a cell of a block's data.
type span struct{ lo, hi uint32 }

// chunk is the rows of a block, parsed.
type chunk struct {
	*block
	plan   *plan
	n      int
	tok    []span    // [n * plan.tokens]
	num    []float64 // [n * plan.numbers]; a blank is NaN
	label  []float32
	group  []int64
	time   []float64
	bad    []*RowError // the first few
	nbad   int64
	dirty  bool // the data holds NUL or is not UTF-8: every record must be looked at
	part   []uint8
	first  int64 // number of its first row among the good rows of the scan
	enc    [3][]byte
	count  [3]int64 // rows of each part
	pieces [][]byte // scratch of Multi cells
	ends   []uint32 // scratch: the ends of the cells of a row
	stats  []moments
}

// reset starts the rows of b.
func (c *chunk) reset(b *block) {
	c.block, c.n, c.nbad = b, 0, 0
	c.tok, c.num, c.label, c.group, c.time = c.tok[:0], c.num[:0], c.label[:0], c.group[:0], c.time[:0]
	c.bad = c.bad[:0]
	c.dirty = bytes.IndexByte(b.data, 0) >= 0 || !utf8.Valid(b.data)
}

// begin makes room for a row's tokens and numbers and returns them; end keeps the row.
func (c *chunk) begin() ([]span, []float64) {
	t, k := c.n*c.plan.tokens, c.n*c.plan.numbers
	c.tok = grow(c.tok, t+c.plan.tokens)
	c.num = grow(c.num, k+c.plan.numbers)
	return c.tok[t:], c.num[k:]
}

func grow[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	out := make([]T, n, max(2*cap(s), n, 1024))
	copy(out, s)
	return out
}

// end keeps the row that begin started.
func (c *chunk) end(label float32, group int64, time float64) {
	c.n++
	c.label = append(c.label, label)
	if c.plan.group != "" {
		c.group = append(c.group, group)
	}
	if c.plan.time != "" {
		c.time = append(c.time, time)
	}
}

// reject leaves a row out.
func (c *chunk) reject(line int64, column, format string, args ...any) {
	c.nbad++
	if len(c.bad) < shownBad {
		c.bad = append(c.bad, &RowError{File: c.src.path, Line: line, Column: column, Msg: fmt.Sprintf(format, args...)})
	}
}

// fault is what is wrong with a cell; empty if nothing is.
type fault string

// show quotes a cell for a message, shortened.
func show(cell []byte) string {
	if len(cell) > 40 {
		return strconv.Quote(string(cell[:40])) + "..."
	}
	return strconv.Quote(string(cell))
}

// nulFault returns where a NUL is in text that may have invalid UTF-8.
func nulFault(text []byte) (int, fault) {
	i := bytes.IndexByte(text, 0)
	if i < 0 {
		return i, ""
	}
	return textFault(text[i:])
}

// textFault returns the first thing in text that is no text, and where it is.
func textFault(text []byte) (int, fault) {
	for i := 0; i < len(text); {
		if text[i] == 0 {
			return i, "holds a NUL byte; is the file binary, or UTF-16? Convert it to UTF-8"
		}
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i, fault(fmt.Sprintf("invalid UTF-8 (byte 0x%02x); convert the file to UTF-8", text[i]))
		}
		i += n
	}
	return -1, ""
}

// parseNumber returns the value of a decimal number. Blank is NaN; infinities and NaN are no numbers.
func parseNumber(s []byte) (float64, bool) {
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

const numberFault = "%s is not a number in the range of float32; want digits like -12 or 0.5, or a blank"

// parseLabel returns the label 0 or 1.
func parseLabel(s []byte) (float32, bool) {
	if len(s) == 1 {
		d := s[0] - '0'
		return float32(d), d <= 1
	}
	v, ok := parseNumber(s)
	return float32(v), ok && (v == 0 || v == 1)
}

const labelFault = "label %s; want 0 or 1"

// parseGroup returns the key of a group: an integer as it is, other text hashed.
func parseGroup(s []byte) int64 {
	if len(s) > 0 && len(s) < 19 {
		if v, err := strconv.ParseInt(string(s), 10, 64); err == nil && strconv.FormatInt(v, 10) == string(s) {
			return v
		}
	}
	return int64(xxhash.Sum64(s))
}
