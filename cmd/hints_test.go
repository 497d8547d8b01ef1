package cmd_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// commands are the programs.
var commands = []string{"train", "finetune", "cki", "evaluate", "predict", "table", "serve", "figures", "search", "runs", "export", "launch"}

var (
	flagText  = regexp.MustCompile(`(?:^|[^\w-])--([a-z]+)`)
	otherText = regexp.MustCompile("\\b(" + strings.Join(commands, "|") + ")(?:\\.exe)?( --[^\n\"`;]*)") // a whole command
	flagLine  = regexp.MustCompile(`(?m)^  -([a-z]+)`)
)

// flagsOf returns the flags of a command, as its help lists them.
var flagsOf = sync.OnceValue(func() map[string][]string {
	all := map[string][]string{}
	for _, name := range commands {
		var b bytes.Buffer
		c := exec.Command(filepath.Join(bin, name), "--help")
		c.Stderr = &b
		_ = c.Run()
		for _, m := range flagLine.FindAllStringSubmatch(b.String(), -1) {
			all[name] = append(all[name], m[1])
		}
	}
	return all
})

// foreign returns the flags in a text that are those of none of the commands. Where the text names a command with its flags, they are
// that command's.
func foreign(text string, of ...string) (bad []string) {
	check := func(text string, of ...string) {
		for _, m := range flagText.FindAllStringSubmatch(text, -1) {
			for _, name := range of {
				if !slices.Contains(flagsOf()[name], m[1]) && m[1] != "help" {
					bad = append(bad, name+" --"+m[1])
				}
			}
		}
	}
	for _, m := range otherText.FindAllStringSubmatch(text, -1) {
		check(m[2], m[1])
	}
	check(otherText.ReplaceAllString(text, "$1"), of...)
	return bad
}

// checkHints fails the test if what a command printed names a flag that it lacks.
func checkHints(t *testing.T, c *exec.Cmd, text string) {
	t.Helper()
	name := strings.TrimSuffix(filepath.Base(c.Path), ".exe")
	if !slices.Contains(commands, name) || filepath.Dir(c.Path) != filepath.Clean(bin) {
		return
	}
	if bad := foreign(text, name); len(bad) > 0 {
		t.Errorf("%s names flags that there are not: %s\n%s", strings.Join(c.Args, " "), strings.Join(bad, ", "), text)
	}
}

// namers are the files of packages that several commands share, and the commands that say the flags in them.
var namers = map[string][]string{
	"cmd/internal/app/flags.go":   {"evaluate", "predict"},
	"cmd/internal/app/inspect.go": {"evaluate", "predict", "serve"},
	"cmd/splice/main.go":          {"train"}, // --help
	"configs/export/hub.go":       {"export"},
	"configs/job/calibrate.go":    {"evaluate"},
	"configs/job/ensemble.go":     {"evaluate"}, // --run and --ensemble are predict's too
	"configs/job/evaluate.go":     {"evaluate"},
	"configs/job/finetune.go":     {"finetune"},
	"configs/job/importance.go":   {"evaluate"},
	"configs/job/load.go":         {"finetune"},
	"configs/job/slices.go":       {"evaluate"},
	"configs/job/ranks.go":        {"train", "finetune"},
	"configs/override.go":         {"train", "finetune", "cki", "evaluate", "predict", "table"},
	"train/run/dir.go":            {"train", "finetune"}, // what --resume and --overwrite, which were given, cannot do
}

// others are files that say flags of other programs, or are not read by commands.
var others = []string{"data/internal/scan/input.go", "configs/docgen/page.go", "train/run/names.go", "cmd/launch/main.go"}

// TestFlagsInMessages looks for flags in the texts of the program: those of packages that several commands share stand in a Remedy,
// which is put into each command's words, or in a file whose commands are known.
func TestFlagsInMessages(t *testing.T) {
	for name, flags := range flagsOf() {
		if len(flags) < 4 {
			t.Fatalf("the flags of %s are %q", name, flags)
		}
	}
	seen := map[string]bool{}
	err := fs.WalkDir(os.DirFS(".."), ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || slices.Contains(others, file) {
			return err
		}
		of := namers[file]
		if dir, name := path.Split(path.Dir(file)); dir == "cmd/internal/" && slices.Contains(commands, name) {
			of = []string{name}
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, filepath.Join("..", filepath.FromSlash(file)), nil, 0)
		if err != nil {
			return err
		}
		with := wordsOfRemedies(f)
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.BasicLit)
			if !ok || s.Kind != token.STRING || !flagText.MatchString(strings.Trim(s.Value, "\"`")) {
				return true
			}
			seen[file] = true
			text := strings.Trim(s.Value, "\"`")
			all := of
			switch {
			case with[s]:
				all = []string{"train"} // which has them all, but for the rows'
				if file == "train/ensemble/instep.go" {
					all = []string{"evaluate"}
				}
			case len(all) == 0 && flagText.MatchString(otherText.ReplaceAllString(text, "$1")):
				t.Errorf("%v: %s: which commands have the flag? Make it a Remedy of train/run", set.Position(s.Pos()), s.Value)
			}
			if bad := foreign(text, all...); len(bad) > 0 {
				t.Errorf("%v: %s: there is no %s", set.Position(s.Pos()), s.Value, strings.Join(bad, ", "))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for file := range namers {
		if !seen[file] {
			t.Errorf("%s names no flag any more: take it off the list", file)
		}
	}
}

// wordsOfRemedies returns the texts of remedies for commands that have the flag.
func wordsOfRemedies(f *ast.File) map[*ast.BasicLit]bool {
	with := map[*ast.BasicLit]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		c, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		name := ""
		switch x := c.Type.(type) {
		case *ast.Ident:
			name = x.Name
		case *ast.SelectorExpr:
			name = x.Sel.Name
		}
		if name != "Remedy" {
			return true
		}
		for i, e := range c.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				if k, ok := kv.Key.(*ast.Ident); !ok || k.Name != "With" {
					continue
				}
			} else if i != 2 {
				continue
			}
			ast.Inspect(e, func(n ast.Node) bool {
				if s, ok := n.(*ast.BasicLit); ok {
					with[s] = true
				}
				return true
			})
		}
		return true
	})
	return with
}

// TestHints runs commands into errors that several of them share. What each prints names its own flags, as checkHints looks for.
func TestHints(t *testing.T) {
	dir := workspace(t, 1500)
	small := []string{"--set", "train.epochs=1", "--quiet"}
	train(t, dir, "a", small...)
	train(t, dir, "b", append(small, "--set", "seed=2")...)
	write(t, dir, "given.yaml", "merge: {parents: [a, b], report: false, finetune: {epochs: 0}}\n")
	write(t, dir, "table.yaml", "runs: t\nseeds: 1\nvariants: [{name: x, config: made.yaml}]\n")
	write(t, dir, "made.yaml", config+"merge: {regime: {type: shared_init}, report: false, finetune: {epochs: 0}}\n")
	for _, at := range []string{"t/x/1", "u"} { // a run where the table's merge goes, and one without weights
		if o := execute(t, dir, "train", append(small, "--config", "run.yaml", "--run", at)...); o.code != 0 {
			t.Fatalf("exit %d\n%s", o.code, o.stderr)
		}
	}
	if err := os.Remove(filepath.Join(dir, "u", "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"train", "--config", "run.yaml", "--run", "a"}, "go on with --resume, replace it with --overwrite, or choose another --run"},
		{[]string{"finetune", "--from", "b", "--run", "a"}, "go on with --resume, replace it with --overwrite, or choose another --run"},
		{[]string{"finetune", "--from", "b", "--run", "b"}, "go on with --resume, replace it with --overwrite, or choose another --run"},
		{[]string{"cki", "--config", "given.yaml", "--run", "u"}, "(config.yaml): replace it with --overwrite, or choose another --run"},
		{[]string{"cki", "--config", "given.yaml", "--run", "a"}, "parent a: choose another --run"},
		{[]string{"table", "table.yaml"}, "(config.yaml): move it away, or choose another directory"},
		{[]string{"evaluate", "--run", "u"}, "u has no model.safetensors"},
		{[]string{"predict", "--run", "u", "--in", "rows.tsv", "--out", "-"}, "u has no model.safetensors"},
		{[]string{"finetune", "--from", "u"}, "has no model.safetensors"},
	} {
		if o := execute(t, dir, tc.args[0], tc.args[1:]...); o.code != 2 || !strings.Contains(o.stderr, tc.want) {
			t.Errorf("%v: exit %d, want 2 and %q\n%s", tc.args, o.code, tc.want, o.stderr)
		}
	}
}
