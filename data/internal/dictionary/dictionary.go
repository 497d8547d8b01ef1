// Package dictionary numbers tokens. To find a token of up to eight bytes reads one slot of one table, where a Go map follows two
// pointers; passes over large files do little else.
package dictionary

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// Dictionary numbers tokens in the order in which they are added. The zero value is empty. Many goroutines may call Find while
// nobody adds tokens.
type Dictionary struct {
	Tokens []string // by number

	slots []slot // none, or a power of two of them
	used  int    // at most two thirds of the slots
	shift int    // 64 less the logarithm of the number of slots
}

// slot is a place for a token. Tokens that belong at the same place are in the slots that follow, up to one that is free.
type slot struct {
	key  uint64 // the bytes of a token of up to eight, the hash of a longer one
	size uint32 // bytes of the token
	at   int32  // the token's number + 1; 0 if the slot is free
}

// The places are drawn when the process starts, so that nobody can write a file whose tokens all belong at one. No number depends on them.
var (
	seed       = maphash.MakeSeed()
	mask       = maphash.String(seed, "mask")
	multiplier = maphash.String(seed, "multiplier") | 1
)

// New returns the dictionary of tokens, which it keeps: token i has the number i. A token that is there twice has the first one.
func New(tokens []string) *Dictionary {
	d := &Dictionary{Tokens: tokens}
	d.resize(bits.Len(uint(len(tokens) + len(tokens)/2)))
	for i, t := range tokens {
		token := []byte(t)
		if s := d.place(keyOf(token), token); s.at == 0 {
			*s = slot{keyOf(token), uint32(len(token)), int32(i + 1)}
			d.used++
		}
	}
	return d
}

// Distinct returns how many of the tokens differ.
func (d *Dictionary) Distinct() int { return d.used }

// Find returns the number of a token, -1 if the dictionary does not have it.
func (d *Dictionary) Find(token []byte) int {
	if len(d.slots) == 0 {
		return -1
	}
	return int(d.place(keyOf(token), token).at) - 1
}

// Add returns the number of a token, which is the next one if the dictionary did not have it.
func (d *Dictionary) Add(token []byte) int {
	if 3*(d.used+1) > 2*len(d.slots) {
		d.resize(max(4, bits.Len(uint(len(d.slots)))))
	}
	key := keyOf(token)
	s := &d.slots[d.home(key, uint32(len(token)))]
	if s.key == key && s.size == uint32(len(token)) && s.at > 0 && len(token) <= 8 { // as most are
		return int(s.at) - 1
	}
	if s = d.place(key, token); s.at == 0 {
		d.Tokens = append(d.Tokens, string(token))
		*s = slot{key, uint32(len(token)), int32(len(d.Tokens))}
		d.used++
	}
	return int(s.at) - 1
}

// place returns the slot of a token, which is free if the dictionary does not have it.
func (d *Dictionary) place(key uint64, token []byte) *slot {
	size, last := uint32(len(token)), len(d.slots)-1
	for i := d.home(key, size); ; i++ {
		s := &d.slots[i&last]
		if s.at == 0 || s.key == key && s.size == size && (size <= 8 || d.Tokens[s.at-1] == string(token)) {
			return s
		}
	}
}

// home returns where a token belongs.
func (d *Dictionary) home(key uint64, size uint32) int {
	hi, lo := bits.Mul64(key^mask, multiplier+2*uint64(size))
	return int((hi ^ lo) >> d.shift)
}

// resize makes room for the tokens in 1 << log slots.
func (d *Dictionary) resize(log int) {
	old := d.slots
	d.slots, d.shift = make([]slot, 1<<log), 64-log
	for _, s := range old {
		if s.at == 0 {
			continue
		}
		i := d.home(s.key, s.size)
		for d.slots[i].at != 0 {
			i = (i + 1) & (len(d.slots) - 1)
		}
		d.slots[i] = s
	}
}

// keyOf returns the key of a token.
func keyOf(token []byte) uint64 {
	n := len(token)
	switch {
	case n == 8:
		return binary.LittleEndian.Uint64(token)
	case n > 8:
		return maphash.Bytes(seed, token)
	case n >= 4: // both halves have the bytes between them, which are the same
		return uint64(binary.LittleEndian.Uint32(token)) | uint64(binary.LittleEndian.Uint32(token[n-4:]))<<(8*(n-4))
	}
	key := uint64(0)
	for i, b := range token {
		key |= uint64(b) << (8 * i)
	}
	return key
}
