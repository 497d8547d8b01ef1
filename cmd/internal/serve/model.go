package serve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/train/run"
)

// version is a model as it was loaded. It is closed when it is no longer the current one and its last request has been answered.
type version struct {
	run     *splice.Run
	columns []splice.Column
	output  splice.Output
	digest  string // of the model's file, or of those of several
	all     string // of all files
	loaded  time.Time
	queue   *queue
	refs    atomic.Int64 // requests and workers, and one if it is the current version
	close   func()
}

// hold keeps the version open. It is false if the version is closed already.
func (v *version) hold() bool {
	for {
		n := v.refs.Load()
		if n == 0 {
			return false
		}
		if v.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release ends a hold.
func (v *version) release() {
	if v.refs.Add(-1) == 0 {
		v.close()
	}
}

// predict returns what the run predicts of rows.
func (v *version) predict(ctx context.Context, rows []splice.Row, k int) (a answer, err error) {
	switch v.output {
	case splice.OutputClass:
		a.classes, err = v.run.Classify(ctx, rows)
	case splice.OutputItems:
		a.items, err = v.run.Recommend(ctx, rows, k)
	case splice.OutputTasks:
		a.tasks, err = v.run.ScoreTasks(ctx, rows)
	default:
		a.scores, err = v.run.Score(ctx, rows)
	}
	return a, err
}

// short is the digest as a name of the version.
func (v *version) short() string { return v.digest[:12] }

// served is a model and its current version.
type served struct {
	Model
	limits  Limits
	log     *slog.Logger
	metrics *metrics
	current atomic.Pointer[version]

	mu      sync.Mutex // one refresh at a time
	stamps  []run.Stamp
	refused []run.Stamp // of files that could not be opened
	last    []run.Stamp // of the last look
	waiting bool        // for a command that writes
}

// acquire returns the current version, to be released; nil if the server has stopped.
func (m *served) acquire() *version {
	for {
		v := m.current.Load()
		if v == nil || v.hold() {
			return v
		}
	}
}

func (m *served) look() []run.Stamp {
	var list []run.Stamp
	for _, dir := range m.Dirs {
		list = append(list, run.StampOf(dir))
	}
	return list
}

func same(a, b []run.Stamp) bool { return slices.EqualFunc(a, b, run.Stamp.Equal) }

// errChanging says that files changed while they were read.
var errChanging = errors.New("the run's files change while they are read")

// load opens the model. If its files hold what those of the version old did, it returns old.
func (m *served) load(ctx context.Context, old *version) (*version, []run.Stamp, error) {
	before := m.look()
	v := &version{loaded: time.Now()}
	var digests []string
	sum := sha256.New()
	for _, dir := range m.Dirs {
		digest, all, err := run.Sums(dir)
		if err != nil {
			return nil, before, err
		}
		digests = append(digests, digest)
		fmt.Fprintln(sum, all)
	}
	v.all = hex.EncodeToString(sum.Sum(nil))
	if old != nil && old.all == v.all {
		return old, before, nil
	}
	err := crash.Guard(func() (err error) {
		if m.Merge != "" && len(m.Dirs) > 1 {
			v.run, err = splice.OpenMerged(ctx, m.Merge, m.Dirs...)
		} else {
			v.run, err = splice.OpenEnsemble(m.Ensemble, m.Dirs, m.Set...)
		}
		return err
	})
	if err != nil {
		return nil, before, err
	}
	if v.columns, err = v.run.Columns(); err == nil && !same(before, m.look()) {
		err = errChanging
	}
	if err != nil {
		return nil, before, errors.Join(err, v.run.Close())
	}
	if v.digest = digests[0]; len(digests) > 1 {
		both := sha256.Sum256(fmt.Append(nil, digests))
		v.digest = hex.EncodeToString(both[:])
	}
	v.output = v.run.Output()
	v.refs.Store(1)
	v.close = func() {
		if err := v.run.Close(); err != nil {
			m.log.Error("a model was not freed", "model", m.Name, "error", err)
		}
	}
	v.queue = &queue{
		predict: v.predict, limits: m.limits, workers: workers(), observe: func(requests, rows int) { m.metrics.batch(m.Name, requests, rows) },
		begin: func() func() {
			v.refs.Add(1) // a request holds the version
			share(1)
			return func() { share(-1); v.release() }
		},
	}
	return v, before, nil
}

// swap makes v the current version.
func (m *served) swap(v *version) {
	if old := m.current.Swap(v); old != nil {
		old.release()
	}
}

// refresh looks at the runs' files and loads the model again if they hold another one. Files that a command is writing, and those that changed
// since the last look, are left for the next one, unless now is true. What cannot be opened is refused, and the version that is there stays.
func (m *served) refresh(ctx context.Context, now bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stamps := m.look()
	settled := same(stamps, m.last) || now
	m.last = stamps
	if !now && (same(stamps, m.stamps) || same(stamps, m.refused)) {
		m.waiting = false
		return
	}
	if slices.ContainsFunc(m.Dirs, run.Held) {
		if !m.waiting {
			m.log.Info("a command writes into the run: the model stays until it is done", "model", m.Name)
		}
		m.waiting = true
		return
	}
	m.waiting = false
	if !settled {
		return
	}
	old := m.current.Load()
	v, stamps, err := m.load(ctx, old)
	switch {
	case ctx.Err() != nil:
		if err == nil && v != old {
			v.release()
		}
	case errors.Is(err, errChanging):
	case err != nil:
		m.refused = stamps
		m.metrics.reloads.WithLabelValues(m.Name, "refused").Inc()
		m.log.Error("the run is refused, and the model before it stays", "model", m.Name, "version", old.short(), "error", err)
	case v == old:
		m.stamps, m.refused = stamps, nil
	default:
		m.warm(ctx, v)
		m.stamps, m.refused = stamps, nil
		if !slices.Equal(v.columns, old.columns) || v.output != old.output {
			m.log.Warn("the new run wants other columns, or predicts something else, than the one before", "model", m.Name)
		}
		m.swap(v)
		m.metrics.reloads.WithLabelValues(m.Name, "done").Inc()
		m.log.Info("reloaded", "model", m.Name, "version", v.short(), "seconds", time.Since(v.loaded).Seconds())
	}
}

// warm compiles programs of a new version while the one before still answers: for a row, and for two.
func (m *served) warm(ctx context.Context, v *version) {
	row := splice.Row{}
	for _, c := range v.columns {
		row[c.Name] = nil
	}
	for n := 1; n <= 2; n++ { // an error would be one of blank rows
		_ = crash.Guard(func() error { _, err := v.predict(ctx, slices.Repeat([]splice.Row{row}, n), 1); return err })
	}
}
