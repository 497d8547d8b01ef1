package ckpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// File is an open checkpoint file. Its header is in memory, and its tensors are read one by one.
type File struct {
	Path    string
	Tensors []Info            // in the order of the data
	Meta    map[string]string // the metadata without the checksum
	f       io.ReaderAt
	close   io.Closer
	start   int64 // of the data
	index   map[string]int
}

// Open opens a safetensors file and checks that its header is sound and that the file is as long as the header says. If Save wrote
// it, Open reads it through once to verify its checksum. Errors name the file.
func Open(path string) (*File, error) {
	if filepath.Base(path) == adapterFile {
		return nil, fmt.Errorf("ckpt: %s: %s", path, adapterHelp(filepath.Join(filepath.Dir(path), adapterConfigFile)))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("ckpt: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is not a regular file")
	}
	var r *File
	if err == nil {
		r, err = open(f, info.Size())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("ckpt: %s: %w", path, err)
	}
	r.Path, r.close = path, f
	return r, nil
}

// Checksum returns the checksum that the header of a file has. Save and Stream put it there, and Open compares it with the file's
// bytes; Checksum does not read them. A file without one is an error.
func Checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("ckpt: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("ckpt: %w", err)
	}
	_, head, err := readHeader(f, info.Size())
	if err != nil {
		return "", fmt.Errorf("ckpt: %s: %w", path, err)
	}
	_, meta, err := parseHeader(head, info.Size()-8-int64(len(head)))
	if err != nil {
		return "", fmt.Errorf("ckpt: %s: %w", path, err)
	}
	sum, ok := strings.CutPrefix(meta[checksumKey], checksumPrefix)
	if !ok {
		return "", fmt.Errorf("ckpt: %s: has no checksum: another program wrote it", path)
	}
	return sum, nil
}

// Close closes the file.
func (r *File) Close() error { return r.close.Close() }

// pickleHelp is what to do with a file of torch.save.
const pickleHelp = `is a PyTorch pickle, not safetensors; convert it: python -c "import sys, torch, safetensors.torch as s; ` +
	`s.save_file({k: v.clone().contiguous() for k, v in torch.load(sys.argv[1], map_location='cpu', weights_only=True).items()}, sys.argv[2])" ` +
	`IN.bin OUT.safetensors`

// readHeader returns the first 8 bytes of a file, and its header.
func readHeader(f io.ReaderAt, size int64) (first [8]byte, head []byte, err error) {
	if n, err := f.ReadAt(first[:], 0); err != nil && err != io.EOF {
		return first, nil, err
	} else if bytes.HasPrefix(first[:n], []byte("PK\x03\x04")) || n > 3 && first[0] == 0x80 && first[1] <= 5 && first[2] == 0x8a {
		return first, nil, errors.New(pickleHelp)
	} else if n < 8 {
		return first, nil, fmt.Errorf("truncated: a header needs 8 bytes, file has %d", n)
	}
	length := binary.LittleEndian.Uint64(first[:])
	if length > maxHeader {
		return first, nil, fmt.Errorf("is not safetensors: a header of %d bytes, the format allows %d", length, maxHeader)
	}
	start := 8 + int64(length)
	if start > size {
		return first, nil, fmt.Errorf("truncated: header says %d bytes, file has %d", start, size)
	}
	head = make([]byte, length)
	if _, err := f.ReadAt(head, 8); err != nil {
		return first, nil, noEOF(err)
	}
	return first, head, nil
}

func open(f io.ReaderAt, size int64) (*File, error) {
	first, head, err := readHeader(f, size)
	if err != nil {
		return nil, err
	}
	start := 8 + int64(len(head))
	tensors, meta, err := parseHeader(head, size-start)
	var short truncatedError
	if errors.As(err, &short) {
		return nil, fmt.Errorf("truncated: header says %d bytes, file has %d", start+short.data, size)
	}
	if err != nil {
		return nil, err
	}
	for k, v := range meta { // by the value too: damage to the key must not pass for a file of another program
		if k == checksumKey || strings.HasPrefix(v, checksumPrefix) {
			if err := verify(f, first[:], head, size, v); err != nil {
				return nil, err
			}
		}
	}
	delete(meta, checksumKey)
	r := &File{Tensors: tensors, Meta: meta, f: f, start: start, index: make(map[string]int, len(tensors))}
	for i := range tensors {
		r.index[tensors[i].Name] = i
	}
	return r, nil
}

// verify compares the file's checksum with want, the metadata's. It changes head.
func verify(f io.ReaderAt, first, head []byte, size int64, want string) error {
	hex, ok := strings.CutPrefix(want, checksumPrefix)
	at := bytes.Index(head, []byte(`"`+checksumKey+`":"`+want+`"`))
	if !ok || len(hex) != checksumDigits || at < 0 {
		return fmt.Errorf("checksum %q is not as it was written: "+
			"the file is damaged, or another program rewrote it and kept the metadata %s (drop that key)",
			want, checksumKey)
	}
	copy(head[at+len(checksumKey)+4+len(checksumPrefix):], zeroDigits)
	h := xxhash.New()
	h.Write(first) // a hash.Hash has no errors
	h.Write(head)
	data := io.NewSectionReader(f, 8+int64(len(head)), size-8-int64(len(head)))
	if _, err := io.CopyBuffer(h, onlyReader{data}, make([]byte, 1<<18)); err != nil {
		return err
	}
	if got := fmt.Sprintf("%0*x", checksumDigits, h.Sum64()); got != hex {
		return fmt.Errorf("checksum is %s, the file says %s: "+
			"it is damaged, or another program rewrote it and kept the metadata %s (drop that key)",
			got, hex, checksumKey)
	}
	return nil
}

// onlyReader hides WriteTo, so that the copy uses the large buffer.
type onlyReader struct{ io.Reader }

// Info returns the description of the tensor called name, or nil.
func (r *File) Info(name string) *Info {
	if i, ok := r.index[name]; ok {
		return &r.Tensors[i]
	}
	return nil
}

// Read returns the values of the tensor called name as float32. F16 and BF16 are exact, and F64 is rounded. Integers are read if
// float32 can hold each of them.
func (r *File) Read(name string) ([]float32, error) {
	t := r.Info(name)
	if t == nil {
		return nil, fmt.Errorf("ckpt: %s: no tensor %s", r.Path, name)
	}
	dst := make([]float32, t.Elements())
	if err := r.ReadInto(name, dst); err != nil {
		return nil, err
	}
	return dst, nil
}

// ReadInto reads the tensor called name into dst, as [File.Read] does. dst must have the tensor's number of elements.
func (r *File) ReadInto(name string, dst []float32) error {
	t := r.Info(name)
	if t == nil {
		return fmt.Errorf("ckpt: %s: no tensor %s", r.Path, name)
	}
	if len(dst) != t.Elements() {
		return fmt.Errorf("ckpt: %s: tensor %s: %v into %d elements", r.Path, name, t.Shape, len(dst))
	}
	return r.decode(t, 0, dst)
}

// Raw returns the bytes of the tensor called name as they are stored.
func (r *File) Raw(name string) ([]byte, error) {
	t := r.Info(name)
	if t == nil {
		return nil, fmt.Errorf("ckpt: %s: no tensor %s", r.Path, name)
	}
	b := make([]byte, t.bytes())
	if len(b) == 0 {
		return b, nil
	}
	if _, err := r.f.ReadAt(b, r.start+t.begin); err != nil {
		return nil, fmt.Errorf("ckpt: %s: tensor %s: %w", r.Path, name, noEOF(err))
	}
	return b, nil
}

// WriteRaw writes the bytes of the tensor called name to w as they are stored, piece by piece.
func (r *File) WriteRaw(name string, w io.Writer) error {
	t := r.Info(name)
	if t == nil {
		return fmt.Errorf("ckpt: %s: no tensor %s", r.Path, name)
	}
	if _, err := io.CopyBuffer(w, onlyReader{io.NewSectionReader(r.f, r.start+t.begin, t.bytes())}, make([]byte, min(1<<18, t.bytes()+1))); err != nil {
		return fmt.Errorf("ckpt: %s: tensor %s: %w", r.Path, name, err)
	}
	return nil
}

// Ints returns the values of the tensor called name, which must be of integers.
func (r *File) Ints(name string) ([]int64, error) {
	b, err := r.Raw(name)
	if err != nil {
		return nil, err
	}
	t := r.Info(name)
	dst := make([]int64, t.Elements())
	for i := range dst {
		v, ok := t.DType.integer(b, i)
		if !ok {
			return nil, fmt.Errorf("ckpt: %s: tensor %s: is %s, want integers", r.Path, name, t.DType)
		}
		dst[i] = v
	}
	return dst, nil
}

// Load reads a whole file. Every tensor becomes float32, but integers that float32 cannot hold stay as Raw.
func Load(path string) (*Checkpoint, error) {
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Load(nil)
}

// Load reads the tensors for whose names of is true, or all if of is nil, as [Load] does. The others have a shape alone.
func (r *File) Load(of func(name string) bool) (*Checkpoint, error) {
	c := &Checkpoint{Tensors: make([]Tensor, 0, len(r.Tensors)), Meta: r.Meta}
	for _, t := range r.Tensors {
		x := Tensor{Name: t.Name, Shape: t.Shape}
		if of != nil && !of(t.Name) {
			c.Tensors = append(c.Tensors, x)
			continue
		}
		var err error
		if x.Data, err = r.Read(t.Name); err != nil {
			x.Data, x.DType = nil, t.DType
			if x.Raw, err = r.Raw(t.Name); err != nil {
				return nil, err
			}
		}
		c.Tensors = append(c.Tensors, x)
	}
	return c, nil
}
