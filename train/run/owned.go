package run

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models/nn"
)

// IsRun reports whether a directory is that of a run, finished or not: a command of ours has written its config, or a merge has marked
// it. Other directories may have files of the same names, as those of Hugging Face do; what they hold is never removed.
func IsRun(dir string) bool {
	return isConfig(filepath.Join(dir, ConfigFile)) || isProvenance(filepath.Join(dir, MergeFile)) ||
		marked(filepath.Join(dir, ParentsDir)) || marked(filepath.Join(dir, RowsDir)) || isMerged(filepath.Join(dir, ModelFile))
}

// unreadable returns why one of the files that make a directory a run cannot be read, if it is there.
func unreadable(dir string) error {
	for _, name := range []string{
		ConfigFile, MergeFile, filepath.Join(ParentsDir, DigestFile), filepath.Join(RowsDir, DigestFile), ModelFile,
	} {
		f, _, err := bound.Open(filepath.Join(dir, name))
		if err == nil {
			_, err = f.Read(make([]byte, 1))
			f.Close()
		}
		if errors.As(err, new(*fs.PathError)) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// maxMark is the greatest number of bytes that are read of a file to see whether a run wrote it.
const maxMark = 1 << 20

// head returns the beginning of a regular file. It reports false for another one, and for an error.
func head(path string) ([]byte, bool) {
	f, size, err := bound.Open(path)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	b := make([]byte, min(size, maxMark))
	_, err = io.ReadFull(f, b)
	return b, err == nil
}

// isConfig reports whether a file is the resolved config of a run, which has all sections, and a type wherever there are several.
func isConfig(path string) bool {
	b, ok := head(path)
	if !ok {
		return false
	}
	p := &registry.Problems{File: path}
	root := registry.Parse(b, p)
	if root == nil || p.Len() > 0 || root.Kind != yaml.MappingNode {
		return false
	}
	keys := map[string]*yaml.Node{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		keys[root.Content[i].Value] = root.Content[i+1]
	}
	for _, key := range []string{"seed", "threads", "data", "model", "task", "train"} {
		if keys[key] == nil {
			return false
		}
	}
	return hasKey(keys["data"], "type") && hasKey(keys["model"], "type") && hasKey(keys["task"], "type")
}

func hasKey(n *yaml.Node, key string) bool {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

// isProvenance reports whether a file says what a model was merged from.
func isProvenance(path string) bool {
	b, ok := head(path)
	var p struct {
		Parents  []struct{ Name, Digest *string }
		Settings *string
	}
	return ok && json.Unmarshal(b, &p) == nil && len(p.Parents) > 0 && p.Parents[0].Digest != nil && p.Settings != nil
}

// digests is how the file looks by which a merge marks a directory of trainings.
var digests = regexp.MustCompile(`^[0-9a-f]{16}(-[0-9a-f]{16})*\n?$`)

// marked reports whether a merge has claimed a directory for its trainings.
func marked(dir string) bool {
	b, ok := head(filepath.Join(dir, DigestFile))
	return ok && digests.Match(b)
}

// Marked reports whether a merge has claimed a directory, ParentsDir or RowsDir of its run, for its trainings.
func Marked(dir string) bool { return marked(dir) }

// isMerged reports whether a checkpoint says in its header that a merge made it.
func isMerged(path string) bool {
	b, ok := head(path)
	if !ok || len(b) < 8 {
		return false
	}
	b = b[8:min(uint64(len(b)), 8+min(binary.LittleEndian.Uint64(b), maxMark))]
	return bytes.HasPrefix(b, []byte("{")) && bytes.Contains(b, []byte(`"`+MergeKey+`":`))
}

// MergeKey is the key of a model's metadata that says what it was merged from.
const MergeKey = "splice.merge"

// Input is a file or directory that a run reads.
type Input struct {
	Key  string // of the config
	Path string // or a glob
}

// checkInputs returns an error for each input that lies in the directory of a run where the run's own files are.
func checkInputs(dir string, inputs []Input) error {
	if !bound.Exists(dir) {
		return nil
	}
	var errs []error
	for _, in := range inputs {
		paths := []string{in.Path}
		if _, err := os.Lstat(in.Path); err != nil {
			paths, _ = filepath.Glob(in.Path)
		}
		for _, path := range paths {
			name, ok := within(dir, path)
			if !ok || !writes(name) {
				continue
			}
			errs = append(errs, Advise(fmt.Errorf("train: %s: %s lies in the run's directory %s, where the run has files of its own (%s) that would "+
				"take its place", in.Key, path, dir, name), Do("move it"), Elsewhere))
			break
		}
	}
	return errors.Join(errs...)
}

// within returns the slash-separated name of a path in a directory. Either what the path says or what its links lead to may lie there.
func within(dir, path string) (name string, ok bool) {
	base := place(dir)
	for _, p := range []string{filepath.Join(place(filepath.Dir(path)), filepath.Base(path)), place(path)} {
		if rel, err := filepath.Rel(base, p); err == nil && rel != "." && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel), true
		}
	}
	return "", false
}

// place returns the absolute path of a file or directory, its links resolved as far as there is something.
func place(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	rest := ""
	for p := abs; ; p = filepath.Dir(p) {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			return filepath.Join(real, rest)
		}
		if p == filepath.Dir(p) {
			return abs
		}
		rest = filepath.Join(filepath.Base(p), rest)
	}
}

// writes reports whether a run may write or remove a file or directory of a name in its directory.
func writes(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	for _, e := range entries {
		if matches(e.Name, first) && (first == name || e.Inside != nil || e.Kind == OfTrainings) {
			return true
		}
	}
	return false
}

// CheckOutput returns an error if a file that a user wants written is one that a run has, or lies in a directory of a run's files.
func CheckOutput(path string) error {
	at := filepath.Join(place(filepath.Dir(path)), filepath.Base(path))
	for dir := filepath.Dir(at); ; dir = filepath.Dir(dir) {
		if rel, err := filepath.Rel(dir, at); err == nil && writes(filepath.ToSlash(rel)) && IsRun(dir) {
			return fmt.Errorf("belongs to the run %s: give another file", dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// Sweep removes the temporary files that killed commands left in the directory of a run, the trainings of a merge included. It does not
// follow links. What cannot be removed stays.
func Sweep(dir string) {
	atomicfile.Sweep(dir, func(base string) bool { return base == spillFile || writes(base) })
	for _, e := range entries {
		path := filepath.Join(dir, e.Name)
		info, err := os.Lstat(path)
		switch {
		case err != nil || !info.IsDir():
		case e.Inside != nil:
			atomicfile.Sweep(path, func(base string) bool { return matchesAny(e.Inside, base) })
		case e.Kind == OfTrainings && marked(path):
			sweepTrainings(path)
		}
	}
}

func sweepTrainings(dir string) {
	Sweep(dir)
	atomicfile.Sweep(dir, func(base string) bool { return base == DigestFile })
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if f.IsDir() && f.Name() != LastDir && f.Name() != EpochsDir {
			sweepTrainings(filepath.Join(dir, f.Name()))
		}
	}
}

// spillFile is what the temporary file of a metric would be called if it were ever given a name.
const spillFile = "metric"

// Spill makes a temporary file for rows that do not fit into memory, in the directory of a run. Where the directory cannot be written,
// as that of a run that somebody else made, it is among the system's temporary files. Whoever asked for it closes it and removes it.
func Spill(dir string) (*os.File, error) {
	f, err := atomicfile.Temporary(filepath.Join(dir, spillFile))
	if err == nil || OfMachine(err) {
		return f, err
	}
	return os.CreateTemp("", "splice-"+spillFile+"-*")
}

// Room returns an error if a directory has no room for a model of such parameters and its description beside what is there. It writes
// as much into a temporary file, since a disk that has room may be full for this user.
func Room(dir string, p *nn.Params) error {
	const description = 1 << 16
	size := int64(description)
	for _, q := range p.All() {
		size += 4 * int64(len(q.Data))
	}
	f, err := atomicfile.Create(filepath.Join(dir, ModelFile))
	if err != nil {
		return fmt.Errorf("train: run directory: %w", err)
	}
	defer f.Abort()
	zeros := make([]byte, 1<<20)
	for left := size; left > 0; left -= int64(len(zeros)) {
		if _, err := f.Write(zeros[:min(left, int64(len(zeros)))]); err != nil {
			return fmt.Errorf("train: %s has no room for a new run beside the one that it would replace, which is left as it was: %w", dir, err)
		}
	}
	return nil
}
