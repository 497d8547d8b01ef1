package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/train/run"
)

// withParents returns the digest of the config and of the values of the parents that it names.
func (s *Session) withParents(digest string, parents []*cki.Parent) (string, error) {
	h := xxhash.New()
	for _, p := range parents {
		if own, dir := absolute(run.Of(p.Name)), absolute(s.Dir); own == dir {
			return "", cli.BadInput(fmt.Errorf("cki: the merge would be written over parent %s: choose another --run", p.Name))
		}
		d, err := cki.Digest(p)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, d) // a hash has no errors
	}
	if len(parents) == 0 {
		return digest, nil
	}
	return fmt.Sprintf("%s-%016x", digest, h.Sum64()), nil
}

func absolute(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return path
}

// done returns the comparison of the merge of that digest, nil if it is still to be made. A merge of another one is an error
// unless it may be overwritten.
func (s *Session) done(digest string, o CKIOptions) (*compare.Table, error) {
	if o.Overwrite {
		return nil, nil
	}
	t, err := compare.ReadTable(s.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, cli.BadInput(err)
	case t.Digest != digest:
		return nil, cli.BadInput(fmt.Errorf("cki: %s holds a merge of another config or of other parents: give --overwrite to replace it, or another --run", s.Dir))
	}
	s.Log.Info("the merge is done already", "run", s.Dir)
	return t, nil
}

// free reports a directory that holds something else than a merge, which must not be written over.
func (s *Session) free(overwrite bool) error {
	if overwrite {
		return nil
	}
	if _, err := os.Stat(filepath.Join(s.Dir, run.RowsDir, run.DigestFile)); err == nil {
		return nil // a merge was begun here
	}
	for _, name := range []string{run.ParentsDir, run.RowsDir} {
		if entries, err := os.ReadDir(filepath.Join(s.Dir, name)); err == nil && len(entries) > 0 {
			if _, err := os.Stat(filepath.Join(s.Dir, name, run.DigestFile)); err != nil {
				return fmt.Errorf("cki: %s is not of a merge: give --overwrite to replace it, or choose another --run", filepath.Join(s.Dir, name))
			}
		}
	}
	return run.Check(s.Dir)
}

// parentsDigest names what decides the parents that the regime makes.
func (s *Session) parentsDigest() (string, error) {
	e := *s.Experiment
	e.Merge = cki.DefaultOptions()
	e.Merge.Regime, e.Merge.Controls = s.Merge.Regime, s.Merge.Controls
	return e.Digest()
}

// claim makes a directory for trainings of a digest. What trainings of another digest left there is removed, or an error.
func (s *Session) claim(name, digest string, replace bool) error {
	dir := filepath.Join(s.Dir, name)
	path := filepath.Join(dir, run.DigestFile)
	b, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(b)) == digest {
		return nil
	}
	if err == nil && !replace {
		return cli.BadInput(fmt.Errorf("cki: %s holds what another config made: give --overwrite to replace it, or another --run", dir))
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("cki: %w", err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("cki: %w", err)
	}
	return run.Write(dir, run.DigestFile, []byte(digest+"\n"))
}
