package ckpt

import "fmt"

// rows returns the size of the tensor's first dimension and the number of elements of one of its rows. A scalar is one row.
func (t *Info) rows() (n, width int) {
	if len(t.Shape) == 0 {
		return 1, 1
	}
	if n = t.Shape[0]; n > 0 {
		width = t.Elements() / n
	}
	return n, width
}

// ReadRows reads rows lo to hi, without hi, of the first dimension of the tensor called name into dst, with the conversions of
// [File.Read]. dst must have exactly their number of elements. A scalar is one row. Nothing else of the tensor is read.
func (r *File) ReadRows(name string, lo, hi int, dst []float32) error {
	t := r.Info(name)
	if t == nil {
		return fmt.Errorf("ckpt: %s: no tensor %s", r.Path, name)
	}
	n, width := t.rows()
	if lo < 0 || hi < lo || hi > n {
		return fmt.Errorf("ckpt: %s: tensor %s %v: rows %d to %d of %d", r.Path, name, t.Shape, lo, hi, n)
	}
	if len(dst) != (hi-lo)*width {
		return fmt.Errorf("ckpt: %s: tensor %s %v: %d rows of %d elements into %d elements", r.Path, name, t.Shape, hi-lo, width, len(dst))
	}
	return r.decode(t, lo*width, dst)
}

// decode reads the elements of t from number first on into dst.
func (r *File) decode(t *Info, first int, dst []float32) error {
	size := t.DType.Size()
	if t.DType == F32 && littleEndian {
		if len(dst) == 0 {
			return nil
		}
		if _, err := r.f.ReadAt(bytesOf(dst), r.start+t.begin+int64(first*size)); err != nil {
			return fmt.Errorf("ckpt: %s: tensor %s: %w", r.Path, t.Name, noEOF(err))
		}
		return nil
	}
	buf := make([]byte, min(1<<18, len(dst)*size))
	for lo := 0; lo < len(dst); {
		n := min(len(dst)-lo, len(buf)/size)
		if _, err := r.f.ReadAt(buf[:n*size], r.start+t.begin+int64((first+lo)*size)); err != nil {
			return fmt.Errorf("ckpt: %s: tensor %s: %w", r.Path, t.Name, noEOF(err))
		}
		if err := t.DType.decode(dst[lo:lo+n], buf); err != nil {
			return fmt.Errorf("ckpt: %s: tensor %s, from element %d: %w", r.Path, t.Name, first+lo, err)
		}
		lo += n
	}
	return nil
}
