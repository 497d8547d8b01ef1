package set_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// bert returns the path of the vocabulary of bert-base-uncased, or skips the test.
func bert(t testing.TB) string { return datatest.RealData(t, "tokenizers/bert-base-uncased/vocab.txt") }

// The numbers of rows are those of the benchmark.
func TestRealGlue(t *testing.T) {
	for _, tc := range []struct {
		task, dir          string
		train, valid, test int64
		labels             string
	}{
		{"sst2", "SST-2", 67349, 872, 0, "[negative positive]"},
		{"rte", "RTE", 2490, 277, 0, "[entailment not_entailment]"},
		{"mrpc", "MRPC", 3668, 408, 1725, "[not_equivalent equivalent]"},
	} {
		t.Run(tc.task, func(t *testing.T) {
			dir := filepath.Dir(datatest.RealData(t, "glue/"+tc.dir+"/dev.tsv"))
			o, log := datatest.Options(t)
			start := time.Now()
			s := datatest.Open(t, datatest.Section(t, fmt.Sprintf("{type: glue, task: %s, path: %s, tokenizer: %s}", tc.task, dir, bert(t))), o)
			t.Logf("opened in %v", time.Since(start))
			for part, want := range map[string]int64{"train": tc.train, "valid": tc.valid, "test": tc.test} {
				src := map[string]data.Source{"train": s.Train, "valid": s.Valid, "test": s.Test}[part]
				if want == 0 {
					if src != nil {
						t.Errorf("there is a part %s of %d rows", part, src.Rows())
					}
					continue
				}
				if src.Rows() != want {
					t.Errorf("%s has %d rows, want %d", part, src.Rows(), want)
				}
				rows := 0
				for b, err := range src.Batches(0, 64) {
					if err != nil {
						t.Fatal(err)
					}
					rows += b.N
				}
				if int64(rows) != want {
					t.Errorf("%s: read %d rows, want %d", part, rows, want)
				}
			}
			if got := fmt.Sprint(s.Schema.Text.Labels); got != tc.labels {
				t.Errorf("labels %s, want %s", got, tc.labels)
			}
			start = time.Now()
			datatest.Open(t, datatest.Section(t, fmt.Sprintf("{type: glue, task: %s, path: %s, tokenizer: %s}", tc.task, dir, bert(t))), o)
			t.Logf("opened again in %v; %s", time.Since(start), log)
		})
	}
}
