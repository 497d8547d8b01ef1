package registry

import (
	"bytes"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Comment returns the documentation of a field of the struct type owner, or "" if it has none.
type Comment func(owner reflect.Type, field string) string

// Encode is the inverse of DecodeStruct: every option of v (a struct, or a value of a registered type, which gets its
// `type` first) in the order of declaration. Nil pointers and nil interfaces are left out: their absence means nil.
// If comment is not nil, each key carries the comment that it returns.
func Encode(v any, comment Comment) (*yaml.Node, error) { return encode(v, encoder{comment: comment}) }

// EncodeResult is Encode without the keys that change no result of a run: those with the tag option `nodigest`, and
// those with `added` that have their zero value, so that configs keep their digests when an option is added.
func EncodeResult(v any) (*yaml.Node, error) { return encode(v, encoder{noDigest: true}) }

func encode(v any, e encoder) (*yaml.Node, error) {
	val := reflect.ValueOf(v)
	for val.Kind() == reflect.Pointer && !val.IsNil() {
		val = val.Elem()
	}
	if val.Kind() != reflect.Struct {
		return nil, fmt.Errorf("registry: encode %T: want a struct", v)
	}
	return e.structure(val, anyName(val.Type()), 0)
}

// anyName returns the name under which a struct type is registered in any registry, "" for none.
func anyName(t reflect.Type) string {
	tableMu.RLock()
	defer tableMu.RUnlock()
	for _, e := range table { // a type in two registries has one name in practice; take the least, whatever the order
		e.mu.RLock()
		name := e.names[t]
		e.mu.RUnlock()
		if name != "" {
			best := name
			for _, o := range table {
				o.mu.RLock()
				if n := o.names[t]; n != "" && n < best {
					best = n
				}
				o.mu.RUnlock()
			}
			return best
		}
	}
	return ""
}

// Marshal returns the text of a node tree: block style, two spaces, no wrapped lines, ending in a newline.
func Marshal(n *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	d, err := yaml.NewDumper(&b, yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	if err := d.Dump(n); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	if err := d.Close(); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return b.Bytes(), nil
}

type encoder struct {
	comment  Comment
	noDigest bool // leave out fields with that tag option
}

func scalarNode(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

func stringNode(s string) *yaml.Node {
	n := scalarNode("!!str", s)
	var plain yaml.Node
	if strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff
	}) ||
		yaml.Load([]byte(s), &plain) != nil || len(plain.Content) != 1 || plain.Content[0].Tag != "!!str" || plain.Content[0].Value != s {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func (e encoder) structure(v reflect.Value, name string, depth int) (*yaml.Node, error) {
	fields, err := fieldsOf(v.Type())
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if name != "" {
		out.Content = append(out.Content, scalarNode("!!str", "type"), stringNode(name))
	}
	for _, f := range fields {
		if e.noDigest && (f.noDigest || f.added && v.FieldByIndex(f.index).IsZero()) {
			continue
		}
		n, err := e.value(v.FieldByIndex(f.index), depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.key, err)
		}
		if n == nil {
			continue
		}
		key := stringNode(f.key)
		if e.comment != nil {
			if c := e.comment(f.owner, f.name); c != "" {
				if n.Kind == yaml.ScalarNode || n.Style == yaml.FlowStyle {
					n.LineComment = "# " + c
				} else {
					key.HeadComment = "# " + c
				}
			}
		}
		out.Content = append(out.Content, key, n)
	}
	if len(out.Content) == 0 {
		out.Style = yaml.FlowStyle
	}
	return out, nil
}

// value returns nil for what has to be left out.
func (e encoder) value(v reflect.Value, depth int) (*yaml.Node, error) {
	t := v.Type()
	if depth > maxDepth {
		return nil, fmt.Errorf("registry: nested deeper than %d levels", maxDepth)
	}
	if isText(t) {
		p := reflect.New(t)
		p.Elem().Set(v)
		b, err := p.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return nil, fmt.Errorf("registry: %w", err)
		}
		return stringNode(string(b)), nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return scalarNode("!!bool", strconv.FormatBool(v.Bool())), nil
	case reflect.String:
		return stringNode(v.String()), nil
	case reflect.Float32, reflect.Float64:
		s := strconv.FormatFloat(v.Float(), 'g', -1, t.Bits())
		if strings.ContainsAny(s, ".eE") {
			return scalarNode("!!float", s), nil
		}
		return scalarNode("!!int", s), nil
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil
		}
		return e.value(v.Elem(), depth+1)
	case reflect.Interface:
		if v.IsNil() {
			return nil, nil
		}
		name := ""
		if r := lookup(t); r != nil {
			name, _ = r.nameOf(v)
		}
		if name == "" {
			return nil, fmt.Errorf("registry: %v is not registered as a %v", v.Elem().Type(), t)
		}
		s := v.Elem()
		for s.Kind() == reflect.Pointer {
			s = s.Elem()
		}
		return e.structure(s, name, depth)
	case reflect.Struct:
		own := reflect.New(t)
		own.Elem().Set(v)
		if p, ok := own.Interface().(Plain); ok {
			if field, alone := p.Plain(); alone {
				return e.value(reflect.ValueOf(field).Elem(), depth+1)
			}
		}
		return e.structure(v, "", depth)
	case reflect.Map:
		return e.mapping(v, depth)
	case reflect.Slice, reflect.Array:
		return e.list(v, depth)
	}
	switch {
	case t == durationType:
		return scalarNode("!!str", time.Duration(v.Int()).String()), nil
	case v.CanInt():
		return scalarNode("!!int", strconv.FormatInt(v.Int(), 10)), nil
	case v.CanUint():
		return scalarNode("!!int", strconv.FormatUint(v.Uint(), 10)), nil
	}
	return nil, fmt.Errorf("registry: %v cannot be written to a config", t)
}

func (e encoder) mapping(v reflect.Value, depth int) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		n, err := e.value(v.MapIndex(k), depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		if n == nil {
			n = scalarNode("!!null", "null")
		}
		out.Content = append(out.Content, stringNode(k.String()), n)
	}
	if len(out.Content) == 0 {
		out.Style = yaml.FlowStyle
	}
	return out, nil
}

// OneOrMore is implemented by lists of texts of which one alone is written as a text, as it may be given.
type OneOrMore interface{ OneOrMore() }

var oneOrMore = reflect.TypeFor[OneOrMore]()

func (e encoder) list(v reflect.Value, depth int) (*yaml.Node, error) {
	if v.Type().Implements(oneOrMore) && v.Len() == 1 {
		return e.value(v.Index(0), depth+1)
	}
	out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for i := range v.Len() {
		n, err := e.value(v.Index(i), depth+1)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		if n == nil {
			n = scalarNode("!!null", "null")
		}
		if n.Kind != yaml.ScalarNode && n.Style != yaml.FlowStyle {
			out.Style = 0 // lists of sections are written as blocks
		}
		out.Content = append(out.Content, n)
	}
	return out, nil
}
