package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// Options say what is served, where, and within which limits.
type Options struct {
	Models []Model
	Listen string // host:port; port 0 is a free one

	TokenFile string // file of the tokens that requests must have one of, one a line; empty: none is needed
	Cert, Key string // files of the certificate and its key, PEM; empty: no TLS

	Poll        time.Duration // how often the runs' directories are looked at; 0: never
	LogRequests bool          // log each request
	Log         *slog.Logger  // nil to log nothing
	Limits
}

// Limits bound what clients can take.
type Limits struct {
	Body        int64         // bytes of a request's body
	Bodies      int64         // bytes of all bodies that are held at once
	Values      int           // values in a request's JSON
	Rows        int           // rows of a request
	Items       int           // items of a row of recommendations
	Batch       int           // rows of requests that are scored together
	Queue       int           // rows that wait to be scored, for each model
	Requests    int           // requests that are worked on at once, from the end of the body
	Connections int           // connections at once; others wait to be accepted
	Wait        time.Duration // from the end of a request's body to its answer
	Read        time.Duration // from a connection's request to the end of its body
	Idle        time.Duration // of a connection between requests
	Stop        time.Duration // for the requests in flight when the server stops
	Header      int           // bytes of a request's header
}

// DefaultLimits returns limits for a server that other services of one network use.
func DefaultLimits() Limits {
	return Limits{
		Body: 8 << 20, Bodies: 64 << 20, Values: 1 << 20, Rows: 4096, Items: 1000, Batch: 252, Queue: 8192, Requests: 512, Connections: 4096,
		Wait: 30 * time.Second, Read: 30 * time.Second, Idle: 2 * time.Minute, Stop: 30 * time.Second, Header: 32 << 10,
	}
}

// Validate reports every limit out of range.
func (l Limits) Validate() error {
	var errs []error
	for _, c := range []struct {
		name string
		n    int64
	}{
		{"bytes of a body", l.Body},
		{"bytes of all bodies", l.Bodies},
		{"values", int64(l.Values)},
		{"rows of a request", int64(l.Rows)},
		{"items", int64(l.Items)},
		{"rows scored together", int64(l.Batch)},
		{"waiting rows", int64(l.Queue)},
		{"requests", int64(l.Requests)},
		{"connections", int64(l.Connections)},
		{"time for an answer", int64(l.Wait)},
		{"time to read", int64(l.Read)},
		{"idle time", int64(l.Idle)},
		{"time to stop", int64(l.Stop)},
		{"bytes of a header", int64(l.Header)},
	} {
		if c.n <= 0 {
			errs = append(errs, fmt.Errorf("the limit of %s must be above 0", c.name))
		}
	}
	if l.Body > l.Bodies {
		errs = append(errs, fmt.Errorf("a body may have %d bytes, all bodies together only %d", l.Body, l.Bodies))
	}
	return errors.Join(errs...)
}

// Model is what is served under a name: a run, or several as one.
type Model struct {
	Name     string
	Dirs     []string // of the runs
	Ensemble string   // of several runs: what their predictions are the mean of, logits or probabilities
	Merge    string   // of several runs: the method by which they are merged, instead
	Set      []string // keys of the runs' configs that are overridden, such as serve.quantize=int8
}

var nameOfModel = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Models returns the models of a list of runs, each DIR or NAME=DIR. The name is that of the directory if none is given. Runs of one name
// are one model: their ensemble, or their merge. set overrides keys of the configs of runs that are not merged.
func Models(runs []string, ensemble, merge string, set ...string) ([]Model, error) {
	var list []Model
	for _, r := range runs {
		name, dir, named := strings.Cut(r, "=")
		if !named || strings.ContainsAny(name, `/\`) {
			dir = r
			abs, err := filepath.Abs(dir)
			if err != nil {
				return nil, err
			}
			name = filepath.Base(abs)
		}
		if !nameOfModel.MatchString(name) {
			return nil, fmt.Errorf("%s: a model cannot be called %q: give it a name of letters, digits, '.', '_' and '-', as NAME=%s", r, name, dir)
		}
		i := slices.IndexFunc(list, func(m Model) bool { return m.Name == name })
		if i < 0 {
			i, list = len(list), append(list, Model{Name: name, Ensemble: ensemble, Merge: merge, Set: set})
		}
		list[i].Dirs = append(list[i].Dirs, dir)
	}
	several := slices.ContainsFunc(list, func(m Model) bool { return len(m.Dirs) > 1 })
	switch {
	case len(list) == 0:
		return nil, errors.New("no run is given")
	case ensemble != "" && merge != "":
		return nil, errors.New("runs of one name are an ensemble or a merge, not both")
	case merge != "" && len(set) > 0:
		return nil, errors.New("keys of a config cannot be set for runs that are merged in memory")
	case (ensemble != "" || merge != "") && !several:
		return nil, errors.New("an ensemble and a merge are of several runs: give them one name, as NAME=DIR")
	}
	return list, nil
}

// workers is how many batches of a model are scored at once.
func workers() int { return runtime.GOMAXPROCS(0) }

// scoring counts the workers of all queues that score.
var scoring atomic.Int64

// share counts workers, and shares the processors out: one that scores alone has them all, several have one each, so that none waits for a thread
// that has no processor.
func share(change int64) {
	threads := 1
	if scoring.Add(change) < 2 {
		threads = workers()
	}
	kernel.SetThreads(threads)
}
