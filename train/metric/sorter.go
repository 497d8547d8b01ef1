package metric

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

// Spill makes the temporary file of a metric.
type Spill func() (*os.File, error)

// SpillInto makes those of the metrics that have too many rows for memory keep them in files that spill makes. Without it, these are
// among the system's temporary files.
func SpillInto(ms []Metric, spill Spill) {
	for _, m := range ms {
		if m, ok := m.(interface{ spillInto(Spill) }); ok {
			m.spillInto(spill)
		}
	}
}

// runRows is the number of rows that are sorted in memory. They take 32 MB at 8 bytes a row, and 64 MB at 16 for a grouped metric.
// The rows beyond them go to a temporary file, in sorted runs that are merged at the end, so memory does not grow with the rows.
const runRows = 4 << 20

// sorter is an external merge sort: it takes values and gives them back in order.
type sorter[T any] struct {
	kind *order[T]
	temp Spill // nil means a file of the system's
	buf  []T
	file *os.File
	runs []int64 // values of each run in the file, one after another
}

// order is how values of T are sorted and stored.
type order[T any] struct {
	limit int // values in memory
	bytes int // of one
	sort  func([]T)
	less  func(a, b T) bool
	put   func([]byte, T)
	get   func([]byte) T
}

// add takes a value.
func (s *sorter[T]) add(v T) error {
	if len(s.buf) >= s.kind.limit {
		if err := s.spill(); err != nil {
			return fmt.Errorf("temporary file: %w", err)
		}
	}
	s.buf = append(s.buf, v)
	return nil
}

// spill writes the buffer to the file as a run.
func (s *sorter[T]) spill() error {
	if s.file == nil {
		temp := s.temp
		if temp == nil {
			temp = func() (*os.File, error) { return os.CreateTemp("", "splice-metric-*") }
		}
		f, err := temp()
		if err != nil {
			return err
		}
		// Where an open file can be removed, nothing is left of it even if the process is killed.
		_ = os.Remove(f.Name())
		s.file = f
	}
	s.kind.sort(s.buf)
	w := bufio.NewWriterSize(s.file, 1<<18)
	b := make([]byte, s.kind.bytes)
	for _, v := range s.buf {
		s.kind.put(b, v)
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	s.runs = append(s.runs, int64(len(s.buf)))
	s.buf = s.buf[:0]
	return nil
}

// each calls f with all values in ascending order.
func (s *sorter[T]) each(f func(T)) error {
	s.kind.sort(s.buf)
	if len(s.runs) == 0 {
		for _, v := range s.buf {
			f(v)
		}
		return nil
	}
	heap := make([]*source[T], 0, len(s.runs)+1)
	at := int64(0)
	for _, n := range s.runs {
		size := n * int64(s.kind.bytes)
		r := bufio.NewReaderSize(io.NewSectionReader(s.file, at, size), int(min(size, 1<<16)))
		heap = append(heap, &source[T]{kind: s.kind, r: r, left: n, b: make([]byte, s.kind.bytes)})
		at += size
	}
	heap = append(heap, &source[T]{rest: s.buf})
	for i := len(heap) - 1; i >= 0; i-- {
		if ok, err := heap[i].next(); err != nil {
			return err
		} else if !ok { // only the buffer can be empty
			heap = append(heap[:i], heap[i+1:]...)
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		s.down(heap, i)
	}
	for len(heap) > 0 {
		f(heap[0].head)
		ok, err := heap[0].next()
		if err != nil {
			return err
		}
		if !ok {
			heap[0] = heap[len(heap)-1]
			heap = heap[:len(heap)-1]
		}
		s.down(heap, 0)
	}
	return nil
}

// down moves the element i of a heap, smallest head first, to its place.
func (s *sorter[T]) down(heap []*source[T], i int) {
	for {
		c := 2*i + 1
		if c >= len(heap) {
			return
		}
		if c+1 < len(heap) && s.kind.less(heap[c+1].head, heap[c].head) {
			c++
		}
		if !s.kind.less(heap[c].head, heap[i].head) {
			return
		}
		heap[i], heap[c] = heap[c], heap[i]
		i = c
	}
}

// reset forgets the values and closes the file.
func (s *sorter[T]) reset() {
	s.buf, s.runs = s.buf[:0], nil
	if s.file != nil {
		name := s.file.Name()
		_ = s.file.Close()
		_ = os.Remove(name) // where it could not be removed while open
		s.file = nil
	}
}

// source is a sorted sequence: a run of the file, or the values in memory.
type source[T any] struct {
	head T
	kind *order[T]
	r    *bufio.Reader
	left int64
	b    []byte
	rest []T
}

// next moves head on; false at the end.
func (s *source[T]) next() (bool, error) {
	if s.r == nil {
		if len(s.rest) == 0 {
			return false, nil
		}
		s.head, s.rest = s.rest[0], s.rest[1:]
		return true, nil
	}
	if s.left == 0 {
		return false, nil
	}
	if _, err := io.ReadFull(s.r, s.b); err != nil {
		return false, fmt.Errorf("temporary file: %w", err)
	}
	s.head = s.kind.get(s.b)
	s.left--
	return true, nil
}
