package export_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/splice-ml/splice/configs/job"
)

// TestMain runs the tests where configs find their files.
func TestMain(m *testing.M) {
	if err := os.Chdir(filepath.Join("..", "..")); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// trained returns a small run.
func trained(t *testing.T) *job.Run { return trainedOn(t, "configs/smoke_deepfm.yaml") }

// mirror is a server that keeps what is put there by those who have a token.
type mirror struct {
	*httptest.Server
	token string
	files map[string][]byte
	order []string
}

func newMirror(t *testing.T, token string) *mirror {
	m := &mirror{token: token, files: map[string][]byte{}}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && m.token != "" && r.Header.Get("Authorization") != "Bearer "+m.token:
			http.Error(w, "no", http.StatusUnauthorized)
		case r.Method == http.MethodPut:
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			m.files[r.URL.Path], m.order = b, append(m.order, r.URL.Path)
			w.WriteHeader(http.StatusCreated)
		case m.files[r.URL.Path] == nil:
			http.NotFound(w, r)
		default:
			_, _ = w.Write(m.files[r.URL.Path])
		}
	}))
	t.Cleanup(m.Close)
	return m
}
