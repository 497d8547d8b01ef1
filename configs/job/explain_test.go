package job_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki/merge"
	"github.com/splice-ml/splice/configs/job"
)

// merged merges runs of the working directory into one, without training.
func mergedClicks(t *testing.T, dir, method string, parents ...string) {
	t.Helper()
	write(t, "merge.yaml", fmt.Sprintf("merge:\n  parents: [%s]\n  vocabulary: union\n  method: %s\n  guard: false\n  finetune: {epochs: 0}\n  controls: false\n", strings.Join(parents, ", "), method))
	e, err := job.Config{File: "merge.yaml"}.LoadMerge(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	j := job.Job{Experiment: e, Dir: dir}
	if _, err := j.Merge(t.Context(), true); err != nil {
		t.Fatal(err)
	}
}

func tensorOf(t *testing.T, e *merge.Explanation, name string) merge.TensorOrigin {
	t.Helper()
	i := slices.IndexFunc(e.Tensors, func(o merge.TensorOrigin) bool { return o.Name == name })
	if i < 0 {
		t.Fatalf("there is no tensor %s among %d", name, len(e.Tensors))
	}
	return e.Tensors[i]
}

// TestExplain: the shares of a merge by weights are these weights, and a row that one parent alone knows is that parent's.
func TestExplain(t *testing.T) {
	t.Chdir(t.TempDir())
	text := clicks(1500)
	write(t, "rows.csv", text)
	write(t, "other.csv", strings.ReplaceAll(strings.ReplaceAll(text, ",a7,", ",a9,"), ",a0,", ",a1,"))
	write(t, "c.yaml", inspected)
	trainClicks(t, "b", "seed=2", "data.path=other.csv", "data.columns.before=ignore")
	trainClicks(t, "a", "data.columns.before=ignore")
	trainClicks(t, "c", "seed=3", "data.columns.before=ignore")
	mergedClicks(t, "m", "{type: average, weights: [0.25, 0.75]}", "a", "b")
	e, err := job.Explain("m")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(e.Parents, []string{"a", "b"}) || len(e.Changed) > 0 {
		t.Errorf("parents %v, of which %v have changed", e.Parents, e.Changed)
	}
	for _, o := range e.Tensors {
		if len(o.Shares) != 2 || math.Abs(o.Shares[0]-0.25) > 1e-4 || math.Abs(o.Shares[1]-0.75) > 1e-4 || o.Residual > 1e-5 {
			t.Errorf("%s: shares %v, residual %v, want .25 and .75", o.Name, o.Shares, o.Residual)
		}
	}
	ads := tensorOf(t, e, "embedding.ads.weight").Rows
	if !ads.Table || ads.Mostly[0] != 2 || ads.Mostly[1] != 8 || len(ads.Extreme) != 9 { // a0 and a7 are of a alone, a9 of b
		t.Errorf("rows %+v, want 2 of a, and 8 of b", ads)
	}
	for _, row := range ads.Extreme {
		want := []float64{0.25, 0.75}
		switch row.Token {
		case "a0", "a7":
			want = []float64{1, 0}
		case "a9":
			want = []float64{0, 1}
		}
		if math.Abs(row.Shares[0]-want[0]) > 1e-4 || math.Abs(row.Shares[1]-want[1]) > 1e-4 || len(row.Counts) != 2 || row.Counts[0] == 0 != (want[0] == 0) {
			t.Errorf("%s: shares %v, counts %v, want %v", row.Token, row.Shares, row.Counts, want)
		}
	}
	if first := ads.Extreme[:3]; first[2].Shares[0] != 0 && first[2].Shares[0] != 1 {
		t.Errorf("the first rows are %+v, want those of one parent", first)
	}
	if layer := tensorOf(t, e, "mlp.0.weight").Rows; layer.Table || layer.Mostly[1] != 8 || layer.Extreme != nil {
		t.Errorf("units %+v, want 8 of b", layer)
	}
	mergedClicks(t, "n", "{type: average, weights: [0.2, 0.5, 0.3]}", "a", "b", "c")
	if e, err = job.Explain("n"); err != nil {
		t.Fatal(err)
	}
	if o := tensorOf(t, e, "mlp.0.weight"); math.Abs(o.Shares[0]-0.2) > 1e-4 || math.Abs(o.Shares[1]-0.5) > 1e-4 || o.Rows.Mostly[1]+o.Rows.Mixed != 8 {
		t.Errorf("of three parents: %+v, rows %+v", o, o.Rows)
	}
	trainClicks(t, "b", "seed=4", "data.path=other.csv", "data.columns.before=ignore")
	if e, err = job.Explain("m"); err != nil || !slices.Equal(e.Changed, []string{"b"}) {
		t.Errorf("a parent that was trained again: %v, %v", e, err)
	}
	if err := os.Rename("b", "moved"); err != nil {
		t.Fatal(err)
	}
	_, err = job.Explain("m")
	refused(t, err, "m was merged of b, which is not there any more: what came from whom can be found from the parents alone (m/report.md has what was known then)")
	_, err = job.Explain("a")
	refused(t, err, "a is no merge: it has no merge.json")
}
