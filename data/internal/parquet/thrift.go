package parquet

import (
	"encoding/binary"
	"errors"
	"math"
)

// errThrift says that bytes are no structure of Thrift's compact protocol.
var errThrift = errors.New("its metadata is damaged")

// errShort says that a structure goes on behind the bytes at hand.
var errShort = errors.New("its metadata ends early")

// Types of values in Thrift's compact protocol.
const (
	thriftStop = iota
	thriftTrue
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
)

// deepest is more levels than structures of Parquet have.
const deepest = 32

// walker goes through a structure of Thrift's compact protocol (thrift.apache.org, "thrift-compact-protocol") without allocating
// anything. A decoder makes room for as many entries as a list says that it has; so the walk goes first, and finds those that say more
// than there are bytes.
type walker struct {
	b       []byte
	at      int
	entries int // of lists and maps so far
}

func (w *walker) byte() (byte, error) {
	if w.at >= len(w.b) {
		return 0, errShort
	}
	w.at++
	return w.b[w.at-1], nil
}

func (w *walker) uvarint() (uint64, error) {
	v, n := binary.Uvarint(w.b[w.at:])
	switch {
	case n == 0:
		return 0, errShort
	case n < 0:
		return 0, errThrift
	}
	w.at += n
	return v, nil
}

// varint reads a signed number in zigzag form.
func (w *walker) varint() (int64, error) {
	v, err := w.uvarint()
	return int64(v>>1) ^ -int64(v&1), err
}

// integer reads a number of 32 bits that is not negative, of a field of type t.
func (w *walker) integer(t byte, to *int) error {
	if t != thriftI32 {
		return errThrift
	}
	v, err := w.varint()
	if err == nil && (v < 0 || v > math.MaxInt32) {
		err = errThrift
	}
	*to = int(v)
	return err
}

func (w *walker) skip(n uint64) error {
	if n > uint64(len(w.b)-w.at) {
		return errShort
	}
	w.at += int(n)
	return nil
}

// size reads how many entries follow, each of which has a byte at least.
func (w *walker) size(n uint64) (int, error) {
	if n > uint64(len(w.b)-w.at) {
		return 0, errShort
	}
	w.entries += int(n)
	return int(n), nil
}

// field reads the head of a field of a structure, after the field id. Its type is thriftStop at the end.
func (w *walker) field(id int64) (next int64, kind byte, err error) {
	h, err := w.byte()
	if err != nil || h == thriftStop {
		return id, thriftStop, err
	}
	if next = id + int64(h>>4); h>>4 == 0 {
		next, err = w.varint()
	}
	if h&15 == thriftStop {
		err = errThrift
	}
	return next, h & 15, err
}

// structure walks through a structure and calls field, which may be nil, with the id and type of each of its fields. field returns
// whether it has read the value.
func (w *walker) structure(depth int, field func(id int64, kind byte) (bool, error)) error {
	for id := int64(0); ; {
		next, kind, err := w.field(id)
		if err != nil || kind == thriftStop {
			return err
		}
		id = next
		read := false
		if field != nil {
			if read, err = field(id, kind); err != nil {
				return err
			}
		}
		if read || kind == thriftTrue || kind == thriftFalse { // a boolean's value is its type
			continue
		}
		if err := w.value(kind, depth); err != nil {
			return err
		}
	}
}

// value walks through a value.
func (w *walker) value(kind byte, depth int) error {
	if depth > deepest {
		return errThrift
	}
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		return w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := w.uvarint()
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftBinary:
		n, err := w.uvarint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case thriftList, thriftSet:
		return w.list(depth)
	case thriftMap:
		return w.pairs(depth)
	case thriftStruct:
		return w.structure(depth+1, nil)
	}
	return errThrift
}

func (w *walker) list(depth int) error {
	h, err := w.byte()
	if err != nil {
		return err
	}
	size := uint64(h >> 4)
	if size == 15 {
		if size, err = w.uvarint(); err != nil {
			return err
		}
	}
	n, err := w.size(size)
	for i := 0; i < n && err == nil; i++ {
		err = w.value(h&15, depth+1)
	}
	return err
}

func (w *walker) pairs(depth int) error {
	size, err := w.uvarint()
	if err != nil || size == 0 {
		return err
	}
	n, err := w.size(size)
	if err != nil {
		return err
	}
	kinds, err := w.byte()
	for i := 0; i < n && err == nil; i++ {
		if err = w.value(kinds>>4, depth+1); err == nil {
			err = w.value(kinds&15, depth+1)
		}
	}
	return err
}
