package registry

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// field is one yaml key of a struct.
type field struct {
	key      string
	index    []int
	typ      reflect.Type
	owner    reflect.Type // the struct that declares it (an inlined one for its fields)
	name     string       // Go name
	required bool
	noDigest bool // changes no result of a run
	added    bool // was added later: changes none while it is zero
}

// fieldsOf returns the yaml keys of a struct type in the order of declaration; inlined structs are flattened.
func fieldsOf(t reflect.Type) ([]field, error) {
	var out []field
	seen := map[string]string{}
	var walk func(t reflect.Type, index []int) error
	walk = func(t reflect.Type, index []int) error {
		for i := range t.NumField() {
			f := t.Field(i)
			tag, tagged := f.Tag.Lookup("yaml")
			key, opts, _ := strings.Cut(tag, ",")
			if !f.IsExported() && !(f.Anonymous && tagged) || key == "-" {
				continue
			}
			at := append(append([]int{}, index...), i)
			var inline, required, noDigest, added bool
			for o := range strings.SplitSeq(opts, ",") {
				switch o {
				case "inline":
					inline = true
				case "required":
					required = true
				case "nodigest":
					noDigest = true
				case "added":
					added = true
				case "":
				default:
					return fmt.Errorf("%v.%s: yaml tag option %q is not known (inline, required, nodigest, added)", t, f.Name, o)
				}
			}
			if inline {
				if f.Type.Kind() != reflect.Struct {
					return fmt.Errorf("%v.%s: inline wants a struct, have %v", t, f.Name, f.Type)
				}
				if err := walk(f.Type, at); err != nil {
					return err
				}
				continue
			}
			if key == "" {
				return fmt.Errorf("%v.%s has no yaml key: add a tag `yaml:\"snake_case\"`, or `yaml:\"-\"` for no option", t, f.Name)
			}
			if key == "type" {
				return fmt.Errorf("%v.%s: the key \"type\" is taken by the registry", t, f.Name)
			}
			if other, dup := seen[key]; dup {
				return fmt.Errorf("%v.%s: the key %q is taken by %s", t, f.Name, key, other)
			}
			seen[key] = f.Name
			out = append(out, field{key: key, index: at, typ: f.Type, owner: t, name: f.Name, required: required, noDigest: noDigest, added: added})
		}
		return nil
	}
	err := walk(t, nil)
	return out, err
}

var (
	durationType    = reflect.TypeFor[time.Duration]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
)

// isText reports whether t is read from one scalar by its own UnmarshalText.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textUnmarshaler) }

// checkType returns an error if a config cannot hold a t.
func checkType(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	if isText(t) {
		if !t.Implements(textMarshaler) && !reflect.PointerTo(t).Implements(textMarshaler) {
			return fmt.Errorf("%v has UnmarshalText but no MarshalText: it could not be printed", t)
		}
		return nil
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Interface: // its registry may be made later; decoding says if there is none
		return nil
	case reflect.Slice, reflect.Array, reflect.Pointer:
		return checkType(t.Elem(), seen)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("%v: map keys must be strings", t)
		}
		return checkType(t.Elem(), seen)
	case reflect.Struct:
		fs, err := fieldsOf(t)
		if err != nil {
			return err
		}
		for _, f := range fs {
			if err := checkType(f.typ, seen); err != nil {
				return fmt.Errorf("%v.%s: %w", f.owner, f.name, err)
			}
		}
		return nil
	}
	return fmt.Errorf("%v cannot be read from a config", t)
}

// deepCopy returns a copy of v that shares no memory with it through exported fields.
func deepCopy(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(deepCopy(v.Elem()))
		}
	case reflect.Interface:
		if !v.IsNil() {
			out.Set(deepCopy(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(deepCopy(v.Index(i)))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			out.Index(i).Set(deepCopy(v.Index(i)))
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for it := v.MapRange(); it.Next(); {
				out.SetMapIndex(it.Key(), deepCopy(it.Value()))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if out.Field(i).CanSet() {
				out.Field(i).Set(deepCopy(v.Field(i)))
			}
		}
	}
	return out
}
