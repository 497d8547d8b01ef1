// Package npy reads arrays in NumPy's format (.npy, versions 1 to 3), and archives of them (.npz). Values are read one after the other, so an
// array of any size takes little memory. Arrays of objects, which only Python's pickle reads, and of structures are refused.
package npy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	magic      = "\x93NUMPY"
	maxHeader  = 1 << 16 // bytes
	maxText    = 1 << 20 // bytes of a value that is a text
	maxEntries = 1 << 40 // values of an array
)

// Array is an array that is read in the order in which it is stored, row by row.
type Array struct {
	Shape []int
	kind  byte // as NumPy names it: i, u, f, b (bool), S or U
	size  int  // bytes of a value
	order binary.ByteOrder
	r     *bufio.Reader
	buf   []byte
}

// New reads the header of an array.
func New(r io.Reader) (*Array, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	head := make([]byte, 12)
	if _, err := io.ReadFull(b, head[:8]); err != nil || string(head[:6]) != magic {
		return nil, errors.New("is no array in NumPy's format (.npy)")
	}
	length, sizeBytes := 0, 4
	if head[6] == 1 {
		sizeBytes = 2
	}
	if head[6] < 1 || head[6] > 3 {
		return nil, fmt.Errorf("has version %d of NumPy's format; want 1 to 3", head[6])
	}
	if _, err := io.ReadFull(b, head[8:8+sizeBytes]); err != nil {
		return nil, fmt.Errorf("the header: %w", unexpected(err))
	}
	if length = int(binary.LittleEndian.Uint32(append(head[8:8+sizeBytes:8+sizeBytes], 0, 0))); length > maxHeader {
		return nil, fmt.Errorf("has a header of %d bytes, at most %d are read", length, maxHeader)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(b, text); err != nil {
		return nil, fmt.Errorf("the header: %w", unexpected(err))
	}
	a := &Array{r: b}
	return a, a.describe(string(text))
}

var (
	descrOf   = regexp.MustCompile(`'descr':\s*('([^']*)'|[^,]+)`)
	fortranOf = regexp.MustCompile(`'fortran_order':\s*(True|False)`)
	shapeOf   = regexp.MustCompile(`'shape':\s*\(([^)]*)\)`)
)

// describe takes over what the header says, a Python dict.
func (a *Array) describe(header string) error {
	descr, fortran, shape := descrOf.FindStringSubmatch(header), fortranOf.FindStringSubmatch(header), shapeOf.FindStringSubmatch(header)
	if descr == nil || fortran == nil || shape == nil {
		return errors.New("has a header without descr, fortran_order and shape")
	}
	if err := a.typeOf(descr[2]); err != nil {
		return err
	}
	total := 1
	for part := range strings.SplitSeq(shape[1], ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || n > 0 && total > maxEntries/n {
			return fmt.Errorf("has the shape (%s), which is too large or none", shape[1])
		}
		total *= n
		a.Shape = append(a.Shape, n)
	}
	if fortran[1] == "True" && len(a.Shape) > 1 {
		return errors.New("is stored column by column; save it by np.save(file, np.ascontiguousarray(x))")
	}
	return nil
}

// typeOf takes over the type of the values, such as <f4.
func (a *Array) typeOf(descr string) error {
	if len(descr) < 2 {
		return errors.New("is of structures; save an array for each field")
	}
	a.order = binary.LittleEndian
	if descr[0] == '>' {
		a.order = binary.BigEndian
	}
	n, err := strconv.Atoi(descr[2:])
	if descr[1] == 'O' {
		return errors.New("is of Python objects; save it as numbers or texts, such as by x.astype(str)")
	}
	a.kind, a.size = descr[1], n
	ok := false
	switch a.kind {
	case 'i', 'u':
		ok = n == 1 || n == 2 || n == 4 || n == 8
	case 'f':
		ok = n == 2 || n == 4 || n == 8
	case 'b':
		ok = n == 1
	case 'S':
		ok = n > 0 && n <= maxText
	case 'U':
		a.size = 4 * n
		ok = n > 0 && n <= maxText/4
	}
	if err != nil || !ok {
		return fmt.Errorf("has values of type %q; want integers, floats of 2, 4 or 8 bytes, bools or texts", descr)
	}
	a.buf = make([]byte, a.size)
	return nil
}

// Whole reports whether the values are integers.
func (a *Array) Whole() bool { return a.kind == 'i' || a.kind == 'u' }

// Numbers reports whether the values are numbers.
func (a *Array) Numbers() bool { return a.kind != 'S' && a.kind != 'U' }

// Append appends the next value as text: a number as its shortest decimal digits, NaN as nothing. After the last value, the error is
// io.EOF.
func (a *Array) Append(dst []byte) ([]byte, error) {
	if err := a.next(); err != nil {
		return dst, err
	}
	switch a.kind {
	case 'i':
		return strconv.AppendInt(dst, int64(a.bits())<<(64-8*a.size)>>(64-8*a.size), 10), nil
	case 'u', 'b':
		return strconv.AppendUint(dst, a.bits(), 10), nil
	case 'f':
		v, bits := a.float(), 32
		if a.size == 8 {
			bits = 64
		}
		if math.IsNaN(v) {
			return dst, nil
		}
		return strconv.AppendFloat(dst, v, 'g', -1, bits), nil
	case 'U':
		for i := 0; i < a.size; i += 4 {
			if c := a.order.Uint32(a.buf[i:]); c != 0 {
				dst = utf8.AppendRune(dst, rune(c))
			}
		}
		return dst, nil
	}
	return append(dst, strings.TrimRight(string(a.buf), "\x00")...), nil
}

// Float returns the next value of an array of numbers.
func (a *Array) Float() (float64, error) {
	if !a.Numbers() {
		return 0, errors.New("is of texts; want numbers")
	}
	if err := a.next(); err != nil {
		return 0, err
	}
	switch a.kind {
	case 'f':
		return a.float(), nil
	case 'i':
		return float64(int64(a.bits()) << (64 - 8*a.size) >> (64 - 8*a.size)), nil
	}
	return float64(a.bits()), nil
}

func (a *Array) next() error {
	_, err := io.ReadFull(a.r, a.buf)
	return err
}

// bits returns the value's bytes as a number without a sign.
func (a *Array) bits() uint64 {
	switch a.size {
	case 1:
		return uint64(a.buf[0])
	case 2:
		return uint64(a.order.Uint16(a.buf))
	case 4:
		return uint64(a.order.Uint32(a.buf))
	}
	return a.order.Uint64(a.buf)
}

func (a *Array) float() float64 {
	switch a.size {
	case 2:
		return half(a.order.Uint16(a.buf))
	case 4:
		return float64(math.Float32frombits(a.order.Uint32(a.buf)))
	}
	return math.Float64frombits(a.order.Uint64(a.buf))
}

// half returns the value of a float of 16 bits (IEEE 754).
func half(b uint16) float64 {
	exponent, fraction := int(b>>10&31), float64(b&1023)
	v := math.Ldexp(1+fraction/1024, exponent-15)
	switch exponent {
	case 0:
		v = math.Ldexp(fraction/1024, -14)
	case 31:
		if v = math.Inf(1); fraction != 0 {
			v = math.NaN()
		}
	}
	if b>>15 == 1 {
		v = -v
	}
	return v
}

// unexpected is io.ErrUnexpectedEOF of any end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
