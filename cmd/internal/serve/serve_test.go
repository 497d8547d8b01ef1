package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/cmd/internal/serve"
	"github.com/splice-ml/splice/configs/job"
)

// root has the runs of all tests.
var root string

func TestMain(m *testing.M) {
	code := 1
	if dir, err := os.MkdirTemp("", "splice-serve-"); err == nil {
		root = dir
		code = m.Run()
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

const clicksConfig = `data:
  type: csv
  path: %q
  label: click
  columns:
    user: {type: categorical, min_count: 2}
    ad: {type: categorical, hash: 50}
    tags: {type: multi, separator: "|", max_len: 3}
    price: {type: numeric, transform: log1p}
  split: {by: order, ratio: [0.6, 0.2, 0.2]}
model: {type: deepfm, hidden_units: [16]}
train: {batch_size: 32, epochs: 1, patience: 0}
seed: %d
`

const reviewsConfig = `data:
  type: text
  path: %q
  text: sentence
  label: label
  labels: [bad, good]
  split: {by: order, ratio: [0.6, 0.2, 0.2]}
  max_length: 16
  buckets: [6, 8, 12]
model: {type: bert, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32, max_position_embeddings: 20}
task: {type: classification, metrics: [accuracy, cross_entropy]}
train: {batch_size: 16, epochs: 1, learning_rate: 0.005, optimizer: adamw, patience: 0}
seed: %d
`

const cyclesConfig = `data: {type: interactions, layout: sequences, path: %q, rows: sequences, max_len: 6}
model: {type: sasrec, output: catalogue, embedding_dim: 16}
task: {type: next_item, metrics: ["hr@1"]}
train: {epochs: 2, batch_size: 16, learning_rate: 0.01}
seed: %d
`

// header are the columns of clicks.
var header = []string{"click", "user", "ad", "tags", "price"}

// clicks returns rows of clicks, as a file has them.
func clicks() (rows [][]string) {
	r := rand.New(rand.NewPCG(1, 2))
	tags := []string{"", "new", "new|red", "a|b|c|d", "red"}
	for range 200 {
		price := strconv.FormatFloat(float64(r.IntN(10000))/100, 'g', -1, 64)
		if r.IntN(8) == 0 {
			price = ""
		}
		rows = append(rows, []string{strconv.Itoa(r.IntN(2)), "u" + strconv.Itoa(r.IntN(30)), strconv.Itoa(100 + r.IntN(40)), tags[r.IntN(len(tags))], price})
	}
	return rows
}

// rowsOf returns the same rows in memory.
func rowsOf(list [][]string) (rows []splice.Row) {
	for _, cells := range list {
		row := splice.Row{}
		for i, name := range header[1:] {
			row[name] = cells[i+1]
		}
		rows = append(rows, row)
	}
	return rows
}

// file writes the rows of a config's data and returns their path.
func file(config string) string {
	var b strings.Builder
	name := "clicks.csv"
	switch config {
	case clicksConfig, tasksConfig:
		if config == tasksConfig {
			name = "tasks.csv"
		}
		for _, cells := range append([][]string{header}, clicks()...) {
			b.WriteString(strings.Join(cells, ",") + "\n")
		}
	case reviewsConfig:
		name = "reviews.tsv"
		b.WriteString("sentence\tlabel\n")
		words := [][]string{{"dull", "slow", "cold"}, {"funny", "warm", "sharp"}}
		for i := range 120 {
			fmt.Fprintf(&b, "the film was %s%s\t%d\n", words[i%2][i/3%3], strings.Repeat(" .", i%9), i%2)
		}
	default:
		name = "log"
		for u := range 60 {
			fmt.Fprintf(&b, "u%d", u)
			for i := range 8 {
				fmt.Fprintf(&b, " i%d", (u+i)%20)
			}
			b.WriteString("\n")
		}
	}
	path := filepath.Join(root, name)
	if _, err := os.Stat(path); err != nil {
		if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
			panic(err)
		}
	}
	return path
}

var training sync.Mutex

// trained returns the directory of a run of a config and a seed, which is trained once. Nothing may be written there: see copied.
func trained(t testing.TB, config string, seed int) string {
	t.Helper()
	training.Lock()
	defer training.Unlock()
	path := file(config)
	dir := filepath.Join(root, fmt.Sprintf("%s-%d", strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), seed))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	yaml := filepath.Join(root, "run.yaml")
	if err := os.WriteFile(yaml, fmt.Appendf(nil, config, path, seed), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(root) // for the cache
	if _, err := splice.Train(context.Background(), yaml, splice.Options{Run: dir}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// copied returns a copy of a run that a test may change.
func copied(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "run")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// predictions returns what cmd/predict writes.
func predictions(t testing.TB, config, mode string, top int, dirs ...string) []string {
	t.Helper()
	e, err := job.OpenEnsemble(dirs, nil, mode, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.TopK = top
	var b bytes.Buffer
	if _, err := e.Predict(context.Background(), file(config), &b); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// options are those of a server of runs.
func options(t testing.TB, runs ...string) serve.Options {
	t.Helper()
	o := serve.Options{Limits: serve.DefaultLimits(), Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	var err error
	if o.Models, err = serve.Models(runs, "", ""); err != nil {
		t.Fatal(err)
	}
	return o
}

// start returns a server.
func start(t testing.TB, o serve.Options) *serve.Server {
	t.Helper()
	s, err := serve.New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask sends a request to a handler and returns the answer.
func ask(h http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// want checks the status of an answer and decodes it into v, if that is not nil.
func want(t testing.TB, w *httptest.ResponseRecorder, code int, v any) {
	t.Helper()
	if w.Code != code {
		t.Fatalf("status %d, want %d: %.500s", w.Code, code, w.Body)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		t.Fatalf("%v: %.500s", err, w.Body)
	}
}

// marshal returns v as JSON.
func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// scores are the answer to /v1/score.
type scores struct {
	Model, Version string
	Scores         []any
	Probabilities  []float64
}

// text returns scores as cmd/predict writes them.
func (s scores) text() (list []string) {
	for _, v := range s.Scores {
		if n, ok := v.(float64); ok {
			list = append(list, strconv.FormatFloat(n, 'g', -1, 32))
			continue
		}
		list = append(list, v.(string))
	}
	return list
}

// running is a server that listens.
type running struct {
	*serve.Server
	url  string
	stop func() error // ends it and returns its error
}

// listen starts a server on a free port. The signals of now make it reload.
func listen(t testing.TB, o serve.Options, now <-chan os.Signal) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Server: start(t, o)}
	url, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- r.Run(ctx, now, func(u string) { url <- u }) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { r.stop() })
	select {
	case r.url = <-url:
	case err := <-done:
		t.Fatal(err)
	}
	return r
}

// post sends a body to a server that listens.
func post(client *http.Client, url, body string) (code int, text string, err error) {
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestModels(t *testing.T) {
	for _, tc := range []struct {
		runs            []string
		ensemble, merge string
		want            string // models, or a part of the error
	}{
		{[]string{"runs/a", "runs/b/"}, "", "", "[{a [runs/a]   []} {b [runs/b/]   []}]"},
		{[]string{"week=runs/a", "week=runs/b", "c=d=e"}, "logits", "", "[{week [runs/a runs/b] logits  []} {c [d=e] logits  []}]"},
		{[]string{"./x=y/run"}, "", "", "[{run [./x=y/run]   []}]"},
		{[]string{"w=a", "w=b"}, "", "average", "[{w [a b]  average []}]"},
		{nil, "", "", "no run is given"},
		{[]string{"runs/ä"}, "", "", `cannot be called "ä"`},
		{[]string{"=a"}, "", "", `cannot be called ""`},
		{[]string{"a", "b"}, "logits", "", "of several runs"},
		{[]string{"w=a", "w=b"}, "logits", "average", "not both"},
	} {
		got, err := serve.Models(tc.runs, tc.ensemble, tc.merge)
		if text := fmt.Sprint(got); err != nil && !strings.Contains(err.Error(), tc.want) || err == nil && text != tc.want {
			t.Errorf("models of %q: %v, %v, want %s", tc.runs, got, err, tc.want)
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	dir := trained(t, clicksConfig, 1)
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tc := range map[string]struct {
		change func(o *serve.Options)
		want   string
	}{
		"a limit":        {func(o *serve.Options) { o.Rows = 0 }, "rows of a request must be above 0"},
		"bodies":         {func(o *serve.Options) { o.Bodies = 1 }, "all bodies together only 1"},
		"no token file":  {func(o *serve.Options) { o.TokenFile = filepath.Join(root, "none") }, "none"},
		"no token":       {func(o *serve.Options) { o.TokenFile = write("t", " \n\n") }, "there is no token in it"},
		"half a TLS":     {func(o *serve.Options) { o.Cert = write("c", "") }, "belong together"},
		"no certificate": {func(o *serve.Options) { o.Cert, o.Key = write("c", "x"), write("k", "y") }, "PEM"},
		"no run":         {func(o *serve.Options) { o.Models[0].Dirs[0] = root }, "is not a run"},
	} {
		o := options(t, dir)
		tc.change(&o)
		_, err := serve.New(t.Context(), o)
		if !errors.As(err, new(*splice.InputError)) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want a mistake of the caller with %q", name, err, tc.want)
		}
	}
}

// TestScoreIsPredict checks that scores are those of cmd/predict, bit by bit, in requests of any size and several at once.
func TestScoreIsPredict(t *testing.T) {
	a, b := trained(t, clicksConfig, 1), trained(t, clicksConfig, 2)
	reviews := trained(t, reviewsConfig, 1)
	o := options(t, "a="+a, "both="+a, "both="+b, "mean="+a, "mean="+b, "reviews="+reviews)
	o.Models[2].Ensemble = "probabilities"
	s := start(t, o)
	var sentences []splice.Row
	for _, line := range strings.Split(strings.TrimSpace(read(t, file(reviewsConfig))), "\n")[1:] {
		sentences = append(sentences, splice.Row{"sentence": strings.Split(line, "\t")[0]})
	}
	for _, tc := range []struct {
		model string
		rows  []splice.Row
		want  []string
	}{
		{"a", rowsOf(clicks()), predictions(t, clicksConfig, "", 0, a)},
		{"both", rowsOf(clicks()), predictions(t, clicksConfig, "logits", 0, a, b)},
		{"mean", rowsOf(clicks()), predictions(t, clicksConfig, "probabilities", 0, a, b)},
		{"reviews", sentences, predictions(t, reviewsConfig, "", 0, reviews)},
	} {
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for lo := 0; lo < len(tc.rows); {
					hi := min(len(tc.rows), lo+[]int{1, 2, 50, 7}[(lo+g)%4])
					var got scores
					w := ask(s, "POST", "/v1/score", marshal(map[string]any{"model": tc.model, "rows": tc.rows[lo:hi]}))
					if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || !slices.Equal(got.text(), tc.want[lo:hi]) {
						t.Errorf("%s, rows %d to %d: status %d, %v, got %v, want %v", tc.model, lo, hi, w.Code, err, got.text(), tc.want[lo:hi])
						return
					}
					if tc.model == "reviews" && (len(got.Probabilities) != hi-lo || !(got.Probabilities[0] >= .5)) {
						t.Errorf("probabilities of two classes: %v", got.Probabilities)
					}
					lo = hi
				}
			})
		}
		wg.Wait()
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestMerge checks that runs that are merged at their load are served as one.
func TestMerge(t *testing.T) {
	a, b := trained(t, clicksConfig, 1), trained(t, clicksConfig, 2)
	const method = "{type: average, rows: counts}"
	o := options(t, a)
	var err error
	if o.Models, err = serve.Models([]string{"m=" + a, "m=" + b}, "", method); err != nil {
		t.Fatal(err)
	}
	s := start(t, o)
	r, err := splice.OpenMerged(t.Context(), method, a, b)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows := rowsOf(clicks()[:9])
	list, err := r.Score(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	var got scores
	want(t, ask(s, "POST", "/v1/score", marshal(map[string]any{"rows": rows})), 200, &got)
	for i, v := range got.Scores {
		if float32(v.(float64)) != float32(list[i]) {
			t.Errorf("row %d: %v, want %v", i, v, list[i])
		}
	}
}

// TestSet checks that keys of the runs' configs are overridden.
func TestSet(t *testing.T) {
	dir := trained(t, clicksConfig, 1)
	rows := rowsOf(clicks())
	o := options(t, "m="+dir)
	o.Models[0].Set = []string{"serve.quantize=int8"}
	var got scores
	want(t, ask(start(t, o), "POST", "/v1/score", marshal(map[string]any{"rows": rows})), 200, &got)
	r, err := splice.Open(dir, "serve.quantize=int8")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	list, err := r.Score(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	plain := predictions(t, clicksConfig, "", 0, dir)
	for i, v := range got.text() {
		if v != strconv.FormatFloat(list[i], 'g', -1, 32) {
			t.Errorf("row %d: %s, want %v", i, v, list[i])
		}
		if v == plain[i] {
			same++
		}
	}
	if same == len(plain) {
		t.Error("int8 tables change no score")
	}
	if _, err := serve.Models([]string{"m=a", "m=b"}, "", "average", "seed=1"); err == nil {
		t.Error("keys are set for a merge")
	}
}

func TestRecommend(t *testing.T) {
	dir := trained(t, cyclesConfig, 1)
	s := start(t, options(t, "next="+dir))
	lines := predictions(t, cyclesConfig, "", 3, dir)
	var rows []splice.Row
	for line := range strings.SplitSeq(strings.TrimSpace(read(t, file(cyclesConfig))), "\n") {
		rows = append(rows, splice.Row{"history": strings.Fields(line)[1:]})
	}
	var got struct {
		Items  [][]string
		Scores [][]float64
	}
	want(t, ask(s, "POST", "/v1/recommend", marshal(map[string]any{"rows": rows, "k": 3})), 200, &got)
	for i, list := range got.Items {
		if line := strings.Join(list, "\t"); line != lines[i] || len(got.Scores[i]) != 3 || got.Scores[i][0] < got.Scores[i][1] {
			t.Errorf("row %d: %q with scores %v, want %q", i, line, got.Scores[i], lines[i])
		}
	}
	want(t, ask(s, "POST", "/v1/recommend", `{"rows":[{"history":"i1|i2"}]}`), 200, &got)
	if len(got.Items[0]) != 10 {
		t.Errorf("without k there are %d items, want 10", len(got.Items[0]))
	}
	for _, tc := range []struct{ path, body, want string }{
		{"/v1/recommend", `{"rows":[{"history":["i1"]}],"k":0}`, "k is 0: want 1 to 1000"},
		{"/v1/recommend", `{"rows":[{"history":["i1"]}],"k":1001}`, "k is 1001: want 1 to 1000"},
		{"/v1/score", `{"rows":[{"history":["i1"]}]}`, "POST /v1/recommend"},
		{"/v2/models/next/infer", `{"parameters":{"k":-1},"inputs":[{"name":"history","shape":[1],"datatype":"BYTES","data":["i1"]}]}`, "k is -1"},
	} {
		var fault struct{ Error string }
		want(t, ask(s, "POST", tc.path, tc.body), 400, &fault)
		if !strings.Contains(fault.Error, tc.want) {
			t.Errorf("%s %s: error %q, want one with %q", tc.path, tc.body, fault.Error, tc.want)
		}
	}
	// A user who had nearly all items has fewer than 10 left: the tensor's last ones are blanks.
	var most []string
	for i := range 17 {
		most = append(most, fmt.Sprint("i", i))
	}
	var reply struct {
		Outputs []struct {
			Name  string
			Shape []int
			Data  []any
		}
	}
	body := fmt.Sprintf(`{"inputs":[{"name":"history","shape":[2],"datatype":"BYTES","data":[%q,"i3"]}]}`, strings.Join(most, "|"))
	want(t, ask(s, "POST", "/v2/models/next/infer", body), 200, &reply)
	if o := reply.Outputs[0]; o.Name != "items" || fmt.Sprint(o.Shape) != "[2 10]" || o.Data[2] == "" || o.Data[3] != "" || o.Data[19] == "" {
		t.Errorf("items %v", o)
	}
}
