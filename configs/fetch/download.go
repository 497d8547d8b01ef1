package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/splice-ml/splice/data/atomicfile"
)

const (
	defaultWait  = 4 * time.Second
	defaultStall = 30 * time.Second
	attempts     = 4 // of a file whose transfer breaks off
)

// checksumError is a file that is not the one it should be.
type checksumError struct{ url, have, want string }

func (e *checksumError) Error() string {
	return fmt.Sprintf("%s: SHA-256 is %s, want %s: the file is another one than the config names, or damaged on the way; it was not kept",
		e.url, e.have, e.want)
}

// wanted is what a download should be.
type wanted struct {
	sum    string // SHA-256, empty if it is not known
	resume bool   // what was received may be the begin of it
	limit  int64  // bytes
}

// sizeError is a file of more bytes than are wanted.
type sizeError struct {
	url   string
	limit int64
}

func (e *sizeError) Error() string {
	return fmt.Sprintf("%s: sends more than the %d bytes that max_bytes allows: it was not kept; set max_bytes of the entry if the file is as "+
		"large as that", e.url, e.limit)
}

// download gets a URL into a file. What was received goes to the file's name with .part first; with resume a later call goes on
// from there, if the server sends parts of files. What cannot be resumed is removed.
func (f *Fetcher) download(ctx context.Context, from, to string, want wanted) error {
	part := to + ".part"
	parts, err := f.attempts(ctx, from, to, want)
	var large *sizeError
	if err != nil && (errors.As(err, &large) || !want.resume || !parts) {
		err = errors.Join(err, os.RemoveAll(part))
	}
	return err
}

// attempts is download, which says besides whether the server sends parts of files, as far as that is known.
func (f *Fetcher) attempts(ctx context.Context, from, to string, want wanted) (parts bool, err error) {
	sum, resume := want.sum, want.resume
	parts = true
	u, err := url.Parse(from)
	if err != nil {
		return parts, err
	}
	if err := f.down[u.Host]; err != nil {
		return parts, err
	}
	part := to + ".part"
	if !resume {
		if err := os.RemoveAll(part); err != nil {
			return parts, err
		}
	}
	for n := 1; ; n++ {
		before := size(part)
		err := f.transfer(ctx, from, part, want.limit, &parts)
		if err == nil {
			have, err := digest(part)
			if err != nil {
				return parts, err
			}
			if sum == "" || have == sum {
				f.log().Info("fetched", "url", from, "bytes", size(part), "sha256", have)
				return parts, atomicfile.Rename(part, to)
			}
			if err := os.Remove(part); err != nil {
				return parts, err
			}
			if before == 0 {
				return parts, &checksumError{from, have, sum}
			}
			f.log().Warn("what was resumed is not the file: starting anew", "url", from)
			continue
		}
		var broken *brokenError
		switch {
		case ctx.Err() != nil:
			return parts, ctx.Err()
		case errors.As(err, &broken) && size(part) > before && n < attempts:
			f.log().Warn("the transfer broke off: going on", "url", from, "at", size(part), "error", err)
			if resume {
				continue
			}
			if err := os.Remove(part); err != nil {
				return parts, err
			}
			continue
		case errors.Is(err, errSilent):
			if f.down == nil {
				f.down = map[string]error{}
			}
			f.down[u.Host] = fmt.Errorf("%w: %s does not answer", ErrUnavailable, u.Host)
		}
		return parts, err
	}
}

// brokenError is a transfer that began and broke off.
type brokenError struct{ error }

func (e *brokenError) Unwrap() error { return e.error }

// errSilent is a server that is not reached.
var errSilent = errors.New("no answer")

// transfer makes one request and appends what comes to the file, from the byte on that it ends with. parts becomes false if the server
// does not send parts of files.
func (f *Fetcher) transfer(ctx context.Context, from, part string, limit int64, parts *bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	wait, stall := f.Wait, f.Stall
	if wait == 0 {
		wait = defaultWait
	}
	if stall == 0 {
		stall = defaultStall
	}
	watch := time.AfterFunc(wait, func() { cancel(fmt.Errorf("nothing came for %s", wait)) })
	defer watch.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "splice")
	req.Header.Set("Accept-Encoding", "identity") // bytes are counted
	have := size(part)
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	client := f.Client
	if client == nil {
		client = http.DefaultClient
	}
	r, err := client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("%s: %w", from, cause)
		}
		return fmt.Errorf("%w: %w: %w", ErrUnavailable, errSilent, err)
	}
	defer r.Body.Close()
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	switch {
	case r.StatusCode == http.StatusPartialContent && strings.HasPrefix(r.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
	case r.StatusCode == http.StatusOK:
		*parts = have == 0 && r.Header.Get("Accept-Ranges") == "bytes"
		have, flags = 0, os.O_CREATE|os.O_WRONLY|os.O_TRUNC
	case r.StatusCode == http.StatusRequestedRangeNotSatisfiable && r.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", have):
		return nil // all of it is there
	case have > 0 && r.StatusCode < http.StatusInternalServerError:
		if err := os.Remove(part); err != nil {
			return err
		}
		return f.transfer(ctx, from, part, limit, parts)
	default:
		return fmt.Errorf("%w: %s: the server says %s", ErrUnavailable, from, r.Status)
	}
	if have+r.ContentLength > limit {
		return &sizeError{from, limit}
	}
	out, err := os.OpenFile(part, flags, 0o666)
	if err != nil {
		return err
	}
	f.log().Info("fetching", "url", from, "bytes", r.ContentLength, "after", have)
	w := io.Writer(out)
	if f.Progress != nil {
		bar := f.bar(path.Base(req.URL.EscapedPath()), have, r.ContentLength)
		defer func() { _ = bar.Clear() }()
		w = io.MultiWriter(out, bar)
	}
	n, err := io.Copy(w, io.LimitReader(&watched{r.Body, watch, stall}, limit-have+1)) // the length that the server says need not be true
	switch {
	case have+n > limit:
		err = &sizeError{from, limit}
	case errors.As(err, new(*fs.PathError)): // it cannot be written here: the source is not to blame
	case err != nil:
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		err = &brokenError{fmt.Errorf("%w: %s: %w", ErrUnavailable, from, err)}
	default:
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// watched is the body of an answer; each piece of it winds the watch up.
type watched struct {
	io.Reader
	watch *time.Timer
	stall time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	w.watch.Reset(w.stall)
	return w.Reader.Read(p)
}

func (f *Fetcher) bar(name string, have, length int64) *progressbar.ProgressBar {
	if length >= 0 {
		length += have
	}
	bar := progressbar.NewOptions64(length, progressbar.OptionSetWriter(f.Progress), progressbar.OptionSetDescription(name),
		progressbar.OptionSetWidth(24),
		progressbar.OptionShowBytes(true), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond))
	_ = bar.Set64(have)
	return bar
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// digest returns the SHA-256 of a file.
func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
