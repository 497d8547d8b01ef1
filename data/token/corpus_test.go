package token_test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/token"
)

// cells returns the cells of the lines of a GLUE file, its header left out.
func cells(t *testing.T, file ...string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{shared(t), "..", "glue"}, file...)...))
	if err != nil {
		t.Skipf("needs %s in ../shared/data/glue or $SPLICE_DATA: %v", filepath.Join(file...), err)
	}
	var rows [][]string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\r"), "\t"))
	}
	return rows[1:]
}

// TestReferenceCorpus holds the ids of 5,000 texts of SST-2 and RTE to those of the reference tokenizers, of which testdata/make.py
// wrote hashes.
func TestReferenceCorpus(t *testing.T) {
	text, err := os.ReadFile("testdata/corpus.json")
	if err != nil {
		t.Fatal(err)
	}
	var hashes map[string][]string
	if err := json.Unmarshal(text, &hashes); err != nil {
		t.Fatal(err)
	}
	type row struct {
		a, b string
		pair bool
	}
	var rows []row
	for _, c := range append(cells(t, "SST-2", "train_full.tsv")[:3000], cells(t, "SST-2", "dev.tsv")...) {
		rows = append(rows, row{a: c[0]})
	}
	for _, c := range cells(t, "RTE", "train.tsv")[:1128] {
		rows = append(rows, row{c[1], c[2], true})
	}
	if len(rows) != 5000 || len(hashes) != len(published) {
		t.Fatalf("%d texts and %d tokenizers, want 5000 and %d", len(rows), len(hashes), len(published))
	}
	for name, open := range published {
		t.Run(name, func(t *testing.T) {
			tok, want, bad := open(t), strings.Join(hashes[name], ""), 0
			if len(want) != 4*len(rows) {
				t.Fatalf("%d digits of hashes, want %d", len(want), 4*len(rows))
			}
			var e token.Encoding
			for i, r := range rows {
				e.Reset()
				var err error
				if r.pair {
					err = tok.EncodePair(&e, 64, r.a, r.b)
				} else {
					err = tok.Encode(&e, 64, r.a)
				}
				words := strings.Trim(fmt.Sprint(append(e.IDs, e.Segments...)), "[]")
				if got := fmt.Sprintf("%04x", crc32.ChecksumIEEE([]byte(words))&0xFFFF); err != nil || got != want[4*i:4*i+4] {
					if bad++; bad <= 20 {
						t.Errorf("%q, %q: %v, hash %s, want %s\n%v %v", r.a, r.b, err, got, want[4*i:4*i+4], e.IDs, e.Segments)
					}
				}
			}
			if bad > 0 {
				t.Errorf("%d of %d texts differ", bad, len(rows))
			}
		})
	}
}
