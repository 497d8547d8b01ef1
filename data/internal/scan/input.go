package scan

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

// Expand returns the files that paths and globs name, each glob's matches sorted. A name without a match, a directory
// and a file named twice are errors; all of them are reported.
func Expand(paths []string) ([]string, error) {
	var files, seen []string
	var errs []error
	for _, p := range paths {
		found := []string{p}
		if _, err := os.Lstat(p); err != nil && strings.ContainsAny(p, "*?[") {
			if found, err = filepath.Glob(p); err != nil {
				errs = append(errs, fmt.Errorf("data: glob %q: %w", p, err))
				continue
			}
			if len(found) == 0 {
				errs = append(errs, fmt.Errorf("data: no file matches %q; check the directory and the pattern", p))
				continue
			}
		}
		slices.Sort(found)
		for _, f := range found {
			info, err := os.Stat(f)
			switch {
			case errors.Is(err, os.ErrNotExist):
				errs = append(errs, fmt.Errorf("data: %s: no such file; check the path", f))
			case err != nil:
				errs = append(errs, fmt.Errorf("data: %w", err))
			case info.IsDir():
				errs = append(errs, fmt.Errorf("data: %s: is a directory; name its files, for instance by %s", f, filepath.Join(f, "*")))
			case slices.Contains(seen, Absolute([]string{f})[0]):
				errs = append(errs, fmt.Errorf("data: %s: is named twice", f))
			default:
				files, seen = append(files, f), append(seen, Absolute([]string{f})...)
			}
		}
	}
	return files, errors.Join(errs...)
}

// input is an open file: its text, decompressed, and the hash of its bytes as they are on disk.
type input struct {
	io.Reader
	file  *os.File
	raw   io.Reader // the file through hash
	hash  *xxhash.Digest
	close func() error
}

// OpenInput opens a file and, by its name, the decompressor.
func OpenInput(path string) (*input, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	in := &input{file: f, hash: xxhash.New(), close: func() error { return nil }}
	in.raw = io.TeeReader(f, in.hash)
	in.Reader = in.raw
	switch strings.ToLower(filepath.Ext(path)) {
	case ".gz":
		var z *gzip.Reader
		if z, err = gzip.NewReader(in.raw); err == nil {
			in.Reader, in.close = z, z.Close
		}
	case ".zst":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(in.raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(1<<30)); err == nil {
			in.Reader, in.close = z, func() error { z.Close(); return nil }
		}
	}
	if err != nil {
		f.Close()
		return nil, ReadError(path, err)
	}
	return in, nil
}

// sum returns the hash of the whole file; the rest that the decompressor left is read here.
func (in *input) sum() (uint64, error) {
	if _, err := io.Copy(io.Discard, in.raw); err != nil {
		return 0, err
	}
	return in.hash.Sum64(), nil
}

// Close closes the decompressor and the file.
func (in *input) Close() error { return errors.Join(in.close(), in.file.Close()) }

// ReadError names the file of an error while reading it and, of a compressed one, what may have happened.
func ReadError(path string, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fmt.Errorf("data: %s: the compressed file is truncated; copy or download it again", path)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrMagicMismatch):
		return fmt.Errorf("data: %s: is not compressed as its name says; rename it or compress it", path)
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, zstd.ErrCRCMismatch):
		return fmt.Errorf("data: %s: the compressed file is corrupt (wrong checksum); copy or download it again", path)
	}
	return fmt.Errorf("data: %s: %w", path, err)
}

// HashFile returns the hash of a file's bytes.
func HashFile(path string) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h := xxhash.New()
	if _, err := io.Copy(h, f); err != nil {
		return 0, err
	}
	return h.Sum64(), nil
}

// UTF8BOM is the byte order mark that some programs begin files of UTF-8 with.
var UTF8BOM = []byte("\xef\xbb\xbf")

// IsUTF16 reports whether text begins with the byte order mark of UTF-16.
func IsUTF16(text []byte) bool {
	return bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff"))
}

// Absolute returns the files' absolute paths, which their caches are keyed by.
func Absolute(files []string) []string {
	out := make([]string, len(files))
	for i, f := range files {
		out[i] = f
		if a, err := filepath.Abs(f); err == nil {
			out[i] = a
		}
	}
	return out
}
