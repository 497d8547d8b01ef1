package job_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data/datatest"
)

// What a file must not have is an error with its file and line.
func TestBadGiven(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	path := rows(t, dir, 0, 300)
	nan := append(npy("<f4", "1, 4", nil), bytes.Repeat([]byte{0, 0, 0xc0, 0x7f}, 4)...)
	for _, tc := range []struct{ name, file, text, tokens, options, model, want string }{
		{"few numbers", "e.txt", "u1 1 2 3 4\nu2 1 2 3\n", "", "", "mlp", "e.txt:2: has 3 numbers after the token, want 4 (dim)"},
		{"many numbers", "e.txt", "u1 1 2 3 4 5\n", "", "", "mlp", "e.txt:1: has more than 4 numbers (dim) after the token"},
		{"NaN", "e.txt", "u1 1 2 3 4\nu2 1 NaN 3 4\n", "", "", "mlp", `e.txt:2: "NaN", number 2 of the last 4, is no finite number`},
		{"infinite", "e.txt", "u1 1 2 3 1e39\n", "", "", "mlp", `e.txt:1: "1e39", number 4`},
		{"twice", "e.txt", "u1 1 2 3 4\nx 0 0 0 0\nu1 1 2 3 4\n", "", "", "mlp", `e.txt:3: the token "u1" is there already, at e.txt:1`},
		{"blank line", "e.txt", "u1 1 2 3 4\n\nu2 1 2 3 4\n", "", "", "mlp", "e.txt:2: the line is blank"},
		{"unknown", "e.txt", "U1 1 2 3 4\n", "", "", "mlp", `has none of the column's 9 tokens, such as "u0"; are they written alike?`},
		{"shape", "e.npy", string(npy("<f4", "2, 3", make([]byte, 24))), "u1\nu2\n", "", "mlp", "e.npy: has the shape [2 3]; want rows of 4 numbers (dim)"},
		{"tokens", "e.npy", string(npy("<f4", "2, 4", make([]byte, 32))), "u1\n", "", "mlp", "e.tokens: has 1 tokens, e.npy has 2 rows"},
		{"more tokens", "e.npy", string(npy("<f4", "1, 4", make([]byte, 16))), "u1\nu2\n", "", "mlp", "e.tokens:2: more tokens than e.npy has rows (1)"},
		{"NaN array", "e.npy", string(nan), "u1\n", "", "mlp", "e.npy, row 0: number 0 is NaN"},
		{"short array", "e.npy", string(npy("<f4", "1, 4", make([]byte, 9))), "u1\n", "", "mlp", "e.npy, row 0: the file ends too early"},
		{"no tokens", "f.npy", string(npy("<f4", "1, 4", make([]byte, 16))), "", "", "mlp", "f.tokens: no such file"},
		{"no file", "", "", "", "", "mlp", "none.txt"},
		{"pickle", "e.pkl", "x", "", "", "mlp", "e.pkl: cannot be read; write it as .safetensors or .npy"},
		{"no parquet", "e.parquet", "PAR1", "", "", "mlp", "e.parquet: the Parquet file is truncated"},
		{"width", "e.txt", "u1 1 2 3 4 5 6\n", "", ", dim: 6", "deepfm", "columns have another one: user (6)"},
		{"lr", "e.txt", "u1 1 2 3 4\n", "", "", "lr", "the model looks no embeddings of it up"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := tc.file
			if file == "" {
				file = "none.txt"
			} else if err := os.WriteFile(file, []byte(tc.text), 0o644); err != nil {
				t.Fatal(err)
			}
			if tc.tokens != "" {
				if err := os.WriteFile("e.tokens", []byte(tc.tokens), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			config := fmt.Sprintf(givenConfig, path, "file: "+file+tc.options, tc.model)
			if tc.model == "lr" {
				config = strings.Replace(config, ", embedding_dim: 4, hidden_units: [6]", "", 1)
			}
			_, _, _, err := trained(t, config, filepath.Join(dir, "r"), job.TrainOptions{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

// A Parquet file of embeddings that has other columns, or values that are none, is refused with the row.
func TestBadGivenParquet(t *testing.T) {
	list, text := parquet.List(parquet.Leaf(parquet.DoubleType)), parquet.String()
	for _, tc := range []struct {
		name    string
		columns parquet.Group
		row     map[string]any
		want    string
	}{
		{"no value", parquet.Group{"key": text, "vec": list}, map[string]any{"key": "u1", "vec": []float64{1, 2, 3, 4}}, "e.parquet: no column value; want key and value, of which there are key, vec"},
		{"single", parquet.Group{"key": text, "value": parquet.Leaf(parquet.DoubleType)}, map[string]any{"key": "u1", "value": 1.}, "e.parquet: column value: want lists of numbers"},
		{"keys", parquet.Group{"key": list, "value": list}, map[string]any{"key": []float64{1}, "value": []float64{1, 2, 3, 4}}, "e.parquet: column key: want one token a row"},
		{"short", parquet.Group{"key": text, "value": list}, map[string]any{"key": "u1", "value": []float64{1, 2, 3}}, "e.parquet, row 1: value has 3 numbers, want 4 (dim)"},
		{"long", parquet.Group{"key": text, "value": list}, map[string]any{"key": "u1", "value": []float64{1, 2, 3, 4, 5}}, "e.parquet, row 1: value has 5 numbers, want 4 (dim)"},
		{"infinite", parquet.Group{"key": text, "value": list}, map[string]any{"key": "u1", "value": []float64{1, 2, 3, 1e39}}, "e.parquet, row 1: number 3 is 1e+39, want a finite one"},
		{"NaN", parquet.Group{"key": text, "value": list}, map[string]any{"key": "u1", "value": []float64{1, math.NaN(), 3, 4}}, "e.parquet, row 1: number 1 is NaN"},
		{"no text", parquet.Group{"key": text, "value": list}, map[string]any{"key": "u\xff", "value": []float64{1, 2, 3, 4}}, "e.parquet, row 1: key: "},
		{"twice", parquet.Group{"key": text, "value": list}, map[string]any{"key": "u0", "value": []float64{1, 2, 3, 4}}, `e.parquet, row 1: the token "u0" is there already, at e.parquet, row 0`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			good := map[string]any{}
			for name := range tc.columns {
				good[name] = tc.row[name]
			}
			if _, ok := good["value"].([]float64); ok {
				good["value"] = []float64{1, 2, 3, 4}
			}
			if _, ok := good["key"].(string); ok {
				good["key"] = "u0"
			}
			datatest.WriteParquet(t, "e.parquet", tc.columns, []map[string]any{good, tc.row})
			_, _, _, err := trained(t, fmt.Sprintf(givenConfig, rows(t, dir, 0, 300), "file: e.parquet", "mlp"), filepath.Join(dir, "r"), job.TrainOptions{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}
