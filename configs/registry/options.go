package registry

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Option is one key of a section, as the reference describes it.
type Option struct {
	Path     string       // dotted below the section: "split.by"
	Type     string       // such as "whole number" or "list of texts"
	Kind     string       // kind of the registry that decodes the value, "" for a plain value
	Default  string       // as YAML on one line; a registered name for a section with a type; "" for none
	Owner    reflect.Type // Go struct that declares the field
	Field    string       // its Go name
	Required bool
	NoDigest bool // changes no result of a run
}

// Options returns the keys of a section in the order of declaration; v is a struct, or a pointer to one, with the
// defaults. Sections within it that have no type are flattened, also those in a list, as list.N.key, and those by name, as
// section.NAME.key.
func Options(v any) ([]Option, error) {
	val := reflect.ValueOf(v)
	for val.Kind() == reflect.Pointer && !val.IsNil() {
		val = val.Elem()
	}
	if val.Kind() != reflect.Struct {
		return nil, fmt.Errorf("registry: options of %T: want a struct", v)
	}
	var out []Option
	err := options(val, "", 0, &out)
	return out, err
}

func options(v reflect.Value, path string, depth int, out *[]Option) error {
	if depth > maxDepth {
		return fmt.Errorf("registry: %v contains itself", v.Type())
	}
	fields, err := fieldsOf(v.Type())
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	for _, f := range fields {
		fv := v.FieldByIndex(f.index)
		if f.typ.Kind() == reflect.Struct && !isText(f.typ) {
			if err := options(fv, join(path, f.key), depth+1, out); err != nil {
				return err
			}
			continue
		}
		o := Option{
			Path: join(path, f.key), Type: typeName(f.typ), Kind: kindOf(f.typ), Owner: f.owner, Field: f.name,
			Required: f.required, NoDigest: f.noDigest,
		}
		if !f.required {
			if o.Default, err = defaultText(fv); err != nil {
				return err
			}
		}
		*out = append(*out, o)
		elem, below := element(f.typ, o.Path)
		if elem == nil {
			continue
		}
		first := len(*out)
		if err := options(reflect.New(elem).Elem(), below, depth+1, out); err != nil {
			return err
		}
		for i := first; i < len(*out); i++ {
			(*out)[i].NoDigest = (*out)[i].NoDigest || f.noDigest
		}
	}
	return nil
}

// element returns the type of the sections without a type of their own that a list or a section by name holds, and the path of one of
// them; nil if it holds others.
func element(t reflect.Type, path string) (reflect.Type, string) {
	switch t.Kind() {
	case reflect.Slice:
		path = join(path, "N")
	case reflect.Map:
		path = join(path, "NAME")
	default:
		return nil, ""
	}
	e := t.Elem()
	if e.Kind() == reflect.Pointer {
		e = e.Elem()
	}
	if e.Kind() != reflect.Struct || isText(e) {
		return nil, ""
	}
	return e, path
}

// kindOf returns the kind that decodes a type or the elements of a list or map of it.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Interface:
		if e := lookup(t); e != nil {
			return e.kind
		}
	case reflect.Slice, reflect.Array, reflect.Map, reflect.Pointer:
		return kindOf(t.Elem())
	}
	return ""
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "list of " + plural(typeName(t.Elem()))
	case reflect.Array:
		return fmt.Sprintf("list of %d %s", t.Len(), plural(typeName(t.Elem())))
	case reflect.Map:
		return "section of " + plural(typeName(t.Elem())) + " by name"
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Interface:
		return kindOf(t)
	case reflect.Bool:
		return "true or false"
	case reflect.Struct:
		if !isText(t) {
			return "section"
		}
	}
	s := strings.TrimPrefix(want(t), "a ")
	s, _, _ = strings.Cut(s, " like ")
	s, _, _ = strings.Cut(s, " from ")
	return s
}

func plural(s string) string {
	if after, ok := strings.CutPrefix(s, "list of "); ok {
		return "lists of " + after
	}
	return s + "s"
}

func defaultText(v reflect.Value) (string, error) {
	n, err := encoder{}.value(v, 0)
	if n == nil || err != nil {
		return "", err
	}
	if t := typeOf(n); v.Kind() == reflect.Interface && t != "" {
		return t, nil
	}
	flow(n)
	b, err := Marshal(n)
	return strings.TrimSpace(string(b)), err
}

func typeOf(n *yaml.Node) string {
	if t := child(n, "type"); t != nil {
		return t.Value
	}
	return ""
}

func flow(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
	for _, c := range n.Content {
		flow(c)
	}
}
