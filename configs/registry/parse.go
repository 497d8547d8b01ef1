package registry

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const maxBytes = 1 << 20 // a config is a page of text; a larger file is something else

// Parse reads one YAML document and returns its top node, with aliases replaced by copies of what they stand for. It
// returns nil if the document is empty, or after adding to p what is wrong with it.
func Parse(src []byte, p *Problems) *yaml.Node {
	if len(src) > maxBytes {
		p.AddAt(0, "", "is %d bytes long, a config has at most %d; is it the right file?", len(src), maxBytes)
		return nil
	}
	if !utf8.Valid(src) {
		line := 1
		for len(src) > 0 {
			r, size := utf8.DecodeRune(src)
			if r == utf8.RuneError && size == 1 {
				break
			}
			if r == '\n' {
				line++
			}
			src = src[size:]
		}
		p.AddAt(line, "", "not valid UTF-8; save the file as UTF-8")
		return nil
	}
	dec, err := yaml.NewLoader(bytes.NewReader(src))
	if err != nil {
		p.AddAt(0, "", "%v", err)
		return nil
	}
	var doc, more yaml.Node
	if err := dec.Load(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			p.syntax(err, src)
			return nil
		}
		return nil // empty: the caller knows what should be there
	}
	switch err := dec.Load(&more); {
	case err == nil:
		p.AddAt(more.Line, "", "a second document starts here (---); one config is one document, remove it or split the file")
		return nil
	case !errors.Is(err, io.EOF):
		p.syntax(err, src)
		return nil
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil
	}
	return p.expand(doc.Content[0], 0, new(int))
}

// expand returns a tree in which each alias is replaced by a copy of what it stands for. It returns nil after adding a problem.
func (p *Problems) expand(n *yaml.Node, depth int, count *int) *yaml.Node {
	*count++
	switch {
	case n.Kind == yaml.AliasNode && n.Alias != nil:
		return p.expand(n.Alias, depth+1, count)
	case depth > maxDepth:
		p.AddAt(n.Line, "", "nested deeper than %d levels, or an alias that contains itself", maxDepth)
		return nil
	case *count > maxNodes:
		p.AddAt(n.Line, "", "more than %d values in one config: aliases that repeat aliases blow it up", maxNodes)
		return nil
	}
	out := &yaml.Node{Kind: n.Kind, Style: n.Style, Tag: n.Tag, Value: n.Value, Line: n.Line, Column: n.Column}
	if len(n.Content) > 0 {
		out.Content = make([]*yaml.Node, len(n.Content))
	}
	for i, c := range n.Content {
		if out.Content[i] = p.expand(c, depth+1, count); out.Content[i] == nil {
			return nil
		}
	}
	return out
}

// syntax records a YAML syntax error with its line.
func (p *Problems) syntax(err error, src []byte) {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		p.AddAt(0, "", "not valid YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	line, msg := le.Mark.Line, le.Message
	switch start := le.ContextMark.Line; {
	case strings.Contains(le.ContextMsg, "quoted scalar") && start > 0:
		line, msg = start, "the quote that starts here has no end"
	case strings.Contains(msg, "expected ':'") && start > 0:
		line, msg = start, "a line without a colon; want `key: value`, with a space after the colon"
	case strings.Contains(msg, "cannot start any token"), strings.Contains(msg, "tab character"):
		msg += "; indent with spaces, and put text that starts with a special character in quotes"
	case strings.Contains(msg, "expected node content"):
		msg += "; a bracket is not closed, or text that starts with a special character, such as a comma, needs quotes"
	case strings.Contains(msg, "expected alphabetic"), strings.Contains(msg, "unknown anchor"), strings.Contains(msg, "comment or line break"),
		strings.Contains(msg, "expected directive name"), strings.Contains(msg, "mapping keys are not allowed"):
		msg += "; text that starts with a special character, such as * & > | ? %, needs quotes"
	case strings.Contains(msg, "mapping values are not allowed"):
		msg += "; a colon followed by a space inside of text needs quotes, and keys of one section need the same indentation"
	case strings.Contains(msg, "control characters"):
		if i := bytes.IndexFunc(src, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }); i >= 0 {
			line = 1 + bytes.Count(src[:i], []byte("\n"))
		}
		msg = "a control character is in the text; remove it"
	}
	if line == 0 {
		line = le.ContextMark.Line
	}
	p.AddAt(line, "", "not valid YAML: %s", msg)
}
