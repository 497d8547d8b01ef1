package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/run"
)

// TokenVariable is the environment variable of the token that a server wants.
const TokenVariable = "HF_TOKEN"

// Target is where a run is pushed to.
type Target struct {
	URL    string       // of the repository: http or https, a server's address and a name
	Token  string       // for Authorization: Bearer; empty: none
	Client *http.Client // nil: one with the environment's proxies
}

// File returns the URL of a file of the repository, in the layout of Hugging Face's hub.
func (t *Target) File(name string) string {
	return strings.TrimRight(t.URL, "/") + "/resolve/main/" + name
}

// Check reports a URL that nothing can be pushed to. A token goes over an encrypted connection, or to the machine itself.
func (t *Target) Check() error {
	u, err := url.Parse(t.URL)
	switch {
	case err != nil:
		return fmt.Errorf("--push: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("--push %s: want the address of a server and a name, such as https://models.example.org/team/clicks", t.URL)
	case t.Token != "" && u.Scheme == "http" && !local(u.Hostname()):
		return fmt.Errorf("--push %s: %s would go over a connection that is not encrypted: use https, or unset it", t.URL, TokenVariable)
	}
	return nil
}

// local reports whether a host is the machine itself.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Push uploads the files of a run by PUT, each to its place in the repository, the config last. It returns the `fetch:` section, as YAML, by which
// a config gets them, with their checksums.
func Push(ctx context.Context, r *job.Run, t *Target) ([]byte, error) {
	if err := t.Check(); err != nil {
		return nil, run.BadInput(err)
	}
	sums := map[string]string{}
	for _, name := range run.Published(r.Dir) {
		sum, err := t.put(ctx, r.Dir, name)
		if err != nil {
			return nil, fmt.Errorf("push: %s: %w", name, err)
		}
		sums[name] = sum
	}
	to := path.Join("runs", path.Base(strings.TrimRight(t.URL, "/")))
	entry := configs.Fetch{Files: sums, From: []configs.Origin{{URL: t.File(configs.FilePlace)}}}
	return fetchSection(to, entry)
}

// fetchSection is a section `fetch:` with one entry.
func fetchSection(to string, e configs.Fetch) ([]byte, error) {
	type origin struct {
		URL string `yaml:"url"`
	}
	type entry struct {
		Files map[string]string `yaml:"files"`
		From  []origin          `yaml:"from"`
	}
	return yaml.Marshal(map[string]map[string]entry{"fetch": {to: {e.Files, []origin{{e.From[0].URL}}}}})
}

// put uploads a file and returns the SHA-256 of what was sent.
func (t *Target) put(ctx context.Context, dir, name string) (string, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return "", run.BadInput(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, t.File(name), io.TeeReader(f, sum))
	if err != nil {
		return "", run.BadInput(err)
	}
	req.ContentLength = info.Size()
	req.Header.Set("User-Agent", "splice")
	req.Header.Set("Content-Type", "application/octet-stream")
	if t.Token != "" {
		req.Header.Set("Authorization", "Bearer "+t.Token)
	}
	resp, err := t.client().Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		return hex.EncodeToString(sum.Sum(nil)), nil
	}
	return "", t.refused(resp.StatusCode)
}

// client returns one that follows no redirections: a token is for the server that was named.
func (t *Target) client() *http.Client {
	c := http.Client{}
	if t.Client != nil {
		c = *t.Client
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// refused is the error of an answer other than success.
func (t *Target) refused(status int) error {
	err := fmt.Errorf("%s answers %d %s", t.URL, status, http.StatusText(status))
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		if t.Token == "" {
			return run.BadInput(fmt.Errorf("%w: set %s to a token", err, TokenVariable))
		}
		return run.BadInput(fmt.Errorf("%w: the token of %s may not write there", err, TokenVariable))
	case status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented:
		return run.BadInput(fmt.Errorf("%w: it takes no files by PUT", err))
	case status < 500:
		return run.BadInput(err)
	}
	return err
}
