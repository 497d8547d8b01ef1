package parquet

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/scan"
)

// Reading says what the cells of a table mean.
type Reading struct {
	Labels []string                       // columns, in their order; an empty one is not needed
	Clean  func(text []byte) (lo, hi int) // see Want
	Blanks bool
	// Separator stands between the tokens of a list; it is empty if the column takes none.
	Separator func(column string) string
	// Labelled reads label number i. word reports that it is a word other than the positive one.
	Labelled func(i int, cell []byte, unlabelled bool) (label float32, word bool, fault string)
	// Weighed reads the weight of a row.
	Weighed func(cell []byte) (weight float32, fault string)
	// Aligned returns what is wrong with a row's sequences, whose cells it asks for. It may be nil.
	Aligned func(cell func(column string) []byte) (column, fault string)
}

// Rows reads the rows of a file.
type Rows struct {
	file    *File
	plan    *scan.Plan
	reading Reading
	columns []reader
	cursors []*Cursor
	labels  []int // among columns; -1 for none
	weight  int
	group   int
	time    int
}

// reader is a column with the roles that it has.
type reader struct {
	*Cursor
	tokens    []int // places among the tokens of a row
	numbers   []int
	special   []scan.PlanColumn // that are read from the text of a cell in a way of their own
	separator string
	text      bool
}

// Open returns the rows of a file, as a plan wants them. Rows.Close closes the file.
func (r Reading) Open(f *File, p *scan.Plan) (*Rows, error) {
	rows := &Rows{file: f, plan: p, reading: r, labels: make([]int, len(r.Labels)), weight: -1, group: -1, time: -1}
	byName := map[string]int{}
	for i, c := range f.Columns {
		if _, twice := byName[c.Name]; twice {
			return nil, fmt.Errorf("data: %s: column %s is there twice; write the file with other names", f.Path, bound.Name(c.Name))
		}
		byName[c.Name] = i
	}
	at := map[int]int{} // places among rows.columns
	var missing []string
	use := func(name string) (int, *reader) {
		i, ok := byName[name]
		if !ok {
			if !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
			return -1, &reader{}
		}
		k, ok := at[i]
		if !ok {
			k = len(rows.columns)
			at[i] = k
			rows.columns = append(rows.columns, reader{Cursor: f.Cursor(&f.Columns[i], Want{Clean: r.Clean, Blanks: r.Blanks, Longest: p.MaxLine})})
		}
		return k, &rows.columns[k]
	}
	for _, c := range p.Columns {
		if _, col := use(c.Name); c.Special() {
			col.special, col.text = append(col.special, c), true
			col.separator = r.Separator(c.Name)
		} else if c.Number {
			col.numbers = append(col.numbers, c.At)
		} else {
			col.tokens, col.text = append(col.tokens, c.At), true
			col.separator = r.Separator(c.Name)
		}
	}
	type role struct {
		name string
		at   *int
	}
	roles := []role{{p.Weight, &rows.weight}, {p.Group, &rows.group}, {p.Time, &rows.time}}
	for i, name := range slices.Backward(r.Labels) {
		rows.labels[i] = -1
		roles = slices.Insert(roles, 0, role{name, &rows.labels[i]})
	}
	for _, role := range roles {
		if role.name != "" {
			k, col := use(role.name)
			col.text, *role.at = true, k
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("data: %s: no column %s; the file has %s", f.Path, namelist.Show(missing), namelist.Show(f.Names()))
	}
	for i := range rows.columns {
		if err := rows.check(i); err != nil {
			return nil, err
		}
		c := &rows.columns[i]
		if c.column.List { // the cell of all its tokens counts, as in CSV
			c.want.Clean, c.want.Blanks = nil, false
		}
		c.want.Text = c.text
		c.want.Codes = len(c.tokens) > 0 && !c.column.List && !rows.beside(i) && len(c.numbers) == 0 && len(c.special) == 0
		c.want.Number = len(c.numbers) > 0 || i == rows.time && !c.column.IsText()
		rows.cursors = append(rows.cursors, c.Cursor)
	}
	return rows, nil
}

// check returns an error if a column cannot have its roles.
func (r *Rows) check(i int) error {
	c := &r.columns[i]
	col, why := c.column, c.column.Why
	switch {
	case why != "":
	case col.List && len(c.numbers) > 0:
		why = "has lists, not numbers; declare it multi or sequence, or ignore it"
	case col.List && r.beside(i):
		why = "has lists, which are no label, weight, group or time; name another column"
	case col.List && c.separator == "":
		why = "has lists, not single values; declare it multi or sequence, or ignore it"
	case len(c.numbers) > 0 && (col.IsTime() || col.kind == kindTime || col.kind == kindUUID):
		why = "has times or ids, which are no numbers; declare it categorical, ignore it, or write it as numbers"
	case i == r.time && (col.kind == kindTime || col.kind == kindUUID || col.kind == kindBool):
		why = "has no times that rows can be ordered by; name another column"
	default:
		return nil
	}
	return fmt.Errorf("data: %s: column %s: %s", r.file.Path, bound.Name(col.Name), why)
}

// beside reports whether a column is what rows have beside their features.
func (r *Rows) beside(i int) bool {
	return slices.Contains(r.labels, i) || i == r.weight || i == r.group || i == r.time
}

// File returns the open file.
func (r *Rows) File() *os.File { return r.file.File() }

// Close closes the file.
func (r *Rows) Close() error {
	for _, c := range r.cursors {
		c.Close()
	}
	return r.file.Close()
}

// Bounds of a block of rows: about as many bytes as a block of text has.
const (
	blockBytes = 1 << 20
	mostBlock  = 4096
	leastBlock = 16
)

// Blocks cuts the row groups into blocks.
func (r *Rows) Blocks(emit func(b scan.RowBlock) error) error {
	turn := int64(0)
	for g, group := range r.file.Groups {
		size := min(max(blockBytes/max(1, r.file.RowBytes(g, r.cursors)), leastBlock), mostBlock)
		for at := int64(0); at < group.Rows; at += size {
			b := scan.RowBlock{Turn: turn, Group: g, First: group.First + at, Rows: int(min(size, group.Rows-at))}
			if err := emit(b); err != nil {
				return err
			}
			turn++
		}
	}
	return nil
}

// scratch is what a goroutine needs to parse blocks.
type scratch struct {
	text   []byte
	cells  []Cells
	bad    []int // columns of rows that cannot be read, plus 1
	faults []string
	labels []float32 // of a row
}

// Parse parses the rows of a block.
func (r *Rows) Parse(c *scan.Chunk) {
	s, _ := c.Parsed.(*scratch)
	if s == nil || len(s.cells) != len(r.columns) {
		s = &scratch{cells: make([]Cells, len(r.columns))}
		c.Parsed = s
	}
	n := c.Block.Rows.Rows
	text := s.text[:0]
	s.bad, s.faults = scan.Grow(s.bad, n), scan.Grow(s.faults, n)
	clear(s.bad)
	c.Tok, c.Num = scan.Grow(c.Tok, n*c.Plan.Tokens), scan.Grow(c.Num, n*c.Plan.Numbers)
	c.Code, c.Coded = scan.Grow(c.Code, n*c.Plan.Tokens), scan.Grow(c.Coded, c.Plan.Tokens)
	clear(c.Coded)
	for i := range r.columns {
		col, cells := &r.columns[i], &s.cells[i]
		if c.Fault != nil { // others must not wait for the turn
			col.skip(c.Block.Rows.Turn, c.Fault)
			continue
		}
		if text, c.Fault = col.Read(c.Block.Rows.Turn, c.Block.Rows.Group, n, text, cells); c.Fault != nil {
			continue
		}
		c.Fault = crash.Guard(func() (err error) {
			if col.column.List {
				text, err = r.join(c, s, i, text)
			} else {
				r.place(c, s, i, text)
			}
			return err
		})
	}
	s.text, c.Data = text, text
	if c.Fault == nil {
		r.finish(c, s, n)
	}
}

// wrong notes the first fault of a row.
func (s *scratch) wrong(row, column int, fault string) {
	if s.bad[row] == 0 {
		s.bad[row], s.faults[row] = column+1, fault
	}
}

// place puts the values of a column where the plan wants them.
func (r *Rows) place(c *scan.Chunk, s *scratch, i int, text []byte) {
	col, cells := &r.columns[i], &s.cells[i]
	for _, at := range col.tokens {
		if c.Coded[at] = cells.Coded; cells.Coded != nil {
			for row, code := range cells.Code {
				c.Code[row*c.Plan.Tokens+at] = code
			}
			continue
		}
		for row, span := range cells.Span {
			c.Tok[row*c.Plan.Tokens+at] = span
		}
	}
	for _, at := range col.numbers {
		for row, v := range cells.Number {
			c.Num[row*c.Plan.Numbers+at] = v
		}
	}
	for _, b := range cells.Bad {
		s.wrong(b.Value, i, b.Fault)
	}
	if len(col.special) > 0 {
		for row, span := range cells.Span {
			r.read(c, s, i, row, text[span.Lo:span.Hi])
		}
	}
}

// read reads the cell of a row by the columns of the plan that have a way of their own.
func (r *Rows) read(c *scan.Chunk, s *scratch, i, row int, cell []byte) {
	for k := range r.columns[i].special {
		if bad := r.columns[i].special[k].Read(c.Num[row*c.Plan.Numbers:(row+1)*c.Plan.Numbers], cell); bad != "" {
			s.wrong(row, i, fmt.Sprintf(bad, scan.Show(cell)))
		}
	}
}

// join makes a cell of the tokens of each list.
func (r *Rows) join(c *scan.Chunk, s *scratch, i int, text []byte) ([]byte, error) {
	col, cells := &r.columns[i], &s.cells[i]
	value, bad := 0, cells.Bad
	for row, n := range cells.Len {
		lo := len(text)
		for k := range int(n) {
			span := cells.Span[value+k]
			if k > 0 {
				text = append(text, col.separator...)
			}
			token := text[span.Lo:span.Hi]
			if bytes.Contains(token, []byte(col.separator)) {
				s.wrong(row, i, fmt.Sprintf("value %d of the list: %s holds the separator %q, so that a CSV file would have two values; give another separator",
					k, scan.Show(token), col.separator))
			}
			text = append(text, token...)
			for len(bad) > 0 && bad[0].Value == value+k {
				s.wrong(row, i, fmt.Sprintf("value %d of the list: %s", k, bad[0].Fault))
				bad = bad[1:]
			}
		}
		value += int(n)
		if len(text)-lo > c.Plan.MaxLine {
			s.wrong(row, i, fmt.Sprintf("the list has %d bytes, the longest may have %d (max_line)", len(text)-lo, c.Plan.MaxLine))
		}
		if len(text) > math.MaxInt32 {
			return text, fmt.Errorf("data: %s: column %s: %w", r.file.Path, col.column.Name, errRows)
		}
		span := scan.Span{Lo: uint32(lo), Hi: uint32(len(text))}
		if r.reading.Clean != nil {
			from, to := r.reading.Clean(text[lo:])
			span = scan.Span{Lo: uint32(lo + from), Hi: uint32(lo + to)}
		}
		for _, at := range col.tokens {
			c.Tok[row*c.Plan.Tokens+at] = span
		}
		r.read(c, s, i, row, text[span.Lo:span.Hi])
	}
	return text, nil
}

// finish keeps the rows that can be read.
func (r *Rows) finish(c *scan.Chunk, s *scratch, n int) {
	kind := ""
	if r.time >= 0 {
		kind = r.columns[r.time].timeKind()
	}
	labels := scan.Grow(s.labels, max(1, len(r.labels)))
	s.labels = labels
	for row := range n {
		line := c.Line + int64(row)
		clear(labels)
		word, weight := []byte(nil), float32(0)
		for i, column := range r.labels {
			if column < 0 {
				continue
			}
			cell := s.cell(column, row)
			v, isWord, fault := r.reading.Labelled(i, cell, c.Plan.Unlabelled)
			if labels[i] = v; fault != "" {
				s.wrong(row, column, fault)
			}
			if isWord {
				word = cell
			}
		}
		if r.weight >= 0 {
			v, fault := r.reading.Weighed(s.cell(r.weight, row))
			if weight = v; fault != "" {
				s.wrong(row, r.weight, fault)
			}
		}
		group, at := int64(0), 0.0
		if r.group >= 0 {
			cell := s.cell(r.group, row)
			if group = scan.ParseGroup(cell); len(cell) == 0 {
				s.wrong(row, r.group, "is blank; want the key of a group")
			}
		}
		if r.time >= 0 {
			ok := true
			if col := &r.columns[r.time]; col.column.IsText() {
				at, kind, ok = scan.ParseTime(s.cell(r.time, row))
			} else {
				at = s.cells[r.time].Number[row]
			}
			if !ok || math.IsNaN(at) {
				s.wrong(row, r.time, scan.Show(s.cell(r.time, row))+" is not a time; want a number, a date or a timestamp")
			}
		}
		if s.bad[row] == 0 && r.reading.Aligned != nil {
			tok := c.Tok[row*c.Plan.Tokens:]
			column, fault := r.reading.Aligned(func(name string) []byte {
				for _, p := range c.Plan.Columns {
					if p.Name == name {
						return c.Data[tok[p.At].Lo:tok[p.At].Hi]
					}
				}
				return nil
			})
			if fault != "" {
				s.wrong(row, max(0, slices.IndexFunc(r.columns, func(x reader) bool { return x.column.Name == column })), fault)
			}
		}
		if k := s.bad[row]; k > 0 {
			c.Reject(line, r.columns[k-1].column.Name, "%s", s.faults[row])
			continue
		}
		if c.N < row { // rows before it were left out
			copy(c.Tok[c.N*c.Plan.Tokens:(c.N+1)*c.Plan.Tokens], c.Tok[row*c.Plan.Tokens:])
			copy(c.Code[c.N*c.Plan.Tokens:(c.N+1)*c.Plan.Tokens], c.Code[row*c.Plan.Tokens:])
			copy(c.Num[c.N*c.Plan.Numbers:(c.N+1)*c.Plan.Numbers], c.Num[row*c.Plan.Numbers:])
		}
		c.Beside(labels[1:], weight)
		c.End(labels[0], group, at)
		if r.time >= 0 {
			c.Kinds = c.Sight(c.Kinds, kind, s.cell(r.time, row), line)
		}
		if word != nil && !c.Plan.Unlabelled && (len(c.Words) != 1 || c.Words[0].What != string(word)) {
			c.Words = c.Sight(c.Words, string(word), word, line)
		}
	}
}

// cell returns the text of a column in a row.
func (s *scratch) cell(column, row int) []byte {
	span := s.cells[column].Span[row]
	return s.text[span.Lo:span.Hi]
}

// timeKind returns how the times of a column that is no text are written.
func (c *reader) timeKind() string {
	switch {
	case !c.column.IsTime():
		return scan.NumberTime
	case c.column.zoned:
		return scan.ZonedTime
	}
	return scan.LocalTime
}
