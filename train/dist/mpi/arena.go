//go:build mpi && linux

package mpi

import (
	"fmt"
	"syscall"
	"unsafe"
)

// arenas are memory that is mapped once and never given back. A library that registers memory with a network card may hold on to what it has
// registered; memory of Go's heap that is freed and used again would then be read through a registration that is stale.
type arenas struct {
	list [][]byte
	free []byte // of the last one
}

const (
	arenaBytes = 1 << 20 // of an arena, at least
	alignment  = 64
)

// alloc returns n bytes.
func (a *arenas) alloc(n int) ([]byte, error) {
	need := (n + alignment - 1) / alignment * alignment
	if need > len(a.free) {
		b, err := syscall.Mmap(-1, 0, max(need, arenaBytes), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			return nil, fmt.Errorf("mpi: memory for exchanges, %d bytes: %w", need, err)
		}
		a.list, a.free = append(a.list, b), b
	}
	b := a.free[:n:n]
	a.free = a.free[need:]
	return b, nil
}

// has reports whether b is of an arena, or empty.
func (a *arenas) has(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for _, m := range a.list {
		lo := uintptr(unsafe.Pointer(unsafe.SliceData(m)))
		if at >= lo && at < lo+uintptr(len(m)) {
			return true
		}
	}
	return false
}

// staging is memory of an arena that takes the place of other memory in a call.
type staging struct {
	a   *arenas
	buf []byte
}

// of returns b if it is of an arena, else as many bytes that are.
func (s *staging) of(b []byte) ([]byte, error) {
	if s.a.has(b) {
		return b, nil
	}
	if cap(s.buf) < len(b) {
		buf, err := s.a.alloc(len(b) + len(b)/2)
		if err != nil {
			return nil, err
		}
		s.buf = buf
	}
	return s.buf[:len(b)], nil
}

// copied copies src to dst, unless they are the same memory.
func copied(dst, src []byte) {
	if unsafe.SliceData(dst) != unsafe.SliceData(src) {
		copy(dst, src)
	}
}
