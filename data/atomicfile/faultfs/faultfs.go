// Package faultfs is a file system that fails when a test says so, to see that a write that fails leaves nothing behind.
package faultfs

import (
	"errors"

	"github.com/splice-ml/splice/data/atomicfile"
)

// System is the operating system's file system, one operation of which fails. Operations are those of a write: creating,
// writing, syncing and closing a file, renaming it, syncing its directory. Removing a file does not count.
type System struct {
	atomicfile.OS
	At  int   // the operation that fails, from 1 on; 0 for none
	Err error // how it fails
	N   int   // operations so far
}

func (s *System) fail() error {
	if s.N++; s.N == s.At {
		return s.Err
	}
	return nil
}

// Create makes a file whose operations count too.
func (s *System) Create(name string) (atomicfile.Handle, error) {
	if err := s.fail(); err != nil {
		return nil, err
	}
	h, err := s.OS.Create(name)
	if err != nil {
		return nil, err
	}
	return &handle{h, s}, nil
}

// Rename gives a file another name.
func (s *System) Rename(from, to string) error {
	if err := s.fail(); err != nil {
		return err
	}
	return s.OS.Rename(from, to)
}

// SyncDir syncs a directory to disk.
func (s *System) SyncDir(dir string) error {
	if err := s.fail(); err != nil {
		return err
	}
	return s.OS.SyncDir(dir)
}

type handle struct {
	atomicfile.Handle
	on *System
}

func (h *handle) Write(p []byte) (int, error) {
	if err := h.on.fail(); err != nil {
		n, _ := h.Handle.Write(p[:len(p)/2]) // a full disk takes a part
		return n, err
	}
	return h.Handle.Write(p)
}

func (h *handle) WriteAt(p []byte, at int64) (int, error) {
	if err := h.on.fail(); err != nil {
		return 0, err
	}
	return h.Handle.WriteAt(p, at)
}

func (h *handle) Sync() error {
	if err := h.on.fail(); err != nil {
		return err
	}
	return h.Handle.Sync()
}

func (h *handle) Close() error { return errors.Join(h.on.fail(), h.Handle.Close()) }
