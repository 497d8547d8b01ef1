package configs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/registry"
)

// override applies `a.b=value` settings to a tree and returns its root. Values are YAML. Settings of a `type` (`a.type=x`,
// or `a=x` where a is a section) come first, in their order, because a new type drops the other keys of its section; then
// the rest in their order. Unknown keys are left to the decoder, which knows the valid ones.
func override(root *yaml.Node, settings []string, p *registry.Problems) *yaml.Node {
	type setting struct {
		path  []string
		value *yaml.Node
		name  string
	}
	var types, rest []setting
	for _, s := range settings {
		name := "--set " + printable(s)
		q := &registry.Problems{File: name}
		key, text, ok := strings.Cut(s, "=")
		path := strings.Split(key, ".")
		switch {
		case !ok:
			q.AddAt(0, "", "want key=value, like train.learning_rate=0.01")
		case slices.Contains(path, "") || strings.ContainsAny(key, " \t\n\"'{}[]"):
			q.AddAt(0, "", "%q is not a key; want names with dots between, like train.learning_rate", key)
		case path[0] == "extends":
			q.AddAt(0, "", "extends cannot be set here; it belongs into the file")
		}
		if q.Len() > 0 {
			p.Append(q.List()...)
			continue
		}
		v := registry.Parse([]byte(text), q)
		if indicates(text, v, q) {
			quoted := strings.ReplaceAll(strings.TrimSpace(text), "'", "''")
			p.Append(registry.Problem{File: name, Msg: fmt.Sprintf("the text %s has a meaning of its own in YAML; put it in quotes, and all of it in others: --set %q",
				printable(text), printable(key+"='"+quoted+"'"))})
			continue
		}
		if q.Len() > 0 {
			for _, bad := range q.List() {
				bad.Line = 0
				p.Append(bad)
			}
			continue
		}
		if v == nil {
			v = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1}
		}
		p.SetFile(v, name)
		set := setting{path, v, name}
		if path[len(path)-1] == "type" || isText(v) && isSection(root, path) {
			types = append(types, set)
		} else {
			rest = append(rest, set)
		}
	}
	for _, s := range append(types, rest...) {
		if root == nil {
			root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1}
			p.SetFile(root, s.name)
		}
		o := overrider{p: p, name: s.name}
		root = o.set(root, s.path, "", s.value)
	}
	return root
}

// indicates reports whether a text begins with a character that says something in YAML, so that it is no text there, but was meant as
// one: a delimiter, a glob, the label of a comparison. Lists, sections, quotes and anchors with a name are meant as what they are.
func indicates(text string, v *yaml.Node, q *registry.Problems) bool {
	text = strings.TrimSpace(text)
	switch {
	case text == "" || !strings.Contains(",|>:?-*&#!%@`", text[:1]) || strings.HasPrefix(text, "- ") || strings.HasPrefix(text, "!!"):
		return false
	case q.Len() > 0 || v == nil || v.Kind != yaml.ScalarNode:
		return true
	}
	return strings.Contains("|>#!", text[:1])
}

func isSection(n *yaml.Node, path []string) bool {
	for _, k := range path {
		i := valueIndex(n, k)
		if i < 0 {
			return false
		}
		n = n.Content[i]
	}
	return n != nil && n.Kind == yaml.MappingNode
}

// valueIndex returns the index in n.Content of the value of a key or of a list's item, -1 if there is none.
func valueIndex(n *yaml.Node, key string) int {
	if n == nil {
		return -1
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == key {
				return i + 1
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Content) {
			return i
		}
	}
	return -1
}

type overrider struct {
	p    *registry.Problems
	name string
}

func (o overrider) bad(path, format string, args ...any) {
	q := &registry.Problems{File: o.name}
	q.AddAt(0, path, format, args...)
	o.p.Append(q.List()...)
}

// set returns n with the value at the path below it.
func (o overrider) set(n *yaml.Node, path []string, at string, v *yaml.Node) *yaml.Node {
	if len(path) == 0 {
		if n != nil && n.Kind == yaml.MappingNode && isText(v) { // a scalar over a section sets its type
			if typeOf(n) == v.Value {
				return n
			}
		}
		return v
	}
	key, rest := path[0], path[1:]
	below := key
	if at != "" {
		below = at + "." + key
	}
	switch {
	case n == nil:
		if _, err := strconv.Atoi(key); err == nil {
			o.bad(at, "is not a list in the file, so it has no item %s; set the whole list: %s=[...]", key, at)
			return nil
		}
		n = o.mapping()
	case isText(n): // `optimizer: adam` and --set optimizer.eps=...
		n = section(n)
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		n = o.mapping()
	case n.Kind == yaml.SequenceNode:
		i := valueIndex(n, key)
		if i < 0 {
			o.bad(below, "the list %s has items 0 to %d; want one of them, or set the whole list", at, len(n.Content)-1)
			return n
		}
		n.Content[i] = o.set(n.Content[i], rest, below, v)
		return n
	case n.Kind != yaml.MappingNode:
		o.bad(below, "%s is the value %s, it has no keys below it", at, n.Value)
		return n
	}
	if key == "type" && len(rest) == 0 && isText(v) && typeOf(n) != v.Value {
		n = o.mapping() // another type: its keys are others
	}
	i := valueIndex(n, key)
	if i < 0 {
		child := o.set(nil, rest, below, v)
		if child == nil {
			return n
		}
		n.Content = append(n.Content, o.key(key), child)
		return n
	}
	n.Content[i] = o.set(n.Content[i], rest, below, v)
	if len(rest) == 0 { // problems of sections are reported at their keys: this one came from here
		n.Content[i-1] = o.key(key)
	}
	return n
}

func (o overrider) key(name string) *yaml.Node {
	k := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name, Line: 1}
	o.p.SetFile(k, o.name)
	return k
}

func (o overrider) mapping() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1}
	o.p.SetFile(n, o.name)
	return n
}

// printable returns an override for a message: one line, not too long.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
		s = strings.Trim(strconv.Quote(s), `"`)
	}
	if r := []rune(s); len(r) > 80 {
		s = string(r[:80]) + "…"
	}
	return s
}
