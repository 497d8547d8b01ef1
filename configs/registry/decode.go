package registry

import (
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	maxDepth = 64      // nesting of sections and lists
	maxNodes = 200_000 // values of one config, aliases counted as often as they are used
)

// DecodeStruct decodes the mapping n strictly into the struct that into points to, which holds the defaults. Unknown
// and duplicate keys, wrong types, numbers that do not fit, missing keys (tag option `required`) and what Validate
// says go to p, all of them. Keys that have a problem keep their default. It panics if into is not a pointer to a
// struct or holds a type that no config can hold.
//
// Supported are bool, string, integers, floats, time.Duration ("90s"), structs (`yaml:",inline"` too), pointers (null =
// nil), slices, arrays, maps with string keys, types with UnmarshalText, and interfaces with a registry. A value may
// stand for a struct that is [Plain]. One text is
// accepted for a list of texts; whole numbers are accepted for floats, and floats that are whole for integers (1e6).
func DecodeStruct(n *yaml.Node, into any, p *Problems, path string) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic("registry: DecodeStruct wants a pointer to a struct")
	}
	if err := checkType(v.Elem().Type(), map[reflect.Type]bool{}); err != nil {
		panic("registry: " + err.Error())
	}
	d := &decoder{p: p}
	if n != nil && n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
		n = n.Content[0]
	}
	d.value(n, v.Elem(), path, 0)
}

// Plain is implemented by pointers to option structs for which a config may also have one value, such as a number in place of a
// section.
type Plain interface {
	// Plain returns a pointer to the field that the value is of, and reports whether all other fields have their defaults. The
	// struct is then encoded as that value.
	Plain() (field any, alone bool)
}

type decoder struct{ p *Problems }

// resolve follows an alias and a document to what they stand for.
func resolve(n *yaml.Node) *yaml.Node {
	for range maxDepth {
		switch {
		case n == nil:
			return nil
		case n.Kind == yaml.AliasNode:
			n = n.Alias
		case n.Kind == yaml.DocumentNode && len(n.Content) == 1:
			n = n.Content[0]
		default:
			return n
		}
	}
	return n
}

// child returns the value of a mapping's key or a list's index, nil if there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key && n.Content[i].Kind == yaml.ScalarNode {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}

// value decodes n into v and reports whether it did so without a problem.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, depth int) bool {
	use := n // the place of use: what an alias stands for may be elsewhere in the file
	n = resolve(n)
	if n == nil {
		d.p.Add(nil, path, "is empty")
		return false
	}
	if d.p.visited++; d.p.visited > maxNodes {
		if d.p.visited == maxNodes+1 {
			d.p.Add(use, path, "more than %d values in one config; aliases that repeat aliases blow it up", maxNodes)
		}
		return false
	}
	if depth > maxDepth {
		d.p.Add(use, path, "nested deeper than %d levels", maxDepth)
		return false
	}
	if n.Style&yaml.TaggedStyle != 0 && !knownTag(n.Tag) {
		d.p.Add(use, path, "the tag %s is not supported; remove it", n.Tag)
		return false
	}
	t := v.Type()
	if isText(t) {
		return d.text(n, use, v, path)
	}
	if t.Kind() == reflect.Pointer {
		if isNull(n) {
			v.SetZero()
			return true
		}
		target := reflect.New(t.Elem())
		if !v.IsNil() {
			target.Elem().Set(deepCopy(v.Elem()))
		}
		ok := d.value(n, target.Elem(), path, depth+1)
		v.Set(target)
		return ok
	}
	if isNull(n) {
		d.p.Add(use, path, "has no value; want %s, or remove the key to get the default", want(t))
		return false
	}
	switch t.Kind() {
	case reflect.Interface:
		e := lookup(t)
		if e == nil {
			panic("registry: " + path + ": no registry for " + t.String())
		}
		return d.section(e, use, v, path, depth)
	case reflect.Struct:
		if p, ok := v.Addr().Interface().(Plain); ok && n.Kind == yaml.ScalarNode {
			return d.plain(p, use, v, path, depth)
		}
		return d.structure(n, use, v, path, depth, false)
	case reflect.Map:
		return d.mapping(n, use, v, path, depth)
	case reflect.Slice, reflect.Array:
		return d.list(n, use, v, path, depth)
	}
	return d.scalar(n, use, v, path)
}

// plain decodes a value that stands for a section: that of one field.
func (d *decoder) plain(p Plain, use *yaml.Node, v reflect.Value, path string, depth int) bool {
	pointer, _ := p.Plain()
	field := reflect.ValueOf(pointer)
	if !d.value(use, field.Elem(), path, depth+1) {
		return false
	}
	section := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: use.Line} // as which it is validated
	fields, _ := fieldsOf(v.Type())
	for _, f := range fields {
		if v.FieldByIndex(f.index).Addr().Pointer() == field.Pointer() {
			section.Content = []*yaml.Node{scalarNode("!!str", f.key), use}
		}
	}
	before := d.p.Len()
	d.p.validate(v.Addr().Interface(), section, path, map[string]bool{})
	return d.p.Len() == before
}

// section decodes a section with a `type` into the interface value v.
func (d *decoder) section(e *entry, use *yaml.Node, v reflect.Value, path string, depth int) bool {
	n := resolve(use)
	names := e.sorted()
	if n != nil && n.Kind == yaml.ScalarNode && n.Tag == "!!str" { // shorthand: `optimizer: adam`
		def := e.fresh(n.Value)
		if !def.IsValid() {
			d.p.Add(use, path, "unknown %s %q%s", e.kind, n.Value, hint(n.Value, names))
			return false
		}
		return d.into(&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line}, use, def, v, path, depth)
	}
	if n == nil || n.Kind != yaml.MappingNode {
		d.p.Add(use, path, "want a section with a type (%s) or the name of one, have %s", strings.Join(names, ", "), have(n))
		return false
	}
	tn := child(n, "type")
	if tn == nil {
		if name, ok := e.nameOf(v); ok && name != "" { // options of the default
			return d.into(n, use, deepCopy(v.Elem()), v, path, depth)
		}
		d.p.Add(use, path, "the key \"type\" is missing; valid types: %s", strings.Join(names, ", "))
		return false
	}
	s := resolve(tn)
	if s.Kind != yaml.ScalarNode || s.Tag != "!!str" {
		d.p.Add(tn, join(path, "type"), "want the name of a %s, have %s; valid: %s", e.kind, have(s), strings.Join(names, ", "))
		return false
	}
	def := e.fresh(s.Value)
	if !def.IsValid() {
		d.p.Add(tn, join(path, "type"), "unknown %s %q%s", e.kind, s.Value, hint(s.Value, names))
		return false
	}
	return d.into(n, use, def, v, path, depth)
}

// into decodes the options of a section into def (struct or pointer to one) and stores it in the interface v.
func (d *decoder) into(n, use *yaml.Node, def, v reflect.Value, path string, depth int) bool {
	target := def
	if def.Kind() == reflect.Pointer {
		target = def.Elem()
	}
	tmp := reflect.New(target.Type())
	tmp.Elem().Set(target)
	ok := d.structure(n, use, tmp.Elem(), path, depth, true)
	if def.Kind() == reflect.Pointer {
		v.Set(tmp)
	} else {
		v.Set(tmp.Elem())
	}
	return ok
}

// pairs calls f for each key and value of a mapping, after the checks that every mapping needs.
func (d *decoder) pairs(n *yaml.Node, path string, f func(key string, kn, vn *yaml.Node) bool) bool {
	first := map[string]int{}
	ok := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		kn, vn := n.Content[i], n.Content[i+1]
		k := resolve(kn)
		if d.p.keys == nil {
			d.p.keys = map[*yaml.Node]*yaml.Node{}
		}
		d.p.keys[vn] = kn
		switch {
		case k == nil || k.Kind != yaml.ScalarNode:
			d.p.Add(kn, path, "want a name as key, have %s", have(k))
			ok = false
			continue
		case k.Tag == "!!merge":
			d.p.Add(kn, path, "merge keys (<<) are not supported; use `extends`, or an alias for the whole section")
			ok = false
			continue
		case isNull(k):
			d.p.Add(kn, path, "a key is empty; write the name of an option before the colon")
			ok = false
			continue
		}
		if line, dup := first[k.Value]; dup {
			d.p.Add(kn, join(path, k.Value), "duplicate key; it is on line %d already, keep one", line)
			ok = false
			continue
		}
		first[k.Value] = kn.Line
		if !f(k.Value, kn, vn) {
			ok = false
		}
	}
	return ok
}

func (d *decoder) structure(n, use *yaml.Node, v reflect.Value, path string, depth int, typed bool) bool {
	fields, err := fieldsOf(v.Type())
	if err != nil {
		panic("registry: " + err.Error())
	}
	if n.Kind != yaml.MappingNode {
		d.p.Add(use, path, "want a section of `key: value` lines, have %s", have(n))
		return false
	}
	byKey := make(map[string]field, len(fields))
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		byKey[f.key] = f
		names = append(names, f.key)
	}
	bad := map[string]bool{} // keys with a problem
	given := map[string]bool{}
	ok := d.pairs(n, path, func(key string, kn, vn *yaml.Node) bool {
		if typed && key == "type" {
			return true
		}
		f, known := byKey[key]
		if !known {
			d.p.Add(kn, join(path, key), "unknown key%s", hint(key, names))
			if near, ok := Nearest(key, names); ok {
				bad[near] = true
			}
			return false
		}
		given[key] = true
		if !d.value(vn, v.FieldByIndex(f.index), join(path, key), depth+1) {
			bad[key] = true
			return false
		}
		return true
	})
	for _, f := range fields {
		if f.required && !given[f.key] && !bad[f.key] {
			d.p.Add(use, join(path, f.key), "is missing; want %s", want(f.typ))
			bad[f.key] = true
		}
	}
	before := d.p.Len()
	d.p.validate(v.Addr().Interface(), use, path, bad)
	return ok && len(bad) == 0 && d.p.Len() == before
}

func (d *decoder) mapping(n, use *yaml.Node, v reflect.Value, path string, depth int) bool {
	if n.Kind != yaml.MappingNode {
		d.p.Add(use, path, "want %s, have %s", want(v.Type()), have(n))
		return false
	}
	if len(n.Content) == 0 {
		v.SetZero() // {} is nil, so that a config and its resolved form decode to the same
		return true
	}
	out := reflect.MakeMap(v.Type())
	ok := d.pairs(n, path, func(key string, _, vn *yaml.Node) bool {
		item := reflect.New(v.Type().Elem()).Elem()
		ok := d.value(vn, item, join(path, key), depth+1)
		out.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), item)
		return ok
	})
	v.Set(out)
	return ok
}

func (d *decoder) list(n, use *yaml.Node, v reflect.Value, path string, depth int) bool {
	t := v.Type()
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String {
		n = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}}
	}
	if n.Kind != yaml.SequenceNode {
		d.p.Add(use, path, "want %s, have %s", want(t), have(n))
		return false
	}
	if t.Kind() == reflect.Slice && len(n.Content) == 0 {
		v.SetZero() // [] is nil
		return true
	}
	var out reflect.Value
	if t.Kind() == reflect.Array {
		if len(n.Content) != t.Len() {
			d.p.Add(use, path, "want %d items, have %d", t.Len(), len(n.Content))
			return false
		}
		out = reflect.New(t).Elem()
	} else {
		out = reflect.MakeSlice(t, len(n.Content), len(n.Content))
	}
	ok := true
	for i, c := range n.Content {
		if !d.value(c, out.Index(i), join(path, strconv.Itoa(i)), depth+1) {
			ok = false
		}
	}
	if ok {
		v.Set(out)
	}
	return ok
}
