package serve

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestDefects checks that a handler that panics, or fails, is a 500 that tells the client nothing, with a line in the log; and that an
// answer that has begun is cut off.
func TestDefects(t *testing.T) {
	var log bytes.Buffer
	s := &Server{Options: Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Limits: DefaultLimits()}}
	s.metrics = newMetrics(s)
	get := func(do func(*call) error) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.handle(w, httptest.NewRequest(http.MethodGet, "/x", nil), route{path: "/x", methods: map[string]func(*call) error{http.MethodGet: do}})
		return w
	}
	for name, do := range map[string]func(*call) error{
		"a panic":     func(*call) error { panic("secret of a panic") },
		"an error":    func(*call) error { return errors.New("secret of an error") },
		"no such nil": func(c *call) error { var v *version; _ = v.short(); return nil },
	} {
		log.Reset()
		w := get(do)
		if w.Code != 500 || !strings.Contains(w.Body.String(), `{"error":"internal error`) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: status %d, %s", name, w.Code, w.Body)
		}
		if !strings.Contains(log.String(), "level=ERROR") || name != "no such nil" && !strings.Contains(log.String(), "secret") {
			t.Errorf("%s: the log is %q", name, &log)
		}
	}
	func() {
		defer func() {
			if r := recover(); r != http.ErrAbortHandler {
				t.Errorf("half an answer ends with %v", r)
			}
		}()
		get(func(c *call) error { reply(c.w, 200, "half"); panic("late") })
	}()
	w := httptest.NewRecorder()
	s.metrics.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{"splice_panics_total 3", `splice_requests_total{code="500",method="GET",route="/x"} 3`} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("metrics lack %s", line)
		}
	}
}
