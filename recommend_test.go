package splice_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/configs/job"
)

// TestRecommend trains on cycles, in which an item tells the next one, and recommends: in memory and as the command does from a file.
func TestRecommend(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir) // for the cache
	var log strings.Builder
	for u := range 60 {
		fmt.Fprintf(&log, "u%d", u)
		for i := range 8 {
			fmt.Fprintf(&log, " i%d", (u+i)%20)
		}
		log.WriteString("\n")
	}
	config := fmt.Sprintf(`run: %[1]s/run
data: {type: interactions, layout: sequences, path: %[1]s/log, rows: sequences, max_len: 6}
model: {type: sasrec, output: catalogue, embedding_dim: 16}
task: {type: next_item, metrics: ["hr@1", "ndcg@5", "coverage@3", item_cross_entropy]}
train: {epochs: 30, batch_size: 16, learning_rate: 0.01}
`, dir)
	for name, text := range map[string]string{"log": log.String(), "config.yaml": config, "users": "new i3 i4 i5\nother i0 i19\nnobody unheard_of\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := splice.Train(t.Context(), filepath.Join(dir, "config.yaml"), splice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Test["hr@1"] < .95 || r.Test["ndcg@5"] < .95 || r.Test["coverage@3"] < 15 {
		t.Errorf("cycles are not learned: %v", r.Test)
	}
	run, err := splice.Open(filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	rows := []splice.Row{{"history": []string{"i3", "i4", "i5"}}, {"history": "i0|i19"}, {"history": "unheard_of"}}
	got, err := run.Recommend(t.Context(), rows, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"i6", "i1"} { // what comes after i19 is i0, which the second row has had; after i0 is i1
		if len(got[i]) != 3 || i == 0 && got[i][0].Name != want || got[i][0].Score < got[i][1].Score {
			t.Errorf("row %d: %v, want %s first", i, got[i], want)
		}
		for _, item := range got[i] {
			if strings.Contains(fmt.Sprint(rows[i]["history"]), item.Name+" ") {
				t.Errorf("row %d: %s was had already", i, item.Name)
			}
		}
	}
	e, err := job.OpenEnsemble([]string{filepath.Join(dir, "run")}, nil, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	e.TopK = 3
	var out bytes.Buffer
	if n, err := e.Predict(t.Context(), filepath.Join(dir, "users"), &out); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	for i, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		var names []string
		for _, item := range got[i] {
			names = append(names, item.Name)
		}
		if want := strings.Join(names, "\t"); line != want {
			t.Errorf("row %d of the file: %q, in memory %q", i, line, want)
		}
	}
}
