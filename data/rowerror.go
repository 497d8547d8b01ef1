package data

import "fmt"

// RowError is a row that cannot be read.
type RowError struct {
	File   string
	Line   int64  // its first line, from 1
	InRows bool   // Line is the number of the row, from 1, of a file without lines
	Column string // name or number; empty if the row as a whole is at fault
	Msg    string // what is wrong, what to do
}

// Error returns "data: file:line: column C3: message", or "data: file: row 12: column C3: message".
func (e *RowError) Error() string {
	where := Place(e.File, e.Line, e.InRows)
	if e.Column == "" {
		return fmt.Sprintf("data: %s: %s", where, e.Msg)
	}
	return fmt.Sprintf("data: %s: column %s: %s", where, e.Column, e.Msg)
}

// Place names a line of a file, or a row of one without lines.
func Place(file string, line int64, inRows bool) string {
	if inRows {
		return fmt.Sprintf("%s: row %d", file, line)
	}
	return fmt.Sprintf("%s:%d", file, line)
}
