package search

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"path/filepath"

	_ "modernc.org/sqlite" // registers its driver

	"github.com/splice-ml/splice/train/run"
)

// State says how far a trial is.
type State string

// States of trials.
const (
	Running  State = "running"  // begun; whether a process makes it says the lock of its directory
	Complete State = "complete" // trained to its end
	Stopped  State = "stopped"  // ended early, as worse than others
	Diverged State = "diverged" // a loss or a weight became infinite or no number
)

// Finished reports whether nothing more happens to a trial.
func (s State) Finished() bool { return s == Complete || s == Stopped || s == Diverged }

// Trial is a row of a study: some settings and what they came to.
type Trial struct {
	Number      int                `json:"number"`
	Values      []float64          `json:"values"` // of the parameters, in their order: numbers, or indices into their lists
	State       State              `json:"state"`
	Valid       []float64          `json:"valid,omitempty"` // the monitored metric on validation rows, by training
	Metrics     map[string]float64 `json:"-"`               // of the validation rows; means over the trainings
	Evaluations int                `json:"evaluations"`     // of the first training
	Rung        int                `json:"rung"`            // with ASHA: the last rung that was reached, -1 before the first
	Seconds     float64            `json:"seconds"`         // of training steps
}

// Value returns the mean of the monitored metric over the trainings; NaN if there is none.
func (t *Trial) Value() float64 {
	if len(t.Valid) == 0 {
		return math.NaN()
	}
	return mean(t.Valid)
}

// StoreFile is the name of a study's file in its directory.
const StoreFile = "study.db"

// schema makes the tables of a study. A trial is a JSON text: no query looks into it.
const schema = `
CREATE TABLE IF NOT EXISTS study (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trials (number INTEGER PRIMARY KEY, trial TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rungs (number INTEGER, rung INTEGER, value REAL NOT NULL, PRIMARY KEY (number, rung)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tests (number INTEGER PRIMARY KEY, metrics TEXT NOT NULL);
`

// format is the version of the tables.
const format = "1"

// store is a study's file, an SQLite data base. Several processes may have it open.
type store struct {
	db   *sql.DB
	path string
}

// openStore opens a study's file, and makes it if it is missing.
func openStore(ctx context.Context, dir string) (*store, error) {
	path := filepath.Join(dir, StoreFile)
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(abs), RawQuery: "_txlock=immediate&_pragma=busy_timeout(60000)"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("search: %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	s := &store{db, path}
	return s, s.closeOn(s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, schema)
		return err
	}))
}

// closeOn closes the file if there is an error, which it returns.
func (s *store) closeOn(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(err, s.db.Close())
}

// change does something to the file, whole or not at all, while no other process does.
func (s *store) change(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err == nil {
		if err = do(tx); err == nil {
			err = tx.Commit()
		} else {
			_ = tx.Rollback()
		}
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("search: %s: %w", s.path, err)
}

// claim says that a trial begins, if it has not ended yet.
func (s *store) claim(ctx context.Context, t *Trial) (ok bool, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		now, err := readTrial(tx.QueryRowContext(ctx, "SELECT trial FROM trials WHERE number = ?", t.Number))
		if err != nil || now != nil && now.State.Finished() {
			return err
		}
		ok = true
		return writeTrial(ctx, tx, t)
	})
	return ok && err == nil, err
}

// finish keeps what a trial came to.
func (s *store) finish(ctx context.Context, t *Trial) error {
	return s.change(ctx, func(tx *sql.Tx) error { return writeTrial(ctx, tx, t) })
}

func writeTrial(ctx context.Context, tx *sql.Tx, t *Trial) error {
	b, err := json.Marshal(storedTrial{t, run.Metrics(t.Metrics)})
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO trials VALUES (?, ?)", t.Number, string(b))
	return err
}

// storedTrial is a trial as the file has it, with metrics that may be undefined.
type storedTrial struct {
	*Trial
	All run.Metrics `json:"metrics,omitempty"`
}

func readTrial(row interface{ Scan(...any) error }) (*Trial, error) {
	var text string
	if err := row.Scan(&text); errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	t := storedTrial{Trial: &Trial{}}
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return nil, fmt.Errorf("a trial: %w", err)
	}
	t.Metrics = t.All
	return t.Trial, nil
}

// trials returns the trials that were begun, in their order.
func (s *store) trials(ctx context.Context) ([]*Trial, error) {
	var out []*Trial
	err := s.rows(ctx, "SELECT trial FROM trials ORDER BY number", func(r *sql.Rows) error {
		t, err := readTrial(r)
		out = append(out, t)
		return err
	})
	return out, err
}

func (s *store) rows(ctx context.Context, query string, each func(*sql.Rows) error, args ...any) error {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err == nil {
		defer rows.Close()
		for err == nil && rows.Next() {
			err = each(rows)
		}
		err = errors.Join(err, rows.Err())
	}
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("search: %s: %w", s.path, err)
}

// note keeps what a trial had at a rung.
func (s *store) note(ctx context.Context, number, rung int, value float64) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO rungs VALUES (?, ?, ?)", number, rung, value)
		return err
	})
}

// rungs returns what the trials before a number had, by rung.
func (s *store) rungs(ctx context.Context, before int) (map[int][]float64, error) {
	out := map[int][]float64{}
	err := s.rows(ctx, "SELECT rung, value FROM rungs WHERE number < ? ORDER BY number", func(r *sql.Rows) error {
		var rung int
		var v float64
		err := r.Scan(&rung, &v)
		out[rung] = append(out[rung], v)
		return err
	}, before)
	return out, err
}

// describe keeps the digest of what decides the trials, in a study that has none yet. It returns the digest that is kept.
func (s *store) describe(ctx context.Context, digest string) (kept string, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO study VALUES ('format', ?), ('digest', ?)", format, digest); err != nil {
			return err
		}
		var version string
		err := tx.QueryRowContext(ctx, "SELECT (SELECT value FROM study WHERE key = 'format'), (SELECT value FROM study WHERE key = 'digest')").
			Scan(&version, &kept)
		if err == nil && version != format {
			err = fmt.Errorf("has format %s, want %s: it is of another version of the program", version, format)
		}
		return err
	})
	return kept, err
}

// tested returns the metrics on test rows of a trial's trainings, nil if they were not measured.
func (s *store) tested(ctx context.Context, number int) (metrics []run.Metrics, err error) {
	err = s.rows(ctx, "SELECT metrics FROM tests WHERE number = ?", func(r *sql.Rows) error {
		var text string
		if err := r.Scan(&text); err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &metrics)
	}, number)
	return metrics, err
}

// test keeps the metrics on test rows of a trial's trainings.
func (s *store) test(ctx context.Context, number int, metrics []run.Metrics) error {
	b, err := json.Marshal(metrics)
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO tests VALUES (?, ?)", number, string(b))
		return err
	})
}
