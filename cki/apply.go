package cki

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/ckpt"
)

// blockValues is about how many values of a tensor are merged at once, if the method allows it.
const blockValues = 1 << 18

// rawReader is a Reader of tensors that are stored in types of their own.
type rawReader interface {
	// WriteRaw writes the bytes of a tensor as they are stored.
	WriteRaw(name string, w io.Writer) error
}

// Mergeable reports whether a tensor can be merged: it is of floating point numbers and no buffer. Others are the base's.
func Mergeable(t ckpt.Info) bool {
	return cmp.Or(t.DType, ckpt.F32).IsFloat() && !models.IsBuffer(t.Name)
}

// Write merges tensor by tensor into the file at path, which appears when all is done. Each tensor has the type that it has in the
// base. Write holds in memory two blocks of rows of each parent, or one whole tensor of each parent if the method wants whole tensors.
func (in *Input) Write(path string, m Merged, meta map[string]string) error {
	var infos []ckpt.Info
	byName := map[string]ckpt.Info{}
	for _, t := range in.Parents[0].Tensors() {
		t := ckpt.Info{Name: t.Name, DType: cmp.Or(t.DType, ckpt.F32), Shape: t.Shape}
		infos, byName[t.Name] = append(infos, t), t
	}
	stored, hasStored := in.Parents[0].Reader.(rawReader)
	var buf []byte
	return ckpt.Stream(path, infos, meta, func(name string, w io.Writer) error {
		t := byName[name]
		if hasStored && !in.selected(m, t) {
			if Mergeable(t) { // values that are not finite are refused
				if err := in.each(m, t, func(int, []float32) error { return nil }); err != nil {
					return err
				}
			}
			return stored.WriteRaw(name, w)
		}
		return in.each(m, t, func(_ int, values []float32) error {
			var err error
			if buf, err = t.DType.AppendFloats(buf[:0], values); err != nil {
				return fmt.Errorf("cki: tensor %s: %w", name, err)
			}
			_, err = w.Write(buf)
			return err
		})
	})
}

// selected reports whether a tensor is merged.
func (in *Input) selected(m Merged, t ckpt.Info) bool {
	return Mergeable(t) && m.Tensor != nil && (in.Select == nil || in.Select(t.Name) || m.Also != nil && m.Also(t.Name))
}

// Fill writes the merge into p, which must have the parents' tensors.
func (in *Input) Fill(m Merged, p *nn.Params) error {
	for _, t := range in.Parents[0].Tensors() {
		q := p.Get(t.Name)
		if q == nil || !slices.Equal(q.Shape, t.Shape) {
			return fmt.Errorf("cki: tensor %s %v is not one of the model's parameters", t.Name, t.Shape)
		}
		err := in.each(m, t, func(at int, values []float32) error {
			copy(q.Data[at:], values)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each merges a tensor in blocks of rows, whose values emit gets with their place in the tensor.
func (in *Input) each(m Merged, info ckpt.Info, emit func(at int, values []float32) error) error {
	rows, dim := size(info.Shape)
	selected := in.selected(m, info)
	parents := in.Parents
	if !selected {
		parents = parents[:1]
	}
	step := rows
	if !selected || !m.Whole {
		step = min(rows, max(1, blockValues/max(1, dim)))
	}
	counts := in.counts(info.Name, rows)
	t := &Tensor{Name: info.Name, Shape: info.Shape}
	return readAhead(rows, step, len(parents)*step*dim, func(lo, hi int, buf []float32) error {
		n := (hi - lo) * dim
		for k, p := range parents {
			x := buf[k*n : (k+1)*n]
			if err := p.ReadRows(info.Name, lo, hi, x); err != nil {
				return err
			}
			if i := nn.NotFinite(x); i >= 0 {
				return fmt.Errorf("cki: %s: tensor %s: value %d is %v; a model that is not finite cannot be merged", p.Name, info.Name, lo*dim+i, x[i])
			}
		}
		return nil
	}, func(lo, hi int, buf []float32) error {
		n := (hi - lo) * dim
		t.Lo, t.Hi, t.Parents, t.Counts = lo, hi, t.Parents[:0], t.Counts[:0]
		for k := range parents {
			t.Parents = append(t.Parents, buf[k*n:(k+1)*n])
			if counts != nil {
				t.Counts = append(t.Counts, counts[k][lo:hi])
			}
		}
		if !selected {
			return emit(lo*dim, t.Parents[0])
		}
		if counts == nil {
			t.Counts = nil
		}
		t.Out = append(t.Out[:0], t.Parents[0]...)
		if err := m.Tensor(t); err != nil {
			return fmt.Errorf("cki: tensor %s: %w", info.Name, err)
		}
		if i := nn.NotFinite(t.Out); i >= 0 {
			return fmt.Errorf("cki: tensor %s: the merge makes value %d %v", info.Name, lo*dim+i, t.Out[i])
		}
		return emit(lo*dim, t.Out)
	})
}

// readAhead calls read and then use for each block of step rows, whose values have room in buf. A block is read while the one before it is
// used, but for a single one.
func readAhead(rows, step, values int, read, use func(lo, hi int, buf []float32) error) error {
	if rows <= step {
		if rows == 0 {
			return nil
		}
		buf := make([]float32, values)
		if err := read(0, rows, buf); err != nil {
			return err
		}
		return use(0, rows, buf)
	}
	type block struct {
		lo, hi int
		buf    []float32
		err    error
	}
	full, free, stop := make(chan block), make(chan []float32, 2), make(chan struct{})
	free <- make([]float32, values)
	free <- make([]float32, values)
	go func() {
		defer close(full)
		for lo := 0; lo < rows; lo += step {
			b := block{lo: lo, hi: min(rows, lo+step)}
			select {
			case b.buf = <-free:
			case <-stop:
				return
			}
			b.err = crash.Guard(func() error { return read(b.lo, b.hi, b.buf) })
			select {
			case full <- b:
			case <-stop:
				return
			}
			if b.err != nil {
				return
			}
		}
	}()
	defer func() {
		close(stop)
		for range full { // until the goroutine has ended
		}
	}()
	for b := range full {
		if b.err != nil {
			return b.err
		}
		if err := use(b.lo, b.hi, b.buf); err != nil {
			return err
		}
		free <- b.buf
	}
	return nil
}

// counts returns the parents' counts of a table's rows, or nil if one of them has none.
func (in *Input) counts(name string, rows int) [][]int64 {
	var all [][]int64
	for _, p := range in.Parents {
		c := p.Counts[name]
		if len(c) != rows {
			return nil
		}
		all = append(all, c)
	}
	return all
}

// size returns how many rows a shape has, and how many values a row has. A scalar is one row of one value.
func size(shape []int) (rows, dim int) {
	rows, dim = 1, 1
	for i, n := range shape {
		if i == 0 {
			rows = n
		} else {
			dim *= n
		}
	}
	return rows, dim
}
