package serve

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/crash"
)

// call is a request on its way.
type call struct {
	*http.Request
	w    http.ResponseWriter
	held int64 // bytes of its body
	in   bool  // it counts among the requests that are worked on
	rows int
}

// route is a path and what answers each of its methods.
type route struct {
	path    string // as [http.ServeMux] has them
	open    bool   // no token is needed
	methods map[string]func(*call) error
}

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// table returns all routes.
func (s *Server) table() []route {
	on := func(method string, do func(*call) error) map[string]func(*call) error {
		return map[string]func(*call) error{method: do}
	}
	return []route{
		{"/{$}", false, map[string]func(*call) error{get: s.page, post: s.page}},
		{"/v1/score", false, on(post, s.score)},
		{"/v1/recommend", false, on(post, s.recommend)},
		{"/v2", false, on(get, s.serverInfo)},
		{"/v2/health/live", true, on(get, s.live)},
		{"/v2/health/ready", true, on(get, s.ready)},
		{"/v2/models", false, on(get, s.list)},
		{"/v2/models/{name}", false, on(get, s.metadata)},
		{"/v2/models/{name}/ready", false, on(get, s.modelReady)},
		{"/v2/models/{name}/infer", false, on(post, s.infer)},
		{"/v2/models/{name}/versions/{version}", false, on(get, s.metadata)},
		{"/v2/models/{name}/versions/{version}/ready", false, on(get, s.modelReady)},
		{"/v2/models/{name}/versions/{version}/infer", false, on(post, s.infer)},
		{"/metrics", false, on(get, func(c *call) error { s.metrics.handler.ServeHTTP(c.w, c.Request); return nil })},
		{"/openapi.json", false, on(get, openAPI)},
	}
}

// routes returns the handler of all requests.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.table() {
		mux.HandleFunc(r.path, func(w http.ResponseWriter, req *http.Request) { s.handle(w, req, r) })
	}
	nothing := route{path: "none", methods: map[string]func(*call) error{}}
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) { s.handle(w, req, nothing) })
	return mux
}

// handle answers a request of a route: it counts and logs it, and makes an answer of errors and panics.
func (s *Server) handle(w http.ResponseWriter, r *http.Request, to route) {
	begin := time.Now()
	out := &recorder{ResponseWriter: w}
	c := &call{Request: r, w: out}
	err := crash.Guard(func() error { return s.answer(c, to) })
	s.bodies.Add(-c.held)
	if c.in {
		s.working.Add(-1)
	}
	if e := new(crash.Error); errors.As(err, &e) {
		s.metrics.panics.Inc()
		s.Log.Error("a request met a defect: report it", "path", r.URL.Path, "error", e, "stack", string(e.Stack))
		if out.code != 0 { // half an answer must not look like one
			panic(http.ErrAbortHandler)
		}
	}
	if err != nil {
		s.fail(out, err)
	}
	took := time.Since(begin)
	s.metrics.request(strings.TrimSuffix(to.path, "{$}"), r.Method, out.code, took)
	if s.LogRequests {
		s.Log.Info("request", "method", r.Method, "path", r.URL.Path, "status", out.code, "rows", c.rows, "seconds", took.Seconds(), "from", r.RemoteAddr)
	}
}

// protection refuses requests that a browser sends from pages of other origins.
var protection = http.NewCrossOriginProtection()

func (s *Server) answer(c *call, to route) error {
	if !to.open {
		if err := s.authorize(c); err != nil {
			return err
		}
	}
	if len(to.methods) == 0 {
		return &failure{code: http.StatusNotFound, msg: "there is nothing at " + quote(c.URL.Path) + "; /openapi.json tells what there is"}
	}
	method := c.Method
	if method == http.MethodHead {
		method = get
	}
	do, ok := to.methods[method]
	if !ok {
		var allowed []string
		for m := range to.methods {
			allowed = append(allowed, m)
		}
		slices.Sort(allowed)
		c.w.Header().Set("Allow", strings.Join(allowed, ", "))
		return &failure{code: http.StatusMethodNotAllowed, msg: quote(c.Method) + " is no method of " + quote(c.URL.Path) + "; want " + strings.Join(allowed, " or ")}
	}
	if err := protection.Check(c.Request); err != nil {
		return &failure{code: http.StatusForbidden, msg: "a page of another origin sent this: " + err.Error()}
	}
	return do(c)
}

// authorize checks the token of a request: a bearer's, or the password of basic authentication, for browsers.
func (s *Server) authorize(c *call) error {
	if s.tokens == nil {
		return nil
	}
	scheme, token, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	if _, password, ok := c.BasicAuth(); ok {
		scheme, token = "bearer", password
	}
	if strings.EqualFold(scheme, "bearer") && (*s.tokens.value.Load()).have(strings.TrimSpace(token)) {
		return nil
	}
	c.w.Header().Add("WWW-Authenticate", `Bearer realm="splice"`)
	if strings.Contains(c.Header.Get("Accept"), "text/html") {
		c.w.Header().Add("WWW-Authenticate", `Basic realm="splice: any name, a token as the password", charset="UTF-8"`)
	}
	return &failure{code: http.StatusUnauthorized, msg: "a token is needed: send the header Authorization: Bearer TOKEN"}
}

// body returns the body of a request, which is worked on from now on if not too many others are.
func (s *Server) body(c *call) ([]byte, error) {
	body, err := s.readBody(c)
	if err != nil {
		return nil, err
	}
	c.in = true
	if s.working.Add(1) > int64(s.Requests) {
		return nil, &failure{code: http.StatusTooManyRequests, msg: "the server works on as many requests as it may: try again in a moment", wait: 1}
	}
	return body, nil
}

// firstRead bounds the bytes that are set aside for a body before any of it has come.
const firstRead = 64 << 10

// readBody reads the body of a request, within the limits of one and of all.
func (s *Server) readBody(c *call) ([]byte, error) {
	if e := c.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, &failure{code: http.StatusUnsupportedMediaType, msg: "the body is encoded as " + quote(e) + ": send it as it is"}
	}
	large := &failure{code: http.StatusRequestEntityTooLarge, msg: fmt.Sprintf("a body may have %d bytes: send fewer rows at once", s.Body)}
	if c.ContentLength > s.Body {
		c.w.Header().Set("Connection", "close")
		return nil, large
	}
	r := http.MaxBytesReader(c.w, c.Request.Body, s.Body)
	body := make([]byte, 0, min(max(c.ContentLength+1, 1<<10), firstRead))
	for {
		if len(body) == cap(body) {
			bigger := make([]byte, len(body), max(2*cap(body), 1<<10))
			copy(bigger, body)
			body = bigger
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		c.held += int64(n)
		if s.bodies.Add(int64(n)) > s.Bodies {
			c.w.Header().Set("Connection", "close")
			return nil, &failure{code: http.StatusTooManyRequests, msg: "the server holds as many bytes of requests as it may: try again in a moment", wait: 1}
		}
		var over *http.MaxBytesError
		switch {
		case errors.Is(err, io.EOF):
			return body, nil
		case errors.As(err, &over):
			return nil, large
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.w.Header().Set("Connection", "close")
			return nil, &failure{code: http.StatusRequestTimeout, msg: "the body came too slowly"}
		case err != nil:
			return nil, refuse("the body cannot be read: %v", err)
		}
	}
}

func (s *Server) live(c *call) error {
	reply(c.w, http.StatusOK, map[string]bool{"live": true})
	return nil
}

func (s *Server) ready(c *call) error {
	code, ready := http.StatusOK, !s.stopping.Load()
	if !ready {
		code = http.StatusServiceUnavailable
	}
	reply(c.w, code, map[string]bool{"ready": ready})
	return nil
}

func (s *Server) serverInfo(c *call) error {
	reply(c.w, http.StatusOK, map[string]any{"name": "splice", "version": versionOfProgram(), "extensions": []string{"binary_tensor_data"}})
	return nil
}

func (s *Server) list(c *call) error {
	names := []string{}
	for _, m := range s.models {
		names = append(names, m.Name)
	}
	reply(c.w, http.StatusOK, map[string][]string{"models": names})
	return nil
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements [http.ResponseWriter].
func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

// Write implements [http.ResponseWriter].
func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets [http.ResponseController] find the writer.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// quote quotes a name that a client sent, shortened.
func quote(name string) string { return strconv.Quote(bound.Name(name)) }
