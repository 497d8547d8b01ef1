package main

import (
	"bytes"
	"os"
	"testing"
	"unicode"
)

// TestTables holds that the file that data/token is built with is the one that is written.
func TestTables(t *testing.T) {
	if unicode.Version != version {
		t.Skipf("this Go has Unicode %s, and the tables are made of %s", unicode.Version, version)
	}
	got, err := tables()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../tables.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("data/token/tables.go is not what its generator writes: run go generate ./data/token")
	}
}
