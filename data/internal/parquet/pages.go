package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/parquet-go/parquet-go/format"

	"github.com/splice-ml/splice/data/internal/scan"
)

// windowBytes is how much of a column is read at once; of longer pages the whole page.
const windowBytes = 64 << 10

// buffers are what a cursor reads pages into. They grow to the longest page.
type buffers struct {
	window   []byte // bytes of the file from windowAt on
	windowAt int64
	packed   []byte // a page, as it lies in the file
	raw      []byte // decompressed
	plain    []byte // decoded to PLAIN
	unpack   unpacker
	scratch  []byte
}

// dictionary is the values that pages have indexes of.
type dictionary struct {
	size   int
	coded  *scan.Coded // its texts, if rows may have their numbers: chunks keep it
	text   []byte
	entry  []entry
	number []float64
	bad    map[int32]string // what is wrong with values
}

// entry is a value of a dictionary: what is read of it at once lies together.
type entry struct {
	span   scan.Span // in the dictionary's text
	placed scan.Span // in the texts of a block
	block  uint32    // the last block whose texts have the value
}

// shortText is how many bytes of a short text are copied at once, some of which may not belong to it.
const shortText = 16

// place returns where the texts of a block have a value, which is appended to them if it is new there.
func (d *dictionary) place(i int32, block uint32, text []byte) (scan.Span, []byte) {
	e := &d.entry[i]
	if e.block == block {
		return e.placed, text
	}
	lo, from, n := len(text), int(e.span.Lo), int(e.span.Hi-e.span.Lo)
	if n <= shortText && lo+shortText <= cap(text) && from+shortText <= len(d.text) { // without a call
		*(*[shortText]byte)(text[lo : lo+shortText]) = *(*[shortText]byte)(d.text[from:])
		text = text[:lo+n]
	} else {
		text = append(text, d.text[from:from+n]...)
	}
	e.block, e.placed = block, scan.Span{Lo: uint32(lo), Hi: uint32(len(text))}
	return e.placed, text
}

// open moves to a row group.
func (c *Cursor) open(group int) error {
	m := &c.file.meta.RowGroups[group].Columns[c.column.leaf]
	d := &m.MetaData
	c.group, c.pages, c.left, c.n, c.pos = group, 0, 0, 0, 0
	c.dict.size, c.dict.text, c.dict.bad, c.window = -1, c.dict.text[:0], nil, c.window[:0]
	if c.dict.coded != nil { // chunks may still read its text
		c.file.held.Add(-int64(cap(c.dict.text)))
		c.dict.coded, c.dict.text = nil, nil
	}
	switch {
	case m.CryptoMetadata.Value != nil || len(m.EncryptedColumnMetadata) > 0:
		return errors.New("is encrypted; decrypt the file")
	case m.FilePath != "":
		return fmt.Errorf("lies in another file, %q; name the files that have the rows", m.FilePath)
	case d.Type != c.column.physical:
		return fmt.Errorf("has the type %s, but the schema says %s; write the file again", d.Type, c.column.physical)
	case !known(d.Codec):
		return fmt.Errorf("is compressed by %s; write the file with zstd, snappy or gzip, or without compression", d.Codec)
	case c.column.maxRep == 0 && d.NumValues != c.file.Groups[group].Rows:
		return fmt.Errorf("has %d values, but the row group has %d rows; write the file again", d.NumValues, c.file.Groups[group].Rows)
	}
	c.codec, c.total, c.at = d.Codec, d.NumValues, d.DataPageOffset
	if at := d.DictionaryPageOffset; at > 0 && at < c.at {
		c.at = at
	}
	if c.at < int64(len(magic)) || d.TotalCompressedSize < 0 || d.TotalCompressedSize > c.file.size-c.at {
		return errors.New("lies outside of the file; copy or write the file again")
	}
	c.end = c.at + d.TotalCompressedSize
	return nil
}

// grow returns a buffer of n bytes, buf if it has room.
func (c *Cursor) grow(buf []byte, n int) ([]byte, error) {
	if n <= cap(buf) {
		return buf[:n], nil
	}
	if err := c.file.hold(int64(n - cap(buf))); err != nil {
		return buf, err
	}
	return make([]byte, n), nil
}

// peek returns up to n of the next bytes of the column.
func (c *Cursor) peek(n int) ([]byte, error) {
	n = int(min(int64(n), c.end-c.at))
	if lo := c.at - c.windowAt; lo >= 0 && lo+int64(n) <= int64(len(c.window)) {
		return c.window[lo : lo+int64(n)], nil
	}
	size := int(min(int64(max(n, windowBytes)), c.end-c.at))
	if size > windowBytes { // a long page has a buffer of its own
		var err error
		if c.packed, err = c.grow(c.packed, n); err != nil {
			return nil, err
		}
		return c.packed, c.readAt(c.packed, c.at)
	}
	var err error
	if c.window, err = c.grow(c.window, size); err != nil {
		return nil, err
	}
	c.windowAt = c.at
	return c.window[:n], c.readAt(c.window, c.at)
}

func (c *Cursor) readAt(b []byte, at int64) error {
	n, err := c.file.file.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		return errors.New("lies outside of the file; copy or write the file again")
	}
	return err
}

// next opens the next page with values. It returns io.EOF behind the last one.
func (c *Cursor) next() error {
	if c.total <= 0 {
		return io.EOF
	}
	for {
		if c.at >= c.end {
			return fmt.Errorf("ends %d values early; copy or write the file again", c.total)
		}
		var p page
		n := 0
		for size := 1 << 10; ; size *= 8 {
			b, err := c.peek(size)
			if err != nil {
				return err
			}
			if n, err = p.header(b); err == nil {
				break
			}
			if err != errShort || size > largestHeader || len(b) < size {
				return fmt.Errorf("its header is damaged (%w); copy or write the file again", err)
			}
		}
		c.at += int64(n)
		if p.packed > largestPage || p.size > largestPage {
			return errLarge
		}
		if int64(p.packed) > c.end-c.at {
			return errors.New("it is longer than the column; copy or write the file again")
		}
		b, err := c.peek(p.packed)
		if err == nil {
			err = p.check(b)
		}
		if err != nil {
			return err
		}
		c.at += int64(p.packed)
		switch p.kind {
		case format.DictionaryPage:
			err = c.dictionary(&p, b)
		case format.DataPage:
			return c.page1(&p, b)
		case format.DataPageV2:
			return c.page2(&p, b)
		}
		if err != nil {
			return err
		}
	}
}

// decompress returns the bytes of a page that has size bytes decompressed.
func (c *Cursor) decompress(b []byte, size int) (_ []byte, err error) {
	if c.codec == format.Uncompressed {
		if len(b) != size {
			return nil, errPacked
		}
		return b, nil
	}
	if size == 0 {
		return nil, nil
	}
	if c.raw, err = c.grow(c.raw, size); err != nil {
		return nil, err
	}
	out, err := c.unpack.decompress(c.raw, b, c.codec)
	if err != nil {
		return nil, errPacked
	}
	return out, nil
}

// page1 opens a data page v1: levels and values, compressed together.
func (c *Cursor) page1(p *page, b []byte) error {
	b, err := c.decompress(b, p.size)
	if err != nil {
		return err
	}
	if c.rep, b, err = split(b, p.reps, c.column.maxRep); err != nil {
		return err
	}
	if c.def, b, err = split(b, p.defs, c.column.maxDef); err != nil {
		return err
	}
	return c.start(p, b)
}

// page2 opens a data page v2, whose levels are not compressed.
func (c *Cursor) page2(p *page, b []byte) (err error) {
	levels := p.repBytes + p.defBytes
	if levels > len(b) || levels > p.size {
		return errLevels
	}
	if c.rep, err = newHybrid(b[:p.repBytes], widthOf(c.column.maxRep)); err != nil {
		return err
	}
	if c.def, err = newHybrid(b[p.repBytes:levels], widthOf(c.column.maxDef)); err != nil {
		return err
	}
	if b = b[levels:]; !p.plain {
		if b, err = c.decompress(b, p.size-levels); err != nil {
			return err
		}
	}
	return c.start(p, b)
}

// plainDictionary is what older files call the encoding of dictionaries, and of pages with their indexes.
const plainDictionary format.Encoding = 2

// start begins the values of a data page.
func (c *Cursor) start(p *page, b []byte) (err error) {
	if int64(p.values) > c.total {
		return errors.New("it has more values than the column; write the file again")
	}
	c.pages++
	c.left, c.coded = p.values, false
	c.total -= int64(p.values)
	width, prefixed := c.column.width, false
	switch p.encoding {
	case plainDictionary, format.RLEDictionary:
		return c.indexes(b)
	case format.Plain:
		if c.column.physical == format.Boolean { // a pack of bits
			c.coded, c.entries = true, c.booleans()
			c.index = hybrid{width: 1, packs: 8 * uint64(len(b)), bits: b}
			return nil
		}
		c.rest = b
		return nil
	case format.RLE:
		if c.column.physical == format.Boolean {
			c.coded, c.entries = true, c.booleans()
			c.index, _, err = split(b, format.RLE, 1)
			return err
		}
	case format.DeltaBinaryPacked:
		if c.column.physical == format.Int32 || c.column.physical == format.Int64 {
			if err := c.holdNumbers(p.values, 1); err != nil {
				return err
			}
			c.plain, err = plainNumbers(c.plain[:0], b, p.values, width)
			c.rest = c.plain
			return err
		}
	case format.DeltaByteArray, format.DeltaLengthByteArray:
		prefixed = p.encoding == format.DeltaByteArray
		if c.column.physical == format.ByteArray || prefixed && c.column.physical == format.FixedLenByteArray {
			if err := c.holdNumbers(p.values, 2); err != nil {
				return err
			}
			c.plain, err = plainTexts(c.plain[:0], b, p.values, width, prefixed)
			c.rest = c.plain
			return err
		}
	case format.ByteStreamSplit:
		c.plain, err = plainStreams(c.plain[:0], b, width)
		c.rest = c.plain
		return err
	}
	return fmt.Errorf("is encoded as %s, which is not read for %s; write the file with another encoding", p.encoding, c.column.physical)
}

// holdNumbers checks that there is memory for the numbers of a page that differences may make.
func (c *Cursor) holdNumbers(values, lists int) error {
	if values > largestPage/8 {
		return errLarge
	}
	need := int64(8 * values * lists)
	defer c.file.held.Add(-need)
	return c.file.hold(need)
}

// indexes begins a page of indexes of the dictionary.
func (c *Cursor) indexes(b []byte) (err error) {
	if c.dict.size < 0 {
		return errors.New("it has indexes of a dictionary, but there is none; write the file again")
	}
	c.coded, c.entries = true, &c.dict
	if len(b) == 0 { // of nulls alone
		c.index = hybrid{}
		return nil
	}
	c.index, err = newHybrid(b[1:], int(b[0]))
	return err
}

// code gives the texts of a dictionary away, for chunks to keep.
func (c *Cursor) code(d *dictionary) {
	d.coded = nil
	if d.bad != nil {
		return
	}
	d.coded = &scan.Coded{Text: d.text, Span: make([]scan.Span, d.size), Memo: make([]atomic.Int32, d.size)}
	for i := range d.coded.Span {
		d.coded.Span[i] = d.entry[i].span
	}
}

// booleans returns the dictionary of the values of a column of booleans, whose indexes are the bits.
func (c *Cursor) booleans() *dictionary {
	if c.boolean.size == 0 {
		c.add(&c.boolean, []byte{0})
		c.add(&c.boolean, []byte{1})
		if c.want.Codes {
			c.code(&c.boolean)
		}
	}
	return &c.boolean
}

// entryMemory is about what a value of a dictionary takes beside its text.
const entryMemory = 52

// dictionary reads a page of the values of a dictionary.
func (c *Cursor) dictionary(p *page, b []byte) error {
	if c.dict.size >= 0 {
		return errors.New("there is a second dictionary; write the file again")
	}
	if p.encoding != format.Plain && p.encoding != plainDictionary || c.column.physical == format.Boolean {
		return fmt.Errorf("the dictionary is encoded as %s; write the file again", p.encoding)
	}
	b, err := c.decompress(b, p.size)
	if err != nil {
		return err
	}
	d := &c.dict
	least := c.column.width
	if least == 0 {
		least = 4 // bytes of a length
	}
	if p.values > len(b)/least {
		return errValues
	}
	if more := p.values - cap(d.entry); more > 0 {
		if err := c.file.hold(int64(more) * entryMemory); err != nil {
			return err
		}
	}
	if more := len(b) - cap(d.text); more > 0 {
		if err := c.file.hold(int64(more)); err != nil {
			return err
		}
	}
	if cap(d.entry) < p.values {
		d.entry = make([]entry, 0, p.values)
	}
	if c.want.Number && cap(d.number) < p.values {
		d.number = make([]float64, 0, p.values)
	}
	if cap(d.text) < len(b) {
		d.text = make([]byte, 0, len(b))
	}
	for d.size = 0; d.size < p.values; {
		size := c.column.width
		if size == 0 {
			if len(b) < 4 {
				return errValues
			}
			size = int(int32(binary.LittleEndian.Uint32(b)))
			b = b[4:]
		}
		if size < 0 || size > len(b) {
			return errValues
		}
		c.add(d, b[:size])
		b = b[size:]
	}
	if c.want.Codes {
		c.code(d)
	}
	return nil
}

// add adds a value to a dictionary.
func (c *Cursor) add(d *dictionary, raw []byte) {
	i, lo := d.size, len(d.text)
	d.size++
	text, number, bad := c.cell(d.text, raw)
	d.text, d.entry = text, scan.Grow(d.entry, d.size)
	if c.want.Number {
		d.number = scan.Grow(d.number, d.size)
		d.number[i] = number
	}
	d.entry[i] = entry{span: scan.Span{Lo: uint32(lo), Hi: uint32(len(d.text))}}
	if bad != "" {
		if d.bad == nil {
			d.bad = map[int32]string{}
		}
		d.bad[int32(i)] = bad
	}
}
