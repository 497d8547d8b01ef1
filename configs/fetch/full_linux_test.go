package fetch_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/fetch"
)

// A disk that is full is not a source that does not answer, for which a config may have a fallback.
func TestFullDisk(t *testing.T) {
	text := []byte("0123456789")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }))
	defer s.Close()
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, "x.part")); err != nil {
		t.Fatal(err)
	}
	e := configs.Fetch{To: dir, Files: map[string]string{"x": sum(text)}, From: []configs.Origin{{URL: s.URL + "/{file}"}}}
	if err := new(fetch.Fetcher).Get(t.Context(), e); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, fetch.ErrUnavailable) {
		t.Errorf("error %v, want that of a full disk", err)
	}
}
