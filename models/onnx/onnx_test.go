package onnx_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/onnx"
)

// expected is what ONNX Runtime computes of a file, by testdata/onnx_expected.py.
type expected struct {
	SHA256 string    `json:"sha256"` // of the file
	Logits []float64 `json:"logits"`
	Scores []float64 `json:"scores,omitempty"`
}

// write returns the file of a case.
func write(t *testing.T, name string, c translated) (*onnx.Model, []byte) {
	t.Helper()
	m, err := onnx.Translate(c.m, filled(t, c), c.sc, onnx.Options{Name: name, Links: c.links, Metadata: [][2]string{{"case", name}}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	return m, b.Bytes()
}

// TestEveryModel: which registered models are written, and what is said of those that are not.
func TestEveryModel(t *testing.T) {
	all := cases()
	for _, name := range models.Registry.Names() {
		if all[name].m == nil {
			t.Errorf("model %s is registered and has no case here", name)
		}
	}
	for name, c := range all {
		_, err := onnx.Translate(c.m, filled(t, c), c.sc, onnx.Options{Name: name})
		if want := refused[name]; want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
}

// TestExpected: the files are those that ONNX Runtime ran, and what it computed is what our programs compute.
func TestExpected(t *testing.T) {
	want := map[string]expected{}
	read, err := os.ReadFile("testdata/onnx_expected.json")
	if err == nil {
		err = json.Unmarshal(read, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		if _, ok := cases()[name]; !ok {
			t.Errorf("%s is expected and no case", name)
		}
	}
	for name, c := range cases() {
		if refused[name] == "" {
			t.Run(name, func(t *testing.T) {
				_, b := write(t, name, c)
				if got := sum(b); got != want[name].SHA256 {
					t.Errorf("the file has changed (%s, want %s): see how testdata/onnx_expected.json is made", got, want[name].SHA256)
				}
				compare(t, want[name], c)
			})
		}
	}
}

// compare compares what ONNX Runtime computed with what we do.
func compare(t *testing.T, want expected, c translated) {
	t.Helper()
	got := logits(t, c, filled(t, c), batch(c.sc))
	if len(got) != len(want.Logits) {
		t.Fatalf("%d logits, ONNX Runtime has %d", len(got), len(want.Logits))
	}
	for i, z := range got {
		if d := math.Abs(float64(z) - want.Logits[i]); !(d <= 1e-5*max(1, math.Abs(want.Logits[i]))) {
			t.Errorf("logit %d is %v, of ONNX Runtime %v", i, z, want.Logits[i])
		}
	}
	if len(c.links) == 1 && c.links[0].Function == "Sigmoid" {
		for i, z := range got {
			if p := 1 / (1 + math.Exp(-float64(z))); math.Abs(p-want.Scores[i]) > 1e-5 {
				t.Errorf("score %d is %v, of ONNX Runtime %v", i, p, want.Scores[i])
			}
		}
	}
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// The same model is written to the same bytes.
func TestDeterministic(t *testing.T) {
	for _, name := range []string{"deepfm", "dien", "bert"} {
		c := cases()[name]
		_, a := write(t, name, c)
		for range 5 {
			if _, b := write(t, name, c); !bytes.Equal(a, b) {
				t.Fatalf("%s: the bytes of a file differ", name)
			}
		}
	}
}

// TestRuntime runs ONNX Runtime itself. With SPLICE_ONNX_DIR the cases are left there, of which testdata/onnx_expected.py makes
// testdata/onnx_expected.json.
func TestRuntime(t *testing.T) {
	python, dir := os.Getenv("SPLICE_PYTHON"), os.Getenv("SPLICE_ONNX_DIR")
	if python == "" && dir == "" {
		t.Skip("SPLICE_PYTHON names no Python with onnx and onnxruntime")
	}
	if dir == "" {
		dir = t.TempDir()
	}
	for name, c := range cases() {
		if refused[name] != "" {
			continue
		}
		m, b := write(t, name, c)
		in, err := json.Marshal(map[string]any{"name": name, "inputs": feed(m, c.sc, batch(c.sc))})
		if err != nil {
			t.Fatal(err)
		}
		for ext, content := range map[string][]byte{".onnx": b, ".json": in} {
			if err := os.WriteFile(filepath.Join(dir, file(name)+ext), content, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	if python == "" {
		return
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/onnx_expected.py", dir)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	got := map[string]expected{}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		t.Run(name, func(t *testing.T) { compare(t, got[name], cases()[name]) })
	}
}
