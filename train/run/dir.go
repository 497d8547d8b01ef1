package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
)

// Check returns an error if a directory has files of a run, which a command must not write over unasked.
func Check(dir string) error {
	found, err := in(dir)
	if err != nil || len(found) == 0 {
		return err
	}
	return fmt.Errorf("train: %s holds a run already (%s): go on with --resume, replace it with --overwrite, or choose another --run", dir,
		found[0].name)
}

// PrepareOptions say what to do with a run that is already in the directory.
type PrepareOptions struct {
	Resume    bool // go on with it; if it has not come to a checkpoint yet, it is started anew
	Overwrite bool // remove it
}

// Check returns the error that Prepare would return for a directory. It changes nothing.
func (o PrepareOptions) Check(dir string) error {
	switch {
	case o.Resume && exists(filepath.Join(dir, LastDir, StateFile)):
		return nil
	case o.Resume && exists(filepath.Join(dir, ConfigFile)):
		for _, name := range []string{MergeFile, TableFile} {
			if exists(filepath.Join(dir, name)) {
				return fmt.Errorf("train: %s holds a merge (%s), which --resume cannot go on with: "+
					"replace it with --overwrite, or choose another --run", dir, name)
			}
		}
		return nil
	case o.Overwrite:
		return nil
	}
	return Check(dir)
}

// Prepare makes the directory of a run. Files of an earlier run stay if the run is resumed, and are removed if it is overwritten. If
// the options ask for neither, they are an error.
func Prepare(dir string, o PrepareOptions) error {
	if err := o.Check(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("train: run directory %s: %w", dir, err)
	}
	if o.Resume && exists(filepath.Join(dir, LastDir, StateFile)) {
		return nil
	}
	return Clear(dir)
}

// Clear removes the files of an earlier run from a directory. These are the files in the table of names, and what interrupted writes
// of them left. Other files stay.
func Clear(dir string) error { return clearKinds(dir, func(Kind) bool { return true }) }

// ClearResult is like Clear, but leaves the trainings of a merge, which are its parents and the models of its comparison.
func ClearResult(dir string) error {
	return clearKinds(dir, func(k Kind) bool { return k != OfTrainings })
}

func clearKinds(dir string, want func(Kind) bool) error {
	found, err := in(dir)
	if err != nil {
		return err
	}
	for _, f := range found {
		if !want(f.entry.Kind) {
			continue
		}
		if err := f.remove(dir); err != nil {
			return fmt.Errorf("train: run directory %s: %w", dir, err)
		}
	}
	return nil
}

// found is a file or directory of a run that is there.
type found struct {
	name  string
	entry Entry
}

// in returns the files and directories of a run that are in dir. A directory is one if it has a file of a run, or none; a directory
// of trainings, if a merge has marked it.
func in(dir string) ([]found, error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("train: run directory %s: %w", dir, err)
	}
	var all []found
	for _, f := range list {
		for _, e := range entries {
			switch {
			case e.Kind == OfLock || !matches(e.Name, finalName(f.Name())):
			case e.Kind == OfTrainings && !exists(filepath.Join(dir, f.Name(), DigestFile)):
			case e.Inside != nil && !hasAny(filepath.Join(dir, f.Name()), e.Inside):
			default:
				all = append(all, found{f.Name(), e})
			}
		}
	}
	return all, nil
}

// hasAny reports whether a directory is empty or has a file of such a name.
func hasAny(dir string, names []string) bool {
	files, err := os.ReadDir(dir)
	return err == nil && (len(files) == 0 ||
		slices.ContainsFunc(files, func(f fs.DirEntry) bool { return matchesAny(names, finalName(f.Name())) }))
}

// finalName returns the name that the temporary file of an interrupted write would have got; other names are as they are.
func finalName(name string) string {
	if rest, ok := strings.CutPrefix(name, "."); ok && strings.HasSuffix(rest, ".tmp") {
		rest = strings.TrimSuffix(rest, ".tmp")
		if i := strings.LastIndexByte(rest, '.'); i > 0 {
			return rest[:i]
		}
	}
	return name
}

// remove removes it from dir. A directory that has more than its own files is left with those.
func (f found) remove(dir string) error {
	path := filepath.Join(dir, f.name)
	if f.entry.Inside == nil {
		return os.RemoveAll(path)
	}
	files, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	left := len(files)
	for _, g := range files {
		if !matchesAny(f.entry.Inside, finalName(g.Name())) {
			continue
		}
		if err := os.Remove(filepath.Join(path, g.Name())); err != nil {
			return err
		}
		left--
	}
	if left > 0 {
		return nil
	}
	return os.Remove(path)
}

// Figures returns the names of the figures that a report left in a directory.
func Figures(dir string) []string {
	all, _ := in(dir)
	var names []string
	for _, f := range all {
		if f.entry.Kind == OfReport && filepath.Ext(f.name) == ".png" {
			names = append(names, f.name)
		}
	}
	return names
}

// Description holds the files that a run needs to be opened again.
type Description struct {
	Config []byte            // the experiment as YAML
	Map    *data.FeatureMap  // nil if the run's data has none
	Extra  map[string][]byte // files by their names, as a model for another framework needs them
}

// Describe writes the description of a run into its directory.
func Describe(dir string, d Description) error {
	for name := range d.Extra {
		if len(Owners(name)) == 0 {
			return fmt.Errorf("train: run directory: %s is no name of a run's file: add it to the table of package run", name)
		}
	}
	if err := Write(dir, ConfigFile, d.Config); err != nil {
		return err
	}
	if d.Map != nil {
		if err := d.Map.Save(filepath.Join(dir, FeatureFile)); err != nil {
			return err
		}
	}
	for name, text := range d.Extra {
		if err := Write(dir, name, text); err != nil {
			return err
		}
	}
	return nil
}

// Write writes a file of a run atomically.
func Write(dir, name string, b []byte) error {
	if err := atomicfile.WriteBytes(filepath.Join(dir, name), b); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

// CopyText copies the files of a text model that lie beside its weights, its config and its tokenizer, from a Hugging Face directory
// into a run's.
func CopyText(dir, from string) error {
	for _, e := range entries {
		if e.Kind != OfText {
			continue
		}
		b, err := bound.ReadFile(filepath.Join(from, e.Name), bound.Vocabulary)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("train: %w", err)
		}
		if err := Write(dir, e.Name, b); err != nil {
			return err
		}
	}
	return nil
}

// Files are the files of a finished run.
type Files struct {
	Dir    string
	Config string           // path of the experiment
	Model  string           // path of the model
	Map    *data.FeatureMap // that rows are read with
}

// Open opens a finished run. The error lists everything that is missing.
func Open(dir string) (*Files, error) {
	f := &Files{Dir: dir, Config: filepath.Join(dir, ConfigFile), Model: filepath.Join(dir, ModelFile)}
	if !exists(f.Config) {
		return nil, fmt.Errorf("%s is not a run: it has no %s", dir, ConfigFile)
	}
	var errs []error
	if !exists(f.Model) {
		errs = append(errs, fmt.Errorf("%s has no %s: a run gets it from its first evaluation on; go on with --resume", dir, ModelFile))
	}
	var err error
	if f.Map, err = data.LoadFeatureMap(filepath.Join(dir, FeatureFile)); err != nil {
		if errors.Is(err, fs.ErrNotExist) && !exists(filepath.Join(dir, FeatureFile)) {
			err = fmt.Errorf("%s has no %s, so that its rows cannot be read: train it again", dir, FeatureFile)
		}
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, bound.Join(errs...)
	}
	return f, nil
}

// Of returns the directory of the run that a path belongs to. A directory is returned as it is. For a file of a run, such as its model
// or the weights of an epoch, it is the run's directory.
func Of(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return path
	}
	dir := filepath.Dir(path)
	if b := filepath.Base(dir); b == LastDir || b == EpochsDir {
		return filepath.Dir(dir)
	}
	return dir
}

// Same reports whether two paths name the same directory.
func Same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// KeptEpochs returns the epochs whose weights a run has kept, in their order. Their files are those of EpochFile.
func KeptEpochs(dir string) []int {
	var kept []int
	files, _ := os.ReadDir(filepath.Join(dir, EpochsDir))
	for _, f := range files {
		digits := strings.TrimSuffix(strings.TrimPrefix(f.Name(), "model-"), tensorsExt)
		if n, err := strconv.Atoi(digits); err == nil && n > 0 && filepath.Base(EpochFile(n)) == f.Name() {
			kept = append(kept, n)
		}
	}
	slices.Sort(kept)
	return kept
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
