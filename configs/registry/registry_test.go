package registry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/configs/registry"
)

type pet interface{ Sound() string }

type cat struct {
	Lives int     `yaml:"lives"`
	Fur   float64 `yaml:"fur"`
}

func (cat) Sound() string { return "meow" }

func (c cat) Validate() error {
	var errs []error
	if c.Lives < 1 || c.Lives > 9 {
		errs = append(errs, registry.Field("lives", "must be from 1 to 9"))
	}
	if c.Fur < 0 {
		errs = append(errs, registry.Field("fur", "must not be negative"))
	}
	return errors.Join(errs...)
}

type dog struct {
	Tricks []string         `yaml:"tricks"`
	Mate   pet              `yaml:"mate"`
	Grid   [][]int          `yaml:"grid"`
	Ages   map[string][]int `yaml:"ages"`
}

func (*dog) Sound() string { return "woof" }

var pets = registry.New[pet]("pet")

func init() {
	pets.Register("cat", cat{Lives: 9, Fur: 0.5})
	pets.Register("dog", &dog{Tricks: []string{"sit"}, Mate: cat{Lives: 3}, Grid: [][]int{{1}}, Ages: map[string][]int{"a": {1}}})
}

type common struct {
	Note string `yaml:"note"`
}

type house struct {
	Name   string             `yaml:"name,required"`
	Pet    pet                `yaml:"pet"`
	Rooms  []int              `yaml:"rooms"`
	Sizes  map[string]float32 `yaml:"sizes"`
	Wait   time.Duration      `yaml:"wait"`
	Open   bool               `yaml:"open"`
	Small  int8               `yaml:"small"`
	Byte   uint8              `yaml:"byte"`
	Seed   uint64             `yaml:"seed"`
	Limit  *int               `yaml:"limit"`
	Door   struct{ A, B int } `yaml:"-"`
	Pair   [2]int             `yaml:"pair"`
	common `yaml:",inline"`
	hidden int // must be ignored
}

func decode(t *testing.T, src string) (house, *registry.Problems) {
	t.Helper()
	p := &registry.Problems{File: "h.yaml"}
	h := house{Rooms: []int{1}, Pet: cat{Lives: 7}}
	n := registry.Parse([]byte(src), p)
	if n != nil {
		registry.DecodeStruct(n, &h, p, "")
	}
	return h, p
}

func TestDecodeAll(t *testing.T) {
	h, p := decode(t, `
name: old mill
pet: {type: dog, tricks: [roll, jump], mate: cat}
rooms: [1, 0x10, 1e3, 1_000]
sizes: {attic: 3, cellar: 2.5}
wait: 1m30s
open: true
small: -128
seed: 18446744073709551615
limit: 4
pair: [1, 2]
note: &n "123"
`)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	four := 4
	h.hidden = 0
	want := house{
		Name: "old mill", Pet: &dog{
			Tricks: []string{"roll", "jump"}, Mate: cat{Lives: 9, Fur: 0.5}, Grid: [][]int{{1}},
			Ages: map[string][]int{"a": {1}},
		},
		Rooms: []int{1, 16, 1000, 1000}, Sizes: map[string]float32{"attic": 3, "cellar": 2.5}, Wait: 90 * time.Second,
		Open: true, Small: -128, Seed: 1<<64 - 1, Limit: &four, Pair: [2]int{1, 2}, common: common{Note: "123"},
	}
	if d := cmp.Diff(want, h, cmp.AllowUnexported(house{}), cmp.Exporter(nil)); d != "" {
		t.Error(d)
	}
}

func TestDecodeDefaults(t *testing.T) {
	h, p := decode(t, "name: x\npet: {lives: 2}\n")
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	if got, want := h.Pet, (cat{Lives: 2}); got != want { // options without type go into the owner's default
		t.Errorf("pet = %+v, want %+v", got, want)
	}
	a, _ := pets.Default("dog")
	changed := a.(*dog)
	changed.Tricks[0], changed.Grid[0][0], changed.Ages["a"][0] = "changed", 2, 2
	b, _ := pets.Default("dog")
	if got, want := b.(*dog), (&dog{Tricks: []string{"sit"}, Mate: cat{Lives: 3}, Grid: [][]int{{1}}, Ages: map[string][]int{"a": {1}}}); !cmp.Equal(got, want) {
		t.Errorf("Default shares memory: got %+v", got)
	}
	if _, ok := pets.Default("cow"); ok {
		t.Error("Default(cow) = ok")
	}
	if n, ok := pets.NameOf(b); n != "dog" || !ok {
		t.Errorf("NameOf(dog) = %q, %v", n, ok)
	}
}

func TestProblems(t *testing.T) {
	for _, tc := range []struct{ name, src, want string }{
		{"unknown", "nmae: x", `h.yaml:1: nmae: unknown key; did you mean "name"?`},
		{
			"unknown far", "name: x\nxyzzy: 1",
			"h.yaml:2: xyzzy: unknown key; valid: byte, limit, name, note, open, pair, pet, rooms, seed, sizes, small, wait",
		},
		{"duplicate", "name: x\nname: y", "h.yaml:2: name: duplicate key; it is on line 1 already, keep one"},
		{"missing", "open: true", "h.yaml:1: name: is missing; want text"},
		{"number for text", "name: 12", `h.yaml:1: name: want text, have the number 12; put it in quotes if it is meant as text: "12"`},
		{"text for number", "name: x\nsmall: '3'", `h.yaml:2: small: want a whole number, have the text "3"; remove the quotes`},
		{"text for bool", "name: x\nopen: yes", `h.yaml:2: open: want true or false, have the text "yes"`},
		{"fraction", "name: x\nsmall: 1.5", "h.yaml:2: small: want a whole number, have 1.5"},
		{"overflow", "name: x\nsmall: 128", "h.yaml:2: small: want a whole number from -128 to 127, have 128"},
		{"negative", "name: x\nseed: -1", "h.yaml:2: seed: want a whole number from 0 to 18446744073709551615, have -1"},
		{
			"huge", "name: x\nseed: 18446744073709551616",
			"h.yaml:2: seed: want a whole number from 0 to 18446744073709551615, have 18446744073709551616",
		},
		{"byte", "name: x\nbyte: 256", "h.yaml:2: byte: want a whole number from 0 to 255, have 256"},
		{
			"float32", "name: x\nsizes: {a: 1000000000000000000000000000000000000000}",
			"h.yaml:2: sizes.a: want a finite number, have 1000000000000000000000000000000000000000",
		},
		{"octal", "name: x\nsmall: 010", "h.yaml:2: small: the number 010 starts with 0, which YAML reads as octal; write it without the 0"},
		{
			"nan", "name: x\nsizes: {a: .nan, b: -.inf, c: 1e300}",
			"h.yaml:2: sizes.a: want a finite number, have .nan\nh.yaml:2: sizes.b: want a finite number, have -.inf\nh.yaml:2: sizes.c: want a finite number, have 1e300",
		},
		{"null", "name:\nlimit: ~", "h.yaml:1: name: has no value; want text, or remove the key to get the default"},
		{"scalar for list", "name: x\nrooms: 4", "h.yaml:2: rooms: want a list of whole numbers like [400, 400], have the number 4"},
		{"item", "name: x\nrooms:\n  - 1\n  - a", `h.yaml:4: rooms.1: want a whole number, have the text "a"`},
		{"array", "name: x\npair: [1]", "h.yaml:2: pair: want 2 items, have 1"},
		{"duration", "name: x\nwait: 30", "h.yaml:2: wait: want a duration like 90s or 5m, have the number 30"},
		{"map for text", "name: {a: 1}", "h.yaml:1: name: want text, have a section"},
		{"type", "name: x\npet:\n  type: cta", `h.yaml:3: pet.type: unknown pet "cta"; did you mean "cat"?`},
		{"type list", "name: x\npet: {type: [cat]}", "h.yaml:2: pet.type: want the name of a pet, have a list; valid: cat, dog"},
		{"shorthand", "name: x\npet: cow", `h.yaml:2: pet: unknown pet "cow"; valid: cat, dog`},
		{"no type", "name: x\npet: {type: dog, mate: {lives: 3, tail: 1}}", "h.yaml:2: pet.mate.tail: unknown key; valid: fur, lives"},
		{
			"validate", "name: x\npet:\n  type: cat\n  fur: -1\n  lives: 10",
			"h.yaml:4: pet.fur: must not be negative, have -1\nh.yaml:5: pet.lives: must be from 1 to 9, have 10",
		},
		{
			"validate and decode", "name: x\npet: {type: cat, fur: a, lives: 0}",
			"h.yaml:2: pet.fur: want a number, have the text \"a\"\nh.yaml:2: pet.lives: must be from 1 to 9, have 0",
		},
		{
			"merge key", "name: &x {a: 1}\nsizes: {<<: *x}",
			"h.yaml:1: name: want text, have a section\nh.yaml:2: sizes: merge keys (<<) are not supported; use `extends`, or an alias for the whole section",
		},
		{"tag", "name: !foo x", "h.yaml:1: name: the tag !foo is not supported; remove it"},
		{"binary", "name: !!binary aGk=", "h.yaml:1: name: the tag !!binary is not supported; remove it"},
		{"false tag", "name: x\nsmall: !!int abc", "h.yaml:2: small: want a whole number, have abc"},
		{"list at top", "- 1", "h.yaml:1: want a section of `key: value` lines, have a list"},
		{"key", "name: x\n? [a]\n: 1\n", "h.yaml:2: want a name as key, have a list"},
		{
			"two documents", "name: x\n---\nname: y\n",
			"h.yaml:2: a second document starts here (---); one config is one document, remove it or split the file",
		},
		{
			"syntax", "name: x\n  open: true",
			"h.yaml:2: not valid YAML: mapping values are not allowed in this context; a colon followed by a space inside of text needs quotes, and keys of one section need the same indentation",
		},
		{"comparison", "name: >50K", "h.yaml:1: not valid YAML: did not find expected comment or line break; text that starts with a special character, such as * & > | ? %, needs quotes"},
		{"glob", "name: *.csv", "h.yaml:1: not valid YAML: unknown anchor '.csv' referenced; text that starts with a special character, such as * & > | ? %, needs quotes"},
		{"comma", "name: ,", "h.yaml:1: not valid YAML: did not find expected node content; a bracket is not closed, or text that starts with a special character, such as a comma, needs quotes"},
		{"utf8", "name: x\nnote: \xff", "h.yaml:2: not valid UTF-8; save the file as UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, p := decode(t, tc.src)
			got := ""
			if err := p.Err(); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("%q:\ngot  %s\nwant %s", tc.src, got, tc.want)
			}
		})
	}
}

func TestDecodeBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("name: x\nsizes:\n  a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n")
	for i := 1; i < 12; i++ {
		c := string(rune('a' + i))
		prev := "a0"
		if i > 1 {
			prev = string(rune('a'+i-1)) + "0"
		}
		b.WriteString("  " + c + "0: &" + c + "0 [" + strings.Repeat("*"+prev+",", 9) + "*" + prev + "]\n")
	}
	for name, src := range map[string]string{
		"laughs": b.String(),
		"cycle":  "name: x\npet: &a {type: dog, mate: *a}\n",
		"deep":   "name: x\nsizes: " + strings.Repeat("{a: ", 5000) + "1" + strings.Repeat("}", 5000),
		"flow":   strings.Repeat("[", 100_000),
		"big":    "name: " + strings.Repeat("x", 2<<20),
	} {
		start := time.Now()
		if _, p := decode(t, src); p.Err() == nil {
			t.Errorf("%s: no error", name)
		} else if len(p.Err().Error()) > 20_000 {
			t.Errorf("%s: message of %d bytes", name, len(p.Err().Error()))
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
}

func TestRegisterPanics(t *testing.T) {
	type noTag struct {
		cat `yaml:"-"`
		A   int
	}
	type chanField struct {
		cat `yaml:"-"`
		C   chan int `yaml:"c"`
	}
	type twice struct {
		cat `yaml:"-"`
		A   int `yaml:"a"`
		B   int `yaml:"a"`
	}
	for name, f := range map[string]func(){
		"duplicate": func() { pets.Register("cat", noTag{}) },
		"same type": func() { pets.Register("kitten", cat{}) },
		"no tag":    func() { pets.Register("a", noTag{}) },
		"chan":      func() { pets.Register("b", chanField{}) },
		"key twice": func() { pets.Register("c", twice{}) },
		"new twice": func() { registry.New[pet]("pet") },
		"no iface":  func() { registry.New[int]("int") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestNearest(t *testing.T) {
	names := []string{"batch", "embed_dim", "dropout", "hidden", "learning_rate"}
	for got, want := range map[string]string{
		"batch_size": "batch", "embeding_dim": "embed_dim", "embed-dim": "embed_dim", "Dropout": "dropout", "hiden": "hidden",
		"xyz": "", "": "", "learning": "learning_rate", "bacth": "batch",
	} {
		if n, _ := registry.Nearest(got, names); n != want {
			t.Errorf("Nearest(%q) = %q, want %q", got, n, want)
		}
	}
}

// A config of very many mistakes has a list that can be read.
func TestManyProblems(t *testing.T) {
	p := &registry.Problems{File: "h.yaml"}
	for i := range 401 {
		p.AddAt(i+1, "", "wrong")
	}
	lines := strings.Split(p.Err().Error(), "\n")
	if n := len(lines); n != 21 || lines[19] != "h.yaml:20: wrong" || lines[20] != "and 381 more mistakes" {
		t.Errorf("%d lines, of which the last is %q", n, lines[n-1])
	}
}
