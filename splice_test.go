package splice_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train/run"
)

// clicksConfig is a small run over clicks; %s is the model, the path of the rows and the directory of the run are overrides.
const clicksConfig = `data:
  type: csv
  path: clicks.csv
  label: click
  group: user
  missing: [NA]
  columns:
    user: {type: categorical, min_count: 2}
    ad: {type: categorical, hash: 50}
    tags: {type: multi, separator: "|", max_len: 3}
    price: {type: numeric, transform: log1p}
    note: ignore
  split: {by: order, ratio: [0.6, 0.2, 0.2]}
model: {type: %s}
train: {batch_size: 32, epochs: 1, patience: 0}
`

// reviewsConfig is a small encoder over reviews.tsv.
const reviewsConfig = `data:
  type: text
  path: reviews.tsv
  text: sentence
  label: label
  labels: [bad, good]
  split: {by: order, ratio: [0.6, 0.2, 0.2]}
  max_length: 16
  buckets: [6, 8, 12]
model: {type: %s, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32, max_position_embeddings: 20}
task: {type: classification, metrics: [accuracy, cross_entropy]}
train: {batch_size: 16, epochs: 1, learning_rate: 0.005, optimizer: adamw, patience: 0}
`

// clicks returns a header and rows of clicks.
func clicks() (header []string, rows [][]string) {
	r := rand.New(rand.NewPCG(1, 2))
	tags := []string{"", "new", "new|red", "a|b|c|d", "red"}
	for range 200 {
		price := strconv.FormatFloat(math.Round(r.ExpFloat64()*1000)/100, 'g', -1, 64)
		if r.IntN(8) == 0 {
			price = []string{"", "NA", "-3.5e1"}[r.IntN(3)]
		}
		rows = append(rows, []string{
			strconv.Itoa(r.IntN(2)), "u" + strconv.Itoa(r.IntN(30)), strconv.Itoa(100 + r.IntN(40)), tags[r.IntN(len(tags))], price, "x,\"y\"",
		})
	}
	return []string{"click", "user", "ad", "tags", "price", "note"}, rows
}

// trained writes clicks.csv or reviews.tsv and trains a model on it. It returns the run's directory, the path of the rows and the
// rows.
func trained(t testing.TB, config, model string, set ...string) (dir, path string, rows []splice.Row) {
	t.Helper()
	tmp := t.TempDir()
	header, list := clicks()
	path = filepath.Join(tmp, "clicks.csv")
	if strings.Contains(config, "type: text") {
		header, list, path = []string{"sentence", "label"}, nil, filepath.Join(tmp, "reviews.tsv")
		words := [][]string{{"dull", "slow", "cold"}, {"funny", "warm", "sharp"}}
		for i := range 120 {
			text := fmt.Sprintf("the %s film was %s%s", []string{"first", "last"}[i/2%2], words[i%2][i/3%3], strings.Repeat(" .", i%9))
			list = append(list, []string{text, strconv.Itoa(i % 2)})
		}
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if strings.HasSuffix(path, ".tsv") {
		w.Comma = '\t'
	}
	for _, cells := range append([][]string{header}, list...) {
		if err := w.Write(cells); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	yaml := filepath.Join(tmp, "run.yaml")
	write(t, path, b.Bytes())
	write(t, yaml, fmt.Appendf(nil, config, model))
	dir = filepath.Join(tmp, "run")
	set = append([]string{"data.path=" + path}, set...)
	if _, err := splice.Train(t.Context(), yaml, splice.Options{Run: dir, Set: set}); err != nil {
		t.Fatal(err)
	}
	for _, cells := range list {
		row := splice.Row{}
		for i, name := range header {
			row[name] = cells[i]
		}
		rows = append(rows, row)
	}
	return dir, path, rows
}

func write(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

// predictions returns what cmd/predict writes for the rows of a file.
func predictions(t testing.TB, dir, path string, set ...string) []string {
	t.Helper()
	e, err := job.OpenEnsemble([]string{dir}, set, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := e.Predict(t.Context(), path, &b); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func open(t testing.TB, dir string, set ...string) *splice.Run {
	t.Helper()
	r, err := splice.Open(dir, set...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// text writes a score as cmd/predict does.
func text(score float64) string { return strconv.FormatFloat(score, 'g', -1, 32) }

// TestScoreIsPredict checks that rows in memory, in calls of any size and from several goroutines, score as cmd/predict scores them in
// a file, bit by bit, for every registered model.
func TestScoreIsPredict(t *testing.T) {
	for _, name := range models.Registry.Names() {
		m, _ := models.Registry.Default(name)
		_, isText := m.(models.Staged) // every text model is
		masked := strings.HasSuffix(name, "_mlm")
		if name == "esmm" { // has two labels always
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := clicksConfig
			if isText || masked {
				config = reviewsConfig
			}
			if masked {
				config = strings.NewReplacer("label: label\n  labels: [bad, good]", "mask_rate: 0.3", "classification, metrics: [accuracy", "masked_lm, metrics: [accuracy").Replace(config)
				dir, _, _ := trained(t, config, name)
				if r, err := splice.Open(dir); err == nil {
					t.Errorf("Open of a model of masked words: %v, want an error", r)
				}
				return
			}
			var set []string
			if strings.HasPrefix(fmt.Sprintf("%T", m), "seq.") {
				set = []string{`data.columns.tags={type: sequence, separator: "|", max_len: 3}`, "model.item=ad", "model.history=tags"}
			}
			dir, path, rows := trained(t, config, name, set...)
			want := predictions(t, dir, path)
			r := open(t, dir)
			quantized(t, dir, path, rows, want)
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() {
					for lo := 0; lo < len(rows); {
						hi := min(len(rows), lo+[]int{1, 2, 50, 7}[(lo+g)%4])
						if err := sameAs(t.Context(), r, rows[lo:hi], want[lo:hi]); err != nil {
							t.Errorf("rows %d to %d: %v", lo, hi, err)
						}
						lo = hi
					}
				})
			}
			wg.Wait()
		})
	}
}

// quantized checks that rows score with int8 tables in memory as in a file, near what they score without; or that the run is refused.
func quantized(t *testing.T, dir, path string, rows []splice.Row, float32s []string) {
	t.Helper()
	const set = "serve.quantize=int8"
	r, err := splice.Open(dir, set)
	if err != nil {
		name := filepath.Base(dir)
		if want := dir + ": models: serve.quantize: int8: no embedding table can be held so"; !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), ".weight") || !errors.As(err, new(*splice.InputError)) {
			t.Errorf("Open of %s: %v, want %q with a table, of the caller's", name, err, want)
		}
		return
	}
	defer r.Close()
	if tables := r.Tables(); len(tables.Int8) == 0 || tables.Held >= tables.Float32 {
		t.Errorf("tables %+v, want some of int8", tables)
	}
	want := predictions(t, dir, path, set)
	if err := sameAs(t.Context(), r, rows, want); err != nil {
		t.Errorf("int8: %v", err)
	}
	if slices.Equal(want, float32s) {
		t.Error("int8 tables change no prediction")
	}
	for i, s := range want {
		p, _ := strconv.ParseFloat(s, 64)
		if q, _ := strconv.ParseFloat(float32s[i], 64); math.Abs(p-q) > .01 { // half a scale is .4 % of a row's largest value
			t.Errorf("row %d: %v with int8 tables, %v without", i, p, q)
		}
	}
}

// TestInt8Memory holds that a table of int8 is never in memory as float32: its run's parameters are read in less than that.
func TestInt8Memory(t *testing.T) {
	const rows = 200_000
	dir, _, _ := trained(t, clicksConfig, "lr", "model={type: mlp, embedding_dim: 16, hidden_units: [4]}", fmt.Sprint("data.columns.ad.hash=", rows), "train.max_steps=1")
	for _, set := range []string{"none", "int8"} {
		r, err := job.Open(dir, []string{"serve.quantize=" + set}, nil)
		if err != nil {
			t.Fatal(err)
		}
		encoder, err := r.Data.Encoder(r.Map)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, tables, err := r.Params(encoder.Schema())
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		took := after.TotalAlloc - before.TotalAlloc
		switch {
		case tables.Float32 < 64*rows:
			t.Errorf("tables %+v, want one of %d rows", tables, rows)
		case set == "none" && (took < 64*rows || tables.Held != tables.Float32):
			t.Errorf("reading takes %d bytes for tables %+v", took, tables)
		case set == "int8" && (took > 40*rows || tables.Held != tables.Float32/64*20):
			t.Errorf("with int8 tables reading takes %d bytes for tables %+v, want 20 in place of 64 of each row", took, tables)
		}
	}
}

// sameAs scores rows and compares with what cmd/predict writes.
func sameAs(ctx context.Context, r *splice.Run, rows []splice.Row, want []string) error {
	var got []string
	if r.Classes() == nil {
		scores, err := r.Score(ctx, rows)
		if err != nil {
			return err
		}
		for _, s := range scores {
			got = append(got, text(s))
		}
	} else {
		classes, err := r.Classify(ctx, rows)
		if err != nil {
			return err
		}
		for _, c := range classes {
			got = append(got, c.Name)
			if !(c.Probability >= 0.5 && c.Probability <= 1) {
				return fmt.Errorf("class %v: the more probable of two has a probability in [0.5, 1]", c)
			}
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

// TestValues checks that numbers and lists are what their text in a file is.
func TestValues(t *testing.T) {
	dir, _, _ := trained(t, clicksConfig, "deepfm")
	r := open(t, dir)
	score := func(row splice.Row) float64 {
		t.Helper()
		s, err := r.Score(t.Context(), []splice.Row{row})
		if err != nil {
			t.Fatal(err)
		}
		return s[0]
	}
	want := score(splice.Row{"user": "u3", "ad": "117", "tags": "new|red", "price": "9.5"})
	for _, row := range []splice.Row{
		{"user": "u3", "ad": 117, "tags": []string{"new", "red"}, "price": 9.5},
		{"user": "u3", "ad": 117.0, "tags": []any{"new", "red"}, "price": float32(9.5), "click": 1, "note": "any"},
	} {
		if got := score(row); got != want {
			t.Errorf("%v scores %v, want %v", row, got, want)
		}
	}
	if blank, na := score(splice.Row{"user": "u3", "ad": 117, "tags": nil, "price": nil}), score(splice.Row{"user": "u3", "ad": 117, "tags": "", "price": "NA"}); blank != na {
		t.Errorf("nil scores %v, blank cells %v", blank, na)
	}
	if other := score(splice.Row{"user": "u3", "ad": 118, "tags": "new|red", "price": 9.5}); other == want {
		t.Errorf("another ad has the same score, %v", other)
	}
}

func TestBadRows(t *testing.T) {
	dir, _, rows := trained(t, clicksConfig, "lr")
	r := open(t, dir)
	good := splice.Row{"user": "u3", "ad": 117, "tags": "new", "price": 9.5}
	with := func(name string, v any) splice.Row {
		row := splice.Row{}
		maps.Copy(row, good)
		row[name] = v
		return row
	}
	missing := with("x", 1)
	delete(missing, "x")
	delete(missing, "price")
	for _, tc := range []struct {
		name string
		row  splice.Row
		want data.ValueError
	}{
		{"no number", with("price", "cheap"), data.ValueError{Column: "price"}},
		{"a list for one value", with("user", []string{"a", "b"}), data.ValueError{Column: "user"}},
		{"no value", with("user", struct{}{}), data.ValueError{Column: "user"}},
		{"unknown column", with("prise", 1), data.ValueError{Column: "prise"}},
		{"missing column", missing, data.ValueError{Column: "price"}},
	} {
		list := append(slices.Clone(rows[:40]), tc.row) // in the second batch of the call
		_, err := r.Score(t.Context(), list)
		var got *data.ValueError
		if !errors.As(err, &got) || got.Column != tc.want.Column || got.Row != 40 || got.Msg == "" {
			t.Errorf("%s: error %v, want one of row 40, column %s", tc.name, err, tc.want.Column)
		}
	}
	if _, err := r.Score(t.Context(), rows); err != nil {
		t.Errorf("after bad rows: %v", err)
	}
	if s, err := r.Score(t.Context(), nil); err != nil || len(s) != 0 {
		t.Errorf("no rows: %v, %v", s, err)
	}
	if _, err := r.Classify(t.Context(), rows); err == nil {
		t.Error("a run that is no classifier's classifies")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Score(ended, rows); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: error %v", err)
	}
}

func TestOpenWhatIsNoRun(t *testing.T) {
	dir, _, _ := trained(t, clicksConfig, "lr")
	if err := os.Remove(filepath.Join(dir, run.ModelFile)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "nothing"), t.TempDir(), dir} {
		_, err := splice.Open(path)
		var in *splice.InputError
		if !errors.As(err, &in) || !strings.Contains(err.Error(), path) {
			t.Errorf("Open(%s): error %v, want a mistake of the caller that names it", path, err)
		}
	}
}

// TestScoreAllocations checks that a call allocates its result alone.
func TestScoreAllocations(t *testing.T) {
	dir, _, rows := trained(t, clicksConfig, "deepfm")
	r := open(t, dir)
	for _, n := range []int{1, 3, 100} {
		allocs := 2.0
		for try := 0; allocs > 1 && try < 3; try++ {
			allocs = testing.AllocsPerRun(20, func() {
				if _, err := r.Score(t.Context(), rows[:n]); err != nil {
					t.Fatal(err)
				}
			})
		}
		if allocs > 1 {
			t.Errorf("a call of %d rows allocates %v times, want 1: the result", n, allocs)
		}
	}
}

// TestMergeAndFinetune goes through the door as the commands do: two runs, their merge, a training on from it.
func TestMergeAndFinetune(t *testing.T) {
	a, path, rows := trained(t, clicksConfig, "mlp")
	tmp := filepath.Dir(a)
	yaml := filepath.Join(tmp, "run.yaml")
	b := filepath.Join(tmp, "other")
	set := []string{"data.path=" + path, "train.epochs=2"}
	if _, err := splice.Train(t.Context(), yaml, splice.Options{Run: b, Set: set}); err != nil {
		t.Fatal(err)
	}
	var in *splice.InputError
	if _, err := splice.Train(t.Context(), yaml, splice.Options{Run: b, Set: set}); !errors.As(err, &in) {
		t.Errorf("training over a run: error %v, want a mistake of the caller", err)
	}
	merge := filepath.Join(tmp, "merge.yaml")
	write(t, merge, fmt.Appendf(nil, "merge:\n  parents: [%q, %q]\n  method: average\n  finetune: {epochs: 0}\n  report: false\n", a, b))
	merged := filepath.Join(tmp, "merged")
	m, err := splice.Merge(t.Context(), merge, splice.Options{Run: merged})
	if err != nil {
		t.Fatal(err)
	}
	if row := m.Table.Rows.Get(m.Table.Passed); m.Dir != merged || row == nil || len(row.Valid) == 0 {
		t.Errorf("merged %+v, want a comparison with the row that is passed on", m)
	}
	tuned, err := splice.Finetune(t.Context(), "", merged, splice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if tuned.Dir != merged+"-finetuned" || tuned.Steps == 0 {
		t.Errorf("fine-tuned %+v, want steps into %s-finetuned", tuned, merged)
	}
	if err := sameAs(t.Context(), open(t, tuned.Dir), rows, predictions(t, tuned.Dir, path)); err != nil {
		t.Error(err)
	}
}

// BenchmarkOpen opens a run with an embedding table of a million rows.
func BenchmarkOpen(b *testing.B) {
	dir, _, _ := trained(b, clicksConfig, "lr", "model={type: fm, embedding_dim: 64}", "data.columns.ad.hash=1000000")
	for b.Loop() {
		r, err := splice.Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScore is the latency of rows of a DeepFM with a tower of 400x3, and of 39 columns of Criteo's layout, with tables of each kind. Those of its
// columns have a few rows each.
func BenchmarkScore(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "run")
	config := filepath.Join(b.TempDir(), "run.yaml")
	write(b, config, []byte(`data: {type: criteo, path: configs/testdata/smoke/rows.tsv.gz}
model: {type: deepfm, embedding_dim: 16, hidden_units: [400, 400, 400]}
train: {batch_size: 256, epochs: 1, patience: 0, keep: last}
`))
	if _, err := splice.Train(b.Context(), config, splice.Options{Run: dir}); err != nil {
		b.Fatal(err)
	}
	row := splice.Row{}
	for i := range 39 {
		if i < 13 {
			row[fmt.Sprintf("I%d", i+1)] = i
		} else {
			row[fmt.Sprintf("C%d", i-12)] = "68fd1e64"
		}
	}
	for _, n := range []int{1, 10, 100} {
		for _, quantize := range []string{"none", "int8"} {
			r := open(b, dir, "serve.quantize="+quantize)
			b.Run(fmt.Sprintf("rows=%d/quantize=%s", n, quantize), func(b *testing.B) { benchScore(b, r, [][]splice.Row{slices.Repeat([]splice.Row{row}, n)}) })
		}
	}
}

// BenchmarkScoreLarge is the latency of a hundred rows that look rows up anywhere in 26 tables of 200,000 rows of 16 values, 333 MB as float32, with
// tables of each kind.
func BenchmarkScoreLarge(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "run")
	config := filepath.Join(b.TempDir(), "run.yaml")
	write(b, config, []byte(`data: {type: criteo, path: configs/testdata/smoke/rows.tsv.gz, categorical: {hash: 200000}}
model: {type: mlp, embedding_dim: 16, hidden_units: [400, 400, 400]}
train: {batch_size: 256, max_steps: 1, patience: 0, keep: last}
`))
	if _, err := splice.Train(b.Context(), config, splice.Options{Run: dir}); err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	calls := make([][]splice.Row, 20)
	for k := range 100 * len(calls) {
		row := splice.Row{}
		for i := range 39 {
			if i < 13 {
				row[fmt.Sprintf("I%d", i+1)] = i
			} else {
				row[fmt.Sprintf("C%d", i-12)] = fmt.Sprintf("%08x", random.Uint32())
			}
		}
		calls[k/100] = append(calls[k/100], row)
	}
	for _, quantize := range []string{"none", "int8"} {
		r := open(b, dir, "serve.quantize="+quantize)
		b.Run("quantize="+quantize, func(b *testing.B) { benchScore(b, r, calls) })
	}
}

// benchScore makes the calls in turn.
func benchScore(b *testing.B, r *splice.Run, calls [][]splice.Row) {
	took := make([]time.Duration, 0, 1<<20)
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		begin := time.Now()
		if _, err := r.Score(b.Context(), calls[k%len(calls)]); err != nil {
			b.Fatal(err)
		}
		if len(took) < cap(took) {
			took = append(took, time.Since(begin))
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
	b.ReportMetric(r.Tables().Held/1e6, "table-MB")
}

// TestRecommend trains on cycles, in which an item tells the next one, and recommends: in memory and as the command does from a file.
func TestRecommend(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir) // for the cache
	r := trainedOnCycles(t, dir, "run", 30)
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
			if had := strings.FieldsFunc(fmt.Sprint(rows[i]["history"]), func(r rune) bool { return strings.ContainsRune("[]| ", r) }); slices.Contains(had, item.Name) {
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
	if want := lines(got); out.String() != want {
		t.Errorf("rows of the file: %q, in memory %q", out.String(), want)
	}
	if c, err := run.Columns(); err != nil || !slices.Equal(c, []splice.Column{{Name: "history", Type: "list"}}) || run.Output() != splice.OutputItems {
		t.Errorf("columns %v (%v) and %v", c, err, run.Output())
	}

	trainedOnCycles(t, dir, "other", 2)
	dirs := []string{filepath.Join(dir, "run"), filepath.Join(dir, "other")}
	for _, mode := range []string{"logits", "probabilities"} {
		if e, err = job.OpenEnsemble(dirs, nil, mode, nil); err != nil {
			t.Fatal(err)
		}
		e.TopK = 3
		out.Reset()
		if _, err := e.Predict(t.Context(), filepath.Join(dir, "users"), &out); err != nil {
			t.Fatal(err)
		}
		both, err := splice.OpenEnsemble(mode, dirs)
		if err != nil {
			t.Fatal(err)
		}
		defer both.Close()
		got, err := both.Recommend(t.Context(), rows, 3)
		if want := lines(got); err != nil || out.String() != want {
			t.Errorf("mean of %s: rows of the file: %q, in memory %q (%v)", mode, out.String(), want, err)
		}
	}
}

// trainedOnCycles trains the run of that name in a directory on a log of cycles, in which an item tells the next one. users is a file of three
// users there.
func trainedOnCycles(t *testing.T, dir, name string, epochs int) *splice.Result {
	t.Helper()
	var log strings.Builder
	for u := range 60 {
		fmt.Fprintf(&log, "u%d", u)
		for i := range 8 {
			fmt.Fprintf(&log, " i%d", (u+i)%20)
		}
		log.WriteString("\n")
	}
	config := fmt.Sprintf(`run: %[1]s/%[2]s
data: {type: interactions, layout: sequences, path: %[1]s/log, rows: sequences, max_len: 6}
model: {type: sasrec, output: catalogue, embedding_dim: 16}
task: {type: next_item, metrics: ["hr@1", "ndcg@5", "coverage@3", item_cross_entropy]}
train: {epochs: %[3]d, batch_size: 16, learning_rate: 0.01}
`, dir, name, epochs)
	for name, text := range map[string]string{"log": log.String(), "config.yaml": config, "users": "new i3 i4 i5\nother i0 i19\nnobody unheard_of\n"} {
		write(t, filepath.Join(dir, name), []byte(text))
	}
	r, err := splice.Train(t.Context(), filepath.Join(dir, "config.yaml"), splice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lines returns items as cmd/predict writes them.
func lines(rows [][]splice.Item) string {
	var b strings.Builder
	for _, list := range rows {
		for i, item := range list {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(item.Name)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestEnsembleIsPredict checks that an ensemble scores rows as cmd/predict does for several runs, bit by bit: of runs whose vocabularies differ, and
// of classifiers.
func TestEnsembleIsPredict(t *testing.T) {
	for name, config := range map[string]string{"mlp": clicksConfig, "bert": reviewsConfig} {
		for _, mode := range []string{"", "logits", "probabilities"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				t.Parallel()
				a, path, rows := trained(t, config, name)
				b := filepath.Join(filepath.Dir(a), "other")
				set := []string{"data.path=" + path, "seed=7"}
				if name == "mlp" {
					set = append(set, "data.columns.user.min_count=5", "model.hidden_units=[8]")
				}
				if _, err := splice.Train(t.Context(), filepath.Join(filepath.Dir(a), "run.yaml"), splice.Options{Run: b, Set: set}); err != nil {
					t.Fatal(err)
				}
				e, err := job.OpenEnsemble([]string{a, b}, nil, mode, nil)
				if err != nil {
					t.Fatal(err)
				}
				var out bytes.Buffer
				if _, err := e.Predict(t.Context(), path, &out); err != nil {
					t.Fatal(err)
				}
				want := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
				r, err := splice.OpenEnsemble(mode, []string{a, b})
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				for lo := 0; lo < len(rows); lo += 29 {
					hi := min(len(rows), lo+29)
					if err := sameAs(t.Context(), r, rows[lo:hi], want[lo:hi]); err != nil {
						t.Errorf("rows %d to %d: %v", lo, hi, err)
					}
				}
			})
		}
	}
}

// TestEnsembleRefuses checks what has no mean.
func TestEnsembleRefuses(t *testing.T) {
	clicks, _, _ := trained(t, clicksConfig, "lr")
	reviews, _, _ := trained(t, reviewsConfig, "bert")
	others, _, _ := trained(t, reviewsConfig, "bert", "data.labels=[worse, better]")
	for _, tc := range []struct {
		mode, want string
		dirs       []string
	}{
		{"mean", "want logits or probabilities", []string{clicks}},
		{"", "no run is given", nil},
		{"", "different tasks", []string{clicks, reviews}},
		{"", "is given twice", []string{clicks, clicks}},
		{"", "its classes are [worse better], those of the first run [bad good]", []string{reviews, others}},
	} {
		_, err := splice.OpenEnsemble(tc.mode, tc.dirs)
		var in *splice.InputError
		if !errors.As(err, &in) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("mode %q of %d runs: error %v, want a mistake of the caller with %q", tc.mode, len(tc.dirs), err, tc.want)
		}
	}
}

// TestColumns checks what rows must have and what is predicted.
func TestColumns(t *testing.T) {
	for _, tc := range []struct {
		model, config string
		output        splice.Output
		want          string
	}{
		{"lr", clicksConfig, splice.OutputScore, "[{user token} {ad token} {tags list} {price number}]"},
		{"bert", reviewsConfig, splice.OutputClass, "[{sentence text}]"},
	} {
		dir, _, _ := trained(t, tc.config, tc.model)
		r := open(t, dir)
		if got, err := r.Columns(); err != nil || r.Output() != tc.output || fmt.Sprint(got) != tc.want {
			t.Errorf("%s: columns %v (%v) and %v, want %v and %v", tc.model, got, err, r.Output(), tc.want, tc.output)
		}
	}
}

// TestOpenMerged checks that a merge in memory scores as the run that a merge writes.
func TestOpenMerged(t *testing.T) {
	const method = "{type: average, rows: counts}"
	a, path, rows := trained(t, clicksConfig, "deepfm", "model.hidden_units=[16]")
	tmp := filepath.Dir(a)
	b := filepath.Join(tmp, "other")
	set := []string{"data.path=" + path, "model.hidden_units=[16]", "data.columns.user.min_count=9"}
	if _, err := splice.Train(t.Context(), filepath.Join(tmp, "run.yaml"), splice.Options{Run: b, Set: set}); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(tmp, "merge.yaml")
	write(t, config, fmt.Appendf(nil, "merge:\n  parents: [%q, %q]\n  vocabulary: union\n  method: %s\n  guard: false\n  finetune: {epochs: 0}\n  report: false\n", b, a, method))
	dir := filepath.Join(tmp, "merged")
	if _, err := splice.Merge(t.Context(), config, splice.Options{Run: dir}); err != nil {
		t.Fatal(err)
	}
	r, err := splice.OpenMerged(t.Context(), method, b, a)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := sameAs(t.Context(), r, rows, predictions(t, dir, path)); err != nil {
		t.Error(err)
	}
	for _, tc := range []struct {
		method, want string
		dirs         []string
	}{
		{"avrage", "average", []string{a, b}},
		{"average", "at least two", []string{a}},
		{"average", "no such run", []string{a, filepath.Join(tmp, "none")}},
		{"fisher", "needs", []string{a, b}},
	} {
		if _, err := splice.OpenMerged(t.Context(), tc.method, tc.dirs...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("a merge by %q of %v: error %v, want one with %q", tc.method, tc.dirs, err, tc.want)
		}
	}
}
