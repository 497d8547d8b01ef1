package scan

import "bytes"

// Format is a way to write rows as text.
type Format interface {
	// Parser returns the parser of a file whose first record is head; header tells whether that is no row.
	Parser(path string, head []byte, p *Plan) (pr Parser, header bool, err error)
	// Record returns the length of the first record of text with its line end; 0 if it is not whole. At the end of
	// the file it always is.
	Record(text []byte, atEOF bool) int
	// Cut returns the length of the whole records at the start of text.
	Cut(text []byte, atEOF bool) int
	// Fault returns what makes a first record no text, and where.
	Fault(record []byte) (int, Fault)
}

// Lines are records that end with the line.
type Lines struct{}

// Record returns the length of the first line.
func (Lines) Record(text []byte, atEOF bool) int {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	} else if atEOF {
		return len(text)
	}
	return 0
}

// Fault refuses what is no UTF-8 text.
func (Lines) Fault(record []byte) (int, Fault) { return TextFault(record) }

// Cut returns the length of the whole lines.
func (Lines) Cut(text []byte, atEOF bool) int {
	if atEOF {
		return len(text)
	}
	return bytes.LastIndexByte(text, '\n') + 1
}
