package data

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
)

// An error of the reader is that error wherever it comes, at the end of a map too: the file is not said to be damaged.
func TestMapOfBrokenReader(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := z.EncodeAll([]byte(`{"version":1,"rows":2}`), nil)
	broken := &fs.PathError{Op: "read", Path: MapFile, Err: errors.New("input/output error")}
	for n := range len(b) + 1 { // another frame may follow the last
		_, err := decodeMap(io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(broken)), int64(len(b)))
		if !errors.As(err, new(*fs.PathError)) {
			t.Errorf("broken after %d of %d bytes: %v", n, len(b), err)
		}
	}
}
