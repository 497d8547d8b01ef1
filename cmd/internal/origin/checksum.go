package origin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Short returns 16 hexadecimal digits of the SHA-256 of a text.
func Short(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// Checksums are those of files, directories and globs that configs name, by name.
type Checksums map[string]string

// wholeFile is the size up to which a file is read whole. Of a larger one the size, the first and the last edgeBytes count.
const (
	wholeFile = 1 << 28
	edgeBytes = 1 << 24
)

// Of returns a checksum of the contents, "absent" if nothing is there. The names of directories do not count.
func (c Checksums) Of(path string) (string, error) {
	if sum, ok := c[path]; ok {
		return sum, nil
	}
	files := []string{path}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		if files, err = filepath.Glob(path); err != nil || len(files) == 0 {
			c[path] = "absent"
			return c[path], nil
		}
	case err != nil:
		return "", fmt.Errorf("checksum: %w", err)
	case info.IsDir():
		entries, err := os.ReadDir(path)
		if err != nil {
			return "", fmt.Errorf("checksum: %w", err)
		}
		files = nil
		for _, e := range entries {
			if e.Type().IsRegular() {
				files = append(files, filepath.Join(path, e.Name()))
			}
		}
	}
	slices.Sort(files)
	h := sha256.New()
	for _, f := range files {
		if err := hashFile(h, f); err != nil {
			return "", fmt.Errorf("checksum: %w", err)
		}
	}
	c[path] = hex.EncodeToString(h.Sum(nil)[:8])
	return c[path], nil
}

// hashFile adds a file's name and content.
func hashFile(h io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", path)
	}
	fmt.Fprintln(h, filepath.Base(path), info.Size()) // a hash has no errors
	if info.Size() <= wholeFile {
		_, err = io.Copy(h, f)
		return err
	}
	if _, err = io.CopyN(h, f, edgeBytes); err == nil {
		_, err = io.Copy(h, io.NewSectionReader(f, info.Size()-edgeBytes, edgeBytes))
	}
	return err
}
