package data

import "fmt"

// RowError is a row that cannot be read.
type RowError struct {
	File   string
	Line   int64  // its first line, from 1
	Column string // name or number; empty if the row as a whole is at fault
	Msg    string // what is wrong, what to do
}

// Error returns "data: file:line: column C3: message".
func (e *RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("data: %s:%d: %s", e.File, e.Line, e.Msg)
	}
	return fmt.Sprintf("data: %s:%d: column %s: %s", e.File, e.Line, e.Column, e.Msg)
}
