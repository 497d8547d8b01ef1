package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/splice-ml/splice/data/crash"
)

// allocatable is how much memory files of these tests may take.
const allocatable = 64 << 20

// readAll reads the columns of the file of some bytes, up to a number of rows. An error is as expected; a panic that became one fails
// the test, and so does memory that nothing in the file asks for.
func readAll(t testing.TB, dir string, file []byte) error {
	t.Helper()
	path := filepath.Join(dir, "x.parquet")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := func() error {
		f, err := Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		f.limit = allocatable
		var errs []error
		for i := range f.Columns {
			cur := f.Cursor(&f.Columns[i], Want{Text: true, Number: true, Longest: 1 << 20})
			var out Cells
			var text []byte
			rows, turn := int64(0), int64(0)
			for g, group := range f.Groups {
				for at := int64(0); at < group.Rows && rows < 10_000 && err == nil; at += 100 {
					n := min(100, group.Rows-at)
					text, err = cur.Read(turn, g, int(n), text[:0], &out)
					rows += n
					turn++
				}
			}
			cur.Close()
			errs = append(errs, err)
			err = nil
		}
		return errors.Join(errs...)
	}()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 8*allocatable {
		t.Errorf("%d bytes of memory for a file of %d bytes: %v", got, len(file), err)
	}
	if errors.As(err, new(*crash.Error)) {
		t.Errorf("a panic: %v", err)
	}
	if err != nil && !strings.HasPrefix(err.Error(), "data: ") {
		t.Errorf("the error %q does not begin with data:", err)
	}
	return err
}

// small are the fixtures that are damaged.
var small = []string{"delta.parquet", "rle_bool.parquet", "floats.parquet", "not_compliant.parquet", "delta_flba.parquet", "snappy.parquet", "gzip_plain.parquet"}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDamaged cuts and changes files at random places. A file that was cut is refused.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	rounds := 150
	if testing.Short() {
		rounds = 20
	}
	for _, name := range small {
		file := fixture(t, name)
		if err := readAll(t, dir, file); err != nil {
			t.Fatal(err)
		}
		for range rounds {
			if err := readAll(t, dir, file[:r.IntN(len(file))]); err == nil {
				t.Errorf("%s: a file that was cut is read", name)
			}
			b := bytes.Clone(file)
			for range 1 + r.IntN(3) {
				b[r.IntN(len(b))] = byte(r.IntN(256))
			}
			_ = readAll(t, dir, b)
			at := len(b) - 1 - r.IntN(min(len(b), 600)) // most damage is done in the footer
			b = bytes.Clone(file)
			b[at] ^= 1 << r.IntN(8)
			_ = readAll(t, dir, b)
		}
	}
}

func FuzzFile(f *testing.F) {
	for _, name := range small {
		f.Add(fixture(f, name))
	}
	f.Fuzz(func(t *testing.T, file []byte) { _ = readAll(t, t.TempDir(), file) })
}

// withFooter returns a file of some pages with metadata.
func withFooter(t testing.TB, pages []byte, m *format.FileMetaData) []byte {
	t.Helper()
	footer, err := thrift.Marshal(&thrift.CompactProtocol{}, m)
	if err != nil {
		t.Fatal(err)
	}
	file := append([]byte(magic), pages...)
	file = append(file, footer...)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(footer)))
	return append(file, magic...)
}

// one returns the metadata of a column of integers, whose pages follow the magic.
func one(rows int64, size int) *format.FileMetaData {
	element := func(name string) format.SchemaElement { return format.SchemaElement{Name: name} }
	root, leaf := element("schema"), element("x")
	root.NumChildren.V, root.NumChildren.Valid = 1, true
	leaf.Type.V, leaf.Type.Valid = format.Int64, true
	leaf.RepetitionType.V, leaf.RepetitionType.Valid = format.Required, true
	chunk := format.ColumnChunk{MetaData: format.ColumnMetaData{
		Type: format.Int64, NumValues: rows, DataPageOffset: 4, TotalCompressedSize: int64(size), TotalUncompressedSize: int64(size),
		PathInSchema: []string{"x"}, Encoding: []format.Encoding{format.Plain},
	}}
	return &format.FileMetaData{
		Version: 1, Schema: []format.SchemaElement{root, leaf}, NumRows: rows,
		RowGroups: []format.RowGroup{{Columns: []format.ColumnChunk{chunk}, NumRows: rows}},
	}
}

// pageOf returns a page with a header that says what is given of it.
func pageOf(t testing.TB, body []byte, values, size, packed int32, encoding format.Encoding) []byte {
	t.Helper()
	h := format.PageHeader{Type: format.DataPage, UncompressedPageSize: size, CompressedPageSize: packed}
	h.DataPageHeader.Valid = true
	h.DataPageHeader.V = format.DataPageHeader{NumValues: values, Encoding: encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE}
	b, err := thrift.Marshal(&thrift.CompactProtocol{}, h)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, body...)
}

// TestHostile reads files that announce what they do not have.
func TestHostile(t *testing.T) {
	bomb := func(size int) []byte { // zeros
		var b bytes.Buffer
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(z, zeros{}, int64(size)); err != nil {
			t.Fatal(err)
		}
		z.Close()
		return b.Bytes()
	}
	eight := make([]byte, 8)
	valid := func(change func(m *format.FileMetaData)) []byte {
		page := pageOf(t, eight, 1, 8, 8, format.Plain)
		m := one(1, len(page))
		change(m)
		return withFooter(t, page, m)
	}
	paged := func(rows int64, page []byte, change func(c *format.ColumnMetaData)) []byte {
		m := one(rows, len(page))
		if change != nil {
			change(&m.RowGroups[0].Columns[0].MetaData)
		}
		return withFooter(t, page, m)
	}
	footer := func(b []byte) []byte {
		file := append([]byte(magic), b...)
		return append(binary.LittleEndian.AppendUint32(file, uint32(len(b))), magic...)
	}
	zstded := func(c *format.ColumnMetaData) { c.Codec = format.Zstd }
	for name, tc := range map[string]struct {
		file []byte
		want string // of the error; empty if there is none
	}{
		"valid":                   {valid(func(*format.FileMetaData) {}), ""},
		"empty":                   {nil, "is no Parquet file"},
		"text":                    {[]byte("a,b\n1,2\n"), "is no Parquet file, since it does not begin with PAR1; data.type: csv"},
		"magic alone":             {[]byte(magic), "is truncated"},
		"encrypted":               {[]byte("PARE....PARE"), "is an encrypted Parquet file; decrypt it"},
		"long footer":             {append([]byte(magic), append([]byte{0xff, 0xff, 0xff, 0x7f}, magic...)...), "more than the file"},
		"list of a billion":       {footer([]byte{0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x03}), "metadata ends early"},
		"lists in lists":          {footer(bytes.Repeat([]byte{0x19}, 1<<20)), "metadata is damaged"},
		"structures":              {footer(bytes.Repeat([]byte{0x1c}, 1<<20)), "metadata is damaged"},
		"signed footer":           {valid(func(m *format.FileMetaData) { m.EncryptionAlgorithm.Value = &format.AesGcmV1{} }), "encrypted"},
		"encrypted column":        {valid(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].EncryptedColumnMetadata = []byte("x") }), "is encrypted"},
		"rows of a group":         {valid(func(m *format.FileMetaData) { m.RowGroups[0].NumRows = -1 }), "row group 0 says that it has -1 rows"},
		"rows":                    {valid(func(m *format.FileMetaData) { m.NumRows = 7 }), "row groups have 1 rows, but it says 7"},
		"values":                  {valid(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.NumValues = 2 }), "has 2 values, but the row group has 1 rows"},
		"columns":                 {valid(func(m *format.FileMetaData) { m.RowGroups[0].Columns = nil }), "row group 0 has 0 columns"},
		"type":                    {valid(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.Type = format.Double }), "has the type DOUBLE"},
		"place":                   {valid(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.DataPageOffset = 1 << 40 }), "outside of the file"},
		"negative place":          {valid(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.DataPageOffset = -5 }), "outside of the file"},
		"size":                    {valid(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.TotalCompressedSize = 1 << 50 }), "outside of the file"},
		"codec":                   {valid(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.Codec = format.Brotli }), "is compressed by BROTLI; write the file with zstd"},
		"no tree":                 {valid(func(m *format.FileMetaData) { m.Schema[0].NumChildren.V = 1 << 30 }), "schema is no tree"},
		"other file":              {valid(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].FilePath = "y" }), `lies in another file, "y"`},
		"two gigabytes":           {paged(1, pageOf(t, eight, 1, 1<<31-1, 8, format.Plain), zstded), "a page of more than 128 MiB"},
		"hundred megabytes":       {paged(1, pageOf(t, eight, 1, 100<<20, 8, format.Plain), zstded), "more than half of the memory"},
		"page beyond the column":  {paged(1, pageOf(t, eight, 1, 8, 1<<20, format.Plain), nil), "longer than the column"},
		"size of a plain page":    {paged(1, pageOf(t, eight, 1, 9, 8, format.Plain), nil), "cannot be decompressed"},
		"bomb":                    {paged(1, pageOf(t, bomb(100<<20), 1, 8, int32(len(bomb(100<<20))), format.Plain), zstded), "cannot be decompressed"},
		"too few values":          {paged(2, pageOf(t, eight, 2, 8, 8, format.Plain), nil), "values end early"},
		"a billion values":        {paged(1<<30, pageOf(t, eight, 1<<30, 8, 8, format.Plain), nil), "values end early"},
		"a billion differences":   {paged(1<<30, pageOf(t, eight, 1<<30, 8, 8, format.DeltaBinaryPacked), nil), "a page of more than 128 MiB"},
		"more values":             {paged(1, pageOf(t, eight, 2, 8, 8, format.Plain), nil), "more values than the column"},
		"a page is missing":       {paged(2, pageOf(t, eight, 1, 8, 8, format.Plain), nil), "ends 1 values early"},
		"no dictionary":           {paged(1, pageOf(t, eight, 1, 8, 8, format.RLEDictionary), nil), "there is none"},
		"another encoding":        {paged(1, pageOf(t, eight, 1, 8, 8, format.BitPacked), nil), "is encoded as BIT_PACKED"},
		"differences out of line": {paged(3, pageOf(t, []byte{0x80, 1, 4, 3, 0, 0, 64, 0, 0, 0}, 3, 10, 10, format.DeltaBinaryPacked), nil), "differences are damaged"},
	} {
		err := readAll(t, t.TempDir(), tc.file)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: error %v, want %q", name, err, tc.want)
		}
	}
}

// zeros are bytes that compress well.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestDictionaryIndex has an index that the dictionary lacks.
func TestDictionaryIndex(t *testing.T) {
	h := format.PageHeader{Type: format.DictionaryPage, UncompressedPageSize: 8, CompressedPageSize: 8}
	h.DictionaryPageHeader.Valid = true
	h.DictionaryPageHeader.V = format.DictionaryPageHeader{NumValues: 1, Encoding: format.Plain}
	b, err := thrift.Marshal(&thrift.CompactProtocol{}, h)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, make([]byte, 8)...)
	for index, want := range map[byte]string{0: "", 1: "has the index 1 of a dictionary of 1 values"} {
		pages := append(bytes.Clone(b), pageOf(t, []byte{8, 2 << 1, index}, 2, 3, 3, format.RLEDictionary)...)
		err := readAll(t, t.TempDir(), withFooter(t, pages, one(2, len(pages))))
		if fmt.Sprint(err) != "<nil>" && want == "" || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("index %d: error %v, want %q", index, err, want)
		}
	}
}
