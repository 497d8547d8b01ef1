package serve_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splice-ml/splice/cmd/internal/serve"
)

// dial opens a connection to a server that listens.
func dial(t testing.TB, s *running) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

const goodBody = `{"rows":[{"user":"u1","ad":101,"tags":["new"],"price":2.5}]}`

// TestOverload sends more rows than may wait: some requests are refused with Retry-After, the others are answered, and then all are again.
func TestOverload(t *testing.T) {
	body := marshal(map[string]any{"rows": rowsOf(clicks())})
	for name, limit := range map[string]func(o *serve.Options){
		"rows": func(o *serve.Options) { o.Queue, o.Batch = 4, 2 }, "requests": func(o *serve.Options) { o.Requests, o.Queue = 3, 1<<30 },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, "m="+trained(t, clicksConfig, 1))
			limit(&o)
			overload(t, start(t, o), body)
		})
	}
}

func overload(t *testing.T, s *serve.Server, body string) {
	t.Helper()
	var wg sync.WaitGroup
	codes := make([]int, 200)
	for i := range codes {
		wg.Go(func() {
			w := ask(s, "POST", "/v1/score", body)
			if codes[i] = w.Code; w.Code == 429 && w.Header().Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
	wg.Wait()
	count := map[int]int{}
	for _, code := range codes {
		count[code]++
	}
	if count[200] == 0 || count[429] == 0 || count[200]+count[429] != len(codes) {
		t.Errorf("statuses %v, want some of 200 and of 429, and no others", count)
	}
	want(t, ask(s, "POST", "/v1/score", body), 200, nil)
}

// TestBodies checks that bodies are bounded: each, and all that are held at once.
func TestBodies(t *testing.T) {
	o := options(t, "m="+trained(t, clicksConfig, 1))
	o.Body, o.Bodies, o.Read = 1<<20, 1<<20, 20*time.Second
	s := listen(t, o, nil)
	const size = 100 << 20
	for name, length := range map[string]int64{"a length of 100 MB": size, "100 MB in chunks": -1} {
		r, err := http.NewRequest("POST", s.url+"/v1/score", io.LimitReader(spaces{}, size))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = length
		resp, err := http.DefaultClient.Do(r)
		if err != nil { // the server closed the connection while the body was being sent
			t.Logf("%s: %v", name, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != 413 {
			t.Errorf("%s: status %d, want 413", name, resp.StatusCode)
		}
	}
	// A client that holds nearly all of the room sends its body slowly.
	slow := dial(t, s)
	half := strings.Repeat(" ", 1<<20-len(goodBody))
	io.WriteString(slow, "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n"+half)
	held := fmt.Sprintf("splice_body_bytes %v\n", float64(len(half)))
	for end := time.Now().Add(10 * time.Second); !strings.Contains(ask(s.Server, "GET", "/metrics", "").Body.String(), held); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the metrics never have %q", held)
		}
	}
	code, _, err := post(http.DefaultClient, s.url+"/v1/score", goodBody+strings.Repeat(" ", len(goodBody)))
	if err != nil {
		t.Fatal(err)
	}
	if code != 429 {
		t.Errorf("status %d, want 429 while a client holds the room", code)
	}
	io.WriteString(slow, goodBody)
	answer := make([]byte, 12)
	if _, err := io.ReadFull(slow, answer); err != nil || string(answer) != "HTTP/1.1 200" {
		t.Errorf("the slow client gets %q, %v", answer, err)
	}
	if code, text, err := post(http.DefaultClient, s.url+"/v1/score", goodBody); code != 200 {
		t.Errorf("afterwards: status %d, %s, %v", code, text, err)
	}
}

// spaces is an endless body.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestSlowClients checks that clients that send nothing more are let go, and that they do not keep others waiting.
func TestSlowClients(t *testing.T) {
	o := options(t, "m="+trained(t, clicksConfig, 1))
	o.Read, o.Idle, o.Header = 200*time.Millisecond, 200*time.Millisecond, 1<<10
	s := listen(t, o, nil)
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // the server closes idle connections soon
	for name, tc := range map[string]struct{ send, want string }{
		"nothing":        {"", ""},
		"half a header":  {"POST /v1/score HTTP/1.1\r\nHost: x\r\nCont", ""},
		"half a body":    {"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{", "HTTP/1.1 408"},
		"nothing more":   {"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
		"a large header": {"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 10<<10) + "\r\n\r\n", "HTTP/1.1 431"},
		"no HTTP":        {"hello\r\n\r\n", "HTTP/1.1 400"},
	} {
		c := dial(t, s)
		begin := time.Now()
		io.WriteString(c, tc.send)
		got, _ := io.ReadAll(c) // until the server closes it
		if !strings.HasPrefix(string(got), tc.want) || tc.want == "" && strings.Contains(string(got), " 200") {
			t.Errorf("%s: answer %.100q, want %q", name, got, tc.want)
		}
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("%s: let go after %v", name, took)
		}
		if code, _, err := post(fresh, s.url+"/v1/score", goodBody); code != 200 {
			t.Errorf("beside %s: status %d, %v", name, code, err)
		}
	}
}

func TestConnections(t *testing.T) {
	o := options(t, "m="+trained(t, clicksConfig, 1))
	o.Connections = 1
	s := listen(t, o, nil)
	first, second := dial(t, s), dial(t, s)
	const request = "GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
	answer := make([]byte, 12)
	io.WriteString(first, request)
	if _, err := io.ReadFull(first, answer); err != nil {
		t.Fatal(err)
	}
	io.WriteString(second, request)
	second.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := second.Read(answer); err == nil {
		t.Errorf("a second connection is answered: %q", answer[:n])
	}
	first.Close()
	second.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(second, answer); err != nil || string(answer) != "HTTP/1.1 200" {
		t.Errorf("after the first one has gone: %q, %v", answer, err)
	}
}

// TestStop checks that requests in flight are answered when the server stops, and that it is not ready meanwhile.
func TestStop(t *testing.T) {
	s := listen(t, options(t, "m="+trained(t, clicksConfig, 1)), nil)
	c := dial(t, s)
	io.WriteString(c, "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: "+big.NewInt(int64(len(goodBody))).String()+"\r\n\r\n"+goodBody[:20])
	waitFor(t, func() bool {
		return strings.Contains(ask(s, "GET", "/metrics", "").Body.String(), "splice_body_bytes 20")
	})
	done := make(chan error, 1)
	go func() { done <- s.stop() }()
	waitFor(t, func() bool { return ask(s, "GET", "/v2/health/ready", "").Code == 503 })
	want(t, ask(s, "GET", "/v2/health/live", ""), 200, nil)
	select {
	case err := <-done:
		t.Fatalf("stopped while a request is in flight: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	io.WriteString(c, goodBody[20:])
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200") || !strings.Contains(string(got), `"scores":[`) {
		t.Errorf("the request in flight gets %.200q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), time.Second); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

// TestStopCutsOff checks that a request that does not end is cut off when its time is over, and that the error says so.
func TestStopCutsOff(t *testing.T) {
	o := options(t, "m="+trained(t, clicksConfig, 1))
	o.Stop = 100 * time.Millisecond
	s := listen(t, o, nil)
	c := dial(t, s)
	io.WriteString(c, "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
	waitFor(t, func() bool {
		return strings.Contains(ask(s, "GET", "/metrics", "").Body.String(), "splice_body_bytes 1")
	})
	if err := s.stop(); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("error %v, want that a request was cut off", err)
	}
}

func waitFor(t testing.TB, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to be")
		}
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := options(t, "m="+trained(t, clicksConfig, 1))
	o.Listen = l.Addr().String()
	if err := start(t, o).Run(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), o.Listen) {
		t.Errorf("error %v, want one of %s", err, o.Listen)
	}
}

// TestOpenWithoutToken checks that a server that other machines reach without a token says so.
func TestOpenWithoutToken(t *testing.T) {
	for listenOn, warns := range map[string]bool{"0.0.0.0:0": true, "127.0.0.1:0": false} {
		var log lockedBuffer
		o := options(t, "m="+trained(t, clicksConfig, 1))
		o.Listen, o.Log = listenOn, slog.New(slog.NewTextHandler(&log, nil))
		s := listen(t, o, nil)
		s.stop()
		if got := strings.Contains(log.String(), "no token is asked for"); got != warns {
			t.Errorf("%s: warned: %v, want %v:\n%s", listenOn, got, warns, log.String())
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("secret\n old one \n")
	o := options(t, "m="+trained(t, clicksConfig, 1))
	o.TokenFile = path
	s := start(t, o)
	check := func(code int, headers ...string) {
		t.Helper()
		for _, path := range []string{"/", "/v2", "/v2/models/m", "/metrics", "/openapi.json"} {
			if w := ask(s, "GET", path, "", headers...); w.Code != code || code == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %q: status %d, want %d", path, headers, w.Code, code)
			}
		}
		if w := ask(s, "POST", "/v1/score", goodBody, headers...); w.Code != code {
			t.Errorf("a score with %q: status %d, want %d", headers, w.Code, code)
		}
	}
	check(401)
	check(401, "Authorization", "Bearer secre")
	check(401, "Authorization", "Bearer ")
	check(401, "Authorization", "Basic secret")
	check(200, "Authorization", "Bearer secret")
	check(200, "Authorization", "bearer old one")
	check(200, "Authorization", "Basic YW55OnNlY3JldA==") // any:secret
	check(401, "Authorization", "Basic c2VjcmV0OmFueQ==") // secret:any
	want(t, ask(s, "GET", "/v2/health/live", ""), 200, nil)
	want(t, ask(s, "GET", "/v2/health/ready", ""), 200, nil)
	want(t, ask(s, "GET", "/nothing", ""), 401, nil) // tells nobody what there is
	if w := ask(s, "GET", "/", "", "Accept", "text/html"); !strings.Contains(strings.Join(w.Header()["Www-Authenticate"], ","), "Basic") {
		t.Error("a browser is not asked for a token")
	}
	write("another\n")
	s.Reload(t.Context(), true)
	check(401, "Authorization", "Bearer secret")
	check(200, "Authorization", "Bearer another")
	write("\n") // one that cannot be used leaves the tokens as they are
	s.Reload(t.Context(), true)
	check(200, "Authorization", "Bearer another")
}

// certificate writes a certificate for 127.0.0.1 that is its own authority, and its key.
func certificate(t testing.TB, cert, key string) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	o := options(t, "m="+trained(t, clicksConfig, 1))
	o.Cert, o.Key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := certificate(t, o.Cert, o.Key)
	s := listen(t, o, nil)
	score := func(pool *x509.CertPool) (int, error) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
		defer client.CloseIdleConnections()
		code, _, err := post(client, s.url+"/v1/score", goodBody)
		return code, err
	}
	if !strings.HasPrefix(s.url, "https://") {
		t.Errorf("url %s", s.url)
	}
	if code, err := score(pool); code != 200 {
		t.Errorf("status %d, %v", code, err)
	}
	if code, _, _ := post(http.DefaultClient, strings.Replace(s.url, "https", "http", 1)+"/v1/score", goodBody); code == 200 {
		t.Error("without TLS it answers too")
	}
	other := certificate(t, o.Cert, o.Key)
	s.Reload(t.Context(), true)
	if code, err := score(other); code != 200 {
		t.Errorf("with the new certificate: status %d, %v", code, err)
	}
	if _, err := score(pool); err == nil {
		t.Error("the old certificate is still shown")
	}
}
