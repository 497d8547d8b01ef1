// Package serve answers requests over HTTP with the predictions of runs: the Open Inference Protocol, routes for rows as JSON, metrics, and a page
// to try a row. Requests that wait are scored together; a run that changes is loaded again between requests.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/train/run"
)

// Server serves models. It is made by [New].
type Server struct {
	Options
	models      []*served
	metrics     *metrics
	tokens      *watched[tokens]
	certificate *watched[tls.Certificate]
	handler     http.Handler
	bodies      atomic.Int64 // bytes of bodies that are held
	working     atomic.Int64 // requests whose body has come
	stopping    atomic.Bool
}

// ballast is bytes that a server that runs counts as used and never touches, so that of a small model too the garbage collector waits for as many
// bytes of garbage: each collection stops all requests for a moment.
const ballast = 64 << 20

// writing is how long an answer may take to be sent.
const writing = 30 * time.Second

// errStopping says that the server stops.
var errStopping error = &failure{code: http.StatusServiceUnavailable, msg: "the server is stopping", wait: 1}

// New loads the models. Errors say what of the options is wrong, or which run cannot be opened. Close frees the models.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.Validate(); err != nil {
		return nil, run.BadInput(fmt.Errorf("serve: %w", err))
	}
	s := &Server{Options: o}
	var err error
	if o.TokenFile != "" {
		if s.tokens, err = watch(func() (tokens, error) { return readTokens(o.TokenFile) }, o.TokenFile); err != nil {
			return nil, run.BadInput(fmt.Errorf("serve: %w", err))
		}
	}
	if (o.Cert == "") != (o.Key == "") {
		return nil, run.BadInput(errors.New("serve: a certificate and its key belong together: give both files"))
	}
	if o.Cert != "" {
		if s.certificate, err = watch(func() (tls.Certificate, error) { return readCertificate(o.Cert, o.Key) }, o.Cert, o.Key); err != nil {
			return nil, run.BadInput(fmt.Errorf("serve: %w", err))
		}
	}
	for _, m := range o.Models {
		s.models = append(s.models, &served{Model: m, limits: o.Limits, log: o.Log})
	}
	s.metrics = newMetrics(s)
	for _, m := range s.models {
		m.metrics = s.metrics
		if err := m.start(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	s.handler = s.routes()
	return s, nil
}

// start loads the first version of a model.
func (m *served) start(ctx context.Context) error {
	v, stamps, err := m.load(ctx, nil)
	if err != nil {
		return err
	}
	m.stamps, m.last = stamps, stamps
	m.swap(v)
	m.log.Info("loaded", "model", m.Name, "version", v.short(), "runs", m.Dirs, "predicts", string(v.output), "seconds", time.Since(v.loaded).Seconds())
	return nil
}

// Close frees the models once their last requests are answered.
func (s *Server) Close() error {
	for _, m := range s.models {
		m.swap(nil)
	}
	return nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Reload looks at the runs' files, the tokens and the certificate. What has changed is taken over, now also what changed a moment ago.
func (s *Server) Reload(ctx context.Context, now bool) {
	s.tokens.refresh(now, s.Log)
	s.certificate.refresh(now, s.Log)
	for _, m := range s.models {
		m.refresh(ctx, now)
	}
}

// watch reloads every Poll, and at once when the channel says so, until ctx ends.
func (s *Server) watch(ctx context.Context, now <-chan os.Signal) {
	var tick <-chan time.Time
	if s.Poll > 0 {
		t := time.NewTicker(s.Poll)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			s.Reload(ctx, false)
		case <-now:
			s.Reload(ctx, true)
		}
	}
}

// Run serves until ctx ends: then it is no longer ready, takes no new requests, and waits for those in flight, at most for the limit Stop. now asks
// for a reload; it may be nil. listening, if it is not nil, is called with the server's address.
func (s *Server) Run(ctx context.Context, now <-chan os.Signal, listening func(url string)) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return run.BadInput(fmt.Errorf("serve: %w", err))
	}
	defer runtime.KeepAlive(make([]byte, ballast))
	url := "http://" + l.Addr().String()
	srv := &http.Server{
		Handler: s, ReadHeaderTimeout: min(s.Read, 10*time.Second), ReadTimeout: s.Read, WriteTimeout: s.Read + s.Wait + writing, IdleTimeout: s.Idle,
		MaxHeaderBytes: s.Header, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() && s.tokens == nil {
		s.Log.Warn("other machines can reach the server, and no token is asked for: give a file of tokens", "address", a.String())
	}
	l = limit(l, s.Connections)
	if s.certificate != nil {
		url = "https" + url[len("http"):]
		l = tls.NewListener(l, &tls.Config{NextProtos: []string{"http/1.1"}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.certificate.value.Load(), nil
		}})
	}
	watching, end := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	tasks.Go(func() { s.watch(watching, now) })
	served := make(chan error, 1)
	tasks.Go(func() { served <- srv.Serve(l) })
	s.Log.Info("listening", "url", url)
	if listening != nil {
		listening(url)
	}
	select {
	case err = <-served:
		err = fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		err = s.stop(srv)
	}
	end()
	tasks.Wait()
	return err
}

// stop ends the server when the requests in flight are answered.
func (s *Server) stop(srv *http.Server) error {
	s.stopping.Store(true)
	s.Log.Info("stopping: requests in flight are answered first", "most", s.Stop.String())
	ctx, cancel := context.WithTimeout(context.Background(), s.Stop)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("serve: requests were cut off after %v: %w", s.Stop, err), srv.Close())
	}
	s.Log.Info("stopped")
	return nil
}

// ask scores the rows of a request.
func (s *Server) ask(c *call, v *version, rows []splice.Row, k int) (answer, error) {
	c.rows = len(rows)
	ctx, cancel := context.WithTimeout(c.Context(), s.Wait)
	defer cancel()
	return v.queue.do(ctx, rows, k)
}

// versionOfProgram is the module's version, as the build says.
func versionOfProgram() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
