package cmd_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is a cmd/serve that runs.
type server struct {
	*exec.Cmd
	url string
	mu  sync.Mutex
	log strings.Builder
	eof chan struct{}
}

// serve starts cmd/serve on a free port and waits until it listens.
func serve(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	s := &server{Cmd: command(dir, "serve", append(args, "--listen", "127.0.0.1:0")...), eof: make(chan struct{})}
	stderr, err := s.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Process.Kill() })
	url := make(chan string, 1)
	go func() {
		defer close(s.eof)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			if _, u, ok := strings.Cut(lines.Text(), "msg=listening url="); ok {
				url <- u
			}
		}
	}()
	select {
	case s.url = <-url:
	case <-s.eof:
		t.Fatalf("it does not listen:\n%s", s.logged())
	}
	return s
}

func (s *server) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// end sends a signal and returns the exit code.
func (s *server) end(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := s.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	<-s.eof
	_ = s.Wait()
	return s.ProcessState.ExitCode()
}

// clicksRows are 60 rows of the columns of docs/serving.md.
func clicksRows() string {
	var b strings.Builder
	b.WriteString("click,user,ad,tags,price\n")
	for i := range 60 {
		fmt.Fprintf(&b, "%d,u%d,%d,%s,%d.5\n", i%2, i%20, 100+i%17, []string{"new", "red|new", ""}[i%3], i%11)
	}
	return b.String()
}

const clicksYAML = `data: {type: csv, path: clicks.csv, label: click, columns: {user: categorical, ad: {type: categorical, hash: 100},
  tags: {type: multi, separator: "|", max_len: 8}, price: {type: numeric, transform: log1p}}, split: {by: order, ratio: [0.6, 0.2, 0.2]}}
model: {type: deepfm, hidden_units: [8]}
train: {batch_size: 16, epochs: 1, patience: 0}
`

const nextYAML = `data: {type: interactions, layout: sequences, path: log.txt, rows: sequences, max_len: 6}
model: {type: sasrec, output: catalogue, embedding_dim: 8}
task: {type: next_item, metrics: ["hr@1"]}
train: {epochs: 1, batch_size: 16}
`

// servingWorkspace has the runs of docs/serving.md.
func servingWorkspace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var log strings.Builder
	for u := range 40 {
		fmt.Fprintf(&log, "u%d", u)
		for i := range 8 {
			fmt.Fprintf(&log, " i%d", (u+i)%20)
		}
		log.WriteString("\n")
	}
	for name, text := range map[string]string{"clicks.csv": clicksRows(), "clicks.yaml": clicksYAML, "log.txt": log.String(), "next.yaml": nextYAML} {
		write(t, dir, name, text)
	}
	for _, run := range []string{"clicks", "next"} {
		if o := execute(t, dir, "train", "--config", run+".yaml", "--run", "runs/"+run); o.code != 0 {
			t.Fatal(o.stderr)
		}
	}
	return dir
}

// shape returns JSON with its values replaced by their types; a list is that of its first element.
func shape(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var of func(v any) any
	of = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				v[k] = of(x)
			}
			return v
		case []any:
			return []any{of(v[0])}
		}
		return fmt.Sprintf("%T", v)
	}
	b, err := json.Marshal(of(v))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestServingExamples runs the examples of docs/serving.md, whose answers must have the members that the document shows.
func TestServingExamples(t *testing.T) {
	needBash(t)
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	s := serve(t, servingWorkspace(t), "--run", "runs/clicks", "--run", "runs/next")
	doc := string(read(t, "..", "docs", "serving.md"))
	examples := regexp.MustCompile("(?s)```sh\n(curl .*?)```\n\n```json\n(.*?)```").FindAllStringSubmatch(doc, -1)
	if len(examples) != strings.Count(doc, "curl -s") || len(examples) < 5 {
		t.Fatalf("%d examples of %d calls of curl", len(examples), strings.Count(doc, "curl -s"))
	}
	for _, e := range examples {
		c := exec.Command("bash", "-c", strings.ReplaceAll(e[1], "http://127.0.0.1:8080", s.url))
		got, err := c.Output()
		if err != nil {
			t.Errorf("%s: %v", e[1], err)
			continue
		}
		if a, b := shape(t, string(got)), shape(t, e[2]); a != b {
			t.Errorf("%s\nanswers %s, which is %s, the document has %s", e[1], got, a, b)
		}
	}
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d:\n%s", code, s.logged())
	}
}

// TestServe checks the program: a training that replaces the run is taken over at SIGHUP, the scores are those of predict, and SIGTERM ends it.
func TestServe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	dir := servingWorkspace(t)
	s := serve(t, dir, "--run", "clicks=runs/clicks", "--poll", "0", "--log-requests")
	version := func() string {
		t.Helper()
		resp, err := http.Get(s.url + "/v2/models/clicks")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var m struct{ Versions []string }
		if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
			t.Fatal(err)
		}
		return m.Versions[0]
	}
	was := version()
	if o := execute(t, dir, "train", "--config", "clicks.yaml", "--run", "runs/clicks", "--overwrite", "--set", "seed=9"); o.code != 0 {
		t.Fatal(o.stderr)
	}
	if version() != was {
		t.Error("the run is loaded again without a signal")
	}
	if err := s.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); version() == was; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the run is not loaded again:\n%s", s.logged())
		}
	}
	if o := execute(t, dir, "predict", "--run", "runs/clicks", "--in", "clicks.csv", "--out", "p.txt"); o.code != 0 {
		t.Fatal(o.stderr)
	}
	want := strings.Fields(string(read(t, dir, "p.txt")))
	var rows []map[string]string
	lines := strings.Split(strings.TrimSpace(clicksRows()), "\n")
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range strings.Split(line, ",")[1:] {
			row[strings.Split(lines[0], ",")[i+1]] = cell
		}
		rows = append(rows, row)
	}
	body, err := json.Marshal(map[string]any{"rows": rows})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(s.url+"/v1/score", "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Scores []json.Number }
	if err := json.Unmarshal(text, &got); err != nil || len(got.Scores) != len(want) {
		t.Fatalf("%v: %s", err, text)
	}
	for i, v := range got.Scores {
		if v.String() != want[i] {
			t.Errorf("row %d: %s, predict writes %s", i, v, want[i])
		}
	}
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, part := range []string{"msg=loaded model=clicks", "msg=reloaded", "msg=request method=POST path=/v1/score status=200 rows=60", "msg=stopped"} {
		if !strings.Contains(s.logged(), part) {
			t.Errorf("the log lacks %s:\n%s", part, s.logged())
		}
	}
}

func TestServeBadInput(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, "serve: --run is missing"},
		{[]string{"--run", "none"}, "none is not a run"},
		{[]string{"--run", "a b"}, `a model cannot be called "a b"`},
		{[]string{"--run", ".", "--ensemble", "logits"}, ""},
		{[]string{"--run", "x", "--max-rows", "0"}, "rows of a request must be above 0"},
		{[]string{"--run", "x", "--tls-cert", "c"}, "belong together"},
		{[]string{"--run", "x", "--token-file", filepath.Join(dir, "none")}, "none"},
	} {
		o := execute(t, dir, "serve", append(tc.args, "--listen", "127.0.0.1:0")...)
		if o.code != 2 || !strings.Contains(o.stderr, tc.want) || o.stdout != "" {
			t.Errorf("%q: exit code %d, %q, want 2 and %q", tc.args, o.code, o.stderr, tc.want)
		}
	}
}
