package scan

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/splice-ml/splice/data/bound"
)

// Expand returns the files that paths and globs name, each glob's matches in natural order. A name without a match, a directory
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
		slices.SortFunc(found, compareNatural)
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
	return files, bound.Join(errs...)
}

// compareNatural compares names as people number them: digits that follow each other count as one number, so day_2 comes before
// day_10. Names that differ in leading zeros alone are in the order of their bytes.
func compareNatural(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		m, n := leadingDigits(x), leadingDigits(y)
		if m > 0 && n > 0 {
			v, w := strings.TrimLeft(x[:m], "0"), strings.TrimLeft(y[:n], "0")
			if c := cmp.Or(cmp.Compare(len(v), len(w)), strings.Compare(v, w)); c != 0 {
				return c
			}
			x, y = x[m:], y[n:]
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

// leadingDigits returns how many digits s begins with.
func leadingDigits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }

// maxWindow bounds the memory that a file compressed by zstd can ask for. It is the window of zstd --long.
const maxWindow = 128 << 20

// input is an open file: its text, decompressed, and the hash of its bytes as they are on disk.
type input struct {
	io.Reader
	file  *os.File
	raw   io.Reader // the file through hash
	hash  *xxhash.Digest
	close func() error
}

// OpenInput opens a file and, by its name, the decompressor.
func OpenInput(ctx context.Context, path string) (*input, error) {
	f, r, err := openFile(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	in := &input{file: f, hash: xxhash.New(), close: func() error { return nil }}
	in.raw = io.TeeReader(r, in.hash)
	in.Reader = in.raw
	switch strings.ToLower(filepath.Ext(path)) {
	case ".gz":
		var z *gzip.Reader
		if z, err = gzip.NewReader(in.raw); err == nil {
			in.Reader, in.close = z, z.Close
		}
	case ".zst":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(in.raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			in.Reader, in.close = z, func() error { z.Close(); return nil }
		}
	}
	if err != nil {
		f.Close()
		return nil, ReadError(path, err)
	}
	head := make([]byte, longestMagic)
	n, _ := io.ReadFull(in.Reader, head) // the next read has the error again
	if advice := compressionAdvice(head[:n]); advice != "" {
		return nil, errors.Join(fmt.Errorf("data: %s: %s", path, advice), in.Close())
	}
	in.Reader = io.MultiReader(bytes.NewReader(head[:n]), in.Reader)
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
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Errorf("data: %s: is compressed with a window of more than %d MiB, which takes as much memory; compress it again without "+
			"--ultra, and with --long of at most 27", path, maxWindow>>20)
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

// compressions are how compressed files begin, and what to do with those that are not named as such. A dot is any byte.
var compressions = []struct{ magic, advice string }{
	{"\x1f\x8b\x08", "is compressed by gzip; rename it so that its name ends in .gz"},
	{"\x28\xb5\x2f\xfd", "is compressed by zstd; rename it so that its name ends in .zst"},
	{"PK\x03\x04", "is a zip archive; unpack it"},
	{"BZh.1AY&SY", "is compressed by bzip2; unpack it, or compress it by gzip or zstd"},
	{"\xfd7zXZ\x00", "is compressed by xz; unpack it, or compress it by gzip or zstd"},
}

// longestMagic is how many bytes tell a compressed file.
const longestMagic = 10

// compressionAdvice returns what to do with a file that is compressed but not named so; empty if it is not.
func compressionAdvice(head []byte) string {
	for _, c := range compressions {
		same := len(head) >= len(c.magic)
		for i := 0; same && i < len(c.magic); i++ {
			same = c.magic[i] == '.' || c.magic[i] == head[i]
		}
		if same {
			return c.advice
		}
	}
	return ""
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
