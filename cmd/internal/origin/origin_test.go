package origin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cmd/internal/origin"
)

func TestLine(t *testing.T) {
	old := origin.Origin{Date: "2026-01-02"}
	m := origin.Origin{Date: "2026-01-03", System: "linux/x", Cores: 2, Kernel: "avx2", CPU: "A"}
	for want, list := range map[string][]origin.Origin{
		"date and machine not recorded":                                             nil,
		"2026-01-02 (machine not recorded), 2026-01-03 (A, linux/x, 2 cores, avx2)": {old, m, old},
	} {
		if got := origin.Line(list); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if here := origin.Here(3, 2); here.Threads != 3 || here.Jobs != 2 || here.Cores < 1 || !strings.HasPrefix(here.Go, "go") || len(here.Date) != len("2026-01-02") || here.Kernel == "" {
		t.Errorf("%+v", here)
	}
}

// A checksum is that of names and contents, wherever the files lie.
func TestChecksums(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	of := func(path string) string {
		t.Helper()
		sum, err := origin.Checksums{}.Of(path)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	for _, dir := range []string{a, b} {
		put(filepath.Join(dir, "x.csv"), "1,2\n")
		put(filepath.Join(dir, "y.csv"), "3,4\n")
	}
	if of(a) != of(b) || of(filepath.Join(a, "*.csv")) != of(a) || of(filepath.Join(a, "x.csv")) == of(a) {
		t.Error("equal files have other checksums, or one has that of two")
	}
	put(filepath.Join(b, "y.csv"), "3,5\n")
	if of(a) == of(b) || of(filepath.Join(a, "none")) != "absent" {
		t.Error("other contents have the same checksum")
	}
}
