package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/configs/registry"
)

// shape is a registered kind of these tests: the loader needs no real models.
type shape interface{ area() float64 }

type circle struct {
	Radius float64 `yaml:"radius"`
	Name   string  `yaml:"name"`
}

func (c circle) area() float64 { return 3 * c.Radius * c.Radius }

func (c circle) Validate() error {
	if c.Radius < 0 {
		return registry.Field("radius", "must not be negative")
	}
	return nil
}

type box struct {
	Sides []int  `yaml:"sides"`
	Name  string `yaml:"name"`
}

func (b box) area() float64 { return float64(b.Sides[0]) }

func init() {
	shapes := registry.New[shape]("shape")
	shapes.Register("circle", circle{Radius: 1})
	shapes.Register("box", box{Sides: []int{1, 2}})
}

type drawing struct {
	Title string         `yaml:"title"`
	Main  shape          `yaml:"main,required"`
	Frame shape          `yaml:"frame"`
	Pen   pen            `yaml:"pen"`
	Sizes map[string]int `yaml:"sizes"`
}

type pen struct {
	Width float64 `yaml:"width"`
	Color string  `yaml:"color"`
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func loadDrawing(path string, set ...string) (drawing, error) {
	d := drawing{Frame: circle{Radius: 7}, Pen: pen{Width: 0.5, Color: "black"}}
	err := load(path, set, &d)
	return d, err
}

func TestExtends(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "parent.yaml", "title: p\nmain: {type: box, sides: [3, 4], name: b}\nframe: circle\npen:\n  width: 2\n  color: red\nsizes: {a: 1, b: 2}\n")
	for _, tc := range []struct {
		name, child string
		want        drawing
	}{
		{
			"merge", "extends: parent.yaml\nmain: {name: c}\npen: {width: 3}\nsizes: {b: 3, c: 4}\n",
			drawing{
				Title: "p", Main: box{Sides: []int{3, 4}, Name: "c"}, Frame: circle{Radius: 1}, Pen: pen{3, "red"},
				Sizes: map[string]int{"a": 1, "b": 3, "c": 4},
			},
		},
		{
			"lists are replaced, same type", "extends: parent.yaml\nmain: {type: box, sides: [9]}\n",
			drawing{
				Title: "p", Main: box{Sides: []int{9}, Name: "b"}, Frame: circle{Radius: 1}, Pen: pen{2, "red"},
				Sizes: map[string]int{"a": 1, "b": 2},
			},
		},
		{
			"another type", "extends: parent.yaml\nmain: {type: circle}\nframe: {radius: 2}\n",
			drawing{Title: "p", Main: circle{Radius: 1}, Frame: circle{Radius: 2}, Pen: pen{2, "red"}, Sizes: map[string]int{"a": 1, "b": 2}},
		},
		{
			"shorthand", "extends: parent.yaml\nmain: box\nframe: box\n",
			drawing{
				Title: "p", Main: box{Sides: []int{3, 4}, Name: "b"}, Frame: box{Sides: []int{1, 2}}, Pen: pen{2, "red"},
				Sizes: map[string]int{"a": 1, "b": 2},
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			write(t, "child.yaml", tc.child)
			got, err := loadDrawing("child.yaml")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestExtendsShorthandOfParent(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "parent.yaml", "main: circle\nframe: box\n")
	write(t, "child.yaml", "extends: parent.yaml\nframe: {name: n}\n")
	got, err := loadDrawing("child.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := (box{Sides: []int{1, 2}, Name: "n"}); !cmp.Equal(got.Frame, shape(want)) {
		t.Errorf("frame = %+v, want %+v", got.Frame, want)
	}
}

func TestExtendsFromOtherDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("a/b", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, "a/p.yaml", "main: box\n")
	write(t, "a/b/c.yaml", "extends: ../p.yaml\n")
	if _, err := loadDrawing("a/b/c.yaml"); err != nil {
		t.Error(err)
	}
}

func TestOverride(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "d.yaml", "main: {type: box, sides: [3, 4], name: b}\nframe: circle\n")
	base := drawing{Main: box{Sides: []int{3, 4}, Name: "b"}, Frame: circle{Radius: 1}, Pen: pen{0.5, "black"}}
	for _, tc := range []struct {
		name string
		set  []string
		edit func(*drawing)
	}{
		{"nothing", nil, func(*drawing) {}},
		{"value", []string{"title=a=b"}, func(d *drawing) { d.Title = "a=b" }},
		{"missing section", []string{"pen.width=4"}, func(d *drawing) { d.Pen.Width = 4 }},
		{"list", []string{"main.sides=[7]"}, func(d *drawing) { d.Main = box{Sides: []int{7}, Name: "b"} }},
		{"item", []string{"main.sides.1=7"}, func(d *drawing) { d.Main = box{Sides: []int{3, 7}, Name: "b"} }},
		{"shorthand", []string{"frame.radius=3"}, func(d *drawing) { d.Frame = circle{Radius: 3} }},
		{"type", []string{"main.type=circle"}, func(d *drawing) { d.Main = circle{Radius: 1} }},
		{"type by shorthand", []string{"main=circle"}, func(d *drawing) { d.Main = circle{Radius: 1} }},
		{"type again", []string{"main=box", "main.type=box"}, func(*drawing) {}},
		{"type first", []string{"main.radius=3", "main.type=circle"}, func(d *drawing) { d.Main = circle{Radius: 3} }},
		{"section", []string{"main={type: box, sides: [1]}"}, func(d *drawing) { d.Main = box{Sides: []int{1}} }},
		{"map", []string{"sizes={a: 1}", "sizes.b=2"}, func(d *drawing) { d.Sizes = map[string]int{"a": 1, "b": 2} }},
		{"last wins", []string{"title=a", "title=b"}, func(d *drawing) { d.Title = "b" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := base
			tc.edit(&want)
			got, err := loadDrawing("d.yaml", tc.set...)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLoadProblems(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "good.yaml", "main: {type: box, sides: [3, 4]}\npen: {width: 1}\n")
	write(t, "bad.yaml", "pen:\n  widht: 1\n\nmain: boxx\n")
	write(t, "child.yaml", "extends: bad.yaml\ntitle: [1]\n")
	write(t, "grandchild.yaml", "extends: child.yaml\n")
	write(t, "broken.yaml", "pen: {\n")
	write(t, "of_broken.yaml", "extends: broken.yaml\n")
	write(t, "of_missing.yaml", "title: x\nextends: god.yaml\nmain: box")
	write(t, "of_empty.yaml", "extends: empty.yaml\n")
	write(t, "of_list.yaml", "extends: [good.yaml]\nmain: box\n")
	write(t, "of_dups.yaml", "extends: dups.yaml\nmain: box\nmain: circle\n")
	write(t, "dups.yaml", "title: x\n\ntitle: y\n")
	write(t, "empty.yaml", "# nothing\n")
	write(t, "null.yaml", "null\n")
	for _, tc := range []struct {
		name, path string
		set        []string
		want       string
	}{
		{"missing file", "godd.yaml", nil, "godd.yaml: no such file; did you mean good.yaml?"},
		{"directory", ".", nil, ".: is a directory; give a .yaml file"},
		{
			"two files", "child.yaml", nil,
			"child.yaml:2: title: want text, have a list\nbad.yaml:2: pen.widht: unknown key; did you mean \"width\"?\nbad.yaml:4: main: unknown shape \"boxx\"; did you mean \"box\"?",
		},
		{
			"two levels", "grandchild.yaml", nil,
			"child.yaml:1: extends: grandchild.yaml extends this file, and only one level is allowed; extend the last one directly",
		},
		{"parent syntax", "of_broken.yaml", nil, "broken.yaml:2: not valid YAML: did not find expected node content; a bracket is not closed, or text that starts with a special character, such as a comma, needs quotes"},
		{"parent missing", "of_missing.yaml", nil, "of_missing.yaml:2: extends: god.yaml: no such file; did you mean good.yaml?"},
		{"parent empty", "of_empty.yaml", nil, "empty.yaml: is empty, so there is nothing to extend"},
		{"parents", "of_list.yaml", nil, "of_list.yaml:1: extends: want one file name, relative to this file"},
		{
			"duplicates in both", "of_dups.yaml", nil,
			"of_dups.yaml:3: main: duplicate key; it is on line 2 already, keep one\ndups.yaml:3: title: duplicate key; it is on line 1 already, keep one",
		},
		{"empty", "empty.yaml", nil, "empty.yaml: is empty; a config needs at least the sections data and model (see docs/config.md)"},
		{"null", "null.yaml", nil, "null.yaml: is empty; a config needs at least the sections data and model (see docs/config.md)"},
		{
			"set unknown", "good.yaml",
			[]string{"pne.width=1", "pen.widht=2"},
			"--set pen.widht=2: pen.widht: unknown key; did you mean \"width\"?\n--set pne.width=1: pne: unknown key; did you mean \"pen\"?",
		},
		{
			"set wrong type", "good.yaml",
			[]string{"pen.width=thick", "pen=[1]"},
			"--set pen=[1]: pen: want a section of `key: value` lines, have a list",
		},
		{
			"set type error", "good.yaml",
			[]string{"pen.width='2'"},
			"--set pen.width='2': pen.width: want a number, have the text \"2\"; remove the quotes",
		},
		{
			"set range", "good.yaml",
			[]string{"main.type=circle", "main.radius=-1"},
			"--set main.radius=-1: main.radius: must not be negative, have -1",
		},
		{
			"set unknown type", "good.yaml",
			[]string{"main.type=circel"},
			"--set main.type=circel: main.type: unknown shape \"circel\"; did you mean \"circle\"?",
		},
		{
			"set type by text", "good.yaml",
			[]string{"main=circel"},
			"--set main=circel: main: unknown shape \"circel\"; did you mean \"circle\"?",
		},
		{
			"set item", "good.yaml",
			[]string{"main.sides.2=1"},
			"--set main.sides.2=1: main.sides.2: the list main.sides has items 0 to 1; want one of them, or set the whole list",
		},
		{
			"set item of no list", "good.yaml",
			[]string{"sizes.0=1"},
			"--set sizes.0=1: sizes: is not a list in the file, so it has no item 0; set the whole list: sizes=[...]",
		},
		{
			"set below a number", "good.yaml",
			[]string{"pen.width.x=1"},
			"--set pen.width.x=1: pen.width.x: pen.width is the value 1, it has no keys below it",
		},
		{"set nothing", "good.yaml", []string{"title"}, "--set title: want key=value, like train.learning_rate=0.01"},
		{
			"set empty", "good.yaml",
			[]string{"title="},
			"--set title=: title: has no value; want text, or remove the key to get the default",
		},
		{
			"set no key", "good.yaml",
			[]string{"=1", "a..b=1", "a b=1"},
			"--set =1: \"\" is not a key; want names with dots between, like train.learning_rate\n--set a..b=1: \"a..b\" is not a key; want names with dots between, like train.learning_rate\n--set a b=1: \"a b\" is not a key; want names with dots between, like train.learning_rate",
		},
		{"set syntax", "good.yaml", []string{"title=[1"}, "--set title=[1: not valid YAML: did not find expected ',' or ']'"},
		{
			"set characters of YAML", "good.yaml",
			[]string{"title=,", "title=>50K", "title=*.csv", "title=|", "title=:", "title=?", "title=!x", "title=&'"},
			"--set title=,: the text , has a meaning of its own in YAML; put it in quotes, and all of it in others: --set \"title=','\"\n" +
				"--set title=>50K: the text >50K has a meaning of its own in YAML; put it in quotes, and all of it in others: --set \"title='>50K'\"\n" +
				"--set title=*.csv: the text *.csv has a meaning of its own in YAML; put it in quotes, and all of it in others: --set \"title='*.csv'\"\n" +
				"--set title=|: the text | has a meaning of its own in YAML; put it in quotes, and all of it in others: --set \"title='|'\"\n" +
				"--set title=:: the text : has a meaning of its own in YAML; put it in quotes, and all of it in others: --set \"title=':'\"\n" +
				"--set title=?: the text ? has a meaning of its own in YAML; put it in quotes, and all of it in others: --set \"title='?'\"\n" +
				"--set title=!x: the text !x has a meaning of its own in YAML; put it in quotes, and all of it in others: --set \"title='!x'\"\n" +
				"--set title=&': the text &' has a meaning of its own in YAML; put it in quotes, and all of it in others: --set \"title='&'''\"",
		},
		{"set quoted characters of YAML", "good.yaml", []string{"title=','"}, ""},
		{"set extends", "good.yaml", []string{"extends=x"}, "--set extends=x: extends cannot be set here; it belongs into the file"},
		{
			"set and file", "bad.yaml",
			[]string{"title=1"},
			"bad.yaml:2: pen.widht: unknown key; did you mean \"width\"?\nbad.yaml:4: main: unknown shape \"boxx\"; did you mean \"box\"?\n--set title=1: title: want text, have the number 1; put it in quotes if it is meant as text: \"1\"",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := loadDrawing(tc.path, tc.set...)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestLoadErrorType(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "bad.yaml", "title: 1\nmian: 2\n")
	_, err := loadDrawing("bad.yaml")
	var e *registry.Error
	if !errors.As(err, &e) || len(e.Problems) != 2 {
		t.Errorf("err = %v, want two problems", err)
	}
}

func FuzzOverride(f *testing.F) {
	for _, s := range []string{
		"title=x", "pen.width=1", "main.sides.0=3", "main=circle", "main.type=box", "sizes={a: 1}", "a.b.c.d=[1, {x: y}]",
		"x=&a [*a]", "=", ".", "title=\xff",
	} {
		f.Add(s, s)
	}
	path := filepath.Join(f.TempDir(), "d.yaml")
	if err := os.WriteFile(path, []byte("title: t\nmain: {type: box, sides: [3, 4], name: b}\nframe: circle\n"), 0o644); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		d, err := loadDrawing(path, a, b)
		checkLoaded(t, d, err)
	})
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		"", "main: box", "main: {type: circle, radius: 1e3}\npen: {width: 0x1}\n", "a: &a [*a]", "x: {<<: {a: 1}}", "- 1",
		"---\n---\n", "title: !!binary aa\n", "extends: d.yaml\n", "? [a]\n: b\n",
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, src []byte) {
		path := filepath.Join(dir, "d.yaml")
		if err := os.WriteFile(path, src, 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := loadDrawing(path)
		checkLoaded(t, d, err)
	})
}

// checkLoaded says whether a result of load is one of the two that there are: a drawing that prints and reads back the
// same, or an error whose lines have no control characters.
func checkLoaded(t *testing.T, d drawing, err error) {
	t.Helper()
	if err != nil {
		if msg := err.Error(); msg == "" || strings.ContainsFunc(msg, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) {
			t.Errorf("message %q", msg)
		}
		return
	}
	n, err := registry.Encode(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := registry.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	p := &registry.Problems{}
	var again drawing
	registry.DecodeStruct(registry.Parse(text, p), &again, p, "")
	if err := p.Err(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	m, err := registry.Encode(again, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := registry.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if string(second) != string(text) {
		t.Errorf("prints as\n%s\nthen as\n%s", text, second)
	}
}

// A file that is no config is named, and nothing of what is in it.
func TestExtendsOfForeignFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"passwd":    "root:x:0:0:SECRET:/root:/bin/bash\ndaemon:x:1:1::/:/bin/false\n",
		"shadow":    "root:$6$SECRET::0:99999:7:::\n*SECRET\n",
		"anchor":    "a: *SECRET\n",
		"words":     "SECRET\n",
		"list":      "- SECRET\n",
		"service":   "version: SECRET\nservices: {SECRET: {image: SECRET}}\n",
		"binary":    "\x7fELF\x02\x01SECRET\x00",
		"env":       "TOKEN=SECRET\nKEY: 'SECRET\n",
		"tab":       "a:\n\tSECRET: 1\n",
		"colons":    "SECRET: SECRET: 1\n",
		"directive": "%SECRET\n---\n",
		"tag":       "a: !SECRET!x 1\n",
	} {
		write(t, name, text)
		write(t, "child.yaml", "extends: "+name+"\ntrain: {epochs: 1}\n")
		_, err := Load("child.yaml", nil)
		if err == nil || !strings.Contains(err.Error(), name+":") || strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "ELF") {
			t.Errorf("extends: %s: error %v", name, err)
		}
	}
}

// A config is refused, or all that it resolves to reads back as the same experiment.
func FuzzExperiment(f *testing.F) {
	const head = "data: {type: criteo, path: x.tsv}\nmodel: deepfm\n"
	for _, s := range []string{
		head, "", head + "train: {learning_rate: .nan}\n", head + "threads: 1e9\n", head + "seed: -1\n",
		head + "fetch: {got: {files: {x.tsv: \"\"}, from: [{url: \"http://127.0.0.1/{file}\"}]}}\n",
		head + "fetch: {../got: {files: {../x: \"\"}, from: [{url: \"file:///etc/passwd\"}]}}\n", head + "merge: {parents: [a, b], method: {type: ties, density: 2}}\n",
		"data: {type: csv, path: x.csv, label: y, columns: {\"*\": categorical}, split: {by: time, counts: [1, 2, 3]}}\nmodel: {type: dcnv2, low_rank: 9223372036854775807}\n",
		"data: {type: text, path: x.txt, mask_rate: .inf}\nmodel: {type: bert_mlm, hidden_size: 7, num_attention_heads: 3}\ntask: masked_lm\n",
		head + "a0: &a0 [x, x]\na1: &a1 [*a0, *a0]\n", head + "task: {type: binary_classification, metrics: [\"\\x1b[2J\"]}\n",
	} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "e.yaml")
	f.Fuzz(func(t *testing.T, src []byte) {
		if err := os.WriteFile(path, src, 0o644); err != nil {
			t.Fatal(err)
		}
		e, err := Load(path, nil)
		if err != nil {
			if msg := err.Error(); msg == "" || strings.ContainsFunc(msg, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) {
				t.Errorf("message %q", msg)
			}
			return
		}
		if d, err := e.Digest(); err != nil || d == "" {
			t.Errorf("%q: digest %q, %v", src, d, err)
		}
	})
}
