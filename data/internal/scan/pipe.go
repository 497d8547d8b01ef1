package scan

import (
	"context"
	"io"
	"os"
)

// openFile opens a file for reading. Opening a pipe waits for its writer, and reading one for what is written: the context ends both.
// Whatever still waits then is left behind, as nothing can wake it.
func openFile(ctx context.Context, path string) (*os.File, io.Reader, error) {
	if info, err := os.Stat(path); err != nil || info.Mode().IsRegular() {
		f, err := os.Open(path)
		return f, f, err
	}
	f, err := await(ctx, func() (*os.File, error) {
		f, err := os.Open(path)
		if err == nil && ctx.Err() != nil { // nobody takes it any more
			return nil, f.Close()
		}
		return f, err
	})
	return f, &pipe{ctx, f}, err
}

// pipe is a file whose reads the context ends.
type pipe struct {
	ctx  context.Context
	file *os.File
}

// mostOfPipe is how much a pipe gives at once.
const mostOfPipe = 1 << 16

// Read reads what there is.
func (p *pipe) Read(b []byte) (int, error) {
	own := make([]byte, min(len(b), mostOfPipe)) // b is the caller's again once this returns
	n, err := await(p.ctx, func() (int, error) { return p.file.Read(own) })
	return copy(b, own[:n]), err
}

// await returns what f returns, or the context's error if that comes first.
func await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
