package train

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/evict"
	"github.com/splice-ml/splice/models/nn"
)

// A file of features is a header, then a record for each row number from 0 on: a mark and the row's numbers, as little-endian
// float32. A row that the source does not have has no mark.
const (
	featureMagic = "SPLICEF1"
	featureHead  = 32 // magic, width (4 bytes), CRC-32C of the records (4), rows with features (8), records (8)
	featureMark  = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// featureFile is an open file of features. Go closes it when it is not used any more.
type featureFile struct {
	file    io.ReaderAt // an *os.File, or the temporary file while it is written
	width   int
	rows    int64 // that have features
	records int64
}

// featureName returns the name of the file of a stem's features of rows.
func featureName(stem, rows string) string {
	h := sha256.Sum256([]byte(stem + "\x00" + rows))
	return "features-" + hex.EncodeToString(h[:12]) + ".bin"
}

// identity is a digest of all that the stem's features depend on, beside the rows.
func (s *stem) identity() (string, error) {
	options, err := json.Marshal(s.model)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%T\x00%s", featureMagic, s.model, options)
	buf := make([]byte, 0, 1<<16)
	all := s.params.All()
	slices.SortFunc(all, func(a, b *nn.Param) int { return strings.Compare(a.Name, b.Name) })
	for _, q := range all {
		if !s.names[q.Name] && q.Kind != nn.Buffer {
			continue
		}
		fmt.Fprintf(h, "\x00%s\x00%v\x00", q.Name, q.Shape)
		for x := q.Data; len(x) > 0; {
			n := min(len(x), cap(buf)/4)
			buf = appendFloats(buf[:0], x[:n])
			h.Write(buf)
			x = x[n:]
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func appendFloats(b []byte, x []float32) []byte {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// writeFeatures writes a file of the features that rows puts, in any order. A failed write leaves an earlier file as it is.
func writeFeatures(path string, rows func(put func(row int64, x []float32) error) error) error {
	return atomicfile.Replace(path, func(f *atomicfile.File) error {
		out := featureFile{file: f}
		var buf []byte
		put := func(row int64, x []float32) error {
			if out.width == 0 {
				out.width = len(x)
			}
			if row < 0 || len(x) != out.width {
				return fmt.Errorf("row %d has %d features, others %d", row, len(x), out.width)
			}
			if nn.NotFinite(x) >= 0 {
				return fmt.Errorf("those of row %d are not finite: are the weights those of a trained model?", row)
			}
			out.rows++
			out.records = max(out.records, row+1)
			buf = appendFloats(appendFloats(buf[:0], []float32{featureMark}), x)
			_, err := f.WriteAt(buf, out.at(row))
			return err
		}
		if err := rows(put); err != nil {
			return err
		}
		if err := f.Truncate(out.at(out.records)); err != nil {
			return err
		}
		sum, marks, err := out.sum()
		if err != nil {
			return err
		}
		if marks != out.rows {
			return fmt.Errorf("%d rows have %d numbers: two have the same", out.rows, marks)
		}
		h := append([]byte(featureMagic), make([]byte, featureHead-len(featureMagic))...)
		binary.LittleEndian.PutUint32(h[8:], uint32(out.width))
		binary.LittleEndian.PutUint32(h[12:], sum)
		binary.LittleEndian.PutUint64(h[16:], uint64(out.rows))
		binary.LittleEndian.PutUint64(h[24:], uint64(out.records))
		if _, err := f.WriteAt(h, 0); err != nil {
			return err
		}
		if err := f.Chmod(0o644); err != nil && !errors.Is(err, fs.ErrPermission) { // a cache is for all users
			return err
		}
		return nil
	})
}

// at returns the place of a row's record.
func (f *featureFile) at(row int64) int64 { return featureHead + row*int64(f.width+1)*4 }

// sum returns the checksum of the records, and how many rows have features.
func (f *featureFile) sum() (sum uint32, marks int64, err error) {
	h := crc32.New(castagnoli)
	rec := make([]byte, 4*(f.width+1))
	r := bufio.NewReaderSize(io.NewSectionReader(f.file, featureHead, f.at(f.records)-featureHead), 1<<20)
	for range f.records {
		if _, err := io.ReadFull(r, rec); err != nil {
			return 0, 0, err
		}
		h.Write(rec)
		if binary.LittleEndian.Uint32(rec) != 0 {
			marks++
		}
	}
	return h.Sum32(), marks, nil
}

// openFeatures opens a file and checks it: one that is damaged is an error.
func openFeatures(path string) (_ *featureFile, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	evict.Hold(file)
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	h := make([]byte, featureHead)
	if _, err := file.ReadAt(h, 0); err != nil || string(h[:8]) != featureMagic {
		return nil, fmt.Errorf("%s is no file of features", path)
	}
	f := &featureFile{
		file: file, width: int(binary.LittleEndian.Uint32(h[8:])),
		rows: int64(binary.LittleEndian.Uint64(h[16:])), records: int64(binary.LittleEndian.Uint64(h[24:])),
	}
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if f.width < 1 || f.width > 1<<20 || f.records < 0 || f.records > 1<<40 || st.Size() != f.at(f.records) {
		return nil, fmt.Errorf("%s: %d bytes, want %d rows of %d numbers", path, st.Size(), f.records, f.width)
	}
	sum, marks, err := f.sum()
	if err != nil {
		return nil, err
	}
	if sum != binary.LittleEndian.Uint32(h[12:]) || marks != f.rows {
		return nil, fmt.Errorf("%s is damaged: another checksum", path)
	}
	return f, nil
}

// featureReader reads records. Several may read a file at once.
type featureReader struct {
	f   *featureFile
	buf []byte
}

func (f *featureFile) reader() *featureReader { return &featureReader{f, make([]byte, 4*(f.width+1))} }

// read sets dst to the features of a row.
func (r *featureReader) read(row int64, dst []float32) error {
	if row < 0 || row >= r.f.records {
		return fmt.Errorf("none of row %d: %w", row, fs.ErrNotExist)
	}
	if _, err := r.f.file.ReadAt(r.buf, r.f.at(row)); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(r.buf) == 0 {
		return fmt.Errorf("none of row %d: %w", row, fs.ErrNotExist)
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(r.buf[4+4*i:]))
	}
	return nil
}
