package nn

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// Clone returns parameters of the same names, shapes and values, which share no memory with p.
func (p *Params) Clone() *Params {
	c := NewParams(p.Seed)
	for _, q := range p.list {
		r := *q
		r.Shape, r.Data, r.Int8 = slices.Clone(q.Shape), slices.Clone(q.Data), slices.Clone(q.Int8)
		c.list = append(c.list, &r)
		c.byName[r.Name] = &r
	}
	return c
}

// Equal reports whether p and other have the same parameters, with equal shapes and with values that are equal bit for bit.
// It looks at the names for which of is true, or at all names if of is nil. The order of the parameters does not matter.
func (p *Params) Equal(other *Params, of func(name string) bool) bool {
	n := 0
	for _, q := range p.list {
		if of != nil && !of(q.Name) {
			continue
		}
		n++
		r := other.byName[q.Name]
		if r == nil || !slices.Equal(q.Shape, r.Shape) || !slices.EqualFunc(q.Data, r.Data, sameBits) || !slices.Equal(q.Int8, r.Int8) {
			return false
		}
	}
	for _, r := range other.list {
		if of == nil || of(r.Name) {
			n--
		}
	}
	return n == 0
}

func sameBits(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }

// Digest returns a text that identifies parameters: the first 16 hexadecimal digits of a SHA-256 hash of their names, shapes and
// values, in p's order.
func (p *Params) Digest() string {
	h := sha256.New()
	buf := make([]byte, 0, 1<<16)
	for _, q := range p.list {
		fmt.Fprintf(h, "%q %v\n", q.Name, q.Shape) // a hash has no errors
		for x := range slices.Chunk(q.Data, cap(buf)/4) {
			buf = buf[:0]
			for _, v := range x {
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
			}
			h.Write(buf)
		}
		h.Write(q.Int8)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Finite returns an error that names the first value that is NaN or infinite, or nil if there is none.
func (p *Params) Finite() error {
	for _, q := range p.list {
		if i := NotFinite(q.Data); i >= 0 {
			return fmt.Errorf("tensor %s: value %d is %v", q.Name, i, q.Data[i])
		}
	}
	return nil
}

// NotFinite returns the index of the first value that is NaN or infinite, or -1 if there is none.
func NotFinite(x []float32) int {
	for lo := 0; lo < len(x); lo += 4096 {
		part := x[lo:min(lo+4096, len(x))]
		if s := kernel.SumSq(part); s-s == 0 { // squares do not overflow in float64
			continue
		}
		return lo + slices.IndexFunc(part, func(v float32) bool { return v-v != 0 })
	}
	return -1
}
