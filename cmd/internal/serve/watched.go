package serve

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/splice-ml/splice/data/bound"
)

// watched is what files say, read again when they change. If they cannot be read, it stays.
type watched[T any] struct {
	paths []string
	read  func() (T, error)
	value atomic.Pointer[T]
	seen  []fs.FileInfo
}

func watch[T any](read func() (T, error), paths ...string) (*watched[T], error) {
	w := &watched[T]{paths: paths, read: read, seen: infos(paths)}
	v, err := read()
	w.value.Store(&v)
	return w, err
}

func infos(paths []string) []fs.FileInfo {
	var list []fs.FileInfo
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			info = nil
		}
		list = append(list, info)
	}
	return list
}

// refresh reads the files again if they have changed, or now.
func (w *watched[T]) refresh(now bool, log *slog.Logger) {
	if w == nil {
		return
	}
	list := infos(w.paths)
	changed := now
	for i, info := range list {
		was := w.seen[i]
		changed = changed || (info == nil) != (was == nil) || info != nil && !(os.SameFile(info, was) && info.ModTime().Equal(was.ModTime()) && info.Size() == was.Size())
	}
	if !changed {
		return
	}
	w.seen = list
	v, err := w.read()
	if err != nil {
		log.Error("files that changed are not used", "error", err)
		return
	}
	w.value.Store(&v)
	log.Info("read again", "files", w.paths)
}

// readCertificate reads a certificate and its key.
func readCertificate(cert, key string) (tls.Certificate, error) {
	c, err := bound.ReadFile(cert, bound.Config)
	if err != nil {
		return tls.Certificate{}, err
	}
	k, err := bound.ReadFile(key, bound.Config)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(c, k)
	if err != nil {
		err = fmt.Errorf("%s, %s: %w", cert, key, err)
	}
	return pair, err
}

// tokens are the sums of the tokens that requests may have.
type tokens [][sha256.Size]byte

// readTokens reads a file of tokens, one a line.
func readTokens(path string) (tokens, error) {
	text, err := bound.ReadFile(path, bound.Config)
	if err != nil {
		return nil, err
	}
	var list tokens
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			list = append(list, sha256.Sum256(line))
		}
	}
	if len(list) == 0 {
		return nil, errors.New(path + ": there is no token in it: write one a line")
	}
	return list, nil
}

// have reports whether a token is one of them, in a time that tells nothing about them.
func (t tokens) have(token string) bool {
	sum, found := sha256.Sum256([]byte(token)), 0
	for _, want := range t {
		found |= subtle.ConstantTimeCompare(sum[:], want[:])
	}
	return found == 1
}
