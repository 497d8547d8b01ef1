package scan_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/splice-ml/splice/data/datatest"
	"github.com/splice-ml/splice/data/internal/scan"
)

func TestExpandInNaturalOrder(t *testing.T) {
	for _, want := range [][]string{
		{"day_0", "day_1", "day_2", "day_9", "day_10", "day_11", "day_100"},
		{"2026-01-02", "2026-01-10", "2026-02-01"},
		{"day_01", "day_1", "day_02", "day_10"},
		{"part", "part-a", "part1", "part1.csv", "part10.csv"},
		{"v9", "v18446744073709551616", "v18446744073709551617"},
		{"a1b2", "a1b10", "a2b1", "a10b0"},
	} {
		dir := t.TempDir()
		for _, name := range want {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		files, err := scan.Expand([]string{filepath.Join(dir, "*")})
		if err != nil {
			t.Fatal(err)
		}
		for i := range files {
			files[i] = filepath.Base(files[i])
		}
		if got := strings.Join(files, " "); got != strings.Join(want, " ") {
			t.Errorf("files %s, want %s", got, strings.Join(want, " "))
		}
	}
}

// ** would be read as *, and files in deeper folders left out.
func TestExpandRefusesFoldersOfAnyDepth(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "x.csv"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := scan.Expand([]string{filepath.Join(dir, "**", "x.csv")})
	if err == nil || !strings.Contains(err.Error(), "** is no pattern for folders of any depth; give a list with a * for each level") {
		t.Errorf("error = %v", err)
	}
}

// Every reader says what a compressed file is that has another name, and that lines end in CR.
func TestFilesThatAreNoLines(t *testing.T) {
	readers := map[string]string{
		"{type: criteo, path: FILE}":                                      datatest.CriteoRow("1", "2"),
		"{type: csv, path: FILE, label: y, columns: {a: categorical}}":    "y,a\n1,2\n0,3",
		"{type: libfm, path: FILE}":                                       "1 1:1\n0 2:1",
		"{type: frappe, path: FILE}":                                      "user\titem\n1\t2",
		"{type: text, path: FILE, format: csv, label: y, labels: [a, b]}": "y,text\na,one\nb,two",
		"{type: text, path: FILE, format: jsonl, label: y, labels: [a, b]}": `{"y": "a", "text": "one"}` + "\n" +
			`{"y": "b", "text": "two"}`,
		"{type: text, path: FILE, format: lines, mask_rate: 0.15}":                "one\ntwo\nthree",
		"{type: glue, task: sst2, path: DIR}":                                     "sentence\tlabel\none\t1\ntwo\t0",
		"{type: glue, task: cola, path: DIR}":                                     "s\t1\t\tone\ns\t0\t*\ttwo",
		"{type: csv, path: FILE, label: y, quote: false, columns: {'*': ignore}}": "y,a\n1,2\n0,3",
	}
	for section, text := range readers {
		for _, c := range []struct{ what, text, want string }{
			{"gzip", datatest.Gzip(t, text), "train.tsv: is compressed by gzip; rename it so that its name ends in .gz"},
			{"zstd", datatest.Zstd(t, text), "train.tsv: is compressed by zstd; rename it so that its name ends in .zst"},
			{"Parquet", "PAR1\x15\x04\x15\x10" + text + "PAR1", "train.tsv: is a Parquet file; read it by data.type: parquet, or convert it to CSV"},
			{"HDF5", "\x89HDF\r\n\x1a\n" + text, "train.tsv: is an HDF5 file; convert it to CSV"},
			{"Git LFS", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "get the file itself by git lfs pull"},
			{"CR", strings.ReplaceAll(text+"\n"+text, "\n", "\r"), `train.tsv: its lines end in CR (carriage return) alone; convert them to LF`},
			{"CR and a last LF", strings.ReplaceAll(text+"\n"+text, "\n", "\r") + "\n", `its lines end in CR (carriage return) alone`},
		} {
			path := datatest.WriteFile(t, "train.tsv", c.text)
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), "dev.tsv"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			o, _ := datatest.Options(t)
			section := strings.NewReplacer("FILE", path, "DIR", filepath.Dir(path)).Replace(section)
			_, err := datatest.Section(t, section).Open(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s of %s: error = %v, want %s", c.what, section, err, c.want)
			}
		}
	}
}

// Every file that is no text is called what it is; text that begins with the same letters is text.
func TestForeignFiles(t *testing.T) {
	tar := make([]byte, 1024)
	copy(tar, "t.csv")
	copy(tar[257:], "ustar\x0000")
	for _, c := range []struct{ text, want string }{
		{"PAR1\x15\x00", "is a Parquet file; read it by data.type: parquet, or convert it to CSV"},
		{"ORC\x08\x03\x10", "is an ORC file; convert it to CSV"},
		{"ARROW1\x00\x00\xff\xff", "is an Arrow (Feather) file; convert it to CSV"},
		{"Obj\x01\x04\x14avro.codec", "is an Avro file; convert it to CSV"},
		{"\x93NUMPY\x01\x00v\x00", "is a NumPy file; convert it to CSV"},
		{"\x80\x04\x95\x10\x00", "is a Python pickle; convert it to CSV"},
		{"SQLite format 3\x00\x10\x00", "is an SQLite database; export the table as CSV"},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "is an Excel file (.xls); save it as CSV"},
		{"7z\xbc\xaf\x27\x1c\x00\x04", "is a 7z archive; unpack it"},
		{"\x04\x22\x4d\x18\x64\x40", "is compressed by lz4; unpack it, or compress it by gzip or zstd"},
		{"\x5d\x00\x00\x80\x00\xff", "is compressed by lzma; unpack it, or compress it by gzip or zstd"},
		{"\xff\xfe\x00\x00y\x00\x00\x00", "is UTF-32; convert it to UTF-8"},
		{string(tar), "is a tar archive; unpack it"},
		{"PAR1,ORC\n1,2\n", ""},
		{"ORC,y\n1,2\n", ""},
		{"ARROW1\ty\r\n", ""},
	} {
		in, err := scan.OpenInput(t.Context(), datatest.WriteFile(t, "t.csv", c.text))
		if err == nil {
			in.Close()
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasSuffix(err.Error(), "t.csv: "+c.want)) {
			t.Errorf("%q: error = %v, want %s", c.text[:min(len(c.text), 20)], err, c.want)
		}
	}
}

// A CR inside of a quoted cell, of a text or at the end of a line ends no line.
func TestCarriageReturnsThatAreText(t *testing.T) {
	for section, text := range map[string]string{
		"{type: csv, path: FILE, label: y, columns: {a: categorical}}":                      "y,a\r\n1,\"b\rc\"\r\n",
		"{type: text, path: FILE, format: tsv, names: [y, text], label: y, labels: [a, b]}": "a\tone\rtwo\nb\tthree\n",
	} {
		o, _ := datatest.Options(t)
		s := datatest.Open(t, datatest.Section(t, strings.ReplaceAll(section, "FILE", datatest.WriteFile(t, "t", text))), o)
		if want := int64(strings.Count(text, "\n")) - int64(strings.Count(text, "y,a")); s.Train.Rows() != want {
			t.Errorf("%q: %d rows, want %d", text, s.Train.Rows(), want)
		}
	}
}

// The window of a zstd file is memory that the file asks for.
func TestZstdWindow(t *testing.T) {
	const rows = "y,a\n1,2\n0,3\n"
	for _, tc := range []struct {
		log  int // of the window
		want string
	}{
		{27, ""},
		{28, "t.csv.zst: is compressed with a window of more than 128 MiB, which takes as much memory; compress it again without --ultra, and with " +
			"--long of at most 27"},
	} {
		var text bytes.Buffer
		z, err := zstd.NewWriter(&text, zstd.WithWindowSize(1<<tc.log))
		if err != nil {
			t.Fatal(err)
		}
		_, err = z.Write([]byte(rows))
		if err := errors.Join(err, z.Flush()); err != nil { // a frame of which the length is not known yet
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		in, err := scan.OpenInput(t.Context(), datatest.WriteFile(t, "t.csv.zst", text.String()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in)
		if err != nil {
			err = scan.ReadError("t.csv.zst", err)
		}
		if tc.want == "" && (err != nil || string(got) != rows) || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("window of 2^%d bytes: %q, error %v, want %s", tc.log, got, err, tc.want)
		}
		in.Close()
	}
}
