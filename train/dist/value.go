package dist

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"unsafe"
)

// Share sends the root's *v to all ranks. A value is what package gob can send.
func Share[T any](g Group, v *T, root int) error {
	if g.Size() == 1 {
		return nil
	}
	var b bytes.Buffer
	if g.Rank() == root {
		if err := gob.NewEncoder(&b).Encode(v); err != nil {
			return fmt.Errorf("dist: share: %w", err)
		}
	}
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(b.Len()))
	if err := g.Bcast(n[:], root); err != nil {
		return err
	}
	text := b.Bytes()
	if g.Rank() != root {
		text = make([]byte, binary.LittleEndian.Uint64(n[:]))
	}
	if err := g.Bcast(text, root); err != nil || g.Rank() == root {
		return err
	}
	if err := gob.NewDecoder(bytes.NewReader(text)).Decode(v); err != nil {
		return fmt.Errorf("dist: share: %w", err)
	}
	return nil
}

// ShareFloats sends the root's values to all ranks, which have as many.
func ShareFloats(g Group, x []float32, root int) error {
	return g.Bcast(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x)), root)
}

// Gather returns the texts of all ranks, on all of them.
func Gather(g Group, text string) ([]string, error) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(text)))
	sizes, all := make([]int, g.Size()), make([]byte, 8*g.Size())
	for r := range sizes {
		sizes[r] = len(n)
	}
	if err := g.Allgatherv(n[:], all, sizes); err != nil {
		return nil, err
	}
	total := 0
	for r := range sizes {
		sizes[r] = int(binary.LittleEndian.Uint64(all[8*r:]))
		total += sizes[r]
	}
	out := make([]byte, total)
	if err := g.Allgatherv([]byte(text), out, sizes); err != nil {
		return nil, err
	}
	texts := make([]string, g.Size())
	for r, k := range sizes {
		texts[r], out = string(out[:k]), out[k:]
	}
	return texts, nil
}

// collected is how many numbers Collect moves at once.
const collected = 1 << 18

// Collect adds the numbers of all ranks to rank 0's, and sets those of the others to 0.
func Collect(g Group, x []int64) error {
	if g.Size() == 1 {
		return nil
	}
	send, recv := make([]int, g.Size()), make([]int, g.Size())
	var in, out []byte
	for len(x) > 0 {
		n := min(len(x), collected)
		part := x[:n]
		x = x[n:]
		send[0], in = 8*n, in[:0]
		if g.Rank() == 0 {
			send[0] = 0
			for r := range recv[1:] {
				recv[1+r] = 8 * n
			}
			if out == nil {
				out = make([]byte, 8*n*(g.Size()-1))
			}
			out = out[:8*n*(g.Size()-1)]
		} else {
			for _, v := range part {
				in = binary.LittleEndian.AppendUint64(in, uint64(v))
			}
			clear(part)
		}
		if err := g.Alltoallv(in, send, out, recv); err != nil {
			return err
		}
		for i := range len(out) / 8 {
			part[i%n] += int64(binary.LittleEndian.Uint64(out[8*i:]))
		}
	}
	return nil
}
