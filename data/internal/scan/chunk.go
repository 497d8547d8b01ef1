package scan

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"unicode/utf8"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/clock"
)

// Plan is what a parser must deliver of a row, apart from the label.
type Plan struct {
	Columns    []PlanColumn
	Tokens     int   // columns of tokens
	uses       []int // of each of their places, how many columns have it
	Numbers    int   // columns of numbers
	Group      string
	Time       string
	Labels     []string // of rows with several: the columns, in their order; nil for others
	Weight     string
	Unlabelled bool // files may come without labels, as to predict
	// Left is told of a file's columns that nobody declared, which are left out; they are an error if it is nil
	Left    func(file string, columns []string)
	MaxLine int
}

// PlanColumn is a column that a parser must deliver.
type PlanColumn struct {
	Name   string
	Number bool // else a token
	At     int  // its index among the tokens or numbers of a row
	Time   bool // a number that is a time, as Clock reads it: see [PlanColumn.Read]
	Clock  clock.Reader
	// Count is how many numbers a cell has, with Separator between them, if it is a vector: At is the place of the first one
	Count     int
	Separator string
}

// Special reports whether the column is of numbers that [PlanColumn.Read] has to read.
func (c *PlanColumn) Special() bool { return c.Time || c.Count > 0 }

// Alone reports whether one column alone is of a place among the tokens of a row.
func (p *Plan) Alone(at int) bool { return p.uses[at] == 1 }

// Add adds a column, whose At it sets. Columns of one name that are read alike are of one place in a row.
func (p *Plan) Add(c PlanColumn) {
	for _, have := range p.Columns {
		if c.At = have.At; c == have {
			if !c.Number {
				p.uses[c.At]++
			}
			p.Columns = append(p.Columns, c)
			return
		}
	}
	if c.At = p.Tokens; c.Number {
		c.At = p.Numbers
		p.Numbers += max(1, c.Count)
	} else {
		p.Tokens++
		p.uses = append(p.uses, 1)
	}
	p.Columns = append(p.Columns, c)
}

// Block is a run of whole records of one file.
type Block struct {
	Seq     int64
	Src     *FileRun
	Line    int64  // number of its first line
	Buf     []byte // that data lies in
	Data    []byte
	tooLong bool // its one record is longer than the limit and left out
	last    bool // of its file
	Rows    RowBlock
}

// RowBlock is a block of a file whose columns lie apart.
type RowBlock struct {
	Turn  int64 // its number in the file
	Group int   // the row group that it is of
	First int64 // number of its first row, from 0
	Rows  int
}

// FileRun is a file while it is scanned.
type FileRun struct {
	Path   string
	Parser Parser
	InRows bool  // places in it are rows, not lines
	rows   int64 // good ones so far, counted in order
	bad    int64

	users atomic.Int64 // of a file whose columns lie apart: its blocks and its reader, the last of which closes it
	close func() error
}

// release is for a user of the file that needs it no more.
func (f *FileRun) release() error {
	if f.close == nil || f.users.Add(-1) != 0 {
		return nil
	}
	return f.close()
}

// Parser turns the records of a block into the rows of a chunk. It is used by many goroutines at once.
type Parser interface{ Parse(c *Chunk) }

// Span is a cell of a block's data.
type Span struct{ Lo, Hi uint32 }

// Coded is the values of a column of tokens that occur in a part of a file. Rows have their numbers, so that a value is looked at once.
type Coded struct {
	Text []byte
	Span []Span         // of each value in Text
	Memo []atomic.Int32 // what the sink made of each value, plus 1; 0 if it has made nothing of it yet
}

// Chunk is the rows of a block, parsed.
type Chunk struct {
	*Block
	Plan    *Plan
	N       int
	Tok     []Span    // [N * Plan.Tokens]
	Coded   []*Coded  // by token; nil if Tok has the cells. It is empty if Tok has all
	Code    []int32   // [N * Plan.Tokens] numbers of the values of a Coded; -1 for a blank
	Num     []float64 // [N * Plan.Numbers]; a blank is NaN
	Label   []float32
	Group   []int64
	More    []float32 // [N * (len(Plan.Labels)-1)]: the labels after the first one, NaN for one that a row does not have
	Weight  []float32 // [N], with Plan.Weight
	time    []float64
	Kinds   []Sighting       // formats of times
	Words   []Sighting       // labels that are words, but for the positive one
	Bad     []*data.RowError // the first few
	Nbad    int64
	Dirty   bool // the data holds NUL or is not UTF-8: every record must be looked at
	Part    []data.Part
	first   int64     // number of its first row among the good rows of the scan
	Enc     [3][]byte // what the sink made of the rows, by part
	Count   [3]int64  // rows of each part
	Ends    []uint32  // scratch: the ends of the cells of a row
	Scratch any       // of the sink
	Parsed  any       // scratch of the parser
	Fault   error     // why the file cannot be read on from this block
}

// First returns the number of the chunk's first row among the good rows of the scan.
func (c *Chunk) First() int64 { return c.first }

// CodedBy returns the values that a token of row r is one of, and its number among them; nil if it is not coded.
func (c *Chunk) CodedBy(r, at int) (*Coded, int32) {
	if at >= len(c.Coded) || c.Coded[at] == nil {
		return nil, 0
	}
	return c.Coded[at], c.Code[r*c.Plan.Tokens+at]
}

// Cell returns the text of a token of row r.
func (c *Chunk) Cell(r, at int) []byte {
	if d, k := c.CodedBy(r, at); d != nil {
		if k < 0 {
			return nil
		}
		s := d.Span[k]
		return d.Text[s.Lo:s.Hi]
	}
	s := c.Tok[r*c.Plan.Tokens+at]
	return c.Data[s.Lo:s.Hi]
}

// Reset starts the rows of b.
func (c *Chunk) Reset(b *Block) {
	c.Block, c.N, c.Nbad, c.Fault = b, 0, 0, nil
	c.Tok, c.Num, c.Label, c.Group, c.time = c.Tok[:0], c.Num[:0], c.Label[:0], c.Group[:0], c.time[:0]
	c.More, c.Weight = c.More[:0], c.Weight[:0]
	c.Bad, c.Kinds, c.Words, c.Coded = c.Bad[:0], c.Kinds[:0], c.Words[:0], c.Coded[:0]
	c.Dirty = bytes.IndexByte(b.Data, 0) >= 0 || !utf8.Valid(b.Data)
}

// Sighting is something of which all rows must have the same, and where it was met first.
type Sighting struct {
	What string
	File string
	Line int64
	Cell string
	rows bool // Line is a row
}

// where returns the place.
func (s *Sighting) where() string { return data.Place(s.File, s.Line, s.rows) }

// Sight adds what a row has to the list, unless it is there already or two others are.
func (c *Chunk) Sight(list []Sighting, what string, cell []byte, line int64) []Sighting {
	for i := range list {
		if list[i].What == what {
			return list
		}
	}
	if len(list) == 2 {
		return list
	}
	return append(list, Sighting{What: what, File: c.Src.Path, Line: line, Cell: Show(cell), rows: c.Src.InRows})
}

// another returns the first of list that is not what was met before, which is the first of all if there was none.
func (s *Sighting) another(list []Sighting) *Sighting {
	for i := range list {
		if s.What == "" {
			*s = list[i]
		} else if list[i].What != s.What {
			return &list[i]
		}
	}
	return nil
}

// Begin makes room for a row's tokens and numbers and returns them; end keeps the row.
func (c *Chunk) Begin() ([]Span, []float64) {
	t, k := c.N*c.Plan.Tokens, c.N*c.Plan.Numbers
	c.Tok = Grow(c.Tok, t+c.Plan.Tokens)
	c.Num = Grow(c.Num, k+c.Plan.Numbers)
	return c.Tok[t:], c.Num[k:]
}

// Grow returns s with n elements, in more room if it needs it. What it had stays.
func Grow[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	out := make([]T, n, max(2*cap(s), n, 1024))
	copy(out, s)
	return out
}

// End keeps the row that begin started.
func (c *Chunk) End(label float32, group int64, time float64) {
	c.N++
	c.Label = append(c.Label, label)
	if c.Plan.Group != "" {
		c.Group = append(c.Group, group)
	}
	if c.Plan.Time != "" {
		c.time = append(c.time, time)
	}
}

// keep leaves out the rows after the first n.
func (c *Chunk) keep(n int) {
	if n >= c.N {
		return
	}
	c.N, c.Label = n, c.Label[:n]
	c.Tok, c.Num = c.Tok[:n*c.Plan.Tokens], c.Num[:n*c.Plan.Numbers]
	if c.Plan.Group != "" {
		c.Group = c.Group[:n]
	}
	if c.Plan.Time != "" {
		c.time = c.time[:n]
	}
	if c.More = c.More[:n*max(0, len(c.Plan.Labels)-1)]; c.Plan.Weight != "" {
		c.Weight = c.Weight[:n]
	}
}

// Beside keeps what a row has beside its label: the labels after the first one, and its weight. It comes before End.
func (c *Chunk) Beside(more []float32, weight float32) {
	c.More = append(c.More, more...)
	if c.Plan.Weight != "" {
		c.Weight = append(c.Weight, weight)
	}
}

// Value returns number k of a row that is of no feature: of its labels, and then its weight.
func (c *Chunk) Value(k, row int) float32 {
	switch more := max(0, len(c.Plan.Labels)-1); {
	case k == 0:
		return c.Label[row]
	case k <= more:
		return c.More[row*more+k-1]
	}
	return c.Weight[row]
}

// Values returns how many numbers a row has that are of no feature.
func (p *Plan) Values() int {
	n := max(1, len(p.Labels))
	if p.Weight != "" {
		n++
	}
	return n
}

// Reject leaves a row out.
func (c *Chunk) Reject(line int64, column, format string, args ...any) {
	c.Nbad++
	if len(c.Bad) < shownBad {
		c.Bad = append(c.Bad, &data.RowError{
			File: c.Src.Path, Line: line, InRows: c.Src.InRows, Column: column, Msg: fmt.Sprintf(format, args...),
		})
	}
}
