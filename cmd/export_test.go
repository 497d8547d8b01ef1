package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/ckpt"
)

// exportConfig is a run over rows.csv with every kind of column and of transform.
const exportConfig = `data:
  type: csv
  path: rows.csv
  label: y
  split: {by: order, ratio: [0.7, 0.1, 0.2]}
  columns:
    user: {type: categorical, min_count: 2}
    ad: {type: categorical, hash: 50}
    city: {type: categorical, derive: prefix, length: 3}
    day: {type: categorical, from: at, derive: weekday}
    hour: {type: categorical, from: at, derive: hour}
    at: ignore
    tags: {type: multi, separator: "|", max_len: 3}
    clicks: {type: sequence, separator: " ", max_len: 4, keep: last, share: ads}
    price: {type: numeric, transform: log1p}
    age: {type: numeric, transform: standardize, fill: -1}
    size: {type: numeric, transform: min_max}
    dwell: {type: numeric, transform: log_square_bucket}
    band: {type: numeric, transform: bucket, edges: [1, 2.5, 4]}
    rank: {type: numeric, transform: quantile_bucket, buckets: 4}
    image: {type: vector, dim: 3, separator: ";"}
model: {type: dcnv2, embedding_dim: 4, num_cross_layers: 2, hidden_units: [16]}
train: {batch_size: 32, epochs: 3, learning_rate: 0.01, patience: 0}
`

// exportRows returns rows of exportConfig from a number on, as CSV without a header.
func exportRows(from, n int) string {
	var b strings.Builder
	for i := from; i < from+n; i++ {
		r := (i*i*7 + i*13) % 101
		fmt.Fprintf(&b, "%d,u%d,a%d,zürich%d,2026-01-%02dT%02d:30:00,", r%2, r%9, r%17, r%4, 1+r%28, i%24)
		tags := []string{"red", "new", "big", "", "old", "hot"}
		fmt.Fprintf(&b, "%s|%s|%s|%s,", tags[r%6], tags[i%6], tags[(r+i)%6], tags[(r+1)%6])
		for k := range i % 7 {
			fmt.Fprintf(&b, "c%d ", (r+k)%12)
		}
		fmt.Fprintf(&b, ",%d.5,%d,%d,%d,%d.5,%d,%d;-%d.5;1e-1\n", r-20, r, r*3, r*r, r%6, r, r%3, r%5)
	}
	return b.String()
}

const exportHeader = "y,user,ad,city,at,tags,clicks,price,age,size,dwell,band,rank,image\n"

// exportspace is a directory with the run r of exportConfig, and new.csv, whose rows have unknown tokens and blanks.
func exportspace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "rows.csv", exportHeader+exportRows(0, 400))
	write(t, dir, "run.yaml", exportConfig)
	train(t, dir, "r")
	write(t, dir, "new.csv", exportHeader+exportRows(3, 20)+
		"0,nobody,none,xyz,2030-02-02T03:00:00,other|red,c99 c1,7,8,9,10,11,12,1;2;3\n"+ // unknown tokens
		"1,,,,2030-02-03,,,,,,,,,\n") // blanks
	return dir
}

func TestExportONNX(t *testing.T) {
	dir := exportspace(t)
	if o := execute(t, dir, "export", "--run", "r", "--onnx", "model.onnx"); o.code != 0 {
		t.Fatalf("exit %d\n%s", o.code, o.stderr)
	}
	about := decode[struct {
		Opset  int
		Inputs []struct{ Name, Type, Column, Table, Transform string }
		Tables []struct {
			Name   string
			Tokens []string
			Hash   int
		}
		Outputs []struct{ Function string }
	}](t, dir, "features.json")
	if len(about.Inputs) != 14 || about.Opset != 17 || len(about.Outputs) != 1 || about.Outputs[0].Function != "Sigmoid" {
		t.Errorf("features.json: %+v", about)
	}
	for _, in := range about.Inputs {
		if in.Name == "day" && (in.Column != "at" || in.Transform != "weekday") {
			t.Errorf("input %+v", in)
		}
	}
	first := read(t, dir, "model.onnx")
	if o := execute(t, dir, "export", "--run", "r", "--onnx", "model.onnx"); o.code != 0 || string(read(t, dir, "model.onnx")) != string(first) {
		t.Errorf("a second export: exit %d, the same bytes: %v", o.code, o.code == 0)
	}
}

func TestExportEmbeddings(t *testing.T) {
	dir := exportspace(t)
	if o := execute(t, dir, "export", "--run", "r", "--embeddings", "ads", "--out", "e"); o.code != 0 {
		t.Fatalf("exit %d\n%s", o.code, o.stderr)
	}
	c, err := ckpt.Load(filepath.Join(dir, "e", "embeddings.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	tokens := strings.Fields(string(read(t, dir, "e", "embeddings.tokens")))
	table := model(t, dir, "r", "model.safetensors").Get("embedding.ads.weight")
	e := c.Get("embeddings")
	if len(tokens) != 12 || fmt.Sprint(e.Shape) != fmt.Sprint([]int{12, 4}) || fmt.Sprint(e.Data) != fmt.Sprint(table.Data[2*4:]) {
		t.Errorf("tokens %q, embeddings %v, %v", tokens, e.Shape, c.Meta)
	}
	for _, name := range list(t, dir) {
		if strings.HasSuffix(name, ".tmp") {
			t.Errorf("%s is left", name)
		}
	}
	// A column starts from them.
	write(t, dir, "again.yaml", strings.Replace(exportConfig, "share: ads}", "pretrained: {file: e/embeddings.safetensors}}", 1))
	if o := execute(t, dir, "train", "--config", "again.yaml", "--run", "again"); o.code != 0 {
		t.Errorf("train on pretrained: exit %d\n%s", o.code, o.stderr)
	}
}

// TestExportRefused: bad input is a line and exit code 2, and nothing is written.
func TestExportRefused(t *testing.T) {
	dir := exportspace(t)
	write(t, dir, "e", "")
	if err := os.CopyFS(filepath.Join(dir, "q"), os.DirFS(filepath.Join(dir, "r"))); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "q/README.md", "# notes\n")
	before := list(t, dir)
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "export: --run is missing: give the directory of a run, such as --run runs/criteo_deepfm\n" +
			"export: nothing to write: give --onnx FILE, --embeddings COLUMN --out DIRECTORY, --card, or --push URL"},
		{"no run", []string{"--run", "none", "--onnx", "m.onnx"}, "none is not a run"},
		{"standard output", []string{"--run", "r", "--onnx", "-"}, "export: --onnx -: give the name of an ONNX file"},
		{"a file of the run", []string{"--run", "r", "--onnx", "r/model.safetensors"}, "belongs to the run"},
		{"a directory that is not there", []string{"--run", "r", "--onnx", "none/m.onnx"}, "none"},
		{"no column", []string{"--run", "r", "--embeddings", "no", "--out", "x"}, `export: r: the model embeds no column "no": it embeds user, ad, city, tags, clicks, dwell, band, rank, day, hour`},
		{"numbers", []string{"--run", "r", "--embeddings", "price", "--out", "x"}, `the model embeds no column "price"`},
		{"hashed", []string{"--run", "r", "--embeddings", "ad", "--out", "x"}, "export: r: column ad is hashed into 50 buckets, which have no tokens: give a column with a vocabulary"},
		{"there already", []string{"--run", "r", "--embeddings", "user", "--out", "e"}, "export: e is there already: give the name of a new directory, or move it away"},
		{"no out", []string{"--run", "r", "--embeddings", "user"}, "export: --embeddings and --out go together"},
		{"measure alone", []string{"--run", "r", "--onnx", "m.onnx", "--measure"}, "export: --measure is for --card: give both"},
		{"a card of others", []string{"--run", "q", "--card"}, "README.md is no model card that export wrote: move it away"},
		{"no server", []string{"--run", "r", "--push", "clicks"}, "export: --push clicks: want the address of a server and a name"},
		{"nowhere", []string{"--run", "r", "--embeddings", "user", "--out", "none/e"}, "none"},
	} {
		o := execute(t, dir, "export", tc.args...)
		if o.code != 2 || !strings.Contains(o.stderr, tc.want) {
			t.Errorf("%s: exit %d, want %q\n%s", tc.name, o.code, tc.want, o.stderr)
		}
	}
	if after := list(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("files before: %v, after: %v", before, after)
	}
}

// list returns the names in a directory.
func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

// TestExportCard: the card has what the run has, with intervals round its metrics; it is the run's, and goes with it.
func TestExportCard(t *testing.T) {
	dir := exportspace(t)
	if o := execute(t, dir, "export", "--run", "r", "--card"); o.code != 0 {
		t.Fatalf("exit %d\n%s", o.code, o.stderr)
	}
	plain := string(read(t, dir, "r", "README.md"))
	if o := execute(t, dir, "export", "--run", "r", "--card", "--measure"); o.code != 0 {
		t.Fatalf("exit %d\n%s", o.code, o.stderr)
	}
	card := string(read(t, dir, "r", "README.md"))
	res := decode[struct{ Valid, Test map[string]float64 }](t, dir, "r", "result.json")
	auc := fmt.Sprintf("| auc | %.6f | %.6f | ", res.Valid["auc"], res.Test["auc"])
	for _, want := range []string{
		"---\nlibrary_name: splice\npipeline_tag: tabular-classification\n", "model-index:\n", "\n# r\n", auc, "| user | categorical | 9 tokens |",
		"| ad | categorical | 50 hash buckets |", "| price | numeric | numbers, log1p |", "\nmodel:\n  type: dcnv2\n", "cmd/train --config config.yaml",
	} {
		if !strings.Contains(card, want) || !strings.Contains(plain, want) {
			t.Errorf("the card lacks %q:\n%s", want, card)
		}
	}
	if strings.Contains(plain, " to 0") || !strings.Contains(card, " to 0") || !strings.Contains(card, "There are 80 test rows.") || strings.Contains(card, "path") {
		t.Errorf("the card has intervals or paths:\n%s", plain)
	}
	if o := execute(t, dir, "evaluate", "--run", "r"); o.code != 0 {
		t.Errorf("evaluate: exit %d\n%s", o.code, o.stderr)
	}
	train(t, dir, "r", "--overwrite")
	if _, err := os.Stat(filepath.Join(dir, "r", "README.md")); err == nil {
		t.Error("the card of a run that is replaced is still there")
	}
}
