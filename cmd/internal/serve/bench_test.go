package serve_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice"
)

const wideConfig = `data: {type: csv, path: %q, label: click, columns: {%s}, split: {by: order, ratio: [0.6, 0.2, 0.2]}}
model: {type: deepfm, embedding_dim: 16, hidden_units: [400, 400, 400]}
train: {batch_size: 32, epochs: 1, patience: 0}
`

// wide trains a run of 13 numeric and 26 categorical columns, and returns its directory and 100 rows of it as JSON.
func wide(b *testing.B) (dir string, rows []string) {
	b.Helper()
	var names, kinds []string
	for i := range 39 {
		name, kind := fmt.Sprint("C", i), "{type: categorical, min_count: 1}"
		if i < 13 {
			name, kind = fmt.Sprint("I", i), "{type: numeric, transform: log1p}"
		}
		names, kinds = append(names, name), append(kinds, name+": "+kind)
	}
	var table strings.Builder
	table.WriteString("click," + strings.Join(names, ",") + "\n")
	for r := range 300 {
		row := splice.Row{}
		table.WriteString(fmt.Sprint(r % 2))
		for i, name := range names {
			if row[name] = float64(r * i % 97); i >= 13 {
				row[name] = fmt.Sprintf("%08x", uint32(r*i%61*2654435761))
			}
			table.WriteString(fmt.Sprint(",", row[name]))
		}
		table.WriteString("\n")
		if len(rows) < 100 {
			rows = append(rows, marshal(row))
		}
	}
	home := b.TempDir()
	file, config := filepath.Join(home, "wide.csv"), filepath.Join(home, "wide.yaml")
	for path, text := range map[string]string{file: table.String(), config: fmt.Sprintf(wideConfig, file, strings.Join(kinds, ", "))} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			b.Fatal(err)
		}
	}
	b.Chdir(home)
	dir = filepath.Join(home, "run")
	if _, err := splice.Train(b.Context(), config, splice.Options{Run: dir}); err != nil {
		b.Fatal(err)
	}
	return dir, rows
}

// BenchmarkScore answers requests of rows of 39 columns, without a network.
func BenchmarkScore(b *testing.B) {
	dir, rows := wide(b)
	s := start(b, options(b, "m="+dir))
	for _, n := range []int{1, 100} {
		body := `{"rows": [` + strings.Join(rows[:n], ", ") + "]}"
		b.Run(fmt.Sprint("rows=", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, httptest.NewRequest("POST", "/v1/score", strings.NewReader(body)))
				if w.Code != 200 {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
