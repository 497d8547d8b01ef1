package cmd_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCalibrate: a run is calibrated by evaluate, and predict and serve have the same calibrated predictions, bit by bit. A server takes over another
// calibration. A training that replaces the run removes it.
func TestCalibrate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	dir := servingWorkspace(t)
	calibrate := func(args ...string) out {
		return execute(t, dir, "evaluate", append([]string{"--run", "runs/clicks", "--calibrate"}, args...)...)
	}
	predict := func(name string, args ...string) []string {
		t.Helper()
		if o := execute(t, dir, "predict", append([]string{"--run", "runs/clicks", "--in", "clicks.csv", "--out", name}, args...)...); o.code != 0 {
			t.Fatal(o.stderr)
		}
		return strings.Fields(string(read(t, dir, name)))
	}
	if o := execute(t, dir, "train", "--config", "clicks.yaml", "--run", "runs/clicks", "--overwrite", "--set", "train.epochs=8"); o.code != 0 {
		t.Fatal(o.stderr)
	}
	if o := calibrate("platt"); o.code != 0 || !strings.Contains(o.stdout, "platt: slope ") || !strings.Contains(o.stdout, "  ece_equal_mass\n") ||
		!strings.Contains(o.stdout, "test (12 rows), 95 % bootstrap intervals\n") {
		t.Fatalf("exit %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	for _, name := range []string{"calibration.json", "reliability.png", "reliability.svg"} {
		if _, err := os.Stat(filepath.Join(dir, "runs", "clicks", name)); err != nil {
			t.Error(err)
		}
	}
	plain, platt := predict("plain.txt"), predict("platt.txt", "--calibrated")
	s := serve(t, dir, "--run", "runs/clicks", "--calibrated", "--poll", "0")
	score := func() string {
		t.Helper()
		resp, err := http.Post(s.url+"/v1/score", "application/json", strings.NewReader(`{"rows": [{"user": "u0", "ad": "100", "tags": "new", "price": "0.5"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var got struct{ Scores []json.Number }
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || len(got.Scores) != 1 {
			t.Fatalf("%v: %+v", err, got)
		}
		return got.Scores[0].String()
	}
	if got := score(); got != platt[0] || got == plain[0] {
		t.Errorf("serve has %s, predict %s calibrated and %s else", got, platt[0], plain[0])
	}
	if o := calibrate("isotonic"); o.code != 0 {
		t.Fatal(o.stderr)
	}
	isotonic := predict("isotonic.txt", "--calibrated")
	if err := s.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); score() != isotonic[0]; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the server has %s, predict %s\n%s", score(), isotonic[0], s.logged())
		}
	}
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d:\n%s", code, s.logged())
	}
	if o := execute(t, dir, "train", "--config", "clicks.yaml", "--run", "runs/clicks", "--overwrite"); o.code != 0 {
		t.Fatal(o.stderr)
	}
	for _, name := range []string{"calibration.json", "reliability.png", "reliability.svg"} {
		if _, err := os.Stat(filepath.Join(dir, "runs", "clicks", name)); err == nil {
			t.Errorf("training again leaves %s", name)
		}
	}
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"predict", []string{"--run", "runs/clicks", "--in", "clicks.csv", "--out", "x.txt", "--calibrated"}, "runs/clicks has no calibration.json: calibrate it: evaluate --run runs/clicks --calibrate temperature\n"},
		{"serve", []string{"--run", "runs/clicks", "--calibrated", "--listen", "127.0.0.1:0"}, "runs/clicks has no calibration.json: calibrate it: evaluate --run runs/clicks --calibrate temperature\n"},
		{"serve", []string{"--run", "a=runs/clicks", "--run", "a=runs/next", "--calibrated", "--merge", "average"}, "serve: --calibrated is of single runs, not of an ensemble or a merge\n"},
		{"predict", []string{"--run", "runs/clicks", "--run", "runs/next", "--in", "clicks.csv", "--out", "x.txt", "--calibrated"}, "predict: --calibrated is of one run: give --run once\n"},
		{"evaluate", []string{"--run", "runs/clicks", "--calibrate", "beta"}, "--calibrate \"beta\": want temperature, platt, isotonic\n"},
		{"evaluate", []string{"--run", "runs/clicks", "--calibrate", "platt", "--split", "test"}, "evaluate: --calibrate fits on validation rows, and measures on validation and test rows: leave out --data, --split and --candidates\n"},
		{"evaluate", []string{"--run", "runs/next", "--calibrate", "platt"}, "--calibrate: runs/next ranks a catalogue, and predicts no probability\n"},
	} {
		if o := execute(t, dir, tc.name, append(tc.args, "--quiet")...); o.code != 2 || !strings.HasSuffix(o.stderr, tc.want) {
			t.Errorf("%s %q: exit %d, %q, want %q", tc.name, tc.args, o.code, o.stderr, tc.want)
		}
	}
}
