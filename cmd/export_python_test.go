package cmd_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// python returns a Python with onnxruntime, or skips the test.
func python(t *testing.T) string {
	t.Helper()
	p := os.Getenv("SPLICE_PYTHON")
	if p == "" {
		t.Skip("SPLICE_PYTHON names no Python with onnxruntime, transformers and xxhash")
	}
	return p
}

// examples returns the Python programs of docs/export.md.
func examples(t *testing.T) []string {
	t.Helper()
	parts := strings.Split(string(read(t, "..", "docs", "export.md")), "```python\n")
	if len(parts) != 3 {
		t.Fatalf("docs/export.md has %d Python examples, want 2", len(parts)-1)
	}
	var list []string
	for _, p := range parts[1:] {
		program, _, _ := strings.Cut(p, "```")
		list = append(list, program)
	}
	return list
}

// scores runs a Python program and returns the numbers that it prints.
func scores(t *testing.T, dir string, args ...string) (list []float64) {
	t.Helper()
	c := exec.CommandContext(t.Context(), python(t), args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return numbers(t, string(out))
}

func numbers(t *testing.T, text string) (list []float64) {
	t.Helper()
	for s := range strings.FieldsSeq(text) {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatalf("%q is no number:\n%s", s, text)
		}
		list = append(list, x)
	}
	return list
}

// same compares numbers.
func same(t *testing.T, got, want []float64) {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%d numbers, want %d", len(got), len(want))
	}
	for i := range got {
		if d := got[i] - want[i]; !(d < 1e-5 && d > -1e-5) {
			t.Errorf("number %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// TestExportPython runs the first example of docs/export.md, which scores rows with unknown tokens and blanks as predict does.
func TestExportPython(t *testing.T) {
	python(t)
	dir := exportspace(t)
	if o := execute(t, dir, "export", "--run", "r", "--onnx", "model.onnx"); o.code != 0 {
		t.Fatalf("exit %d\n%s", o.code, o.stderr)
	}
	write(t, dir, "score.py", examples(t)[0])
	o := execute(t, dir, "predict", "--run", "r", "--in", "new.csv", "--out", "-")
	if o.code != 0 {
		t.Fatalf("predict: exit %d\n%s", o.code, o.stderr)
	}
	same(t, scores(t, dir, "score.py", "model.onnx", "features.json", "new.csv"), numbers(t, o.stdout))
}

// TestExportTextPython runs the second one, over texts of several lengths.
func TestExportTextPython(t *testing.T) {
	python(t)
	dir := textspace(t)
	if o := execute(t, dir, "export", "--run", "base", "--onnx", "model.onnx"); o.code != 0 {
		t.Fatalf("exit %d\n%s", o.code, o.stderr)
	}
	write(t, dir, "score.py", examples(t)[1])
	texts := []string{"the first film was warm", "the last film was dull . . .", "sharp unknown words", strings.Repeat("cold ", 50)}
	write(t, dir, "texts.txt", strings.Join(texts, "\n")+"\n")
	write(t, dir, "new.tsv", "sentence\n"+strings.Join(texts, "\n")+"\n")
	p := scores(t, dir, "score.py", "model.onnx", "features.json", "base", "texts.txt")
	o := execute(t, dir, "predict", "--run", "base", "--in", "new.tsv", "--out", "-")
	for i, name := range strings.Fields(o.stdout) {
		if good := p[2*i+1] > p[2*i]; good != (name == "good") || p[2*i]+p[2*i+1] < .999 {
			t.Errorf("text %q: predict says %s, ONNX Runtime %v", texts[i], name, p[2*i:2*i+2])
		}
	}
	if len(p) != 2*len(texts) {
		t.Errorf("%d scores of %d texts", len(p), len(texts))
	}
}

// historyConfig is a run over generated actions, of which data, model and task are to be filled in.
const historyConfig = `data: {type: synthetic_interactions, users: 60, items: 30, max_len: 6, %s}
model: {type: %s, embedding_dim: 8, %s}
task: {type: %s}
train: {batch_size: 32, epochs: 1, patience: 0, optimizer: adam, learning_rate: 0.01}
`

// exportHistory trains a run of histories, exports it with the embeddings of its items, and returns their tokens.
func exportHistory(t *testing.T, config string) (dir string, tokens []string) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, "run.yaml", config)
	train(t, dir, "r")
	if o := execute(t, dir, "export", "--run", "r", "--onnx", "model.onnx", "--embeddings", "history", "--out", "items"); o.code != 0 {
		t.Fatalf("exit %d\n%s", o.code, o.stderr)
	}
	write(t, dir, "score.py", examples(t)[0])
	return dir, strings.Fields(string(read(t, dir, "items", "embeddings.tokens")))
}

// TestExportHistories: a model of histories is written, with what is known of items; what ONNX Runtime makes of candidates is what predict
// does, of unknown items and without a history too.
func TestExportHistories(t *testing.T) {
	for _, name := range []string{"din", "dien"} {
		dir, tokens := exportHistory(t, fmt.Sprintf(historyConfig, "categories: 5, negatives: 1, eval_negatives: 2", name, "side: [category]", "binary_classification"))
		var rows strings.Builder
		rows.WriteString("item,history\n")
		for i, token := range tokens[:12] {
			fmt.Fprintf(&rows, "%s,%s\n", token, strings.Join(tokens[:i], "|"))
		}
		fmt.Fprintf(&rows, "unknown,%s|unknown\nunknown,\n", tokens[3])
		write(t, dir, "rows.csv", rows.String())
		o := execute(t, dir, "predict", "--run", "r", "--in", "rows.csv", "--out", "-")
		if o.code != 0 {
			t.Fatalf("predict: exit %d\n%s", o.code, o.stderr)
		}
		same(t, scores(t, dir, "score.py", "model.onnx", "features.json", "rows.csv"), numbers(t, o.stdout))
	}
}

// TestExportCatalogue: the best items of ONNX Runtime's logits are those that predict names.
func TestExportCatalogue(t *testing.T) {
	for _, name := range []string{"sasrec", "gru4rec"} {
		dir, tokens := exportHistory(t, fmt.Sprintf(historyConfig, "rows: sequences", name, "output: catalogue", "next_item"))
		rows, log := "history\n", ""
		for i := range 12 {
			rows += strings.Join(tokens[:i+1], "|") + "\n" // the separator of features.json
			log += fmt.Sprintf("user%d %s\n", i, strings.Join(tokens[:i+1], " "))
		}
		write(t, dir, "rows.csv", rows)
		write(t, dir, "rows.txt", log)
		o := execute(t, dir, "predict", "--run", "r", "--in", "rows.txt", "--out", "-")
		best := strings.Fields(o.stdout)
		if o.code != 0 || len(best) != 12 {
			t.Fatalf("predict: exit %d\n%s%s", o.code, o.stdout, o.stderr)
		}
		z := scores(t, dir, "score.py", "model.onnx", "features.json", "rows.csv")
		for i, want := range best {
			row := z[i*(len(tokens)+2)+2:][:len(tokens)]
			at := i + 1 // the first item that the user has not had
			for k := at; k < len(row); k++ {
				if row[k] > row[at] {
					at = k
				}
			}
			if tokens[at] != want {
				t.Errorf("%s: row %d: the best item is %s, of predict %s", name, i, tokens[at], want)
			}
		}
	}
}
