package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
)

// readResult reads the JSON file of a table.
func readResult(path string) (*gridResult, error) {
	b, err := bound.ReadFile(path, bound.JSON)
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	r := &gridResult{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("table: %s: %w", path, err)
	}
	if len(r.Columns) == 0 || slices.ContainsFunc(r.Columns, func(c *gridValues) bool { return len(c.Metrics) == 0 }) {
		return nil, fmt.Errorf("table: %s is no result of a table with rows", path)
	}
	return r, nil
}

// marks returns the lines between which a page shows the table of a name.
func marks(name string) (open, end string) {
	return "<!-- " + name + " -->\n", "<!-- /" + name + " -->"
}

// between returns where a page shows the table of a name: the text is page[from:to].
func between(page, name string) (from, to int, ok bool) {
	open, end := marks(name)
	if from = strings.Index(page, open); from < 0 {
		return 0, 0, false
	}
	from += len(open)
	to = strings.Index(page[from:], end)
	return from, from + to, to >= 0
}

// shown returns the names of the tables that a page shows, in their order.
func shown(page string) (out []string) {
	for line := range strings.Lines(page) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "<!-- /"); ok && strings.HasSuffix(name, " -->") {
			out = append(out, strings.TrimSuffix(name, " -->"))
		}
	}
	return out
}

// into writes the table into a page, between the marks of its name.
func (r *gridResult) into(path, name string) error { return intoPage(path, name, r.markdown()) }

// intoPage writes a text into a page, between the marks of a name.
func intoPage(path, name, text string) error {
	b, err := bound.ReadFile(path, bound.JSON)
	if err != nil {
		return fmt.Errorf("table: %w", err)
	}
	page := string(b)
	from, to, ok := between(page, name)
	if !ok {
		open, end := marks(name)
		return fmt.Errorf("table: %s has no place for this table: put the lines %s and %s where it belongs", path, strings.TrimSpace(open), end)
	}
	page = page[:from] + text + page[to:]
	if err := atomicfile.WriteBytes(path, []byte(page)); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	return nil
}

// save writes the table in every format, and as JSON, into a directory.
func (r *gridResult) save(dir, name string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("table: %w", err)
	}
	errs := []error{atomicfile.WriteBytes(filepath.Join(dir, name+".json"), append(b, '\n'))}
	for ext, format := range map[string]string{".md": "markdown", ".csv": "csv", ".tex": "latex"} {
		errs = append(errs, atomicfile.WriteBytes(filepath.Join(dir, name+ext), []byte(formats[format](r))))
	}
	return errors.Join(errs...)
}
