package merge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// digest returns the digest of the config and of the values of the parents that are given.
func (j *Job) digest(parents []*cki.Parent) (string, error) {
	if len(parents) == 0 {
		return j.Digest, nil
	}
	h := xxhash.New()
	for _, p := range parents {
		if samePath(run.Of(p.Name), j.Dir) {
			return "", run.BadInput(overParent(p))
		}
		d, err := cki.Digest(p)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, d) // a hash has no errors
	}
	return fmt.Sprintf("%s-%016x", j.Digest, h.Sum64()), nil
}

func overParent(p *cki.Parent) error {
	return run.Advise(fmt.Errorf("cki: the merge would be written over parent %s", p.Name), run.Elsewhere)
}

// samePath reports whether two paths name one place, which need not exist.
func samePath(a, b string) bool { return absolute(a) == absolute(b) }

func absolute(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return path
}

// done returns the comparison of the merge with that digest, or nil if the merge is still to be made.
func (j *Job) done(digest string) (*compare.Table, error) {
	if j.Overwrite {
		return nil, nil
	}
	t, err := compare.ReadTable(j.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, run.BadInput(err)
	case t.Digest != digest:
		return nil, run.BadInput(run.Advise(fmt.Errorf("cki: %s holds a merge of another config or of other parents", j.Dir),
			run.Replace, run.Elsewhere))
	}
	there, err := j.holds(t)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // the comparison was made, the model is gone
	case err != nil:
		return nil, run.BadInput(err)
	case !there:
		return nil, run.BadInput(run.Advise(fmt.Errorf("cki: %s is not the model that the merge made", filepath.Join(j.Dir, run.ModelFile)),
			run.Replace, run.Elsewhere))
	}
	_ = j.dropStates() // what a command left that was killed at its very end; a merge that may only be read is done all the same
	j.Log.Info("the merge is done already", "run", j.Dir)
	return t, nil
}

// holds reports whether the model in the directory is the one that the table describes. A table without a model's digest is compared
// with the digest in the model's own metadata.
func (j *Job) holds(t *compare.Table) (bool, error) {
	path := filepath.Join(j.Dir, run.ModelFile)
	f, err := ckpt.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if t.ModelDigest == "" {
		return f.Meta[digestKey] == t.Digest, nil
	}
	d, err := cki.Digest(cki.File(f))
	return d == t.ModelDigest, err
}

// claim makes the directory ready for parents that are made from a config of this digest, from data of that origin. Parents of another
// config are removed, or are an error. Those of other data are removed, or are left: their trainings say what has changed.
func (j *Job) claim(making, origin string) error {
	if err := j.free(); err != nil {
		return run.BadInput(err)
	}
	if err := os.MkdirAll(j.Dir, 0o777); err != nil {
		return fmt.Errorf("cki: %w", err)
	}
	made, from := j.marks(run.ParentsDir)
	switch {
	case made == making && (from == origin || !j.Overwrite):
	case made != "" && !j.Overwrite:
		return run.BadInput(run.Advise(fmt.Errorf("cki: %s holds what another config made, or other starting weights",
			filepath.Join(j.Dir, run.ParentsDir)), run.Replace, run.Elsewhere))
	default:
		if err := j.replace(run.ParentsDir, making, origin); err != nil {
			return err
		}
	}
	if j.Overwrite {
		return run.ClearResult(j.Dir)
	}
	return nil
}

// claimRows makes the directory ready for the trainings of a comparison, once the parents are made. Trainings of another digest or of
// other data are removed.
func (j *Job) claimRows(making, digest, origin string) error {
	if made, from := j.marks(run.ParentsDir); made == making && from != origin { // nothing was there to go on with
		if err := j.mark(run.ParentsDir, making, origin); err != nil {
			return err
		}
	}
	if made, from := j.marks(run.RowsDir); made != digest || from != origin {
		if err := j.replace(run.RowsDir, digest, origin); err != nil {
			return err
		}
	}
	return run.ClearResult(j.Dir)
}

// free returns an error if the directory holds something other than a merge, which must not be written over.
func (j *Job) free() error {
	begun := false
	for _, name := range []string{run.ParentsDir, run.RowsDir} {
		dir := filepath.Join(j.Dir, name)
		if run.Marked(dir) {
			begun = true
			continue
		}
		// A merge that was killed while it marked the directory left no more than this.
		atomicfile.Sweep(dir, func(base string) bool { return base == run.DigestFile })
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			return run.Advise(fmt.Errorf("cki: %s is not of a merge, and would be in its way", dir), run.Do("move it"), run.Elsewhere)
		}
	}
	return run.PrepareOptions{Overwrite: j.Overwrite || begun, Inputs: j.Inputs}.Check(j.Dir)
}

// fits checks that a model of the Lab's compiles, and that an earlier run is not removed where there is no room for the new one.
func (j *Job) fits(l *cki.Lab) error {
	p, err := l.NewParams(0)
	if err != nil {
		return run.BadInput(err)
	}
	prog, err := models.Compile(l.Model, p, l.Data.Schema, models.CompileOptions{Batch: l.Options.BatchSize})
	if err != nil {
		return run.BadInput(err)
	}
	prog.Close()
	if !j.Overwrite || !run.IsRun(j.Dir) {
		return nil
	}
	return run.Room(j.Dir, p)
}

// unclaim takes back what claim made, where no training has begun: a merge that is refused after all leaves nothing.
func (j *Job) unclaim() {
	for _, name := range []string{run.ParentsDir, run.RowsDir} {
		files, err := os.ReadDir(filepath.Join(j.Dir, name))
		if err == nil && len(files) == 1 && files[0].Name() == run.DigestFile {
			_ = run.ClearTrainings(j.Dir, name)
		}
	}
}

// there returns an error if the directory of the merge, or one of the parents that were made in it, is not there any more.
func (j *Job) there(place *run.Place, out *compare.Outcome) error {
	if err := place.Check(); err != nil {
		return err
	}
	for _, name := range []string{run.ParentsDir, run.RowsDir} {
		if dir := filepath.Join(j.Dir, name); !run.Marked(dir) {
			return fmt.Errorf("cki: %s was removed or replaced while the merge was made, with the trainings in it: start the merge again", dir)
		}
	}
	for _, m := range out.Family.Members {
		rel, err := filepath.Rel(j.Dir, m.Dir)
		if m.Dir == "" || err != nil || !filepath.IsLocal(rel) {
			continue // a parent that was given, which is in memory
		}
		if _, err := os.Stat(filepath.Join(m.Dir, run.ModelFile)); err != nil {
			return fmt.Errorf("cki: parent %s was removed while the merge was made: start the merge again: %w", m.Dir, err)
		}
	}
	return nil
}

// marks returns the digests by which a merge has claimed a directory for its trainings: of what makes them, and of their data. They are
// empty if it is not claimed.
func (j *Job) marks(name string) (digest, origin string) {
	b, err := bound.ReadFile(filepath.Join(j.Dir, name, run.DigestFile), bound.Line)
	if err != nil {
		return "", ""
	}
	digest = strings.TrimSpace(string(b))
	if i := strings.LastIndexByte(digest, '-'); i >= 0 {
		digest, origin = digest[:i], digest[i+1:]
	}
	return digest, origin
}

func (j *Job) mark(name, digest, origin string) error {
	return run.Write(filepath.Join(j.Dir, name), run.DigestFile, []byte(digest+"-"+origin+"\n"))
}

// replace makes a directory empty and claims it.
func (j *Job) replace(name, digest, origin string) error {
	dir := filepath.Join(j.Dir, name)
	if err := run.ClearTrainings(j.Dir, name); err != nil {
		return fmt.Errorf("cki: %w", err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("cki: %w", err)
	}
	return j.mark(name, digest, origin)
}

func writeJSON(dir, name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return run.Write(dir, name, append(b, '\n'))
}
