package run

import (
	"bytes"
	"fmt"
	"path/filepath"

	"github.com/splice-ml/splice/data/bound"
)

// CardLibrary is the value of library_name in the front matter of model cards, which tells them from other files of their name.
const CardLibrary = "splice"

// IsCard reports whether a file is a model card that [WriteCard] wrote.
func IsCard(path string) bool {
	b, _ := head(path)
	b, ok := bytes.CutPrefix(b, []byte("---\n"))
	front, _, closed := bytes.Cut(b, []byte("\n---\n"))
	return ok && closed && bytes.Contains(append([]byte("\n"), append(front, '\n')...), []byte("\nlibrary_name: "+CardLibrary+"\n"))
}

// WriteCard writes the model card of a run. A file of its name that is none stays, and is an error.
func WriteCard(dir string, text []byte) error {
	path := filepath.Join(dir, CardFile)
	if bound.Exists(path) && !IsCard(path) {
		return BadInput(fmt.Errorf("%s is no model card that export wrote: move it away", path))
	}
	return Write(dir, CardFile, text)
}
