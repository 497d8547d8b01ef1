package session

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/cki"
)

// Row is one model of a merge's comparison.
type Row = cki.Row

// ReadTable reads the comparison of a merge.
func ReadTable(dir string) (*Table, error) {
	path := filepath.Join(dir, TableFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t := &Table{}
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it to merge again", path, err)
	}
	return t, nil
}
