package scan

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data/bound"
)

const (
	bareQuote  = "a quote inside a cell; quote the whole cell and double the quote, or set quote: false"
	afterQuote = "text after a closing quote; double quotes inside a cell"
	openQuote  = "a quote is not closed within max_line bytes or the file"
)

// Delimited is records of cells between delimiters, of which some may be quoted. maxLine bounds the search for a closing quote.
type Delimited struct {
	Delim   byte
	Quote   bool
	Trim    bool // blanks around quotes do not count
	MaxLine int
	Names   []string // of the columns, of files without a header
}

// DelimiterOf returns the delimiter that an option names: a character, or tab.
func DelimiterOf(option string) string {
	if option == "tab" {
		return "\t"
	}
	return option
}

// IsDelimiter reports whether records can be split by delim.
func IsDelimiter(delim string) bool {
	return len(delim) == 1 && !strings.ContainsAny(delim, "\"\r\n\x00") && delim[0] < 0x80
}

// Header returns the names of a file's columns and whether they stand in it.
func (d Delimited) Header(path string, head []byte) ([]string, bool, error) {
	if len(d.Names) > 0 {
		return d.Names, false, nil
	}
	var names []string
	text := slices.Clone(head)
	_, _, bad := d.Cells(text, true, func(lo, hi int) {
		if d.Trim {
			lo, hi = TrimBlanks(text, lo, hi)
		}
		names = append(names, string(text[lo:hi]))
	})
	if bad != "" {
		if jsonStart(head) {
			return nil, false, fmt.Errorf("data: %s:1: looks like JSON, not like delimited rows; convert it to CSV", path)
		}
		return nil, false, fmt.Errorf("data: %s:1: header: %s", path, bad)
	}
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		if n != "" && seen[n] {
			return nil, false, fmt.Errorf("data: %s:1: column %s is in the header twice%s", path, bound.Name(n), d.HeaderAdvice(names))
		}
		seen[n] = true
	}
	return names, true, nil
}

// jsonStart reports whether a record begins like an object or a list of objects.
func jsonStart(record []byte) bool {
	text := bytes.TrimLeft(record, " \t")
	list := bytes.TrimLeft(bytes.TrimPrefix(text, []byte("[")), " \t")
	return bytes.HasPrefix(list, []byte(`{"`))
}

// HeaderAdvice returns what to do if a header that lacks names is no list of names: it has another delimiter, is the start of a web
// page, has blanks around the names, or looks like a row of values, as one of its names is a number. It is empty otherwise.
func (d Delimited) HeaderAdvice(names []string) string {
	if len(names) == 1 {
		for _, other := range []string{"\t", ";", ",", "|"} {
			if other[0] != d.Delim && strings.Contains(names[0], other) {
				if other == "\t" {
					other = "tab"
				}
				return fmt.Sprintf("; the first line has no %q: if its delimiter is %s, set delimiter: %q", string(d.Delim), other, other)
			}
		}
	}
	if len(names) > 0 {
		first := strings.ToLower(strings.TrimSpace(names[0]))
		if strings.HasPrefix(first, "<!doctype") || strings.HasPrefix(first, "<html") || strings.HasPrefix(first, "<?xml") {
			return "; the file is a web page or XML, not rows: get the data itself"
		}
	}
	blanks := ""
	for _, n := range names {
		cut := strings.Trim(n, " \t")
		if cut != n && !d.Trim {
			blanks = fmt.Sprintf("; names in the header have blanks around them (%s): trim: true takes them off", Show([]byte(n)))
		}
		if _, ok := ParseNumber([]byte(cut)); ok && cut != "" {
			return fmt.Sprintf("; the first line looks like values (%s), not like a header: if the file has none, set names to those of its columns",
				Show([]byte(cut)))
		}
	}
	return blanks
}

// NoneKnownAdvice is what to do if a header has none of the columns that are wanted, and HeaderAdvice knows nothing.
const NoneKnownAdvice = "; if the first line is no header, set names to those of the columns"

// TrimBlanks returns the limits of text[lo:hi] without the blanks and tabs around it.
func TrimBlanks(text []byte, lo, hi int) (int, int) {
	for lo < hi && (text[lo] == ' ' || text[lo] == '\t') {
		lo++
	}
	for lo < hi && (text[hi-1] == ' ' || text[hi-1] == '\t') {
		hi--
	}
	return lo, hi
}

// Cells splits the first record of text and calls cell with the limits of each cell. The limits leave out the cell's quotes, and
// doubled quotes are undone in place. It returns the length of the record with its line end, or 0 if more text is needed, the number of
// cells, and what is wrong with the last cell. A wrong record ends with its first line. If cell is nil, text stays as it is.
func (d Delimited) Cells(text []byte, atEOF bool, cell func(lo, hi int)) (n, cells int, bad string) {
	delim, limit := d.Delim, d.MaxLine
	firstLine := func(why string) (int, int, string) {
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			return i + 1, cells, why
		} else if atEOF {
			return len(text), cells, why
		}
		return 0, 0, ""
	}
	for pos := 0; ; {
		cells++
		if at := d.blanks(text, pos); d.Quote && at < len(text) && text[at] == '"' {
			pos = at
		}
		if !d.Quote || pos >= len(text) || text[pos] != '"' {
			end := nextOf(text, pos, len(text), delim, '\n')
			if end == len(text) && !atEOF {
				return 0, 0, ""
			}
			hi := end
			if (end == len(text) || text[end] == '\n') && hi > pos && text[hi-1] == '\r' {
				hi--
			}
			if d.Quote && bytes.IndexByte(text[pos:hi], '"') >= 0 {
				return firstLine(bareQuote)
			}
			if cell != nil {
				cell(pos, hi)
			}
			if end == len(text) || text[end] == '\n' {
				return min(end+1, len(text)), cells, ""
			}
			pos = end + 1
			continue
		}
		lo, end, doubled := pos+1, pos+1, false
		for {
			i := bytes.IndexByte(text[end:max(end, min(len(text), limit))], '"')
			if i < 0 {
				if len(text) >= limit || atEOF {
					return firstLine(openQuote)
				}
				return 0, 0, ""
			}
			end += i
			if end+1 < len(text) && text[end+1] == '"' {
				end += 2
				doubled = true
				continue
			}
			break
		}
		after := d.blanks(text, end+1)
		if !atEOF && after+1 >= len(text) { // the next two bytes decide
			return 0, 0, ""
		}
		if after < len(text) && text[after] == '\r' && (after+1 == len(text) || text[after+1] == '\n') {
			after++
		}
		if after < len(text) && text[after] != delim && text[after] != '\n' {
			return firstLine(afterQuote)
		}
		if cell != nil {
			hi := end
			if doubled {
				hi = lo + undouble(text[lo:end])
			}
			cell(lo, hi)
		}
		if after >= len(text) || text[after] == '\n' {
			return min(after+1, len(text)), cells, ""
		}
		pos = after + 1
	}
}

// blanks returns the place after the blanks of text from pos on, pos itself if blanks count.
func (d Delimited) blanks(text []byte, pos int) int {
	for d.Trim && pos < len(text) && (text[pos] == ' ' || text[pos] == '\t') && text[pos] != d.Delim {
		pos++
	}
	return pos
}

// undouble replaces "" by " in place and returns the new length.
func undouble(s []byte) int {
	n := 0
	for i := 0; i < len(s); i++ {
		s[n] = s[i]
		n++
		if s[i] == '"' {
			i++
		}
	}
	return n
}

// nextOf returns the place of the first a or b in data[i:hi], hi if there is none.
func nextOf(data []byte, i, hi int, a, b byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	as, bs := uint64(a)*ones, uint64(b)*ones
	for ; i+8 <= len(data) && i < hi; i += 8 {
		w := binary.LittleEndian.Uint64(data[i:])
		x, y := w^as, w^bs
		if t := ((x-ones)&^x | (y-ones)&^y) & tops; t != 0 {
			return min(i+bits.TrailingZeros64(t)/8, hi)
		}
	}
	for ; i < hi && data[i] != a && data[i] != b; i++ {
	}
	return min(i, hi)
}

// Record returns the length of the first record.
func (d Delimited) Record(text []byte, atEOF bool) int {
	if !d.Quote {
		return Lines{}.Record(text, atEOF)
	}
	if i := bytes.IndexByte(text, '\n'); i >= 0 && bytes.IndexByte(text[:i], '"') < 0 {
		return i + 1
	}
	if len(text) == 0 {
		return 0
	}
	n, _, _ := d.Cells(text, atEOF, nil)
	return n
}

// Cut returns the length of the whole records.
func (d Delimited) Cut(text []byte, atEOF bool) int {
	if atEOF {
		return len(text)
	}
	if !d.Quote || bytes.IndexByte(text, '"') < 0 {
		return Lines{}.Cut(text, false)
	}
	pos := 0
	for pos < len(text) {
		n := d.Record(text[pos:], false)
		if n == 0 {
			break
		}
		pos += n
	}
	return pos
}

// Fault refuses text that is not UTF-8.
func (d Delimited) Fault(record []byte) (int, Fault) { return TextFault(record) }
