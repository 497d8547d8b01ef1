package sealed_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/sealed"
)

type content struct {
	Name string   `json:"name"`
	Rows int64    `json:"rows"`
	List []string `json:"list,omitempty"`
}

const most = 1 << 10

func TestSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	want := content{Name: "a \"checksum\": \"b\"", Rows: 1 << 60, List: []string{"x"}}
	if err := sealed.Write(path, want); err != nil {
		t.Fatal(err)
	}
	var got content
	if err := sealed.Read(path, most, &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read %+v, %v; want %+v", got, err, want)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The documented rule, which other programs can check: the SHA-256 of the file without the line of the checksum.
	head, rest, _ := strings.Cut(string(b), "\n")
	line, rest, _ := strings.Cut(rest, "\n")
	if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(head+"\n"+rest))); line != `  "checksum": "`+sum+`",` {
		t.Errorf("checksum line %s, want %s", line, sum)
	}
	// No byte can be changed, left out or added.
	for i := range b {
		for what, text := range map[string]string{
			"flipped": string(b[:i]) + string(b[i]^1) + string(b[i+1:]),
			"cut":     string(b[:i]),
			"left":    string(b[:i]) + string(b[i+1:]),
			"added":   string(b[:i]) + " " + string(b[i:]),
		} {
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			if err := sealed.Read(path, most, &got); err == nil {
				t.Errorf("byte %d %s: no error", i, what)
			}
		}
	}
}

func TestSealedRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f.json")
	if err := sealed.Write(path, map[string]any{"name": "a", "extra": 1}); err != nil {
		t.Fatal(err)
	}
	var got content
	if err := sealed.Read(path, most, &got); err == nil || !strings.Contains(err.Error(), `"extra"`) {
		t.Errorf("an unknown key: error %v", err)
	}
	if err := sealed.Write(path, content{Name: strings.Repeat("x", most)}); err != nil {
		t.Fatal(err)
	}
	if err := sealed.Read(path, most, &got); err == nil || !strings.Contains(err.Error(), "at most 1,024 bytes") {
		t.Errorf("a large file: error %v", err)
	}
	for text, want := range map[string]error{`{"name": "a"}`: sealed.ErrNoChecksum, "": sealed.ErrNoChecksum} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := sealed.Read(path, most, &got); !errors.Is(err, want) {
			t.Errorf("%q: error %v, want %v", text, err, want)
		}
	}
	if err := sealed.Read(filepath.Join(dir, "none"), most, &got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: error %v", err)
	}
	for _, v := range []any{7, map[string]int{}, []int{1}} {
		if err := sealed.Write(path, v); err == nil {
			t.Errorf("%v was written", v)
		}
	}
}
