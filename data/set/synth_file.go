package set

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/internal/scan"
)

// SynthOptions say what SynthFile writes. The zero value means the defaults.
type SynthOptions struct {
	Rows      int64        // rows of the file; 600,000 if 0
	Seed      uint64       // of the generator
	TestShare float64      // share of rows at the end that SynthInfo describes; .1 if 0
	Log       *slog.Logger // nothing is logged if nil
}

// SynthInfo describes a generated file and how well a model can do on its test rows, which are the last ones.
//
// AUC and LogLoss score the true probabilities on the labels of the test rows: a model does better only by luck.
// ExpectedAUC and ExpectedLogLoss are the means of the two over all labels that the probabilities could have drawn.
type SynthInfo struct {
	Version         int     `json:"version"` // SynthVersion of the generator
	Seed            uint64  `json:"seed"`
	Rows            int64   `json:"rows"`
	TestRows        int64   `json:"test_rows"`
	Positives       float64 `json:"positives"` // share of all rows
	AUC             float64 `json:"auc"`
	LogLoss         float64 `json:"logloss"`
	ExpectedAUC     float64 `json:"expected_auc"`
	ExpectedLogLoss float64 `json:"expected_logloss"`
	Digest          string  `json:"digest"` // xxhash of the file's bytes
}

// String returns a line that says that the data is synthetic, and what the best result on it is.
func (i *SynthInfo) String() string {
	return fmt.Sprintf("synthetic data (generated, seed %d, %d rows): "+
		"the true probabilities have AUC %.4f and logloss %.4f on the %d test rows",
		i.Seed, i.Rows, i.AUC, i.LogLoss, i.TestRows)
}

// sidecar is the file that holds the SynthInfo of path.
func sidecar(path string) string { return path + ".json" }

// SynthFile makes sure that path holds the rows of Synth{o.Rows, o.Seed} as a TSV in Criteo's layout, and describes them. The
// description is kept beside the file, as path + ".json". A file that is there already and agrees with its description is left alone.
// A file without a description was not written by SynthFile. It is an error and is never replaced. Directories are made as needed. An
// interrupted call leaves no half of a file.
func SynthFile(ctx context.Context, path string, o SynthOptions) (*SynthInfo, error) {
	o.Rows, o.TestShare = cmp.Or(o.Rows, 600_000), cmp.Or(o.TestShare, .1)
	if o.Rows < 10 || !(o.TestShare > 0 && o.TestShare < 1) {
		return nil, fmt.Errorf("data: synth: %d rows with a share of %g for testing; want 10 rows or more and a share in (0, 1)", o.Rows,
			o.TestShare)
	}
	want := SynthInfo{Version: SynthVersion, Seed: o.Seed, Rows: o.Rows}
	want.TestRows = o.Rows - int64(math.Round((1-o.TestShare)*float64(o.Rows)))
	switch have, err := readSidecar(path); {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(path); err == nil {
			return nil, fmt.Errorf("data: synth: %s exists and was not generated (it has no %s beside it); move it away or name another file", path,
				filepath.Base(sidecar(path)))
		}
	case err == nil && have.sameRows(want) && have.describes(path):
		return have, nil
	}
	if o.Log != nil {
		o.Log.Info("data: writing synthetic rows", "path", path, "rows", o.Rows, "seed", o.Seed)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("data: synth: %w", err)
	}
	err := atomicfile.Write(path, func(w io.Writer) error {
		if err := want.generate(ctx, w); err != nil {
			return err
		}
		// The description comes first: a crash between the two leaves a description without its file, to be made again.
		return atomicfile.Write(sidecar(path), func(w io.Writer) error {
			enc := json.NewEncoder(w)
			enc.SetIndent("", "  ")
			return enc.Encode(&want)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("data: synth: %s: %w", path, err)
	}
	return &want, nil
}

// sameRows reports whether both descriptions are of the same rows, split alike.
func (i *SynthInfo) sameRows(o SynthInfo) bool {
	return i.Version == o.Version && i.Seed == o.Seed && i.Rows == o.Rows && i.TestRows == o.TestRows
}

// ReadSynthInfo returns the description of a file that SynthFile wrote, or nil if path is another file.
func ReadSynthInfo(path string) (*SynthInfo, error) {
	i, err := readSidecar(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if unread := new(fs.PathError); errors.As(err, &unread) {
		return nil, fmt.Errorf("data: synth: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("data: synth: %s: %w; remove it", sidecar(path), err)
	}
	if !i.describes(path) {
		return nil, nil
	}
	return i, nil
}

func readSidecar(path string) (*SynthInfo, error) {
	raw, err := bound.ReadFile(sidecar(path), bound.JSON)
	if err != nil {
		return nil, err
	}
	i := &SynthInfo{}
	return i, json.Unmarshal(raw, i)
}

// describes reports whether i is the description of the file's bytes.
func (i *SynthInfo) describes(path string) bool {
	sum, err := scan.HashFile(path)
	return err == nil && i.Digest == digestText(sum)
}

func digestText(sum uint64) string { return fmt.Sprintf("%016x", sum) }

// generate writes the rows that i names and fills in the rest of i.
func (i *SynthInfo) generate(ctx context.Context, w io.Writer) error {
	hash := xxhash.New()
	var positives int64
	test := make([]scored, 0, i.TestRows)
	err := Synth{Rows: i.Rows, Seed: i.Seed}.write(io.MultiWriter(w, hash), func(row int64, label bool, p float64) error {
		if label {
			positives++
		}
		if row >= i.Rows-i.TestRows {
			test = append(test, scored{p, label})
		}
		if row&0xfff == 0 {
			return ctx.Err()
		}
		return nil
	})
	if err != nil {
		return err
	}
	i.Digest, i.Positives = digestText(hash.Sum64()), float64(positives)/float64(i.Rows)
	i.AUC, i.ExpectedAUC = bestAUC(test)
	i.LogLoss, i.ExpectedLogLoss = bestLogLoss(test)
	return nil
}

// scored is a row's true probability and its label.
type scored struct {
	p     float64
	label bool
}

// bestAUC sorts rows and returns the AUC of their probabilities on their labels, and its expectation over the labels
//
//	Σ_{p_i > p_j} p_i (1 - p_j) / Σ_{i ≠ j} p_i (1 - p_j)
//
// where ties count half. It is NaN if the labels are all equal.
func bestAUC(rows []scored) (auc, expected float64) {
	slices.SortFunc(rows, func(a, b scored) int { return cmp.Compare(a.p, b.p) })
	var pos, neg, wins float64    // labels
	var epos, eneg, ewins float64 // their expectations
	var same float64              // Σ p (1 - p), pairs of a row with itself
	for lo := 0; lo < len(rows); {
		var tp, tn, etp, etn, own float64
		hi := lo
		for ; hi < len(rows) && rows[hi].p == rows[lo].p; hi++ {
			p := rows[hi].p
			if rows[hi].label {
				tp++
			} else {
				tn++
			}
			etp, etn, own = etp+p, etn+1-p, own+p*(1-p)
		}
		wins += tp * (neg + tn/2)
		ewins += etp*eneg + (etp*etn-own)/2
		pos, neg, epos, eneg, same = pos+tp, neg+tn, epos+etp, eneg+etn, same+own
		lo = hi
	}
	return wins / (pos * neg), ewins / (epos*eneg - same)
}

// bestLogLoss returns the logloss of the true probabilities on their labels and its expectation, the mean entropy.
func bestLogLoss(rows []scored) (loss, expected float64) {
	for _, r := range rows {
		one, zero := -math.Log(r.p), -math.Log1p(-r.p)
		if r.label {
			loss += one
		} else {
			loss += zero
		}
		expected += r.p*one + (1-r.p)*zero
	}
	n := float64(len(rows))
	return loss / n, expected / n
}
