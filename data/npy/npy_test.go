package npy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/npy"
)

func archive(t testing.TB, name string) (*npy.Rows, error) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	a, err := npy.OpenArchive(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	return a.Rows()
}

// What NumPy wrote is read as rows: make.py has the values.
func TestRows(t *testing.T) {
	r, err := archive(t, "rows.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `label,user,price,half,clicks,vector,flag,big,small,name
1,u1,0.5,1.5,3|7,0.25|0,1,9223372036854775808,-1,x
0,"a ""b"", c",,-0.25,,1|-2,0,1,127,yz
1,été,-0.001,6.097555e-05,1|2,3|4.5,1,0,-128,
`
	if got := string(text); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestBadArchives(t *testing.T) {
	for name, want := range map[string]string{
		"uneven.npz": "array b has 4 rows, a has 3", "objects.npz": "is of Python objects", "cube.npz": "has the shape [2 2 2]",
		"columns.npz": "is stored column by column", "make.py": "is no archive of arrays",
	} {
		if _, err := archive(t, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// header is an array of version 1 with this description, and no values.
func header(text string) []byte {
	return append([]byte("\x93NUMPY\x01\x00"), append([]byte{byte(len(text)), byte(len(text) >> 8)}, text...)...)
}

func TestBadHeaders(t *testing.T) {
	for text, want := range map[string]string{
		"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1099511627776), }": "too large",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }":              "too large or none",
		"{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }":               `has values of type "<c8"`,
		"{'descr': '<f3', 'fortran_order': False, 'shape': (3,), }":               `has values of type "<f3"`,
		"{'descr': '<U99999999', 'fortran_order': False, 'shape': (3,), }":        `has values of type "<U99999999"`,
		"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }":      "is of structures",
		"{'shape': (3,), }": "without descr",
	} {
		if _, err := npy.New(bytes.NewReader(header(text))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	a, err := npy.New(bytes.NewReader(header("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Float(); !errors.Is(err, io.EOF) {
		t.Errorf("a value that is not there: %v", err)
	}
	for _, text := range []string{"", "\x93NUMPY", "\x93NUMPY\x01\x00\x50", "\x93NUMPY\x04\x00\x50\x00", "\x93NUMPY\x02\x00\xff\xff\xff\xff"} {
		if _, err := npy.New(strings.NewReader(text)); err == nil {
			t.Errorf("%q is an array", text)
		}
	}
}

// FuzzRows: whatever a file has, reading it ends in an error or in rows.
func FuzzRows(f *testing.F) {
	list, _ := filepath.Glob("testdata/*.npz")
	for _, path := range list {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := npy.OpenArchive(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		r, err := a.Rows()
		if err != nil {
			return
		}
		defer r.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
	})
}

func FuzzArray(f *testing.F) {
	f.Add(append(header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"), 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := npy.New(bytes.NewReader(b))
		if err != nil {
			return
		}
		for range 10 {
			if _, err := a.Append(nil); err != nil {
				return
			}
		}
	})
}
