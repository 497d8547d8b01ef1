package data

import (
	"context"
	"iter"
)

// Passer is a Dataset that can return columns of a file as they are, to be written beside what is computed of its rows.
type Passer interface {
	Dataset
	// Pass returns columns of a file, in the order of the rows that Stream returns of it. They need not be declared.
	Pass(ctx context.Context, path string, columns []string, o StreamOptions) (*Passed, error)
}

// Passed is columns of a file.
type Passed struct {
	Kinds []CellKind // of each column
	// Rows are the cells of each row, by column; a blank is empty. They are valid until the next row is asked for. An error ends them.
	Rows iter.Seq2[[][]byte, error]
}

// CellKind is what all cells of a column are that are not blank.
type CellKind int

// Kinds of cells.
const (
	TextCells    CellKind = iota
	IntegerCells          // decimal digits, in the range of int64
	NumberCells           // floating point numbers
	BooleanCells          // 1 and 0
)
