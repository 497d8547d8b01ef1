package table

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki/report"
)

const storedVariants = `{"title": "T", "seeds": 2, "made": [{"date": "2026-01-02"}, {"date": "2026-01-03", "system": "linux/x", "cores": 2, "kernel": "avx2", "cpu": "A"}],
"variants": [
 {"name": "a", "metric": "auc", "recipe": "merge", "passed": ["merge", "merge"], "rows": [
  {"name": "best parent", "test": [0.5, null], "mean": 0.95271, "sd": 0, "seconds": 0, "recipe_minus_this": {"mean": 0.00004, "low": -0.0003, "high": 0.00031}},
  {"name": "merge", "mean": 0.9, "sd": 0, "seconds": 0, "minus_best_parent": {"mean": -0.00004, "low": -0.0123, "high": 10.01}, "share_of_gap": {"mean": 0.5, "low": 0.25, "high": 1}},
  {"name": "all data", "mean": 1, "sd": 0, "seconds": 0, "minus_best_parent": {"mean": 0.1, "low": null, "high": null}, "share_of_gap": {"mean": 1, "low": 1, "high": 1}}]},
 {"name": "b", "metric": "auc", "recipe": "merge", "passed": ["merge", "merge"], "rows": [
  {"name": "best parent", "mean": 0.25, "sd": 0, "seconds": 0}, {"name": "merge", "mean": 0.25, "sd": 0, "seconds": 0, "minus_best_parent": {"mean": 0.0021, "low": 0, "high": 0}, "share_of_gap": {"mean": 7, "low": null, "high": null}},
  {"name": "all data", "mean": 0.75, "sd": 0, "seconds": 0}]}]}`

const pageFile = `tables:
  - name: one
    head: "test AUC; share"
    show: [mean, gap]
    columns: [{label: A, of: [{file: r.json, variant: a}]}, {label: B, of: [{file: r.json, variant: b}]}]
    rows: [{row: best parent}, {row: merge, label: it, bold: true}, {row: all data}]
  - name: two
    show: [mean, gain, behind]
    separate: true
    columns: [{label: "", of: [{file: r.json, variant: a}]}]
    rows: [{row: best parent}, {row: merge}, {row: all data}]
  - name: three
    show: [gain_mean]
    columns: [{label: both, of: [{file: r.json, variant: a}, {file: r.json, variant: b}]}]
    rows: [{row: best parent}, {row: merge}]
`

// A page shows chosen rows of stored results, each number as it is stored.
func TestPage(t *testing.T) {
	do := gridDesk(t, gridFile)
	put(t, "r.json", storedVariants)
	put(t, "results.yaml", pageFile)
	put(t, "page.md", "<!-- two -->\nold\n<!-- /two -->\n<!-- one -->\n<!-- /one -->\n\n<!-- three -->\n<!-- /three -->\nend\n")
	out, log, code := do(&madeCells{}, "results.yaml", "--into", "page.md")
	if code != 0 {
		t.Fatal(log)
	}
	b, err := os.ReadFile("page.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{out, string(b)} {
		hasLines(t, text, "| test AUC; share | A | B |", "| best parent | .9527 | .2500 |", "| **it** | .9000; 50 % [25, 100] | .2500 |", "| all data | 1.0000 | .7500 |",
			"| | test auc | minus better parent | merge minus this |", "| best parent | .9527 | | +.0000 [-.0003, +.0003] |",
			"| merge | .9000 | +.0000 [-.0123, +10.0100] | |", "| all data | 1.0000 | +.1000 | |", "| merge | +.0000 / +.0021 |", "| best parent | |")
	}
	if want := `From \[r.json\]\(results/r.json\) \(digest [0-9a-f]{12}\), 2 pairs, 2026-01-02 \(machine not recorded\), 2026-01-03 \(A, linux/x, 2 cores, avx2\)\.\n<!-- /two -->`; !regexp.MustCompile(want).Match(b) {
		t.Errorf("want %s in\n%s", want, b)
	}
	p, err := readPage("results.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if bad := p.outdated(string(b)); len(bad) > 0 {
		t.Error(bad)
	}
	for _, tc := range []struct{ old, with, want string }{
		{".9527", ".9528", "one is not what"}, {"<!-- /three -->", "", "three has no place"},
	} {
		if bad := p.outdated(strings.Replace(string(b), tc.old, tc.with, -1)); len(bad) == 0 || !slices.ContainsFunc(bad, func(err error) bool { return strings.Contains(err.Error(), tc.want) }) {
			t.Errorf("%v, want %q", bad, tc.want)
		}
	}
}

func TestBadPages(t *testing.T) {
	for _, tc := range []struct{ name, old, with, want string }{
		{"show", "show: [gain_mean]", "show: [gains]", `"gains": want mean, gain`},
		{"nothing", "show: [gain_mean]", "show: []", "show: is empty"},
		{"unknown key", "head:", "haed:", "unknown key"},
		{"same name", "name: two", "name: one", `two are called "one"`},
		{"no file", "file: r.json, variant: a}]}]", "file: s.json, variant: a}]}]", "s.json"},
		{"no variant", "variant: b}]}]", "variant: c}]}]", `no variant "c"`},
		{"no row", "{row: all data}]", "{row: all}]", `has no row "all"`},
		{"column of nothing", "of: [{file: r.json, variant: a}]}]\n", "of: []}]\n", "of: is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			do := gridDesk(t, gridFile)
			put(t, "r.json", storedVariants)
			text := strings.Replace(pageFile, tc.old, tc.with, 1)
			if text == pageFile {
				t.Fatal("the test changes nothing")
			}
			put(t, "results.yaml", text)
			if out, log, code := do(&madeCells{}, "results.yaml"); code != 2 || !strings.Contains(log, tc.want) || out != "" {
				t.Errorf("exit %d, want %q in\n%s%s", code, tc.want, log, out)
			}
		})
	}
}

// outdated returns what is wrong with the tables as a text shows them.
func (p *page) outdated(text string) (errs []error) {
	for _, t := range p.Tables {
		from, to, ok := between(text, t.Name)
		if !ok {
			errs = append(errs, fmt.Errorf("%s has no place", t.Name))
			continue
		}
		want, err := t.markdown()
		if err != nil {
			errs = append(errs, err)
		} else if want != text[from:to] {
			errs = append(errs, fmt.Errorf("%s is not what its files hold: write it with go run ./cmd/table scripts/results.yaml --into docs/results.md", t.Name))
		}
	}
	return errs
}

// byHand are the first lines of the tables of docs/results.md that are of no merges: scripts/seeds.sh, scripts/tasks and cmd/train print their
// numbers. The one of what to do reads the tables below it.
var byHand = []string{
	"| model | test AUC, click | to two models, 95 % interval | test AUC, like | to two models, 95 % interval |",
	"| you have | do | what to expect |",
	"| | AUC | user AUC | NDCG@10 | HR@10 |", "| | HR@10 | NDCG@10 | published |", "| | Splice | transformers' Trainer, same settings |",
}

// TestFinetunePage: the table of fine-tuning on docs/results.md is of the runs in docs/results/finetune.json.
func TestFinetunePage(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", ".."))
	page, err := os.ReadFile(filepath.Join("docs", "results.md"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join("docs", "results", "finetune.json"))
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		Task     string
		Epochs   int
		Accuracy float64
	}
	var all struct{ Transformers, Splice []result }
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for task, name := range map[string]string{"rte": "RTE, 3 epochs", "mrpc": "MRPC, 2 epochs", "sst2": "SST-2, all 67,349 rows, 3 epochs"} {
		var line strings.Builder
		line.WriteString("| " + name)
		for _, list := range [][]result{all.Splice, all.Transformers} {
			var values []float64
			for _, r := range list {
				if r.Task == task {
					values = append(values, r.Accuracy)
				}
			}
			e := report.Mean(values)
			line.WriteString(noZero(fmt.Sprintf(" | %.3f (sd %.3f), %d seeds", float64(e.Mean), float64(e.SD), e.N)))
		}
		if !strings.Contains(string(page), line.String()) {
			t.Errorf("docs/results.md has no line %s", line.String())
		}
	}
}

// TestResultsPage: the tables of docs/results.md are those of docs/results, number by number, and no other table of merges is there.
func TestResultsPage(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", ".."))
	b, err := os.ReadFile(filepath.Join("docs", "results.md"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := readPage(filepath.Join("scripts", "results.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, err := range p.outdated(text) {
		t.Error(err)
	}
	for _, x := range p.Tables {
		if from, to, ok := between(text, x.Name); ok {
			text = text[:from] + text[to:]
			open, end := marks(x.Name)
			text = strings.Replace(text, open+end, "", 1)
		}
	}
	for i := 1; i <= 8; i++ {
		name := fmt.Sprint("table", i)
		from, to, ok := between(text, name)
		if !ok {
			t.Errorf("docs/results.md has no place for %s", name)
			continue
		}
		for _, err := range outdated(text[from-len("<!--  -->\n")-len(name):to+len("<!-- / -->")+len(name)], filepath.Join("docs", "results")) {
			t.Error(err)
		}
		text = text[:from] + text[to:]
	}
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "|") && last == "" && !slices.Contains(byHand, line) {
			t.Errorf("a table is printed by no command: %s", line)
		}
		last = line
	}
}
