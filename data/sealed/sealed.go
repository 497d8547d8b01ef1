// Package sealed reads and writes JSON files that hold a checksum of their own content. A file that was damaged, or edited by hand, is
// noticed when it is read.
//
// The first key of such a file is "checksum", on a line of its own. It is the SHA-256 of the file without that line.
package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
)

// Errors of Read that say why a file is not as it was written.
var (
	ErrNoChecksum = errors.New("has no checksum: it was written by an earlier version of the program, or edited")
	ErrChanged    = errors.New("does not match its checksum: it was edited or damaged after it was written")
)

const (
	opening = "{\n"
	before  = `  "checksum": "`
	after   = "\",\n"
)

// Write writes v, which must be a struct or a map that is not empty, to path. An interrupted write leaves an earlier file as it is.
func Write(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	body, ok := bytes.CutPrefix(append(text, '\n'), []byte(opening))
	if !ok {
		return fmt.Errorf("a checksum goes into a JSON object that is not empty, not into %T", v)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		for _, s := range []string{opening, before, sum(body), after, string(body)} {
			if _, err := io.WriteString(w, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// Read reads what Write wrote into v, which must be a pointer. A file of more than most bytes, one whose checksum is missing or wrong,
// and one that has keys which v has not are errors, which name the file.
func Read(path string, most int64, v any) error {
	text, err := bound.ReadFile(path, most)
	if err != nil {
		return err
	}
	rest, ok := bytes.CutPrefix(text, []byte(opening+before))
	digits := hex.EncodedLen(sha256.Size)
	if !ok || len(rest) < digits {
		return fmt.Errorf("%s %w", path, ErrNoChecksum)
	}
	want := string(rest[:digits])
	body, ok := bytes.CutPrefix(rest[digits:], []byte(after))
	if !ok || sum(body) != want {
		return fmt.Errorf("%s %w", path, ErrChanged)
	}
	dec := json.NewDecoder(io.MultiReader(bytes.NewReader([]byte(opening)), bytes.NewReader(body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("%s: there is text after its content", path)
	}
	return nil
}

// sum returns the checksum of a file whose lines after the one of the checksum are body.
func sum(body []byte) string {
	h := sha256.New()
	_, _ = io.WriteString(h, opening) // a hash has no errors
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}
