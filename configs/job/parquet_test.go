package job_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data/datatest"
	"github.com/splice-ml/splice/data/output"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

// twins is an experiment over rows of all kinds, whose type and files are set.
const twins = `data:
  label: y
  group: user
  time: when
  missing: ["NA"]
  split: {by: time, ratio: [0.7, 0.1, 0.2]}
  columns:
    user: {type: categorical, min_count: 2}
    item: categorical
    price: {type: numeric, transform: standardize, fill: 0.25}
    age: {type: numeric, transform: log_square_bucket}
    rate: {type: numeric, transform: standardize}
    new: categorical
    day: categorical
    tags: {type: multi, max_len: 3}
    seen: {type: sequence, max_len: 4, share: item}
model: {type: deepfm, embedding_dim: 4, hidden_units: [16], net_dropout: 0.1}
train: {batch_size: 64, epochs: 2, learning_rate: 0.01, checkpoint_steps: 7}
`

// twinRow is row i as values, and twinColumns their types. No number that may be null is 0, which parquet-go writes as null.
func twinRow(i int) map[string]any {
	h := uint32(i+1) * 2654435761
	list := []any{}
	for k := range int(h>>7) % 6 {
		list = append(list, int64((h>>k)%30))
	}
	return map[string]any{
		"y": h>>3%5 == 0 || h>>9%3 == 0, "user": int64(h % 50), "when": time.Unix(1.7e9+int64(i)*977, 0).UTC(), "junk": "x",
		"item":  []any{fmt.Sprint(h % 30), "NA", nil, "a, \"b\""}[max(0, int(h>>5%7)-3)],
		"price": []any{float64(h%1000+1) / 7, nil}[h>>11%4/3], "age": int32(h % 90), "rate": []any{float32(h%77+1) / 10, nil}[h>>13%9/8],
		"new": h>>17%2 == 0, "day": time.Unix(int64(h%20)*86400, 0).UTC(),
		"tags": []any{[]any{"x", fmt.Sprint(h % 9)}, nil, []any{"z"}}[h%3], "seen": list,
	}
}

var twinColumns = parquet.Group{
	"y": parquet.Leaf(parquet.BooleanType), "user": parquet.Int(64), "when": parquet.Timestamp(parquet.Millisecond), "junk": parquet.String(),
	"item": parquet.Optional(parquet.String()), "price": parquet.Optional(parquet.Leaf(parquet.DoubleType)), "age": parquet.Int(32),
	"rate": parquet.Optional(parquet.Leaf(parquet.FloatType)), "new": parquet.Leaf(parquet.BooleanType), "day": parquet.Date(),
	"tags": parquet.Optional(parquet.List(parquet.String())), "seen": parquet.List(parquet.Int(64)),
}

// twinCell is a value as a CSV file has it.
func twinCell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return map[bool]string{true: "1"}[v] + map[bool]string{false: "0"}[v]
	case time.Time:
		return strings.TrimSuffix(v.Format("2006-01-02 15:04:05Z07:00"), " 00:00:00Z")
	case []any:
		cells := make([]string, len(v))
		for i := range v {
			cells[i] = fmt.Sprint(v[i])
		}
		return strings.Join(cells, "|")
	case string:
		return `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
	}
	return fmt.Sprint(v)
}

// twinFiles writes rows as CSV, in two files, and as Parquet, in three whose pages and row groups differ.
func twinFiles(t *testing.T, rows int) {
	t.Helper()
	t.Chdir(t.TempDir())
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range twinColumns {
			if !yield(name) {
				return
			}
		}
	})
	csv := func(from, to int) {
		var text strings.Builder
		text.WriteString(strings.Join(names, ",") + "\n")
		for i := from; i < to; i++ {
			row := twinRow(i)
			for k, n := range names {
				text.WriteString(strings.Repeat(",", min(k, 1)) + twinCell(row[n]))
			}
			text.WriteString("\n")
		}
		write(t, fmt.Sprintf("rows-%d.csv", from), text.String())
	}
	csv(0, rows/3)
	csv(rows/3, rows)
	pq := func(from, to int, o ...parquet.WriterOption) {
		var list []map[string]any
		for i := from; i < to; i++ {
			list = append(list, twinRow(i))
		}
		datatest.WriteParquet(t, fmt.Sprintf("rows-%d.parquet", from), twinColumns, list, o...)
	}
	pq(0, rows/2, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(111), parquet.DataPageVersion(1))
	pq(rows/2, rows/2+7, parquet.Compression(&parquet.Snappy))
	pq(rows/2+7, rows, parquet.Compression(&parquet.Gzip), parquet.PageBufferSize(300))
	write(t, "csv.yaml", strings.Replace(twins, "data:\n", "data:\n  type: csv\n  path: rows-*.csv\n", 1))
	write(t, "parquet.yaml", strings.Replace(twins, "data:\n", "data:\n  type: parquet\n  path: rows-*.parquet\n", 1))
	for _, f := range []string{"csv.yaml", "parquet.yaml"} {
		write(t, f, strings.Replace(read(t, f), "columns:\n", "columns:\n    junk: ignore\n", 1))
	}
}

// The same rows in CSV and in Parquet files make the same model, bytes for bytes: for any number of threads, after a stop, and merged
// from shards.
func TestParquetIsCSV(t *testing.T) {
	const rows = 5000 // several segments of the sums that standardize
	twinFiles(t, rows)
	call{config: "csv.yaml", to: "csv"}.trained(t)
	want := read(t, "csv", run.ModelFile)
	same := func(name string) {
		t.Helper()
		if read(t, name, run.ModelFile) != want {
			t.Errorf("%s is another model than that of the CSV files", name)
		}
		if features(t, name).Digest() != features(t, "csv").Digest() { // its statistics have more bits than the model shows
			t.Errorf("%s has another feature map than that of the CSV files", name)
		}
	}
	for _, threads := range []int{1, 2, 3, 7} {
		if err := os.RemoveAll(".cache"); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("parquet%d", threads)
		call{config: "parquet.yaml", to: name, set: []string{fmt.Sprintf("threads=%d", threads)}}.trained(t)
		same(name)
	}
	e, err := job.Config{File: "parquet.yaml"}.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	j := job.Job{Experiment: e, Dir: "stopped", Show: func(train.Options) []train.Callback { return []train.Callback{stopAt{stop, 23}} }}
	if _, err = j.Train(ctx, job.TrainOptions{}); !errors.Is(err, train.ErrInterrupted) {
		t.Fatalf("a training that was stopped: error %v", err)
	}
	call{config: "parquet.yaml", to: "stopped", resume: true}.trained(t)
	same("stopped")

	for _, kind := range []string{"csv", "parquet"} {
		text := read(t, kind+".yaml")
		text = strings.Replace(text, "epochs: 2", "epochs: 1", 1)
		write(t, kind+"_merge.yaml", text+"merge: {regime: {type: data, by: user}, report: false, finetune: {epochs: 1}}\n")
		call{config: kind + "_merge.yaml", to: kind + "_merged"}.merged(t)
	}
	for _, parent := range []string{"parent-a", "parent-b"} {
		if read(t, "csv_merged", run.ParentsDir, parent, run.ModelFile) != read(t, "parquet_merged", run.ParentsDir, parent, run.ModelFile) {
			t.Errorf("%s has other shards of Parquet files", parent)
		}
	}
	if a, b := tensors(t, "csv_merged", run.ModelFile), tensors(t, "parquet_merged", run.ModelFile); !reflect.DeepEqual(a.Tensors, b.Tensors) {
		t.Error("parents of shards make another model from Parquet files") // whose file names the digest of the config, too
	}

	// A run is evaluated, predicts and is trained on with other Parquet files.
	csv, err := predict(t, "", "rows-0.csv", "csv")
	if err != nil {
		t.Fatal(err)
	}
	pq, err := predict(t, "", "rows-0.parquet", "parquet1")
	if err != nil {
		t.Fatal(err)
	}
	if n := rows / 3; !slices.Equal(csv, pq[:n]) || len(pq) != rows/2 {
		t.Errorf("the predictions of %d rows differ", n)
	}
	scores, err := evaluate(t, "", "rows-2500.parquet", "", "parquet1")
	if err != nil || len(scores) != 1 {
		t.Fatalf("evaluated %d parts, error %v", len(scores), err)
	}
	call{from: "parquet1", to: "on", set: []string{"data.path=rows-2500.parquet", "train.epochs=1", "data.split={by: random, ratio: [0.5, 0.5]}"}}.finetuned(t)
	if _, err := os.Stat(filepath.Join("on", run.ModelFile)); err != nil {
		t.Error(err)
	}
}

// Predictions are written as tables beside columns of the input, the same ones as lines.
func TestPredictTable(t *testing.T) {
	twinFiles(t, 700)
	call{config: "parquet.yaml", to: "pq"}.trained(t)
	call{config: "csv.yaml", to: "csv"}.trained(t)
	table := func(dir, in string, columns ...string) (list []output.Column, rows [][]string, err error) {
		e, err := job.OpenEnsemble([]string{dir}, nil, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := e.PredictTable(t.Context(), in, columns, func(l []output.Column) (output.Table, error) {
			list = l
			return keeper{&rows}, nil
		})
		if err == nil && n != len(rows) {
			t.Errorf("%d rows, but %d were written", n, len(rows))
		}
		return list, rows, err
	}
	lines, err := predict(t, "", "rows-0.parquet", "pq")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"tags", "user", "rate", "new", "when", "item"}
	list, rows, err := table("pq", "rows-0.parquet", names...)
	kinds := []output.Kind{output.Text, output.Integer, output.Number, output.Boolean, output.Text, output.Text, output.Single}
	if err != nil || len(list) != len(kinds) || len(rows) != 350 {
		t.Fatalf("columns %v, %d rows, %v", list, len(rows), err)
	}
	_, fromCSV, err := table("csv", "rows-0.csv", names...)
	if err != nil {
		t.Fatal(err)
	}
	for k, c := range list {
		if c.Kind != kinds[k] || c.Name != append(names, "prediction")[k] {
			t.Errorf("column %d is %+v", k, c)
		}
	}
	for i, row := range rows {
		want := append([]string{}, lines[i])
		for k := range names {
			cell := strings.Trim(twinCell(twinRow(i)[names[k]]), `"`)
			if names[k] == "item" && cell == "NA" {
				cell = ""
			}
			want = slices.Insert(want, k, strings.ReplaceAll(cell, `""`, `"`))
		}
		if row[5] = strings.Trim(row[5], `"`); !slices.Equal(row, want) {
			t.Fatalf("row %d is %q, want %q", i, row, want)
		}
		if i < len(fromCSV) {
			if fromCSV[i][5] = strings.Trim(fromCSV[i][5], `"`); !slices.Equal(fromCSV[i], row) {
				t.Fatalf("row %d of the CSV file is %q, want %q", i, fromCSV[i], row)
			}
		}
	}
	if _, rows, err = table("csv", "rows-0.csv"); err != nil || len(rows) == 0 || len(rows[0]) != 1 {
		t.Errorf("without columns: %v, %v", rows[:1], err)
	}
	_, _, err = table("pq", "rows-0.parquet", "user", "nobody")
	refused(t, err, "no column nobody; the file has ")
	write(t, "prediction.csv", "prediction"+strings.TrimPrefix(read(t, "rows-0.csv"), "age"))
	_, _, err = table("csv", "prediction.csv", "prediction")
	refused(t, err, "two columns would be called prediction")
	workspace(t, 300)
	fresh(t, "r")
	_, _, err = table("r", "rows.tsv", "C1")
	refused(t, err, "data of type criteo, whose columns cannot be passed along")
}

// keeper keeps the rows of a table.
type keeper struct{ rows *[][]string }

func (k keeper) Write(cells [][]byte) error {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = string(c)
	}
	*k.rows = append(*k.rows, row)
	return nil
}

func (keeper) Close() error { return nil }
