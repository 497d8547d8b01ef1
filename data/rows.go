package data

import (
	"fmt"
	"maps"
	"slices"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/internal/namelist"
)

// RowEncoder turns rows in memory into ids and numbers. It uses the code that reads files, so a row has the same bits whether it comes
// from a file or from memory.
//
// A row is the values of its columns by name. A value is a string, a number, a list of these for a column of several tokens, or
// nil for a blank cell. A number means the same as its decimal digits in a file, so 17 and 17.0 are both the token "17".
// Every column that is a feature or a text must be there. The label, the group, the time and columns that are ignored may be there; their
// values are not looked at. Any other column is an error.
//
// Only one goroutine may use a RowEncoder at a time. An encoder for each goroutine costs little, since encoders share vocabularies.
type RowEncoder interface {
	// Schema returns what the batches are made for: by NewBatch, or with text by NewTokenBatch for its longest length.
	Schema() *Schema
	// Columns returns the columns that every row must have, in their order.
	Columns() []RowColumn
	// Encode makes rows the rows of b, at most its Size, and the rest padding. Sequences of text get the length of the smallest
	// bucket that holds them all. Labels are 0. After an error, which is a *ValueError if it is about a value or a column, what
	// b holds is undefined. Nothing is allocated for rows of tables after the first ones.
	Encode(b *Batch, rows ...map[string]any) error
}

// RowColumn is a column of rows in memory.
type RowColumn struct {
	Name string
	Type ValueType
}

// ValueType says what the values of a column are.
type ValueType string

// Types of values.
const (
	TokenValue  ValueType = "token"  // one token: a string or a number
	NumberValue ValueType = "number" // a number
	ListValue   ValueType = "list"   // several tokens
	TextValue   ValueType = "text"   // a text
)

// ValueError is a row in memory that cannot be encoded.
type ValueError struct {
	Row    int    // its place among the rows, from 0
	Column string // empty if the row as a whole is at fault
	Msg    string // what is wrong, what to do
}

// Error returns "data: row 2: column C3: message".
func (e *ValueError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("data: row %d: %s", e.Row, e.Msg)
	}
	return fmt.Sprintf("data: row %d: column %s: %s", e.Row, e.Column, e.Msg)
}

// MissingColumns returns the error that a row lacks some of the columns that it must have.
func MissingColumns(row map[string]any, want []string) *ValueError {
	missing := slices.DeleteFunc(slices.Clone(want), func(name string) bool { _, ok := row[name]; return ok })
	if len(missing) == 1 {
		return &ValueError{Column: missing[0], Msg: "is missing; the row has " + shownColumns(row)}
	}
	return &ValueError{Msg: fmt.Sprintf("columns %s are missing; the row has %s", namelist.Show(missing), shownColumns(row))}
}

func shownColumns(row map[string]any) string {
	return namelist.ShowOrNone(slices.Sorted(maps.Keys(row)))
}

// UnknownColumn returns the error that a row has a column that it cannot have.
func UnknownColumn(name string, valid []string) *ValueError {
	if near, ok := registry.Nearest(name, valid); ok {
		return &ValueError{Column: name, Msg: fmt.Sprintf("there is no such column; did you mean %q?", near)}
	}
	return &ValueError{Column: name, Msg: "there is no such column; there are " + namelist.Show(valid)}
}
