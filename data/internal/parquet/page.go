package parquet

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// largestPage bounds the memory of a page, of what it has when it is decompressed, and of a dictionary. Writers aim at 1 MiB.
const largestPage = 128 << 20

var errLarge = fmt.Errorf("a page of more than %d MiB; write the file with smaller pages", int64(largestPage>>20))

// largestHeader bounds a page's header, which may hold the least and the greatest value.
const largestHeader = 4 << 20

// page is a page as it lies in the file.
type page struct {
	kind     format.PageType
	encoding format.Encoding
	reps     format.Encoding // of the repetition levels of a page v1
	defs     format.Encoding // of its definition levels
	values   int             // nulls included
	size     int             // decompressed
	packed   int             // compressed
	sum      uint32
	summed   bool
	repBytes int // of the levels of a page v2, which are not compressed
	defBytes int
	plain    bool // a page v2 is not compressed
}

// header reads the header of a page and returns how many bytes it has.
func (p *page) header(b []byte) (int, error) {
	*p = page{values: -1, size: -1, packed: -1}
	w := &walker{b: b}
	kind := -1
	err := w.structure(0, func(id int64, t byte) (bool, error) {
		switch id {
		case 1:
			return true, w.integer(t, &kind)
		case 2:
			return true, w.integer(t, &p.size)
		case 3:
			return true, w.integer(t, &p.packed)
		case 4:
			v, err := w.varint()
			p.sum, p.summed = uint32(v), true
			return true, err
		case headerV1, headerDictionary, headerV2:
			if t != thriftStruct {
				return true, errThrift
			}
			return true, w.structure(1, func(inner int64, t byte) (bool, error) { return p.inner(w, id, inner, t) })
		}
		return false, nil
	})
	p.kind = format.PageType(kind)
	if err == nil && (kind < 0 || p.size < 0 || p.packed < 0 || p.values < 0 && p.kind != format.IndexPage) {
		err = errThrift
	}
	return w.at, err
}

// Fields of a page's header that are headers of pages of a kind.
const (
	headerV1         = 5
	headerDictionary = 7
	headerV2         = 8
)

// inner reads a field of the header of pages of a kind.
func (p *page) inner(w *walker, outer, id int64, t byte) (read bool, err error) {
	v := 0
	switch [2]int64{outer, id} {
	case [2]int64{headerV1, 1}, [2]int64{headerDictionary, 1}, [2]int64{headerV2, 1}:
		return true, w.integer(t, &p.values)
	case [2]int64{headerV1, 2}, [2]int64{headerDictionary, 2}, [2]int64{headerV2, 4}:
		err = w.integer(t, &v)
		p.encoding = format.Encoding(v)
	case [2]int64{headerV1, 3}:
		err = w.integer(t, &v)
		p.defs = format.Encoding(v)
	case [2]int64{headerV1, 4}:
		err = w.integer(t, &v)
		p.reps = format.Encoding(v)
	case [2]int64{headerV2, 5}:
		return true, w.integer(t, &p.defBytes)
	case [2]int64{headerV2, 6}:
		return true, w.integer(t, &p.repBytes)
	case [2]int64{headerV2, 7}:
		p.plain = t == thriftFalse
	default:
		return false, nil
	}
	return true, err
}

// unpacker decompresses pages.
type unpacker struct {
	zstd *zstd.Decoder
	gzip *gzip.Reader
}

// decompress returns the bytes of a page, decompressed into dst, which has room for as many as the header announces.
func (u *unpacker) decompress(dst, b []byte, codec format.CompressionCodec) ([]byte, error) {
	switch codec {
	case format.Snappy:
		if n, err := snappy.DecodedLen(b); err != nil || n != len(dst) {
			return nil, errPacked
		}
		return snappy.Decode(dst, b)
	case format.Gzip:
		var err error
		if u.gzip == nil {
			u.gzip, err = gzip.NewReader(bytes.NewReader(b))
		} else {
			err = u.gzip.Reset(bytes.NewReader(b))
		}
		if err == nil {
			_, err = io.ReadFull(u.gzip, dst)
		}
		if err == nil { // which reads the checksum, too
			if n, e := u.gzip.Read(make([]byte, 1)); n > 0 || e != io.EOF {
				err = errPacked
			}
		}
		return dst, err
	case format.Zstd:
		if u.zstd == nil {
			var err error
			if u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(largestPage), zstd.WithDecodeAllCapLimit(true)); err != nil {
				return nil, err
			}
		}
		out, err := u.zstd.DecodeAll(b, dst[:0:len(dst)])
		if err == nil && len(out) != len(dst) {
			err = errPacked
		}
		return out, err
	}
	return nil, errPacked
}

// known reports whether pages of a codec can be read.
func known(codec format.CompressionCodec) bool {
	return codec == format.Uncompressed || codec == format.Snappy || codec == format.Gzip || codec == format.Zstd
}

func (u *unpacker) close() {
	if u.zstd != nil {
		u.zstd.Close()
		u.zstd = nil
	}
}

var errPacked = errors.New("the page cannot be decompressed; copy or write the file again")

// check compares the page's bytes with its checksum, if it has one.
func (p *page) check(b []byte) error {
	if p.summed && crc32.ChecksumIEEE(b) != p.sum {
		return errors.New("the page has a wrong checksum; copy or write the file again")
	}
	return nil
}

// split takes the levels off the decompressed bytes of a data page v1. Each is behind its length.
func split(b []byte, encoding format.Encoding, most int) (levels hybrid, rest []byte, err error) {
	if most == 0 {
		return hybrid{}, b, nil
	}
	if encoding != format.RLE {
		return hybrid{}, nil, fmt.Errorf("has levels encoded as %s, which is no longer in use; write the file again", encoding)
	}
	if len(b) < 4 {
		return hybrid{}, nil, errLevels
	}
	n := binary.LittleEndian.Uint32(b)
	if b = b[4:]; uint64(n) > uint64(len(b)) {
		return hybrid{}, nil, errLevels
	}
	levels, err = newHybrid(b[:n], widthOf(most))
	return levels, b[n:], err
}
