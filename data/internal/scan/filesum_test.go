package scan

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sumOf returns the sum of a file, as a pass over it does.
func sumOf(t *testing.T, path string) FileSum {
	t.Helper()
	in, err := OpenInput(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	s, err := stat(in.file)
	if err == nil {
		s.Size, s.Hash, err = in.Sum()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Path, s.Sample = path, sample(in.file, s.Size)
	return s
}

func TestFileSum(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows")
	text := bytes.Repeat([]byte("0123456789abcde\n"), 1<<14) // 256 KB, of which a sample has 64
	put := func(at int, b byte) {
		t.Helper()
		changed := bytes.Clone(text)
		changed[at] = b
		if err := os.WriteFile(path, changed, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	put(0, text[0])
	sum := sumOf(t, path)
	at := time.Unix(0, sum.Time)
	check := func(what string, changed, renewed bool) {
		t.Helper()
		s := sum
		why, again, err := s.Changed(path)
		if err != nil || (why != "") != changed || again != renewed {
			t.Errorf("%s: changed %q, renewed %v, %v; want %v, %v", what, why, again, err, changed, renewed)
		}
		if again {
			if why, twice, err := s.Changed(path); why != "" || twice || err != nil {
				t.Errorf("%s, a second time: changed %q, renewed %v, %v", what, why, twice, err)
			}
		}
	}
	check("as it is", false, false)
	if err := os.Chtimes(path, at.Add(time.Hour), at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	check("touched", false, true)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	check("touched, and its time put back", false, sum.InodeTime != 0)

	// Where the sample has no block, the time of the inode tells, if the system has one.
	outside := -1
	for i := len(text) / 2; outside < 0; i++ {
		put(i, 'X')
		if f, err := os.Open(path); err != nil {
			t.Fatal(err)
		} else if f.Close(); sampleOf(t, path, len(text)) == sum.Sample {
			outside = i
		}
		i += sampleBlock
	}
	put(outside, 'X')
	check("other bytes of the same size", true, false)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	check("other bytes of the same size and time", sum.InodeTime != 0, false)

	// The first and the last block are in every sample.
	for _, i := range []int{0, len(text) - 1} {
		put(i, 'X')
		if sampleOf(t, path, len(text)) == sum.Sample {
			t.Errorf("byte %d is not in the sample", i)
		}
	}
	put(0, text[0])
	check("the bytes put back", false, true)
	if err := os.Truncate(path, int64(len(text)-1)); err != nil {
		t.Fatal(err)
	}
	check("shorter", true, false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sum.Changed(path); err == nil {
		t.Error("no error without the file")
	}
	for _, size := range []int64{0, 1, sampleBlock - 1, sampleBlock, sampleBlock + 1} {
		a, b := make([]byte, size), make([]byte, size)
		if size > 0 {
			b[size/2] = 1
		}
		if same := sample(bytes.NewReader(a), size) == sample(bytes.NewReader(b), size); same != (size == 0) {
			t.Errorf("files of %d bytes: the samples are the same: %v", size, same)
		}
	}
}

func sampleOf(t *testing.T, path string, size int) uint64 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return sample(f, int64(size))
}
