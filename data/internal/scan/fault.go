package scan

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Fault is what is wrong with a cell; empty if nothing is.
type Fault string

// Show quotes a cell for a message, shortened.
func Show(cell []byte) string {
	if len(cell) > 40 {
		return strconv.Quote(string(cell[:40])) + "..."
	}
	return strconv.Quote(string(cell))
}

// NULFault returns where a NUL is in text that may have invalid UTF-8.
func NULFault(text []byte) (int, Fault) {
	i := bytes.IndexByte(text, 0)
	if i < 0 {
		return i, ""
	}
	return TextFault(text[i:])
}

// TextFault returns the place of the first bytes that are not valid text, and what is wrong with them.
func TextFault(text []byte) (int, Fault) {
	if bytes.IndexByte(text, 0) < 0 && utf8.Valid(text) {
		return -1, ""
	}
	for i := 0; i < len(text); {
		if text[i] == 0 {
			return i, "holds a NUL byte; is the file binary, or UTF-16? Convert it to UTF-8"
		}
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i, Fault(fmt.Sprintf("invalid UTF-8 (byte 0x%02x); convert the file to UTF-8", text[i]))
		}
		i += n
	}
	return -1, ""
}

// TooLongFault says that a row is longer than max_line.
const TooLongFault = "the row has %d bytes, the longest may have %d (max_line)"
