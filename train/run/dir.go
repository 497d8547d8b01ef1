package run

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
)

// PrepareOptions say what to do with a run that is already in the directory.
type PrepareOptions struct {
	Resume    bool    // go on with it; if it has not come to a checkpoint yet, it is started anew
	Overwrite bool    // remove it
	Inputs    []Input // what the new run reads, which must not be among what is removed or written over
}

// Check returns the error that Prepare would return for a directory. It changes nothing.
func (o PrepareOptions) Check(dir string) error {
	if err := checkInputs(dir, o.Inputs); err != nil {
		return err
	}
	found, err := in(dir)
	if err != nil || len(found) == 0 {
		return err
	}
	name := found[0].name
	ours := IsRun(dir)
	if !ours {
		if err := unreadable(dir); err != nil {
			return fmt.Errorf("train: whether %s is a run cannot be told: %w", dir, err)
		}
	}
	switch {
	case !ours && o.Resume:
		return Advise(fmt.Errorf("train: %s is no run that --resume can go on with, it has %s, but no %s that a run wrote", dir, name, ConfigFile),
			Elsewhere)
	case !ours && o.Overwrite:
		return Advise(fmt.Errorf("train: %s is no run, so --overwrite removes nothing there, it has %s, but no %s that a run wrote", dir, name,
			ConfigFile), Elsewhere, Do("move the files away"))
	case !ours:
		return Advise(fmt.Errorf("train: %s has a file that a run would write over (%s), but is no run", dir, name), Elsewhere)
	case o.Resume && bound.Exists(filepath.Join(dir, LastDir, StateFile)):
		return nil
	case o.Resume && !bound.Exists(filepath.Join(dir, ConfigFile)):
		return Advise(fmt.Errorf("train: %s holds a run without %s, which --resume cannot go on with", dir, ConfigFile), Replace, Elsewhere)
	case o.Resume:
		for _, name := range []string{MergeFile, TableFile} {
			if bound.Exists(filepath.Join(dir, name)) {
				return Advise(fmt.Errorf("train: %s holds a merge (%s), which --resume cannot go on with", dir, name), Replace, Elsewhere)
			}
		}
	case !o.Overwrite:
		return Advise(fmt.Errorf("train: %s holds a run already (%s)", dir, name), Continue, Replace, Elsewhere)
	}
	for _, f := range found {
		if f.blocked {
			return Advise(fmt.Errorf("train: %s is not what a run calls so, and is not removed", filepath.Join(dir, f.name)),
				Do("move it away"), Elsewhere)
		}
	}
	return nil
}

// Check returns an error if a directory has files of a run, which a command must not write over unasked.
func Check(dir string) error { return PrepareOptions{}.Check(dir) }

// Prepare makes the directory of a run. Files of an earlier run stay if the run is resumed, but those of its calibration, and are removed if it
// is overwritten. If the options ask for neither, they are an error.
func Prepare(dir string, o PrepareOptions) error {
	if err := o.Check(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("train: run directory %s: %w", dir, err)
	}
	if o.Resume && bound.Exists(filepath.Join(dir, LastDir, StateFile)) {
		return clearKinds(dir, func(k Kind) bool { return k == OfCard || k == OfCalibration }) // they are of the run before
	}
	return Clear(dir)
}

// Clear removes the files of an earlier run from a directory. These are the files in the table of names, and what interrupted writes
// of them left. Other files stay. A symbolic link is removed, and what it names is left alone; dir itself may be one. The files that
// tell a run from other directories are removed last, so that an interrupted call can be repeated.
func Clear(dir string) error { return clearKinds(dir, func(Kind) bool { return true }) }

// ClearResult is like Clear, but leaves the trainings of a merge, which are its parents and the models of its comparison.
func ClearResult(dir string) error {
	return clearKinds(dir, func(k Kind) bool { return k != OfTrainings })
}

// ClearTrainings removes the trainings in a directory that a merge has marked, ParentsDir or RowsDir, as Clear does.
func ClearTrainings(dir, name string) error {
	return clearEntries(dir, func(f found) bool { return f.entry.Kind == OfTrainings && f.name == name })
}

// ClearLast removes what --resume needs from the directory of a run.
func ClearLast(dir string) error {
	return clearEntries(dir, func(f found) bool { return f.name == LastDir })
}

// ClearCalibration removes what calibrating a run wrote into its directory, as Clear does.
func ClearCalibration(dir string) error {
	return clearKinds(dir, func(k Kind) bool { return k == OfCalibration })
}

func clearKinds(dir string, want func(Kind) bool) error {
	return clearEntries(dir, func(f found) bool { return want(f.entry.Kind) })
}

func clearEntries(dir string, want func(f found) bool) error {
	all, err := in(dir)
	if err != nil {
		return err
	}
	marks := func(f found) bool { return f.name == ConfigFile || f.name == MergeFile }
	for _, last := range []bool{false, true} {
		for _, f := range all {
			if f.blocked || marks(f) != last || !want(f) {
				continue
			}
			if err := f.remove(dir); err != nil {
				return fmt.Errorf("train: run directory %s: %w", dir, err)
			}
		}
	}
	return nil
}

// SweepLast removes the files of earlier states from the directory of what --resume needs, and what writes that were cut off left
// behind. Files that a run does not write stay, and so does what cannot be removed.
func SweepLast(dir string, keep ...string) {
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		name := f.Name()
		if removable(f) && ofLast(finalName(name)) && !slices.Contains(keep, name) {
			_ = os.Remove(filepath.Join(dir, name))
		}
	}
}

func ofLast(name string) bool {
	return slices.ContainsFunc(entries, func(e Entry) bool { return e.Name == LastDir && matchesAny(e.Inside, name) })
}

// found is a file or directory of a run that is there.
type found struct {
	name    string
	entry   Entry
	link    bool // it is a symbolic link
	blocked bool // it is something else than what a run calls so, such as a directory of the name of a file
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
		path := filepath.Join(dir, f.Name())
		for _, e := range entries {
			directory := e.Inside != nil || e.Kind == OfTrainings
			link := f.Type()&fs.ModeSymlink != 0
			switch {
			case e.Kind == OfLock || !matches(e.Name, finalName(f.Name())):
			case e.Kind == OfTrainings && !marked(path), e.Kind == OfCard && !IsCard(path):
			case e.Inside != nil && f.IsDir() && !hasAny(path, e.Inside):
			default:
				all = append(all, found{f.Name(), e, link, !link && (directory != f.IsDir() || !directory && !f.Type().IsRegular())})
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
	if base, ok := atomicfile.Final(name); ok {
		return base
	}
	return name
}

// removable reports whether something in a directory may be a file that a run wrote, or a link in its place.
func removable(f fs.DirEntry) bool { return f.Type().IsRegular() || f.Type()&fs.ModeSymlink != 0 }

// remove removes it from dir. A directory that has more than its own files is left with those. Of a link, nothing but the link is
// removed.
func (f found) remove(dir string) error {
	path := filepath.Join(dir, f.name)
	switch {
	case f.link:
		return os.Remove(path)
	case f.entry.Kind == OfTrainings:
		return removeTrainings(dir, f.name)
	case f.entry.Inside == nil:
		return os.Remove(path)
	}
	files, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, g := range files {
		if removable(g) && matchesAny(f.entry.Inside, finalName(g.Name())) {
			if err := os.Remove(filepath.Join(path, g.Name())); err != nil {
				return err
			}
		}
	}
	return removeEmpty(path)
}

// removeTrainings removes what trainings wrote below a path in the directory of a merge, and the links to directories that lie among
// them, which the next training would write through. The mark of the merge is removed last.
func removeTrainings(dir, name string) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	files, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, f := range files {
		inner := name + "/" + f.Name()
		switch {
		case f.IsDir():
			err = removeTrainings(dir, inner)
		case !removable(f) || f.Name() == DigestFile && !strings.Contains(name, "/"):
			continue
		case len(Owners(name+"/"+finalName(f.Name()))) > 0, linksToDirectory(filepath.Join(path, f.Name()), f):
			err = os.Remove(filepath.Join(path, f.Name()))
		}
		if err != nil {
			return err
		}
	}
	if !strings.Contains(name, "/") {
		if err := os.Remove(filepath.Join(path, DigestFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return removeEmpty(path)
}

func linksToDirectory(path string, f fs.DirEntry) bool {
	info, err := os.Stat(path)
	return f.Type()&fs.ModeSymlink != 0 && err == nil && info.IsDir()
}

// removeEmpty removes a directory if it is empty.
func removeEmpty(path string) error {
	files, err := os.ReadDir(path)
	if err != nil || len(files) > 0 {
		return err
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

// Restore writes those files of a run's description again that are not there any more, or hold something else. It returns their names.
func Restore(dir string, d Description) (lost []string, err error) {
	check := func(name string, b []byte) {
		if err != nil {
			return
		}
		if now, e := bound.ReadFile(filepath.Join(dir, name), int64(len(b))); e == nil && bytes.Equal(now, b) {
			return
		}
		lost = append(lost, name)
		err = Write(dir, name, b)
	}
	check(ConfigFile, d.Config)
	for _, name := range slices.Sorted(maps.Keys(d.Extra)) {
		check(name, d.Extra[name])
	}
	if d.Map == nil || err != nil {
		return lost, err
	}
	path := filepath.Join(dir, FeatureFile)
	if now, e := data.LoadFeatureMap(path); e == nil && now.Digest() == d.Map.Digest() {
		return lost, nil
	}
	return append(lost, FeatureFile), d.Map.Save(path)
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
	if !bound.Exists(f.Config) {
		return nil, fmt.Errorf("%s is not a run: it has no %s", dir, ConfigFile)
	}
	var errs []error
	if !bound.Exists(f.Model) {
		errs = append(errs, fmt.Errorf("%s has no %s: a run gets it from its first evaluation on, so let its training go on first", dir, ModelFile))
	}
	var err error
	if f.Map, err = data.LoadFeatureMap(filepath.Join(dir, FeatureFile)); err != nil {
		if errors.Is(err, fs.ErrNotExist) && !bound.Exists(filepath.Join(dir, FeatureFile)) {
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
