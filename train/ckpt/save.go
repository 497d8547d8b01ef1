// Package ckpt reads and writes checkpoints, which are safetensors files with a checksum. It writes the other files of a run
// atomically as well.
//
// A file consists of 8 bytes with the header's length, a JSON header, and the tensors' little-endian data. Python's safetensors
// reads what is written here, and what it writes is read here. The checksum is in the header's metadata, where other programs
// ignore it.
package ckpt

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
)

// WriteFile is [atomicfile.Write] for the files beside a checkpoint.
func WriteFile(path string, write func(w io.Writer) error) error {
	return named(atomicfile.Write(path, write))
}

// named puts the package in front of an error of a write.
func named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ckpt: %w", err)
}

// Save writes c to path atomically, as [atomicfile.Write] does. The same checkpoint gives the same bytes. Tensors are in the order of
// their element size, since the format wants each of them aligned, and those of one size in the given order. The metadata are
// sorted by key.
func Save(path string, c *Checkpoint) error { return save(atomicfile.OS{}, path, c) }

func save(on atomicfile.System, path string, c *Checkpoint) error {
	infos := make([]Info, len(c.Tensors))
	index := make(map[string]int, len(c.Tensors))
	var errs []error
	for i := range c.Tensors {
		t := &c.Tensors[i]
		infos[i] = Info{Name: t.Name, DType: F32, Shape: t.Shape}
		index[t.Name] = i
		have := len(t.Data) * 4
		if t.Data == nil {
			infos[i].DType, have = cmp.Or(t.DType, F32), len(t.Raw)
		}
		size := max(1, infos[i].DType.Size())
		if n, ok := elements(t.Shape, size); !ok || n*int64(size) != int64(have) {
			errs = append(errs, fmt.Errorf("ckpt: write %s: tensor %s: %d bytes for %s %v", path, t.Name, have, infos[i].DType, t.Shape))
		}
	}
	if len(errs) > 0 {
		return bound.Join(errs...)
	}
	buf := make([]byte, 1<<16)
	return stream(on, path, infos, c.Meta, func(name string, w io.Writer) error {
		t := &c.Tensors[index[name]]
		if t.Data == nil {
			_, err := w.Write(t.Raw)
			return err
		}
		if littleEndian {
			_, err := w.Write(bytesOf(t.Data))
			return err
		}
		for x := t.Data; len(x) > 0; {
			n := min(len(x), len(buf)/4)
			for i, v := range x[:n] {
				binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(v))
			}
			if _, err := w.Write(buf[:4*n]); err != nil {
				return err
			}
			x = x[n:]
		}
		return nil
	})
}

// Stream writes a file tensor by tensor, atomically, so that not all of it need be in memory. data is called for each tensor in the
// order of the file, and writes its little-endian values, exactly as many as its Info says.
func Stream(path string, tensors []Info, meta map[string]string, data func(name string, w io.Writer) error) error {
	return stream(atomicfile.OS{}, path, tensors, meta, data)
}

func stream(on atomicfile.System, path string, tensors []Info, meta map[string]string, data func(name string, w io.Writer) error) error {
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b Info) int { return cmp.Compare(b.DType.Size(), a.DType.Size()) })
	head, digits, err := makeHeader(tensors, meta)
	if err != nil {
		return fmt.Errorf("ckpt: write %s: %w", path, err)
	}
	return named(atomicfile.ReplaceOn(on, path, func(f *atomicfile.File) error {
		sum := xxhash.New()
		out := newBackground(io.MultiWriter(sum, f))
		closed := false
		defer func() {
			if !closed {
				out.Close() // there is an earlier error
			}
		}()
		w := &counter{w: out}
		if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(head)))); err != nil {
			return err
		}
		if _, err := w.Write(head); err != nil {
			return err
		}
		for i := range tensors {
			t := &tensors[i]
			w.n = 0
			if err := data(t.Name, w); err != nil {
				return err
			}
			if w.n != t.bytes() {
				return fmt.Errorf("tensor %s: %d bytes written for %s %v", t.Name, w.n, t.DType, t.Shape)
			}
		}
		closed = true
		if err := out.Close(); err != nil {
			return err
		}
		_, err := f.WriteAt(fmt.Appendf(nil, "%0*x", checksumDigits, sum.Sum64()), int64(8+digits))
		return err
	}))
}

// counter counts the bytes of a tensor.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
