package configs

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/registry"
)

//go:generate go run ./docgen

//go:embed reference.json
var referenceJSON []byte

// TypeDoc is the documentation of one option struct. It is made of the comments in its source.
type TypeDoc struct {
	Doc    string            `json:"doc,omitempty"`    // the first paragraph of the type's comment
	Fields map[string]string `json:"fields,omitempty"` // by Go name of the field
}

// Reference holds the documentation of every option struct, by "package path.Type". configs/docgen generates it from the source, and
// a test keeps it current.
var Reference = sync.OnceValue(func() map[string]TypeDoc {
	out := map[string]TypeDoc{}
	if err := json.Unmarshal(referenceJSON, &out); err != nil {
		panic("configs: reference.json: " + err.Error()) // generated and tested: cannot be
	}
	return out
})

// TypeKey returns the key in Reference of a struct type.
func TypeKey(t reflect.Type) string { return t.PkgPath() + "." + t.Name() }

// Comment returns the comment of the option that is this field of the struct type owner.
func Comment(owner reflect.Type, field string) string {
	return Reference()[TypeKey(owner)].Fields[field]
}

// Defaults writes the options of a registered type, such as a model or an optimizer, or of a section, such as "train", with their
// defaults and meaning. They are YAML that can be pasted into a config. An unknown name is an error that lists the valid ones.
func Defaults(w io.Writer, name string) error {
	e := Default()
	found := false
	emit := func(kind, path string, v any) error {
		n, err := registry.Encode(v, Comment)
		if err != nil {
			return fmt.Errorf("configs: defaults of %s: %w", name, err)
		}
		n = nest(n, path)
		text, err := registry.Marshal(n)
		if err != nil {
			return fmt.Errorf("configs: defaults of %s: %w", name, err)
		}
		if found {
			fmt.Fprintln(w)
		}
		found = true
		doc := Reference()[TypeKey(StructOf(v))].Doc
		if doc == "" {
			doc = kind + " " + name
		}
		writeComment(w, doc)
		_, err = w.Write(text)
		return err
	}
	if v, ok := sectionDefault(&e, name); ok {
		if err := emit("section", name, v); err != nil {
			return err
		}
	}
	names := sections()
	for _, k := range registry.Kinds() {
		names = append(names, k.Names...)
		if v := k.Default(name); v != nil {
			if err := emit(k.Name, Location(k.Iface), v); err != nil {
				return err
			}
		}
	}
	if found {
		return nil
	}
	return unknownName(name, names)
}

// writeComment writes a text as comment lines of at most 110 characters.
func writeComment(w io.Writer, text string) {
	line := "#"
	for word := range strings.FieldsSeq(strings.TrimSuffix(text, ":")) {
		if len([]rune(line))+1+len([]rune(word)) > 110 {
			fmt.Fprintln(w, line)
			line = "#"
		}
		line += " " + word
	}
	fmt.Fprintln(w, line)
}

func unknownName(name string, names []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "no options are known by the name %q", name)
	if near, ok := registry.Nearest(name, names); ok {
		fmt.Fprintf(&b, "; did you mean %q?", near)
	}
	fmt.Fprintf(&b, "\nvalid: %s (sections)", strings.Join(sections(), ", "))
	for _, k := range registry.Kinds() {
		fmt.Fprintf(&b, "\n       %s (%s)", strings.Join(k.Names, ", "), k.Name)
	}
	return fmt.Errorf("%s", b.String())
}

// sectionDefault returns the default value of a top-level section without a type.
func sectionDefault(e *Experiment, name string) (any, bool) {
	v := reflect.ValueOf(e).Elem()
	for i := range v.NumField() {
		if key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ","); key == name && v.Field(i).Kind() == reflect.Struct {
			return v.Field(i).Interface(), true
		}
	}
	return nil, false
}

func sections() []string {
	var out []string
	t := reflect.TypeFor[Experiment]()
	for field := range t.Fields() {
		if field.Type.Kind() == reflect.Struct {
			key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			out = append(out, key)
		}
	}
	return out
}

// Location returns the dotted path of the section that takes a kind, such as "train.optimizer". It is "" if no section of its own
// does.
func Location(iface reflect.Type) string {
	var find func(t reflect.Type, path string) string
	find = func(t reflect.Type, path string) string {
		for f := range t.Fields() {
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if key == "" || key == "-" {
				continue
			}
			if path != "" {
				key = path + "." + key
			}
			if f.Type == iface {
				return key
			}
			if f.Type.Kind() == reflect.Struct {
				if p := find(f.Type, key); p != "" {
					return p
				}
			}
		}
		return ""
	}
	return find(reflect.TypeFor[Experiment](), "")
}

// StructOf returns the struct type of options, which may be a struct or a pointer to one.
func StructOf(v any) reflect.Type {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// nest puts a node below the sections of a dotted path.
func nest(n *yaml.Node, path string) *yaml.Node {
	if path == "" {
		return n
	}
	parts := strings.Split(path, ".")
	for i := len(parts) - 1; i >= 0; i-- {
		key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: parts[i]}
		n = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{key, n}}
	}
	return n
}
