package registry

import (
	"encoding"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

func knownTag(tag string) bool {
	switch tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq":
		return true
	}
	return false
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// isString reports whether a scalar is text: quoted, or plain and nothing else. A plain date is text.
func isString(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.Tag == "!!str" || n.Tag == "!!timestamp" || n.Tag == "!!merge")
}

func quoted(n *yaml.Node) bool {
	return n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

// want describes the value that a type takes.
func want(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration like 90s or 5m"
	case isText(t):
		return "text"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number from 0"
	case reflect.Pointer:
		return want(t.Elem())
	case reflect.Slice, reflect.Array:
		switch t.Elem().Kind() {
		case reflect.Float32, reflect.Float64:
			return "a list of numbers like [0.5, 1]"
		case reflect.Bool:
			return "a list like [true, false]"
		case reflect.String:
			return "a list of texts like [a, b]"
		case reflect.Struct, reflect.Map, reflect.Interface, reflect.Slice, reflect.Pointer:
			return "a list"
		}
		return "a list of whole numbers like [400, 400]"
	case reflect.Interface:
		if e := lookup(t); e != nil {
			return "a section with a type: " + strings.Join(e.sorted(), ", ")
		}
	}
	return "a section"
}

// have describes a value as the reader of the file sees it.
func have(n *yaml.Node) string {
	if n == nil {
		return "nothing"
	}
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		val := n.Value
		if r := []rune(val); len(r) > 40 {
			val = string(r[:40]) + "…"
		}
		switch n.Tag {
		case "!!null":
			return "no value"
		case "!!int", "!!float":
			return "the number " + val
		case "!!bool":
			return val
		}
		return "the text " + strconv.Quote(val)
	}
	return "something else"
}

// scalar decodes text, numbers, booleans and durations.
func (d *decoder) scalar(n, use *yaml.Node, v reflect.Value, path string) bool {
	t := v.Type()
	if n.Kind != yaml.ScalarNode {
		d.p.Add(use, path, "want %s, have %s", want(t), have(n))
		return false
	}
	fail := func(format string, args ...any) bool {
		d.p.Add(use, path, format, args...)
		return false
	}
	switch {
	case t == durationType:
		dur, err := time.ParseDuration(n.Value)
		if err != nil || !isString(n) && n.Value != "0" {
			return fail("want %s, have %s", want(t), have(n))
		}
		v.SetInt(int64(dur))
		return true
	case t.Kind() == reflect.String:
		if !isString(n) {
			return fail("want text, have %s; put it in quotes if it is meant as text: %q", have(n), n.Value)
		}
		if strings.ContainsRune(n.Value, 0) {
			return fail("text with a zero byte is not allowed")
		}
		v.SetString(n.Value)
		return true
	case t.Kind() == reflect.Bool:
		if n.Tag != "!!bool" {
			return fail("want true or false, have %s%s", have(n), unquote(n, "!!bool"))
		}
		b, err := strconv.ParseBool(strings.ToLower(n.Value))
		if err != nil {
			return fail("want true or false, have %s", have(n))
		}
		v.SetBool(b)
		return true
	}
	if n.Tag != "!!int" && n.Tag != "!!float" {
		return fail("want %s, have %s%s", want(t), have(n), unquote(n, "!!int", "!!float"))
	}
	plain := strings.ReplaceAll(n.Value, "_", "")
	if digits := strings.TrimLeft(plain, "+-"); len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return fail("the number %s starts with 0, which YAML reads as octal; write it without the 0", n.Value)
	}
	switch t.Kind() {
	case reflect.Float32, reflect.Float64:
		f, err := parseFloat(plain, n.Tag, t.Bits())
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || v.OverflowFloat(f) {
			return fail("want a finite number, have %s", n.Value)
		}
		v.SetFloat(f)
		return true
	}
	i, err := parseInt(plain)
	if err != nil {
		return fail("want %s, have %s", want(t), n.Value)
	}
	if v.CanUint() {
		if !i.IsUint64() || v.OverflowUint(i.Uint64()) {
			return fail("want a whole number from 0 to %d, have %s", uint64(1)<<(t.Bits()-1)-1+uint64(1)<<(t.Bits()-1), n.Value)
		}
		v.SetUint(i.Uint64())
		return true
	}
	if !i.IsInt64() || v.OverflowInt(i.Int64()) {
		hi := int64(1)<<(t.Bits()-1) - 1
		return fail("want a whole number from %d to %d, have %s", -hi-1, hi, n.Value)
	}
	if t.Kind() == reflect.Int && (i.Int64() > mostInt || i.Int64() < -mostInt) { // products of two of them then fit
		return fail("want a whole number of at most %d, have %s", mostInt, n.Value)
	}
	v.SetInt(i.Int64())
	return true
}

// mostInt is the greatest whole number that an option of type int may have: such options are sizes and counts. Larger numbers are of
// other types.
const mostInt = math.MaxInt32

// unquote returns a hint if the text would be right without its quotes.
func unquote(n *yaml.Node, tags ...string) string {
	if !quoted(n) || n.Tag != "!!str" {
		return ""
	}
	var plain yaml.Node
	if len(n.Value) > 40 || yaml.Load([]byte(n.Value), &plain) != nil || len(plain.Content) != 1 {
		return ""
	}
	if slices.Contains(tags, plain.Content[0].Tag) {
		return "; remove the quotes"
	}
	return ""
}

// parseFloat reads a YAML number, rounded to a float of the given bits.
func parseFloat(s, tag string, bits int) (float64, error) {
	if tag == "!!int" {
		i, err := parseInt(s)
		if err != nil {
			return 0, err
		}
		f, _ := new(big.Float).SetInt(i).Float64()
		return f, nil
	}
	return strconv.ParseFloat(s, bits)
}

// parseInt reads a YAML whole number: 10, 0x1f, 0o17, and 1e6 or 2.0, which are whole too.
func parseInt(s string) (*big.Int, error) {
	if len(s) > 64 {
		return nil, fmt.Errorf("too long")
	}
	if i, ok := new(big.Int).SetString(strings.TrimPrefix(s, "+"), 0); ok {
		return i, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return nil, fmt.Errorf("not whole")
	}
	return big.NewInt(int64(f)), nil
}

// text decodes a scalar through the type's own UnmarshalText.
func (d *decoder) text(n, use *yaml.Node, v reflect.Value, path string) bool {
	tmp := reflect.New(v.Type())
	if _, ok := tmp.Interface().(Listed); ok && n.Kind == yaml.SequenceNode {
		n = joined(n)
	}
	if n.Kind != yaml.ScalarNode || isNull(n) {
		d.p.Add(use, path, "want text, have %s", have(n))
		return false
	}
	if err := tmp.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
		d.p.Add(use, path, "%v", err)
		return false
	}
	v.Set(tmp.Elem())
	return true
}

// Listed is implemented by pointers to types with UnmarshalText for which a config may have a list of texts. They are joined by commas, and
// encoded so.
type Listed interface{ Listed() }

// joined returns the texts of a list as one, or the list if it has something else.
func joined(n *yaml.Node) *yaml.Node {
	var list []string
	for _, c := range n.Content {
		if c = resolve(c); c == nil || c.Kind != yaml.ScalarNode || c.Tag != "!!str" {
			return n
		}
		list = append(list, c.Value)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.Join(list, ", "), Line: n.Line}
}
