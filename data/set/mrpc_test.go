package set

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The published files of MRPC become the benchmark's train and dev parts, once.
func TestSplitMRPC(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "none"
		}
		return string(b)
	}
	if err := splitMRPC(dir); err != nil || read("dev.tsv") != "none" {
		t.Errorf("nothing there: %v", err)
	}
	write(mrpcIDs, "12\t13\r\n16\t17\n")
	if err := splitMRPC(dir); err == nil || !strings.Contains(err.Error(), mrpcAll) {
		t.Errorf("no pairs: %v", err)
	}
	const head = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
	pair := func(label, a, b string) string { return label + "\t" + a + "\t" + b + "\tone\ttwo\n" }
	write(mrpcAll, head+pair("1", "90", "91"))
	if err := splitMRPC(dir); err == nil || !strings.Contains(err.Error(), "do not belong together") {
		t.Errorf("other pairs: %v", err)
	}
	write(mrpcAll, head+pair("1", "10", "11")+pair("0", "12", "13")+pair("1", "13", "12")+pair("1", "16", "17"))
	if err := splitMRPC(dir); err != nil {
		t.Fatal(err)
	}
	if got, want := read("train.tsv"), head+pair("1", "10", "11")+pair("1", "13", "12"); got != want {
		t.Errorf("train.tsv:\n%s\nwant\n%s", got, want)
	}
	if got, want := read("dev.tsv"), head+pair("0", "12", "13")+pair("1", "16", "17"); got != want {
		t.Errorf("dev.tsv:\n%s\nwant\n%s", got, want)
	}
	write("dev.tsv", "mine")
	if err := splitMRPC(dir); err != nil || read("dev.tsv") != "mine" {
		t.Errorf("dev.tsv was written over: %v", err)
	}
}
