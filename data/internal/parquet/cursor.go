package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/parquet-go/parquet-go/format"

	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/data/internal/scan"
)

// Want is what is needed of the values of a column.
type Want struct {
	Text    bool
	Codes   bool // numbers in place of Text where all values are of one dictionary
	Number  bool
	Clean   func(text []byte) (lo, hi int) // what counts of a text; nil if all does
	Blanks  bool                           // Clean makes blanks of numbers, too
	Longest int                            // bytes of the longest value
}

// Cells are the values of a column in a block of rows.
type Cells struct {
	Span   []scan.Span // of each value; a blank is empty
	Number []float64   // of each value; a blank is NaN
	Coded  *scan.Coded // if it is not nil, Code has the texts
	Code   []int32     // of each value: its number there; -1 for a blank
	Len    []int32     // of lists: how many values each row has
	Bad    []Bad
}

// Bad is a value that cannot be read.
type Bad struct {
	Value int    // its place among the values of the block
	Fault string // what is wrong with it
}

// batch is how many values are decoded at once.
const batch = 1024

// Cursor reads a column, one block of rows after the other. Blocks may be asked for by many goroutines: each waits for its turn, so that
// several columns are decoded at once, and the blocks of a column in their order.
type Cursor struct {
	file   *File
	column *Column
	want   Want

	mu   sync.Mutex
	cond *sync.Cond
	turn int64
	err  error // ends all later turns

	group int // row group; -1 before the first one
	at    int64
	end   int64 // of the column in the file
	codec format.CompressionCodec
	total int64 // values of the column in the row group that are not in pages yet
	buffers
	pages int // of the row group, so far

	left     int // values of the page, nulls included
	rep, def hybrid
	coded    bool   // the page has indexes of the dictionary
	index    hybrid // the indexes
	rest     []byte // the values that are not decoded, as PLAIN has them
	data     []byte // the same with those that are
	dict     dictionary
	boolean  dictionary
	entries  *dictionary // that the indexes are of

	n, pos int // decoded levels, and how many of them are used
	v      int // values used
	reps   [batch]int32
	defs   [batch]int32
	codes  [batch]int32  // indexes of the values
	ends   [batch]uint32 // or the ends of the values in data
	starts [batch]uint32
	block  uint32 // number of the block, from 1
}

// Cursor returns a cursor at the first row.
func (p *File) Cursor(c *Column, want Want) *Cursor {
	cur := &Cursor{file: p, column: c, want: want, group: -1}
	cur.cond = sync.NewCond(&cur.mu)
	return cur
}

// Column returns the column.
func (c *Cursor) Column() *Column { return c.column }

// Read waits for a turn, reads the next n rows, which are of a row group, into out, and appends their texts. A value that occurs several
// times may have its text there once.
func (c *Cursor) Read(turn int64, group, n int, text []byte, out *Cells) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.turn != turn && c.err == nil {
		c.cond.Wait()
	}
	if c.err != nil {
		return text, c.err
	}
	c.err = crash.Guard(func() (err error) {
		text, err = c.read(group, n, text, out)
		return err
	})
	if c.err != nil {
		advice := ""
		if errors.As(c.err, new(*crash.Error)) {
			advice = "; write the file again"
		}
		c.err = fmt.Errorf("data: %s: row group %d: column %s: page %d: %w%s", c.file.Path, group, c.column.Name, c.pages, c.err, advice)
	}
	c.turn++
	c.cond.Broadcast()
	return text, c.err
}

// skip gives up a turn, since the rows of its block cannot be read.
func (c *Cursor) skip(turn int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.turn != turn && c.err == nil {
		c.cond.Wait()
	}
	if c.err == nil {
		c.err = err
	}
	c.cond.Broadcast()
}

// Close gives back what decompresses.
func (c *Cursor) Close() { c.unpack.close() }

func (c *Cursor) read(group, n int, text []byte, out *Cells) ([]byte, error) {
	if c.group != group {
		if err := c.open(group); err != nil {
			return text, err
		}
	}
	c.block++
	out.Bad, out.Len = out.Bad[:0], out.Len[:0]
	if c.column.List {
		return c.lists(n, text, out)
	}
	if c.want.Text {
		out.Span = scan.Grow(out.Span, n)
	}
	if c.want.Number {
		out.Number = scan.Grow(out.Number, n)
	}
	out.Coded = nil
	for row := 0; row < n; {
		if err := c.fill(); err != nil {
			return text, c.ended(err, row, n)
		}
		k := min(n-row, c.n-c.pos)
		if c.want.Codes && c.coded && c.entries.coded != nil && (row == 0 || out.Coded == c.entries.coded) {
			out.Coded, out.Code = c.entries.coded, scan.Grow(out.Code, n)
			c.numbered(out.Code[row : row+k])
			row += k
			continue
		}
		if out.Coded != nil { // a page without the dictionary: the block has texts
			for i, e := range out.Code[:row] {
				if out.Span[i] = (scan.Span{}); e >= 0 {
					s, lo := out.Coded.Span[e], len(text)
					text = append(text, out.Coded.Text[s.Lo:s.Hi]...)
					out.Span[i] = scan.Span{Lo: uint32(lo), Hi: uint32(len(text))}
				}
			}
			out.Coded = nil
		}
		if c.coded && c.want.Text != c.want.Number && c.entries.bad == nil { // the usual ones, without a call for each value
			if c.want.Number {
				c.numbers(out.Number[row : row+k])
			} else {
				text = c.texts(out.Span[row:row+k], text)
			}
			row += k
			continue
		}
		for end := c.pos + k; c.pos < end; c.pos++ {
			if most := int32(c.column.maxDef); most > 0 && c.defs[c.pos] != most {
				c.blank(out, row)
			} else {
				text = c.value(out, row, text)
			}
			row++
		}
		if len(text) > mostText {
			return text, errRows
		}
	}
	return text, nil
}

// mostText bounds the texts of a block, whose places have 32 bits.
const mostText = 1 << 30

var errRows = fmt.Errorf("some rows have much longer texts than others, more than %d MiB in a block; write the file with smaller row groups", mostText>>20)

// ended returns the error of a column that ends before its row group, or err.
func (c *Cursor) ended(err error, row, n int) error {
	if err == io.EOF {
		return fmt.Errorf("ends %d rows before the row group does; copy or write the file again", n-row)
	}
	return err
}

// numbers takes numbers of a dictionary, without their texts.
func (c *Cursor) numbers(dst []float64) {
	most, v, number := int32(c.column.maxDef), c.v, c.entries.number
	if most == 0 {
		for i := range dst {
			dst[i] = number[c.codes[v+i]]
		}
		c.pos, c.v = c.pos+len(dst), v+len(dst)
		return
	}
	for i := range dst {
		if c.defs[c.pos+i] != most {
			dst[i] = math.NaN()
			continue
		}
		dst[i] = number[c.codes[v]]
		v++
	}
	c.pos, c.v = c.pos+len(dst), v
}

// numbered takes numbers of values of a dictionary.
func (c *Cursor) numbered(dst []int32) {
	most, v := int32(c.column.maxDef), c.v
	if most == 0 {
		copy(dst, c.codes[v:])
		c.pos, c.v = c.pos+len(dst), v+len(dst)
		return
	}
	for i, d := range c.defs[c.pos : c.pos+len(dst)] {
		if dst[i] = -1; d == most {
			dst[i] = c.codes[v]
			v++
		}
	}
	c.pos, c.v = c.pos+len(dst), v
}

// texts takes texts of a dictionary, without their numbers.
func (c *Cursor) texts(dst []scan.Span, text []byte) []byte {
	most, v, d, block := int32(c.column.maxDef), c.v, c.entries, c.block
	defs, codes := c.defs[c.pos:c.pos+len(dst)], c.codes[:]
	for i := range dst {
		if most > 0 && defs[i] != most {
			dst[i] = scan.Span{}
			continue
		}
		dst[i], text = d.place(codes[v], block, text)
		v++
	}
	c.pos, c.v = c.pos+len(dst), v
	return text
}

// lists reads rows of a column of lists.
func (c *Cursor) lists(n int, text []byte, out *Cells) ([]byte, error) {
	out.Span, out.Number = out.Span[:0], out.Number[:0]
	most, from := int32(c.column.maxDef), int32(c.column.listDef)
	for {
		err := c.fill()
		if err == io.EOF && len(out.Len) == n {
			return text, nil
		}
		if err != nil {
			return text, c.ended(err, max(len(out.Len)-1, 0), n)
		}
		for ; c.pos < c.n; c.pos++ {
			if c.reps[c.pos] == 0 {
				if len(out.Len) == n {
					return text, nil
				}
				out.Len = append(out.Len, 0)
			} else if len(out.Len) == 0 {
				return text, errors.New("a row group begins within a row; write the file again")
			}
			d := c.defs[c.pos]
			if d < from { // no list, or an empty one
				continue
			}
			i := max(len(out.Span), len(out.Number))
			if c.want.Text {
				out.Span = scan.Grow(out.Span, i+1)
			}
			if c.want.Number {
				out.Number = scan.Grow(out.Number, i+1)
			}
			if out.Len[len(out.Len)-1]++; d != most {
				c.blank(out, i)
			} else {
				text = c.value(out, i, text)
			}
			if len(text)+i > mostText {
				return text, errRows
			}
		}
	}
}

func (c *Cursor) blank(out *Cells, i int) {
	if c.want.Text {
		out.Span[i] = scan.Span{}
	}
	if c.want.Number {
		out.Number[i] = math.NaN()
	}
}

// value takes the next value as the i-th of a block.
func (c *Cursor) value(out *Cells, i int, text []byte) []byte {
	v := c.v
	c.v++
	if c.coded {
		e := c.codes[v]
		d := c.entries
		if c.want.Number {
			out.Number[i] = d.number[e]
		}
		if d.bad != nil {
			if bad := d.bad[e]; bad != "" {
				out.Bad = append(out.Bad, Bad{i, bad})
			}
		}
		if !c.want.Text {
			return text
		}
		out.Span[i], text = d.place(e, c.block, text)
		return text
	}
	raw := c.data[c.starts[v]:c.ends[v]]
	lo := len(text)
	text, number, bad := c.cell(text, raw)
	if bad != "" {
		out.Bad = append(out.Bad, Bad{i, bad})
	}
	if c.want.Text {
		out.Span[i] = scan.Span{Lo: uint32(lo), Hi: uint32(len(text))}
	}
	if c.want.Number {
		out.Number[i] = number
	}
	return text
}

// cell appends the text of a value, if it is needed, and returns its number.
func (c *Cursor) cell(text, raw []byte) (_ []byte, number float64, bad string) {
	col := c.column
	if c.want.Text || c.want.Blanks || col.kind == kindText {
		own := text
		if !c.want.Text {
			own = c.scratch[:0]
		}
		lo := len(own)
		if col.kind == kindText && c.want.Clean == nil && !c.want.Text {
			own, lo = raw, 0 // nothing is appended to it
		} else if own, bad = col.text(own, raw); bad != "" {
			bad += "; " + wantFinite
		}
		cell := own[lo:]
		if bad == "" && col.kind == kindText {
			if _, fault := scan.TextFault(cell); fault != "" {
				bad = string(fault)
			}
		}
		if len(cell) > c.want.Longest {
			bad = fmt.Sprintf("the value has %d bytes, the longest may have %d (max_line)", len(cell), c.want.Longest)
			cell = nil
		}
		if c.want.Clean != nil {
			from, to := c.want.Clean(cell)
			cell = cell[:copy(cell, cell[from:to])]
		}
		if c.want.Text {
			text = own[:lo+len(cell)]
		} else if col.kind != kindText || c.want.Clean != nil {
			c.scratch = own
		}
		if !c.want.Number || bad != "" {
			return text, math.NaN(), bad
		}
		if col.kind == kindText {
			v, ok := scan.ParseNumber(cell)
			if !ok {
				bad = fmt.Sprintf(scan.NumberFault, scan.Show(cell))
			}
			return text, v, bad
		}
		if len(cell) == 0 {
			return text, math.NaN(), ""
		}
	}
	v, ok := col.number(raw)
	if !ok && c.want.Number {
		shown, why := col.text(nil, raw)
		if bad = fmt.Sprintf(scan.NumberFault, shown); why != "" {
			bad = why + "; " + wantFinite
		}
	}
	return text, v, bad
}

const wantFinite = "want a value, or null for a blank"

// fill decodes the next levels and values of the row group. It returns io.EOF behind the last ones.
func (c *Cursor) fill() error {
	if c.pos < c.n {
		return nil
	}
	for c.left == 0 {
		if err := c.next(); err != nil {
			return err
		}
	}
	n := min(c.left, batch)
	c.n, c.pos, c.v = 0, 0, 0
	values := n
	if c.column.maxRep > 0 {
		if err := c.rep.read(c.reps[:n]); err != nil {
			return err
		}
	}
	if most := int32(c.column.maxDef); most > 0 {
		if err := c.def.read(c.defs[:n]); err != nil {
			return err
		}
		values = 0
		for _, d := range c.defs[:n] {
			if d == most {
				values++
			}
		}
	}
	if err := c.values(values); err != nil {
		return err
	}
	c.n = n
	c.left -= n
	return nil
}

// values finds the next n values.
func (c *Cursor) values(n int) error {
	if c.coded {
		if err := c.index.read(c.codes[:n]); err != nil {
			return err
		}
		size := uint32(c.entries.size)
		for _, e := range c.codes[:n] {
			if uint32(e) >= size {
				return fmt.Errorf("has the index %d of a dictionary of %d values; copy or write the file again", e, size)
			}
		}
		return nil
	}
	b, used := c.rest, uint32(0)
	c.data = b
	for i := range n {
		size := c.column.width
		if size == 0 {
			if len(b) < 4 {
				return errValues
			}
			size = int(int32(binary.LittleEndian.Uint32(b)))
			b, used = b[4:], used+4
		}
		if size < 0 || size > len(b) {
			return errValues
		}
		c.starts[i], c.ends[i] = used, used+uint32(size)
		b, used = b[size:], used+uint32(size)
	}
	c.rest = b
	return nil
}

var errValues = errors.New("the page's values end early; copy or write the file again")
