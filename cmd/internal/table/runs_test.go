package table

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/train/metric"
)

// results writes runs and files of another trainer into the working directory.
func results(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"runs/a-2/result.json":  `{"seed": 2, "valid": {"auc": 0.7, "logloss": null}, "test": {"auc": 0.5, "logloss": 0.4}, "train": {"seconds": 9}}`,
		"runs/a-10/result.json": `{"seed": 10, "valid": {"auc": 0.8, "logloss": 0.1}, "test": {"auc": 0.6, "logloss": 0.5}, "train": {"seconds": 11}}`,
		"runs/a-10.seconds":     "20.5\n",
		"runs/b-1/result.json":  `{"valid": {"auc": 0.3}, "train": {"seconds": 1}}`,
		"other/a-2.json":        "a log line\n{\"task\": \"x\", \"seed\": 2, \"auc\": 0.25, \"seconds\": 18}\n",
		"other/a-10.json":       "{\"task\": \"x\", \"seed\": 10, \"auc\": 0.4, \"seconds\": 41}\n",
		"rank/a-1/result.json":  `{"protocol": "all 30 items", "test": {"hr@10": 0.5}}`,
		"rank/b-1/result.json":  `{"protocol": "1 + 9 sampled candidates a user", "test": {"hr@10": 0.75}}`,
		"other/bad.json":        "no object\n",
		"other/zero-1.json":     "{\"auc\": 0}\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRuns(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want []string // lines, however wide their columns are
		none string
	}{
		{
			"test rows",
			[]string{"--runs", "runs/a-*"},
			[]string{
				"run auc logloss seconds", "a-2 0.50000 0.40000 9.0", "a-10 0.60000 0.50000 20.5", "mean 0.55000 0.45000 14.8",
				"sd 0.07071 0.07071 8.1", "median 0.55000 0.45000 14.8",
			},
			"paired",
		},
		{"validation rows", []string{"--runs", "runs/a-*", "--valid"}, []string{
			"run auc logloss seconds", "a-2 0.70000 n/a 9.0", "a-10 0.80000 0.10000 20.5", "mean 0.75000 n/a 14.8", "sd 0.07071 n/a 8.1",
			"median 0.75000 n/a 14.8",
		}, "paired"},
		{
			"pairs with an undefined metric",
			[]string{"--runs", "runs/a-*", "--against", "runs/a-*", "--valid"},
			[]string{"auc +0.00000 [+0.00000, +0.00000] 1.00", "logloss n/a -"},
			"",
		},
		{"one run, without test rows", []string{"--runs", "runs/b-1"}, []string{"b-1 0.30000 1.0", "mean 0.30000 1.0", "sd - -"}, ""},
		{
			"pairs",
			[]string{"--runs", "runs/a-2", "--runs", "runs/a-10", "--against", "other/a-*.json"},
			[]string{
				"run auc seconds", "a-10.json 0.40000 41.0", "mean 0.32500 29.5", "auc +0.22500 [-0.09266, +0.54266] 0.58",
				"seconds -14.8 [-87.8, +58.3] 2.00",
			},
			"logloss +",
		},
		{"a ratio of zeros", []string{"--runs", "other/zero-1.json", "--against", "other/zero-1.json"}, []string{"auc +0.00000 -"}, ""},
		{"Markdown", []string{"--runs", "runs/a-*", "--markdown"}, []string{"| a-2 | 0.50000 | 0.40000 | 9.0 |"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			results(t)
			var d desk
			if code := d.run(tc.args...); code != app.ExitOK {
				t.Fatalf("exit %d: %s", code, &d.log)
			}
			got := lines(d.out.String())
			for _, w := range tc.want {
				if !strings.Contains(got, "\n"+w+"\n") {
					t.Errorf("no line %q in%s", w, got)
				}
			}
			if tc.none != "" && strings.Contains(got, "\n"+tc.none) {
				t.Errorf("a line of %q in%s", tc.none, got)
			}
		})
	}
}

// lines is a text whose columns are one space apart.
func lines(text string) string {
	var out strings.Builder
	out.WriteString("\n")
	for l := range strings.Lines(text) {
		out.WriteString(strings.Join(strings.Fields(l), " ") + "\n")
	}
	return out.String()
}

// A table of rankings tells what is ranked.
func TestRunsRank(t *testing.T) {
	results(t)
	var d desk
	if code := d.run("--runs", "rank/a-1"); code != 0 || !strings.HasPrefix(d.out.String(), "ranked are all 30 items\n") {
		t.Errorf("exit %d, %q %q", code, d.out.String(), d.log.String())
	}
}

func TestRunsRefuse(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--runs", "runs/none-*"}, "runs/none-*: there is nothing of that name"},
		{[]string{"--runs", "runs"}, "runs: open runs/result.json"},
		{[]string{"--runs", "other/bad.json"}, "its last line is no JSON object"},
		{[]string{"--runs", "runs/a-*", "--against", "other/a-2.json"}, "2 runs against 1"},
		{[]string{"--against", "other/a-2.json"}, "0 runs against 1"},
		{[]string{"--runs", "runs/a-*", "t.yaml"}, "give one table file"},
		{[]string{"--runs", "rank/*"}, "a-1 rank all 30 items, those of b-1 rank 1 + 9 sampled candidates a user"},
		{[]string{"--runs", "rank/a-1", "--against", "rank/b-1"}, "not comparable; make a table of each"},
		{[]string{"--pairs", "one"}, "give the names of two columns"},
	} {
		results(t)
		var d desk
		if code := d.run(tc.args...); code != app.ExitBadInput || !strings.Contains(d.log.String(), tc.want) {
			t.Errorf("%q: exit %d, %q, want %q", tc.args, code, d.log.String(), tc.want)
		}
	}
}

func TestPairs(t *testing.T) {
	for _, tc := range []struct{ in, want, wrong string }{
		{"10 20\n30 30\n20 50\n", "medians of 3 pairs: ours 20.0, theirs 30.0, theirs/ours 2.00\n", ""},
		{"10 20\n20 60\n", "pair 2: ours 20.0, theirs 60.0, ratio 3.00\nmedians of 2 pairs: ours 15.0, theirs 40.0, theirs/ours 2.50\n", ""},
		{"", "", "no pair"},
		{"10 20\n10\n", "pair 1", "line 2 is \"10\", want two numbers"},
		{"10 0\n", "", "want two numbers above 0"},
	} {
		var out strings.Builder
		s := statistics{pairs: "ours,theirs", in: strings.NewReader(tc.in)}
		err := s.print(&out, false)
		if !strings.Contains(out.String(), tc.want) || (err == nil) != (tc.wrong == "") || err != nil &&
			!strings.Contains(err.Error(), tc.wrong) {
			t.Errorf("%q: %q, %v, want %q and an error with %q", tc.in, out.String(), err, tc.want, tc.wrong)
		}
	}
}

// A median of values of which one is undefined is undefined, wherever it stands.
func TestMedian(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		x    []float64
		want string
	}{
		{[]float64{3, 1, 2}, "2.0"},
		{[]float64{4, 1, 2, 3}, "2.5"},
		{[]float64{nan, 1, 2}, "n/a"},
		{[]float64{1, 2, 3, nan}, "n/a"},
		{nil, "n/a"},
	} {
		if got := metric.Format(median(tc.x), 1); got != tc.want {
			t.Errorf("the median of %v is %s, want %s", tc.x, got, tc.want)
		}
	}
}
