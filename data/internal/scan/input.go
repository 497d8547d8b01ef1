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
	"github.com/splice-ml/splice/data/npy"
)

// unreadable returns why the directory in which a glob looks first cannot be read, if it is there.
func unreadable(glob string) error {
	dir := glob[:strings.IndexAny(glob, "*?[")]
	if dir, _ = filepath.Split(dir); dir == "" {
		dir = "."
	}
	f, err := os.Open(dir)
	if err == nil {
		_, err = f.ReadDir(1)
		err = errors.Join(err, f.Close())
	}
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Expand returns the files that paths and globs name, each glob's matches in natural order. A name without a match, a directory
// and a file named twice are errors; all of them are reported.
func Expand(paths []string) ([]string, error) {
	var files, seen []string
	var errs []error
	for _, p := range paths {
		found := []string{p}
		if _, err := os.Lstat(p); err != nil && strings.ContainsAny(p, "*?[") {
			if strings.Contains(p, "**") {
				errs = append(errs, fmt.Errorf("data: glob %q: ** is no pattern for folders of any depth; give a list with a * for each level", p))
				continue
			}
			if found, err = filepath.Glob(p); err != nil {
				errs = append(errs, fmt.Errorf("data: glob %q: %w", p, err))
				continue
			}
			if len(found) == 0 {
				if err := unreadable(p); err != nil { // which Glob leaves out
					errs = append(errs, fmt.Errorf("data: glob %q: %w", p, err))
					continue
				}
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
	read  counter // bytes of raw
	close func() error
}

// counter counts the bytes that are written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// OpenInput opens a file and, by its name, the decompressor. An archive of arrays, .npz, is read as rows of CSV.
func OpenInput(ctx context.Context, path string) (*input, error) {
	f, r, err := openFile(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	in := &input{file: f, hash: xxhash.New(), close: func() error { return nil }}
	in.raw = io.TeeReader(r, io.MultiWriter(in.hash, &in.read))
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
	case ".npz":
		var rows *npy.Rows
		if rows, err = openRows(f); err == nil {
			in.Reader, in.close = rows, rows.Close
		}
	}
	if err != nil {
		f.Close()
		return nil, ReadError(path, err)
	}
	head := make([]byte, headBytes)
	n, _ := io.ReadFull(in.Reader, head) // the next read has the error again
	if advice := foreignAdvice(head[:n]); advice != "" {
		return nil, errors.Join(fmt.Errorf("data: %s: %s", path, advice), in.Close())
	}
	in.Reader = io.MultiReader(bytes.NewReader(head[:n]), in.Reader)
	return in, nil
}

// openRows returns the arrays of an archive of NumPy as text.
func openRows(f *os.File) (*npy.Rows, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is no regular file, which an archive has to be")
	}
	a, err := npy.OpenArchive(f, info.Size())
	if err != nil {
		return nil, err
	}
	return a.Rows()
}

// Sum returns the size and the hash of the file's bytes; the rest that the decompressor left is read here.
func (in *input) Sum() (size int64, hash uint64, err error) {
	if _, err := io.Copy(io.Discard, in.raw); err != nil {
		return 0, 0, err
	}
	return int64(in.read), in.hash.Sum64(), nil
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

// UTF8BOM is the byte order mark that some programs begin files of UTF-8 with.
var UTF8BOM = []byte("\xef\xbb\xbf")

// IsUTF16 reports whether text begins with the byte order mark of UTF-16.
func IsUTF16(text []byte) bool {
	return bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff"))
}

// foreign are how files begin that are no text, and what to do with them. A dot is any byte.
var foreign = []struct {
	magic, advice string
	word          bool // text may begin so too: a control character has to follow
}{
	{"\x1f\x8b\x08", "is compressed by gzip; rename it so that its name ends in .gz", false},
	{"\x28\xb5\x2f\xfd", "is compressed by zstd; rename it so that its name ends in .zst", false},
	{"PK\x03\x04", "is a zip archive; unpack it", false},
	{"BZh.1AY&SY", "is compressed by bzip2" + unpack, false},
	{"\xfd7zXZ\x00", "is compressed by xz" + unpack, false},
	{"\x5d\x00\x00.", "is compressed by lzma" + unpack, false},
	{"\x04\x22\x4d\x18", "is compressed by lz4" + unpack, false},
	{"\xff\x06\x00\x00sNaPpY", "is compressed by snappy" + unpack, false},
	{"\x1f\x9d", "is compressed by compress (.Z)" + unpack, false},
	{"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it", false},
	{"Rar!\x1a\x07", "is a rar archive; unpack it", false},
	{"PAR1", "is a Parquet file; read it by data.type: parquet, or convert it to CSV", true},
	{"PARE", "is an encrypted Parquet file; decrypt it, and read it by data.type: parquet", true},
	{"ORC", "is an ORC file" + convert, true},
	{"Obj\x01", "is an Avro file" + convert, false},
	{"ARROW1", "is an Arrow (Feather) file" + convert, true},
	{"FEA1", "is a Feather file" + convert, true},
	{"\xff\xff\xff\xff..\x00\x00", "is an Arrow stream" + convert, false},
	{"\x89HDF\r\n\x1a\n", "is an HDF5 file" + convert, false},
	{"\x93NUMPY", "is a NumPy file" + convert, false},
	{"\x80\x02", "is a Python pickle" + convert, false},
	{"\x80\x03", "is a Python pickle" + convert, false},
	{"\x80\x04\x95", "is a Python pickle" + convert, false},
	{"\x80\x05\x95", "is a Python pickle" + convert, false},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel file (.xls); save it as CSV", false},
	{"SQLite format 3\x00", "is an SQLite database; export the table as CSV", false},
	{"\xff\xfe\x00\x00", "is UTF-32; convert it to UTF-8", false},
	{"\x00\x00\xfe\xff", "is UTF-32; convert it to UTF-8", false},
	{"version https://git-lfs.github.com/", "is the pointer of a file that Git LFS keeps; get the file itself by git lfs pull", false},
}

const (
	unpack  = "; unpack it, or compress it by gzip or zstd"
	convert = "; convert it to CSV"
)

// headBytes is how many bytes tell what a file is.
const headBytes = 512

// foreignAdvice returns what to do with a file that is no text or is compressed but not named so; empty if it may be text.
func foreignAdvice(head []byte) string {
	for _, f := range foreign {
		same := len(head) >= len(f.magic)
		for i := 0; same && i < len(f.magic); i++ {
			same = f.magic[i] == '.' || f.magic[i] == head[i]
		}
		if same && (!f.word || bytes.ContainsFunc(head, isBinary)) {
			return f.advice
		}
	}
	if len(head) >= tarMagicAt+len(tarMagic) && string(head[tarMagicAt:tarMagicAt+len(tarMagic)]) == tarMagic {
		return "is a tar archive; unpack it"
	}
	return ""
}

// Where a tar archive says what it is.
const (
	tarMagicAt = 257
	tarMagic   = "ustar"
)

// isBinary reports whether r is a character that text does not have.
func isBinary(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' }

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
