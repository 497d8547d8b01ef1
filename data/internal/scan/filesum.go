package scan

import (
	"fmt"
	"io"
	"os"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/rng"
)

// FileSum identifies a file as it was when it was read.
type FileSum struct {
	Path      string `json:"path"`
	Size      int64  `json:"size"`            // of the bytes that were read
	Time      int64  `json:"mtime"`           // nanoseconds of Unix time, when the reading began
	InodeTime int64  `json:"ctime,omitempty"` // the same of the last change of the file's inode; 0 where the system does not tell
	Sample    uint64 `json:"sample"`          // xxhash of some of its blocks
	Hash      uint64 `json:"hash"`            // xxhash of its bytes
}

// stat returns what the system says of an open file.
func stat(f *os.File) (FileSum, error) {
	info, err := f.Stat()
	if err != nil {
		return FileSum{}, err
	}
	return FileSum{Size: info.Size(), Time: info.ModTime().UnixNano(), InodeTime: inodeTime(info)}, nil
}

// Changed reports whether the file at s.Path has other bytes than when it was read. A file whose size and times are the same, and whose
// sample is, counts as the same; one whose times alone are others is read as a whole, and s takes over its times if its bytes are the
// same: renewed is true then. Any write sets the time of the inode, which no program can set as it likes.
func (s *FileSum) Changed(path string) (why string, renewed bool, err error) {
	f, _, err := bound.Open(path)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	now, err := stat(f)
	if err != nil {
		return "", false, err
	}
	if now.Size != s.Size {
		return fmt.Sprintf("has %d bytes, had %d", now.Size, s.Size), false, nil
	}
	if now.Sample = sample(f, now.Size); now.Sample != s.Sample {
		return "has other bytes", false, nil
	}
	if now.Time == s.Time && now.InodeTime == s.InodeTime {
		return "", false, nil
	}
	if now.Hash, err = hash(f); err != nil {
		return "", false, err
	}
	if now.Hash != s.Hash {
		return "has other bytes", false, nil
	}
	now.Path = s.Path
	*s = now
	return "", true, nil
}

// A sample of a file is its first and its last block, and some between them at places that depend on its size.
const (
	sampleBlock  = 4 << 10
	sampleBlocks = 16
)

// sample returns the hash of some blocks of a file of that size. What cannot be read is left out.
func sample(f io.ReaderAt, size int64) uint64 {
	h := xxhash.New()
	buf := make([]byte, sampleBlock)
	last := max(0, size-sampleBlock)
	for i := range int64(sampleBlocks) {
		at := last
		switch {
		case i == 0:
			at = 0
		case i < sampleBlocks-1:
			at = int64(rng.Key(uint64(size), "sample", i) % uint64(last+1))
		}
		n, _ := f.ReadAt(buf[:min(sampleBlock, size-at)], at)
		h.Write(buf[:n])
	}
	return h.Sum64()
}

// hash returns the hash of the bytes of r.
func hash(r io.Reader) (uint64, error) {
	h := xxhash.New()
	if _, err := io.Copy(h, r); err != nil {
		return 0, err
	}
	return h.Sum64(), nil
}

// HashFile returns the hash of a file's bytes.
func HashFile(path string) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return hash(f)
}
