//go:build unix

package cmd_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// file is an input that is a file's text.
type file struct {
	name, text string
	times      int    // of text, one after another; 0 is 1
	head, tail string // around these
	want       string // of the error; the file's name is wanted anyway
	lines      int
	fine       bool // or accepted
	takes      bool
}

// attacksWith makes an attack of each text: it becomes the file at path, which the command reads.
func attacksWith(kind, on, path string, args []string, files []file) (all []attack) {
	for _, f := range files {
		a := attack{name: kind + "/" + f.name, on: on, args: args, lines: f.lines, fine: f.fine, takes: f.takes, want: []string{filepath.Base(path)}}
		a.spoil = func(t testing.TB, dir string) { f.write(t, dir, path) }
		if f.want != "" {
			a.want = append(a.want, f.want)
		}
		all = append(all, a)
	}
	return all
}

// write writes the file in dir. What is large is never in memory: the kernel counts the memory of a process that starts another one
// as the other one's.
func (f *file) write(t testing.TB, dir, path string) {
	t.Helper()
	to := filepath.Join(dir, filepath.FromSlash(path))
	err := os.MkdirAll(filepath.Dir(to), 0o777)
	if err == nil {
		err = os.RemoveAll(to)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(out, 1<<20)
	_, _ = w.WriteString(f.head) // Flush has the error
	n := max(1, f.times)
	many := min(n, max(1, 1<<20/max(1, len(f.text))))
	block := strings.Repeat(f.text, many)
	for ; n >= many; n -= many {
		_, _ = w.WriteString(block)
	}
	_, _ = w.WriteString(block[:n*len(f.text)])
	_, _ = w.WriteString(f.tail)
	if err := errors.Join(w.Flush(), out.Close()); err != nil {
		t.Fatal(err)
	}
}

// spoil writes a text into a file in dir.
func spoil(t testing.TB, dir, path, text string) {
	t.Helper()
	f := file{text: text}
	f.write(t, dir, path)
}

// noFiles are what may stand where a file is expected, by name. Each takes the place of the file at path.
var noFiles = map[string]func(path string) error{
	"a directory":                   func(path string) error { return os.Mkdir(path, 0o777) },
	"a dead link":                   func(path string) error { return os.Symlink("nowhere", path) },
	"a loop of links":               func(path string) error { return os.Symlink(filepath.Base(path), path) },
	"not there":                     func(string) error { return nil },
	"a link to an empty device":     func(path string) error { return os.Symlink(os.DevNull, path) },
	"a link to an endless device":   func(path string) error { return os.Symlink("/dev/zero", path) },
	"a link to a device that fails": func(path string) error { return os.Symlink("/proc/self/mem", path) },
	"a socket":                      func(path string) error { return syscall.Mknod(path, syscall.S_IFSOCK|0o666, 0) },
	"unreadable":                    func(path string) error { return os.WriteFile(path, nil, 0o000) },
}

// attacksInPlaceOf puts each of noFiles where the command expects a file.
func attacksInPlaceOf(kind, on, path string, args []string) (all []attack) {
	for name, make := range noFiles {
		if name == "unreadable" && os.Geteuid() == 0 {
			continue // root reads it
		}
		a := attack{name: kind + "/" + name, on: on, args: args, want: []string{filepath.Base(path)}}
		a.spoil = func(t testing.TB, dir string) {
			to := filepath.Join(dir, filepath.FromSlash(path))
			if err := os.RemoveAll(to); err != nil {
				t.Fatal(err)
			}
			if err := make(to); err != nil {
				t.Skip("it cannot be made here: ", err)
			}
		}
		all = append(all, a)
	}
	return all
}

// with returns the config after a replacement, which must be one.
func with(config, old, text string) string {
	if !strings.Contains(config, old) {
		panic("no " + old)
	}
	return strings.Replace(config, old, text, 1)
}

func attacksOnConfigs() []attack {
	c := attackConfig
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	path := with(c, "path: rows.tsv", "path: *p")
	args := []string{"train", "--config", "bad.yaml", "--run", "n"}
	all := attacksWith("config", "rows", "bad.yaml", args, []file{
		{name: "empty"},
		{name: "blank lines", text: "\n\n  \n"},
		{name: "a comment", text: "# nothing\n"},
		{name: "a byte order mark", text: "\ufeff" + c, takes: true},
		{name: "CRLF", text: strings.ReplaceAll(c, "\n", "\r\n"), takes: true},
		{name: "CR", text: strings.ReplaceAll(c, "\n", "\r"), fine: true},
		{name: "NUL", text: "\x00" + c},
		{name: "NULs", text: strings.Repeat("\x00", 1<<16)},
		{name: "no UTF-8", text: with(c, "rows.tsv", "\xff\xfe.tsv")},
		{name: "UTF-16", text: "\xff\xfed\x00a\x00t\x00a\x00:\x00\n\x00"},
		{name: "an executable", text: "\x7fELF\x02\x01\x01" + strings.Repeat("\x00\x90\xcc", 1000)},
		{name: "an escape sequence", text: "\x1b]0;title\x07" + c},
		{name: "an escape sequence in a value", text: with(c, "type: deepfm", `type: "deep\x1b[2Jfm"`)},
		{name: "a line separator in a key", text: "\"a\u2028b\": 1\n" + c},
		{name: "text that is turned round", text: "\"a\u202eb\": 1\n" + c},
		{name: "a list", text: "- 1\n- 2\n"},
		{name: "a word", text: "train\n"},
		{name: "a number", text: "7\n"},
		{name: "null", text: "null\n"},
		{name: "two documents", text: c + "---\n" + c},
		{name: "JSON", text: `{"data": {"type": "criteo", "path": "rows.tsv", "split": {"by": "order", "ratio": [0.7, 0.1, 0.2]}}, "model": {"type": "lr"}, "train": {"epochs": 1}}`, takes: true},
		{name: "a section twice", text: c + "model: {type: fm}\n"},
		{name: "a key twice", text: with(c, "epochs: 3", "epochs: 3, epochs: 4")},
		{name: "an unknown key", text: with(c, "epochs:", "epocs:")},
		{name: "an unknown section", text: c + "trian: {}\n"},
		{name: "a type that is not there", text: with(c, "type: deepfm", "type: deepfn"), want: "deepfm"},
		{name: "a type that is a list", text: with(c, "type: deepfm", "type: [deepfm]")},
		{name: "a type that is null", text: with(c, "type: deepfm", "type: ")},
		{name: "a type that is a number", text: with(c, "type: deepfm", "type: 3")},
		{name: "a section that is a list", text: "data: [1]\nmodel: {type: fm}\n"},
		{name: "a section that is null", text: "data:\nmodel:\n"},
		{name: "no model", text: "data: {type: criteo, path: rows.tsv}\n"},
		{name: "no data", text: "model: {type: fm}\n"},
		{name: "text for a number", text: with(c, "epochs: 3", "epochs: many")},
		{name: "a fraction for a whole number", text: with(c, "epochs: 3", "epochs: 3.5")},
		{name: "a negative number", text: with(c, "epochs: 3", "epochs: -1")},
		{name: "zero", text: with(c, "batch_size: 32", "batch_size: 0")},
		{name: "a negative batch", text: with(c, "batch_size: 32", "batch_size: -32")},
		{name: "a number over 64 bits", text: with(c, "epochs: 3", "epochs: 99999999999999999999999")},
		{name: "a number of 100,000 digits", text: with(c, "epochs: 3", "epochs: "+strings.Repeat("9", 100000))},
		{name: "a number of a large exponent", text: with(c, "learning_rate: 0.01", "learning_rate: 1e999999999")},
		{name: "NaN", text: with(c, "learning_rate: 0.01", "learning_rate: .nan")},
		{name: "infinity", text: with(c, "learning_rate: 0.01", "learning_rate: .inf")},
		{name: "a negative rate", text: with(c, "learning_rate: 0.01", "learning_rate: -1")},
		{name: "shares over 1", text: with(c, "[0.7, 0.1, 0.2]", "[0.7, 0.7, 0.7]")},
		{name: "shares that are NaN", text: with(c, "[0.7, 0.1, 0.2]", "[.nan, 0.1, 0.2]")},
		{name: "a negative share", text: with(c, "[0.7, 0.1, 0.2]", "[1.7, -0.5, -0.2]"), fine: true},
		{name: "two shares", text: with(c, "[0.7, 0.1, 0.2]", "[0.7, 0.3]"), fine: true},
		{name: "four shares", text: with(c, "[0.7, 0.1, 0.2]", "[0.7, 0.1, 0.1, 0.1]"), fine: true},
		{name: "counts over the rows", text: with(c, "ratio: [0.7, 0.1, 0.2]", "counts: [1000, 1, 1]"), fine: true},
		{name: "counts that overflow", text: with(c, "ratio: [0.7, 0.1, 0.2]", "counts: [9223372036854775807, 9223372036854775807, 242]"), fine: true},
		{name: "no units", text: with(c, "hidden_units: [8]", "hidden_units: [0]")},
		{name: "negative units", text: with(c, "hidden_units: [8]", "hidden_units: [-8]")},
		{name: "no dimensions", text: with(c, "embedding_dim: 4", "embedding_dim: 0")},
		{name: "negative dimensions", text: with(c, "embedding_dim: 4", "embedding_dim: -4")},
		{name: "dropout over 1", text: with(c, "hidden_units: [8]", "hidden_units: [8], net_dropout: 2")},
		{name: "an unknown metric", text: c + "task: {type: binary_classification, metrics: [acu]}\n", want: "auc"},
		{name: "no metrics", text: c + "task: {type: binary_classification, metrics: []}\n", fine: true},
		{name: "an unknown monitor", text: with(c, "epochs: 3", "epochs: 3, monitor: acu"), fine: true},
		{name: "an unknown schedule", text: with(c, "epochs: 3", "epochs: 3, schedule: cosin"), want: "cosine"},
		{name: "freeze all", text: with(c, "epochs: 3", `epochs: 3, freeze: ["*"]`), fine: true},
		{name: "freeze nothing that is there", text: with(c, "epochs: 3", `epochs: 3, freeze: ["xyz.*"]`), fine: true},
		{name: "a regime of nothing", text: c + "merge: {regime: {type: branch, count: -1}}\n", fine: true},
		{name: "a task of texts", text: c + "task: mlm\n", fine: true},
		{name: "a model of texts", text: with(c, "{type: deepfm, embedding_dim: 4, hidden_units: [8]}", "{type: bert}"), fine: true},
		{name: "a decay of 2", text: with(c, "epochs: 3", "epochs: 3, ema: 2")},
		{name: "a monitor that is a list", text: with(c, "epochs: 3", "epochs: 3, monitor: [auc]")},
		{name: "an alias of itself", text: "a: &a [*a]\n" + c},
		{name: "an alias of nothing", text: path},
		{name: "a bomb of aliases", text: laughs.String() + c},
		{name: "a bomb of aliases in a list", text: laughs.String() + with(c, "path: rows.tsv", "path: *a11")},
		{name: "a merge key", text: "x: &x {epochs: 1}\n" + with(c, "epochs: 3", "<<: *x")},
		{name: "a tag", text: with(c, "epochs: 3", "epochs: !!python/object:os.system 3"), fine: true},
		{name: "binary", text: with(c, "rows.tsv", "!!binary cm93cy50c3Y="), fine: true},
		{name: "a set", text: with(c, "{by: order, ratio: [0.7, 0.1, 0.2]}", "!!set {by, ratio}")},
		{name: "a key that is a list", text: "? [a, b]\n: 1\n" + c},
		{name: "a key that is null", text: "~: 1\n" + c},
		{name: "a tab", text: "data:\n\ttype: criteo\n"},
		{name: "an open quote", text: with(c, "rows.tsv", `"rows.tsv`)},
		{name: "an open brace", text: strings.TrimSuffix(c, "}\n")},
		{name: "100,000 open lists", text: "data: " + strings.Repeat("[", 100000)},
		{name: "100,000 open maps", text: "data: " + strings.Repeat("{a: ", 100000)},
		{name: "10,000 lists", text: "data: " + strings.Repeat("[", 10000) + strings.Repeat("]", 10000)},
		{name: "3,000 indents", text: indents(3000)},
		{name: "a block that is deep", text: "data:\n" + strings.Repeat(" ", 50000) + "type: criteo\n", fine: true},
		{name: "30,000 unknown keys", text: keys(30000), want: "more mistakes"},
		{name: "a key of 1 MB", text: strings.Repeat("k", 1<<20) + ": 1\n" + c},
		{name: "a value of 1 MB", text: with(c, "rows.tsv", strings.Repeat("v", 1<<20))},
		{name: "40 MB", text: "# comment\n", times: 4 << 20},
		{name: "a path with a NUL", text: with(c, "rows.tsv", `"rows\0.tsv"`)},
		{name: "a path that is too long", text: with(c, "rows.tsv", strings.Repeat("long", 500))},
		{name: "a path that is blank", text: with(c, "rows.tsv", `""`)},
		{name: "a path that is a list of lists", text: with(c, "rows.tsv", "[[rows.tsv]]")},
		{name: "a pattern that is none", text: with(c, "rows.tsv", `"[a-"`)},
		{name: "a pattern of nothing", text: with(c, "rows.tsv", `"*.none"`)},
		{name: "extends itself", text: "extends: bad.yaml\n"},
		{name: "extends nothing", text: "extends: none.yaml\n"},
		{name: "extends a directory", text: "extends: r\n"},
		{name: "extends a list", text: "extends: [run.yaml]\n"},
		{name: "extends rows", text: "extends: rows.tsv\n"},
		{name: "extends a device", text: "extends: /dev/zero\n"},
	})
	for i := range all {
		all[i].lines = -1 // every mistake is told, one a line
		if all[i].fine || strings.HasPrefix(all[i].name, "config/extends") || strings.HasPrefix(all[i].name, "config/a p") {
			all[i].want = nil // the line is about another file, or about what the config does not say
		}
	}
	secret := attack{
		name: "config/extends a file of secrets", on: "rows", args: args,
		spoil: func(t testing.TB, dir string) {
			spoil(t, dir, "bad.yaml", "extends: secrets\n")
			spoil(t, dir, "secrets", "root:$6$hunter2:19000:0:99999:7:::\ndaemon:*:19000\n")
		},
		want: []string{"secrets"},
	}
	for _, s := range []struct{ name, set string }{
		{"nothing", ""},
		{"no value", "train.epochs"},
		{"no key", "=3"},
		{"dots", "...=3"},
		{"an unknown key", "train.epocs=3"},
		{"an index", "model.hidden_units.9=3"},
		{"a negative index", "model.hidden_units.-1=3"},
		{"a large index", "model.hidden_units.99999999999999999999=3"},
		{"a list in a number", "train.epochs=[1, 2]"},
		{"open", "model.hidden_units=[1, 2"},
		{"a bomb", "model.hidden_units=" + strings.Repeat("[", 100000)},
		{"no UTF-8", "data.path=\xff\xfe"},
		{"an alias", "data.path=*x"},
		{"a control character", "data.path=\x1b[31m"},
		{"a type", "model.type=[fm]"},
		{"two documents", "train.epochs=1\n---\n2"},
		{"a long key", strings.Repeat("a.", 50000) + "b=1"},
		{"a value that is long", "train.epochs=" + strings.Repeat("9", 100000)},
		{"null", "data=null"},
		{"seed", "seed=-1"},
		{"a large seed", "seed=1e30"},
		{"threads", "threads=-1"},
		{"many threads", "threads=1000000000"},
		{"a run", "run=\"a\\0b\""},
	} {
		fine := s.name == "seed" || s.name == "many threads" || s.name == "no key" || s.name == "a run"
		all = append(all, attack{name: "set/" + s.name, on: "rows", args: []string{"train", "--config", "run.yaml", "--run", "n", "--set", s.set}, fine: fine})
	}
	return append(append(all, secret), attacksInPlaceOf("config", "rows", "bad.yaml", args)...)
}

// indents is a config of n sections within each other.
func indents(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// keys is a config of n unknown keys.
func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "key%d: 1\n", i)
	}
	return b.String()
}

func attacksOnFlags() (all []attack) {
	add := func(name string, args ...string) {
		all = append(all, attack{name: "flags/" + name, on: "rows", args: args, code: 2})
	}
	add("train without a config", "train")
	add("a config that is blank", "train", "--config", "")
	add("an argument", "train", "run.yaml")
	add("a run that is a file", "train", "--config", "run.yaml", "--run", "rows.tsv")
	add("a run within a file", "train", "--config", "run.yaml", "--run", "rows.tsv/n")
	add("a run that is there", "train", "--config", "run.yaml", "--run", "r")
	add("a run of another config", "train", "--config", "run.yaml", "--run", "r", "--resume", "--set", "train.epochs=4")
	add("both", "train", "--config", "run.yaml", "--run", "r", "--resume", "--overwrite", "--set", "train.epochs=0")
	add("a long run", "train", "--config", "run.yaml", "--run", strings.Repeat("r", 500))
	add("defaults of nothing", "train", "--defaults", "\x1b[2J")
	add("finetune without anything", "finetune")
	add("finetune of nothing", "finetune", "--from", "none")
	add("finetune of rows", "finetune", "--from", "rows.tsv")
	add("finetune onto itself", "finetune", "--from", "r", "--run", "r")
	add("finetune onto itself with overwrite", "finetune", "--from", "r", "--run", "./r", "--overwrite")
	add("fetch of nothing", "finetune", "--config", "run.yaml", "--fetch", "x")
	add("cki without a merge", "cki", "--config", "run.yaml", "--run", "n", "--set", "merge.parents=[r]")
	add("cki without anything", "cki", "--config", "none.yaml")
	add("cki of one", "cki", "--config", "merge.yaml", "--run", "n", "--set", "merge.parents=[r]")
	add("cki of itself", "cki", "--config", "merge.yaml", "--run", "r", "--overwrite")
	add("cki of nothing", "cki", "--config", "merge.yaml", "--run", "n", "--set", "merge.parents=[none, r]")
	add("cki of rows", "cki", "--config", "merge.yaml", "--run", "n", "--set", "merge.parents=[rows.tsv, r]")
	add("cki of another model", "cki", "--config", "merge.yaml", "--run", "n", "--set", "merge.parents=[l, r]")
	all[len(all)-1].lines = -1 // one for each feature
	add("evaluate without a run", "evaluate")
	add("evaluate of nothing", "evaluate", "--run", "none")
	add("evaluate of a file", "evaluate", "--run", "rows.tsv")
	add("evaluate of a directory", "evaluate", "--run", ".")
	add("evaluate of no part", "evaluate", "--run", "r", "--split", "x")
	add("evaluate of no file", "evaluate", "--run", "r", "--data", "none.tsv")
	add("evaluate of a run's file", "evaluate", "--run", "r", "--data", "r/model.safetensors")
	add("evaluate of two kinds", "evaluate", "--run", "r", "--run", "c")
	add("evaluate of an ensemble of one", "evaluate", "--run", "r", "--ensemble", "logits")
	add("evaluate of an unknown ensemble", "evaluate", "--run", "r", "--run", "b", "--ensemble", "x")
	add("predict without anything", "predict")
	add("predict without in", "predict", "--run", "r", "--out", "-")
	add("predict without out", "predict", "--run", "r", "--in", "rows.tsv")
	add("predict of no file", "predict", "--run", "r", "--in", "none.tsv", "--out", "-")
	add("predict of a directory", "predict", "--run", "r", "--in", "r", "--out", "-")
	add("predict into a directory", "predict", "--run", "r", "--in", "rows.tsv", "--out", "r")
	add("predict into a directory that is not there", "predict", "--run", "r", "--in", "rows.tsv", "--out", "none/p.txt")
	add("predict into a file's folder", "predict", "--run", "r", "--in", "rows.tsv", "--out", "rows.tsv/p.txt")
	add("predict of another layout", "predict", "--run", "r", "--in", "rows.csv", "--out", "-")
	add("table without anything", "table")
	add("table of nothing", "table", "none.yaml")
	add("table of a config", "table", "run.yaml")
	add("table of a directory", "table", "r")
	for i := range all {
		switch name := all[i].name; {
		case name == "flags/table of a config", name == "flags/defaults of nothing", name == "flags/evaluate of two kinds":
			all[i].lines = -1 // they list what there is
		case strings.HasPrefix(name, "flags/predict into"):
			all[i].code = 0 // 2 or 1
		}
	}
	return all
}
