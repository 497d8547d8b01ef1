package job_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/datatest"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// givenConfig has users with given embeddings; %s are the files and what is said of them.
const givenConfig = `data:
  type: csv
  path: %s
  label: y
  columns: {user: {type: categorical, pretrained: {%s}}, ad: categorical}
  split: {by: order, ratio: [0.6, 0.2, 0.2]}
model: {type: %s, embedding_dim: 4, hidden_units: [6]}
train: {batch_size: 32, epochs: 2, patience: 0, learning_rate: 0.05}
`

// vector is what the files give the user of that number.
func vector(user, dim int) []float32 {
	v := make([]float32, dim)
	for i := range v {
		v[i] = float32(user) + float32(i)/8
	}
	return v
}

const givenUsers = 9 // of which files have all but the last, and one that no row has

// rows writes clicks, and returns the file.
func rows(t *testing.T, dir string, from, to int) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("y,user,ad\n")
	for i := from; i < to; i++ {
		fmt.Fprintf(&text, "%d,u%d,a%d\n", (i*7+i/3)%2, i%givenUsers, i%5)
	}
	path := filepath.Join(dir, fmt.Sprintf("rows%d.csv", from))
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// tokens are the users of the files.
func tokens() (list []string) {
	for u := range givenUsers - 1 {
		list = append(list, fmt.Sprintf("u%d", u))
	}
	return append(list, "nobody")
}

// npy returns an array in NumPy's format.
func npy(descr, shape string, values []byte) []byte {
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n", descr, shape)
	return slices.Concat([]byte("\x93NUMPY\x01\x00"), binary.LittleEndian.AppendUint16(nil, uint16(len(head))), []byte(head), values)
}

// givenFile writes the embeddings in a form, and returns what pretrained says.
func givenFile(t *testing.T, dir, form string, dim int) string {
	t.Helper()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	list := tokens()
	var values []byte
	var text strings.Builder
	var all []float32
	fmt.Fprintf(&text, "%d %d\n", len(list), dim)
	for u, token := range list {
		text.WriteString(token)
		for _, v := range vector(u, dim) {
			values = binary.LittleEndian.AppendUint32(values, math.Float32bits(v))
			fmt.Fprintf(&text, " %g", v)
			all = append(all, v)
		}
		text.WriteString("\n")
	}
	names := []byte(strings.Join(list, "\n") + "\n")
	shape := fmt.Sprintf("%d, %d", len(list), dim)
	switch form {
	case "text":
		return "file: " + write("e.txt", []byte(text.String()))
	case "npy":
		write("e.tokens", names)
		return "file: " + write("e.npy", npy("<f4", shape, values))
	case "safetensors":
		path := filepath.Join(dir, "e.safetensors")
		c := &ckpt.Checkpoint{Tensors: []ckpt.Tensor{{Name: "emb", Shape: []int{len(list), dim}, Data: all}}}
		if err := ckpt.Save(path, c); err != nil {
			t.Fatal(err)
		}
		return "file: " + path + ", tokens: " + write("ids.txt", names)
	}
	if form != "parquet" {
		t.Fatal(form)
	}
	path := filepath.Join(dir, "e.parquet")
	var rows []map[string]any
	for u, token := range list {
		rows = append(rows, map[string]any{"key": token, "value": vector(u, dim)})
	}
	datatest.WriteParquet(t, path, parquet.Group{"key": parquet.String(), "value": parquet.List(parquet.Leaf(parquet.FloatType))}, rows, parquet.MaxRowsPerRowGroup(4))
	return "file: " + path
}

// trained trains a config and returns the log, and the table of users by token with the rest of the model.
func trained(t *testing.T, config, dir string, o job.TrainOptions) (string, map[string][]float32, *ckpt.Checkpoint, error) {
	t.Helper()
	path := filepath.Join(filepath.Dir(dir), "c.yaml")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	e, err := configs.Load(path, nil)
	if err != nil {
		return "", nil, nil, err
	}
	var log bytes.Buffer
	j := job.Job{Experiment: e, Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))}
	if _, err := j.Train(t.Context(), o); err != nil {
		return log.String(), nil, nil, err
	}
	table, c := usersOf(t, dir)
	return log.String(), table, c, nil
}

// usersOf returns the embeddings of a run's users by token.
func usersOf(t *testing.T, dir string) (map[string][]float32, *ckpt.Checkpoint) {
	t.Helper()
	m, err := data.LoadFeatureMap(filepath.Join(dir, data.MapFile))
	if err != nil {
		t.Fatal(err)
	}
	c, err := ckpt.Load(filepath.Join(dir, run.ModelFile))
	if err != nil {
		t.Fatal(err)
	}
	table := map[string][]float32{}
	for _, x := range c.Tensors {
		if x.Name != "embedding.user.weight" {
			continue
		}
		for i, token := range m.Table("user").Tokens {
			table[token] = x.Data[(2+i)*x.Shape[1] : (3+i)*x.Shape[1]]
		}
	}
	return table, c
}

// Embeddings start with what a file gives, in each of its forms; frozen ones stay, and the others are trained. Tokens that the file lacks are
// counted. A linear map takes them to the width of a model of products.
func TestGivenEmbeddings(t *testing.T) {
	for _, form := range []string{"text", "npy", "safetensors", "parquet"} {
		for _, tc := range []struct {
			name, model, options string
			dim                  int
			frozen               bool
		}{
			{"frozen", "mlp", ", freeze: true", 4, true},
			{"trained", "mlp", "", 4, false},
			{"wide", "mlp", ", dim: 6, freeze: true", 6, true},
			{"projected", "deepfm", ", dim: 6, project: true, freeze: true", 6, true},
		} {
			t.Run(form+"/"+tc.name, func(t *testing.T) {
				dir := t.TempDir()
				t.Chdir(dir) // of the cache
				config := fmt.Sprintf(givenConfig, rows(t, dir, 0, 300), givenFile(t, dir, form, tc.dim)+tc.options, tc.model)
				log, table, _, err := trained(t, config, filepath.Join(dir, "r"), job.TrainOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if want := "tokens=9 given=8 fresh=1 unused=1"; !strings.Contains(log, want) {
					t.Errorf("the log lacks %s:\n%s", want, log)
				}
				moved := 0
				for u, token := range tokens()[:givenUsers-1] {
					if !slices.Equal(table[token], vector(u, tc.dim)) {
						moved++
					}
				}
				if (moved == 0) != tc.frozen {
					t.Errorf("%d of %d given rows were trained, frozen %v", moved, givenUsers-1, tc.frozen)
				}
				if fresh := table["u8"]; len(fresh) != tc.dim || math.Abs(float64(fresh[0])) > 1 {
					t.Errorf("the token that the file lacks has %v", fresh)
				}
				checkServed(t, filepath.Join(dir, "r"))
			})
		}
	}
}

// checkServed scores with tables of float32 and of int8, which are close.
func checkServed(t *testing.T, dir string) {
	t.Helper()
	var got [2][]float64
	for i, set := range []string{"serve.quantize=none", "serve.quantize=int8"} {
		r, err := splice.Open(dir, set)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got[i], err = r.Score(context.Background(), []splice.Row{{"user": "u3", "ad": "a1"}, {"user": "u8", "ad": nil}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range got[0] {
		if math.Abs(got[0][i]-got[1][i]) > .02 {
			t.Errorf("row %d: %v, by int8 %v", i, got[0][i], got[1][i])
		}
	}
}

// A run that goes on has the bits of one that was not interrupted, without the file.
func TestGivenResume(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	config := fmt.Sprintf(givenConfig, rows(t, dir, 0, 300), givenFile(t, dir, "text", 4)+", freeze: true", "mlp")
	_, _, want, err := trained(t, config, filepath.Join(dir, "whole"), job.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "c.yaml")
	e, err := configs.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	half := *e
	j := job.Job{Experiment: &half, Dir: filepath.Join(dir, "r"), Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	j.Show = func(train.Options) []train.Callback { return []train.Callback{stopAt{cancel, 9}} }
	if _, err := j.Train(ctx, job.TrainOptions{}); err == nil {
		t.Fatal("the training was not stopped")
	}
	if err := os.Remove(filepath.Join(dir, "e.txt")); err != nil {
		t.Fatal(err)
	}
	_, _, got, err := trained(t, config, filepath.Join(dir, "r"), job.TrainOptions{Resume: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range want.Tensors {
		if !slices.Equal(got.Tensors[i].Data, x.Data) {
			t.Errorf("%s differs after an interruption", x.Name)
		}
	}
}

// Frozen tables of two parents of other users merge by token: what was given stays.
func TestGivenMerge(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	given := givenFile(t, dir, "npy", 4) + ", freeze: true"
	for i, name := range []string{"a", "b"} {
		path := filepath.Join(dir, name+".csv")
		var text strings.Builder
		text.WriteString("y,user,ad\n")
		for k := range 200 {
			fmt.Fprintf(&text, "%d,u%d,a%d\n", (k*7+k/3)%2, k%5+3*i, k%5)
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := trained(t, fmt.Sprintf(givenConfig, path, given, "mlp"), filepath.Join(dir, name), job.TrainOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, method := range []string{"{type: average}", "{type: average, rows: counts}"} {
		merge := fmt.Sprintf(givenConfig, rows(t, dir, 0, 300), given, "mlp") + "merge: {parents: [a, b], vocabulary: union, method: " + method + ", guard: false}\n"
		path := filepath.Join(dir, "merge.yaml")
		if err := os.WriteFile(path, []byte(merge), 0o644); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "m")
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
		if _, err := splice.Merge(t.Context(), path, splice.Options{Run: out}); err != nil {
			t.Fatal(err)
		}
		table, _ := usersOf(t, out)
		for u := range givenUsers - 1 {
			if token := fmt.Sprintf("u%d", u); !slices.Equal(table[token], vector(u, 4)) {
				t.Errorf("%s: %s has %v, want %v", method, token, table[token], vector(u, 4))
			}
		}
	}
}

// Parents that a regime trains start with what is given, whatever their seeds.
func TestGivenRegime(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	config := fmt.Sprintf(givenConfig, rows(t, dir, 0, 300), givenFile(t, dir, "text", 4)+", freeze: true", "mlp") +
		"merge: {regime: {type: independent, count: 2}, method: {type: average}, controls: false, guard: false}\n"
	if err := os.WriteFile("merge.yaml", []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := splice.Merge(t.Context(), "merge.yaml", splice.Options{Run: "m"}); err != nil {
		t.Fatal(err)
	}
	table, _ := usersOf(t, "m")
	for u, token := range tokens()[:givenUsers-1] {
		if !slices.Equal(table[token], vector(u, 4)) {
			t.Errorf("%s has %v, want %v", token, table[token], vector(u, 4))
		}
	}
}

// A history of the given items, and a column of several of them: both look up the table that the item's column gives.
func TestGivenHistory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	var text strings.Builder
	text.WriteString("y,user,clicks,tags\n")
	for i := range 300 {
		fmt.Fprintf(&text, "%d,u%d,u%d|u%d,t%d|t1\n", (i*7+i/3)%2, i%givenUsers, (i+1)%givenUsers, i%4, i%3)
	}
	if err := os.WriteFile("clicks.csv", []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("tags.txt", []byte("t0 1 2 3\nt1 4 5 6\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	config := `data:
  type: csv
  path: clicks.csv
  label: y
  columns:
    user: {type: categorical, pretrained: {` + givenFile(t, dir, "npy", 6) + `, dim: 6, project: true, freeze: true}}
    clicks: {type: sequence, max_len: 3, share: user}
    tags: {type: multi, pretrained: {file: tags.txt, dim: 3}}
  split: {by: order, ratio: [0.6, 0.2, 0.2]}
model: {type: din, item: user, history: clicks, embedding_dim: 4, hidden_units: [6]}
train: {batch_size: 32, epochs: 2, patience: 0, learning_rate: 0.05}
`
	log, table, c, err := trained(t, config, filepath.Join(dir, "r"), job.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"column=user", "column=tags", "tokens=3 given=2 fresh=1 unused=0"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
	for u, token := range tokens()[:givenUsers-1] {
		if !slices.Equal(table[token], vector(u, 6)) {
			t.Errorf("%s has %v", token, table[token])
		}
	}
	shapes := map[string][]int{}
	for _, x := range c.Tensors {
		shapes[x.Name] = x.Shape
	}
	if got := fmt.Sprint(shapes["embedding.tags.weight"], shapes["embedding.user.project.weight"]); got != "[5 3] [4 6]" {
		t.Errorf("shapes %s of the tags' table and the items' map", got)
	}
}
