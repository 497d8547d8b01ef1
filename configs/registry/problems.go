package registry

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Problem is one mistake in a config: where it is, what is wrong and what to do about it.
type Problem struct {
	File string // file name, or "--set a.b=v" for an override
	Line int    // from 1; 0 if the source has no lines
	Path string // dotted path of the key: "train.optimizer.lr"; "" for the whole file
	Msg  string // what is wrong, what to do
}

// String returns "file:line: path: message" without the parts that are empty.
func (p Problem) String() string {
	var b strings.Builder
	switch {
	case p.File != "" && p.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	case p.File != "":
		fmt.Fprintf(&b, "%s: ", p.File)
	case p.Line > 0:
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Msg)
	return oneLine(b.String())
}

// moves reports whether a character breaks a line, moves a terminal's cursor, or turns the text after it round.
func moves(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// oneLine escapes what would break a message's line, move a terminal's cursor, or show text in another order.
func oneLine(s string) string {
	if !strings.ContainsFunc(s, moves) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteByte(' ')
		case r > 0xff && moves(r):
			fmt.Fprintf(&b, "\\u%04x", r)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, "\\x%02x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Problems collects every mistake of a config while it is decoded. The zero value is ready; File names the source
// of all nodes that SetFile did not give to another one.
type Problems struct {
	File string

	list    []Problem
	files   map[*yaml.Node]string     // nodes that came from elsewhere than File
	keys    map[*yaml.Node]*yaml.Node // value of a mapping -> its key: a section is reported at the line of its key
	visited int                       // nodes decoded so far; bounds what aliases can blow up to
}

// SetFile says that n and all nodes below it came from file (a parent config, an override).
func (p *Problems) SetFile(n *yaml.Node, file string) {
	if p.files == nil {
		p.files = map[*yaml.Node]string{}
	}
	p.setFile(n, file, 0)
}

func (p *Problems) setFile(n *yaml.Node, file string, depth int) {
	if n == nil || depth > maxDepth {
		return
	}
	p.files[n] = file
	for _, c := range n.Content {
		p.setFile(c, file, depth+1)
	}
}

// Add records a problem at node n. If n is nil, it is one of the file as a whole.
func (p *Problems) Add(n *yaml.Node, path, format string, args ...any) {
	q := Problem{File: p.File, Path: path, Msg: fmt.Sprintf(format, args...)}
	if n != nil {
		at := n
		if k := p.keys[n]; k != nil {
			at = k
		}
		q.Line = at.Line
		if f, ok := p.files[at]; ok {
			q.File = f
			if strings.HasPrefix(f, "--") {
				q.Line = 0
			}
		}
	}
	p.list = append(p.list, q)
}

// AddAt records a problem at a given line of p.File.
func (p *Problems) AddAt(line int, path, format string, args ...any) {
	p.list = append(p.list, Problem{File: p.File, Line: line, Path: path, Msg: fmt.Sprintf(format, args...)})
}

// Append records a problem found elsewhere.
func (p *Problems) Append(q ...Problem) { p.list = append(p.list, q...) }

// Len returns the number of problems so far.
func (p *Problems) Len() int { return len(p.list) }

// List returns the problems in the order of their lines: those of p.File first, then those of each other source in
// the order in which the sources were met.
func (p *Problems) List() []Problem {
	out := slices.Clone(p.list)
	rank := map[string]int{p.File: 0}
	for _, q := range out {
		if _, ok := rank[q.File]; !ok {
			rank[q.File] = len(rank)
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		if a, b := rank[out[i].File], rank[out[j].File]; a != b {
			return a < b
		}
		return out[i].Line < out[j].Line
	})
	seen := map[Problem]bool{}
	return slices.DeleteFunc(out, func(q Problem) bool {
		again := seen[q]
		seen[q] = true
		return again
	})
}

// Err returns an *Error with all problems, or nil if there are none.
func (p *Problems) Err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &Error{Problems: p.List()}
}

// Error is all the mistakes of a config, one a line.
type Error struct{ Problems []Problem }

// mostProblems is how many mistakes are listed: who has more of them does not read them all.
const mostProblems = 20

// Error returns the first problems, one a line, and how many more there are, without a newline at the end.
func (e *Error) Error() string {
	var lines []string
	for i, q := range e.Problems {
		if i == mostProblems {
			lines = append(lines, fmt.Sprintf("and %d more mistakes", len(e.Problems)-i))
			break
		}
		lines = append(lines, q.String())
	}
	return strings.Join(lines, "\n")
}

// FieldError is a value that Validate refuses, with its key.
type FieldError struct {
	Key string // yaml key relative to the validated struct; "a.b" and "list.0" reach below it
	Msg string
}

// Error returns "key: message".
func (e *FieldError) Error() string { return e.Key + ": " + e.Msg }

// Field returns the error of a Validate method for one key, so that the line of that key is reported:
//
//	return errors.Join(registry.Field("dropout", "must be in [0, 1)"), …)
//
// With args, msg is a format. The value in the file is added at the end, as in ", have 1.5", unless the message
// has it already: it then begins with "is " or contains "have ".
func Field(key, msg string, args ...any) error {
	e := &FieldError{Key: key, Msg: msg}
	if len(args) > 0 {
		e.Msg = fmt.Sprintf(e.Msg, args...)
	}
	return e
}

// Validator is implemented by option structs whose values have limits. Validate runs after the struct is decoded; it
// returns one error, or errors.Join of several; those made by Field are reported at the line of their key. It also
// answers for the structs that are inlined; nested sections are validated by themselves.
type Validator interface{ Validate() error }

// flatten splits joined errors into the single ones.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range j.Unwrap() {
			out = append(out, flatten(e)...)
		}
		return out
	}
	return []error{err}
}

// validate runs v's Validate, if it has one, and records what it says about the struct decoded from n. bad holds the
// keys that already have a problem: they keep their defaults, so nothing more is said about them.
func (p *Problems) validate(v any, n *yaml.Node, path string, bad map[string]bool) {
	val, ok := v.(Validator)
	if !ok {
		return
	}
	for _, err := range flatten(val.Validate()) {
		var fe *FieldError
		if !errors.As(err, &fe) {
			if len(bad) == 0 {
				p.Add(n, path, "%v", err)
			}
			continue
		}
		first, _, _ := strings.Cut(fe.Key, ".")
		if bad[first] {
			continue
		}
		at, exact := find(n, fe.Key)
		msg := fe.Msg
		if exact {
			msg = withValue(msg, resolve(at))
		}
		p.Add(at, join(path, fe.Key), "%s", msg)
	}
}

// withValue adds the value of a scalar to a message that does not say it.
func withValue(msg string, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || strings.Contains(msg, "have ") || strings.HasPrefix(msg, "is ") {
		return msg
	}
	val := n.Value
	if isString(n) {
		val = strconv.Quote(val)
	}
	if len(val) > 100 || strings.Contains(msg, val) && isString(n) {
		return msg
	}
	return msg + ", have " + val
}

// find returns the node at the dotted key below n, or the nearest one above it and false.
func find(n *yaml.Node, key string) (*yaml.Node, bool) {
	for part := range strings.SplitSeq(key, ".") {
		c := child(resolve(n), part)
		if c == nil {
			return n, false
		}
		n = c
	}
	return n, true
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
