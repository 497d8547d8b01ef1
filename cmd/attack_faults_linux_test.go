package cmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestAttackFaults lets commands run out of disk, of bytes of a file and of open files: they end with exit code 1 and the cause, and
// given again they make the bytes of a command that was not disturbed. SPLICE_ATTACK_FAULTS is how many faults there are.
func TestAttackFaults(t *testing.T) {
	n := times(t, "SPLICE_ATTACK_FAULTS", 15)
	space := jobSpace(t)
	faults := []struct {
		name, cause string
		limit       func(t *testing.T, dir string, need used, r *rand.Rand, c *exec.Cmd) (lift func())
	}{
		{"full disk", "no space left", fullDisk},
		{"limit of a file's size", "file too large", fileSize},
		{"limit of open files", "too many open files", openFiles},
	}
	type ends struct {
		files map[string]string
		need  used
	}
	want := map[string]ends{}
	for _, j := range jobs {
		files, _ := whole(t, space, j)
		want[j.name] = ends{files, usedBy(t, filepath.Join(space, fmt.Sprintf("whole %s 0", j.name)))}
	}
	happened := 0
	for i := 0; happened < n && i < 10*n; i++ {
		f, j := faults[i%len(faults)], jobs[i/len(faults)%len(jobs)]
		dir := filepath.Join(space, fmt.Sprint("fault", i))
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		c := command(dir, j.args[0], append(slices.Clone(j.args[1:]), "--quiet")...)
		lift := f.limit(t, dir, want[j.name].need, rand.New(rand.NewPCG(uint64(i), 7)), c)
		jobFolder(t, space, fmt.Sprint("fault", i))
		o := do(t, c)
		what := f.name + ", " + j.name
		wrong := true
		switch {
		case o.code == 0: // there was enough
			lift()
			if got, left, err := made(dir); len(differ(want[j.name].files, got)) > 0 || len(left) > 0 || err != nil {
				t.Errorf("%s: exit 0 and other files: %v; left behind: %v, %v", what, differ(want[j.name].files, got), left, err)
				record(f.name, "exit 0 and other bytes")
			}
			continue
		case o.code != 1 || !strings.Contains(o.stderr, f.cause) || strings.Contains(o.stderr, "goroutine "):
			t.Errorf("%s: exit %d, want 1 and the cause\n%s", what, o.code, shorten(o.stderr))
		case strings.Contains(o.stderr, "remove") || strings.Contains(o.stderr, "anew"):
			t.Errorf("%s: the advice is to remove something, which would not help\n%s", what, shorten(o.stderr))
		default:
			wrong = false
		}
		happened++
		lift()
		again := execute(t, dir, j.args[0], append(append(slices.Clone(j.args[1:]), j.again...), "--quiet")...)
		got, left, err := made(dir)
		switch d := differ(want[j.name].files, got); {
		case again.code != 0:
			t.Errorf("%s, given again: exit %d\n%s\nafter\n%s", what, again.code, again.stderr, o.stderr)
			record(f.name, "failed afterwards")
		case len(d) > 0 || len(left) > 0 || err != nil:
			t.Errorf("%s, given again, makes other files: %v; left behind: %v, %v\nafter\n%s", what, d, left, err, o.stderr)
			record(f.name, "other bytes")
		case wrong:
			record(f.name, "another end, then the same bytes")
		default:
			record(f.name, "exit 1 and the cause, then the same bytes")
		}
		if f.name == "full disk" {
			_ = syscall.Unmount(dir, syscall.MNT_DETACH) // it is none without the rights
		}
	}
	if happened < n {
		t.Errorf("%d faults happened, want %d", happened, n)
	}
}

// used is the disk that a job takes.
type used struct{ all, largest int64 }

func usedBy(t *testing.T, dir string) (u used) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			u.all += (info.Size() + 4095) &^ 4095
			u.largest = max(u.largest, info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// fullDisk puts a small file system where the command runs, or limits files where that is not permitted.
func fullDisk(t *testing.T, dir string, need used, r *rand.Rand, c *exec.Cmd) func() {
	t.Helper()
	size := func(n int64) string { return fmt.Sprintf("size=%d", n) }
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, size(16384+r.Int64N(need.all))); err != nil {
		t.Log("no file system can be mounted, files are limited instead: ", err)
		return fileSize(t, dir, need, r, c)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }) // it may be gone already
	return func() {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, size(64<<20)); err != nil {
			t.Fatal(err)
		}
	}
}

// limited makes the command run under a limit of the shell.
func limited(c *exec.Cmd, limit string) {
	c.Args = append([]string{"sh", "-c", `ulimit ` + limit + `; exec "$0" "$@"`, c.Path}, c.Args[1:]...)
	c.Path = "/bin/sh"
}

func fileSize(_ *testing.T, _ string, need used, r *rand.Rand, c *exec.Cmd) func() {
	limited(c, fmt.Sprintf("-f %d", r.Int64N(need.largest/512+1))) // blocks of 512 bytes, in some shells of 1024
	return func() {}
}

func openFiles(_ *testing.T, _ string, _ used, r *rand.Rand, c *exec.Cmd) func() {
	limits := []int{3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17} // see TestFewFiles
	if filepath.Base(c.Path) == "predict" {
		limits = limits[3:] // a package that it writes Parquet with starts a clock, for which the runtime takes files before anything else runs
	}
	limited(c, fmt.Sprintf("-n %d", limits[r.IntN(len(limits))]))
	return func() {}
}

// TestFewFiles: the runtime of Go ends a program that may open three or four files beside the standard ones, with a trace, since it
// takes these itself when the program first reads a file that it can wait for. Any other limit is an error of the command. Nothing is
// lost either way.
func TestFewFiles(t *testing.T) {
	space := jobSpace(t)
	j := jobs[0]
	want, _ := whole(t, space, j)
	for n := 3; n < 9; n++ {
		dir := jobFolder(t, space, fmt.Sprint("few", n))
		c := command(dir, j.args[0], append(slices.Clone(j.args[1:]), "--quiet")...)
		limited(c, fmt.Sprintf("-n %d", n))
		o := do(t, c)
		ended := o.code == 2 && strings.Contains(o.stderr, "fatal error: runtime: ")
		told := o.code == 1 && strings.Contains(o.stderr, "too many open files") && strings.Count(o.stderr, "\n") == 1
		if few := n == 6 || n == 7; few != ended || few == told {
			t.Errorf("%d files: exit %d\n%s", n, o.code, shorten(o.stderr))
		}
		train2(t, dir, j.args[0], append(slices.Clone(j.args[1:]), j.again...)...)
		got, left, err := made(dir)
		if d := differ(want, got); len(d) > 0 || len(left) > 0 || err != nil {
			t.Errorf("%d files, then more: other files: %v; left behind: %v, %v", n, d, left, err)
		}
	}
}

// damages are what may befall a file's bytes.
var damages = []struct {
	name string
	do   func(b []byte, r *rand.Rand) []byte
}{
	{"a flipped bit", func(b []byte, r *rand.Rand) []byte { b[r.IntN(len(b))] ^= 1 << r.IntN(8); return b }},
	{"cut off", func(b []byte, r *rand.Rand) []byte { return b[:r.IntN(len(b))] }},
	{"zeros in it", func(b []byte, r *rand.Rand) []byte { clear(b[r.IntN(len(b)):]); return b }},
	{"more behind it", func(b []byte, _ *rand.Rand) []byte { return append(b, b[:len(b)/2+1]...) }},
	{"gone", nil},
}

// filesIn returns the files in a directory and those below it that are not empty.
func filesIn(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() == 0 {
			return err
		}
		all = append(all, path)
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d files, %v", len(all), err)
	}
	return all
}

// TestAttackCaches damages the files of caches: a run of them has the same bytes, and a warning. SPLICE_ATTACK_DAMAGES is how often.
func TestAttackCaches(t *testing.T) {
	n := times(t, "SPLICE_ATTACK_DAMAGES", 15)
	space := jobSpace(t)
	for k, j := range jobs[:2] {
		want, _ := whole(t, space, j)
		dir := filepath.Join(space, fmt.Sprintf("whole %s 0", j.name))
		for i := range (n + 1 - k) / 2 {
			r := rand.New(rand.NewPCG(uint64(i), uint64(k)))
			files := filesIn(t, filepath.Join(dir, ".cache"))
			file, d := files[(i/len(damages))%len(files)], damages[i%len(damages)]
			before := read(t, file)
			if d.do == nil {
				remove(t, "", file)
			} else if err := os.WriteFile(file, d.do(bytes.Clone(before), r), 0o666); err != nil {
				t.Fatal(err)
			}
			o := execute(t, dir, j.args[0], append(slices.Clone(j.args[1:]), "--overwrite")...)
			got, _, err := made(dir)
			what := fmt.Sprintf("%s, the cache's %s: %s", j.name, filepath.Base(file), d.name)
			after, _ := os.ReadFile(file) // a cache that is not read again is not made again
			same := d.do != nil && bytes.Equal(before, d.do(bytes.Clone(before), rand.New(rand.NewPCG(uint64(i), uint64(k)))))
			switch x := differ(want, got); {
			case o.code != 0 || err != nil:
				t.Errorf("%s: exit %d, %v\n%s", what, o.code, err, o.stderr)
				record("damaged cache", "failed")
			case len(x) > 0:
				t.Errorf("%s: other files: %v\n%s", what, x, o.stderr)
				record("damaged cache", "other bytes")
			case d.do == nil || same:
				record("damaged cache", "the same bytes")
			case !strings.Contains(o.stderr, "level=WARN"):
				t.Errorf("%s: no warning, %d bytes before, %d now\n%s", what, len(before), len(after), o.stderr)
				record("damaged cache", "the same bytes, no warning")
			default:
				record("damaged cache", "the same bytes, a warning")
			}
		}
	}
}

// TestAttackStates damages what --resume reads, and edits the numbers of state.json: the command refuses it, or ends with the bytes of
// a training that was not interrupted. SPLICE_ATTACK_DAMAGES is how often.
func TestAttackStates(t *testing.T) {
	n := times(t, "SPLICE_ATTACK_DAMAGES", 15)
	space := jobSpace(t)
	j := jobs[0]
	want, _ := whole(t, space, j)
	dir := jobFolder(t, space, "half")
	t.Run("half", func(t *testing.T) { half(t, dir, "o") })
	files := filesIn(t, filepath.Join(dir, "o", "last"))
	state := filepath.Join(dir, "o", "last", "state.json")
	edits := editsOf(t, read(t, state))
	for i := range n {
		r := rand.New(rand.NewPCG(uint64(i), 3))
		folder := filepath.Join(space, fmt.Sprint("damaged", i))
		if err := os.CopyFS(folder, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		kind, what, file := "damaged checkpoint", "", files[(i/2)%len(files)]
		if i%2 == 0 {
			d := damages[i/2/len(files)%len(damages)]
			what = filepath.Base(file) + ": " + d.name
			in := filepath.Join(folder, "o", "last", filepath.Base(file))
			if d.do == nil {
				remove(t, "", in)
			} else if err := os.WriteFile(in, d.do(read(t, in), r), 0o666); err != nil {
				t.Fatal(err)
			}
		} else {
			e := edits[(i/2)%len(edits)]
			kind, what = "edited state.json", e.what
			write(t, folder, filepath.Join("o", "last", "state.json"), e.text)
		}
		before := contentOf(t, folder)
		o := execute(t, folder, j.args[0], append(append(slices.Clone(j.args[1:]), j.again...), "--quiet")...)
		got, _, err := made(folder)
		if err != nil {
			t.Fatal(err)
		}
		switch d := differ(want, got); {
		case o.code == 1 || o.code == 2:
			if now := differ(before, contentOf(t, folder)); len(now) > 0 || strings.Contains(o.stderr, "goroutine ") {
				t.Errorf("%s: refused, but changed: %v\n%s", what, now, o.stderr)
			}
			record(kind, "refused")
		case o.code != 0:
			t.Errorf("%s: exit %d\n%s", what, o.code, o.stderr)
			record(kind, "failed")
		case len(d) > 0:
			t.Errorf("%s: exit 0 and other files: %v", what, d)
			record(kind, "other bytes")
		default:
			record(kind, "the same bytes")
		}
	}
}

// editsOf are a JSON object's text with each of its values changed.
func editsOf(t *testing.T, text []byte) (all []struct{ what, text string }) {
	t.Helper()
	var object map[string]any
	var walk func(path string, v any, set func(any))
	add := func(path string, now any, was any, set func(any)) {
		set(now)
		b, err := json.MarshalIndent(object, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, struct{ what, text string }{fmt.Sprintf("%s: %v for %v", path, now, was), string(b)})
		set(was)
	}
	walk = func(path string, v any, set func(any)) {
		switch v := v.(type) {
		case map[string]any:
			for k, inner := range v {
				walk(path+"."+k, inner, func(x any) { v[k] = x })
			}
		case float64:
			for _, now := range []any{v + 1, v - 1, -v - 1, 1e18, 0.5, "1"} {
				add(path, now, v, set)
			}
		case bool:
			add(path, !v, v, set)
		case string:
			for _, now := range []any{v + "x", "", 7.0, "../" + v} {
				add(path, now, v, set)
			}
		}
		add(path, nil, v, set)
	}
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	for k, v := range object {
		walk(k, v, func(x any) { object[k] = x })
	}
	slices.SortFunc(all, func(a, b struct{ what, text string }) int { return strings.Compare(a.what, b.what) })
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}
