package ckpt

import (
	"io"

	"github.com/splice-ml/splice/data/crash"
)

// background writes to w in a goroutine, so that what comes next is made meanwhile. Its Write returns the error of an earlier one. Close
// waits, and must be called.
type background struct {
	buf  []byte
	full chan []byte
	free chan written
}

// written is a buffer that has been written, or not.
type written struct {
	buf []byte
	err error
}

const backgroundSize = 1 << 20

func newBackground(w io.Writer) *background {
	b := &background{buf: make([]byte, 0, backgroundSize), full: make(chan []byte), free: make(chan written, 1)}
	b.free <- written{buf: make([]byte, 0, backgroundSize)}
	go func() {
		var err error
		for buf := range b.full {
			if err == nil {
				err = crash.Guard(func() error {
					_, err := w.Write(buf)
					return err
				})
			}
			b.free <- written{buf[:0], err}
		}
		close(b.free)
	}()
	return b
}

// Write puts p behind what is to be written.
func (b *background) Write(p []byte) (n int, err error) {
	for {
		k := copy(b.buf[len(b.buf):cap(b.buf)], p[n:])
		b.buf, n = b.buf[:len(b.buf)+k], n+k
		if n == len(p) {
			return n, nil
		}
		if err := b.pass(); err != nil {
			return n, err
		}
	}
}

// pass gives the buffer away and takes another one.
func (b *background) pass() error {
	b.full <- b.buf
	next := <-b.free
	b.buf = next.buf
	return next.err
}

// Close writes what is left.
func (b *background) Close() error {
	if len(b.buf) > 0 {
		b.full <- b.buf
	}
	close(b.full)
	var err error
	for last := range b.free {
		err = last.err
	}
	return err
}
