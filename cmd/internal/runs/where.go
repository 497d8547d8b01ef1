package runs

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/train/run"
)

// condition is what a run must have, as --where gives it.
type condition struct{ key, op, value string }

// operators are tried in this order: <= before <.
var operators = []string{"!=", "<=", ">=", "=", "<", ">"}

func parseCondition(text string) (condition, error) {
	at, op := len(text), ""
	for _, o := range operators {
		if i := strings.Index(text, o); i >= 0 && i < at {
			at, op = i, o
		}
	}
	key := strings.TrimSpace(text[:at])
	if op == "" || key == "" {
		return condition{}, run.BadInput(fmt.Errorf("runs: --where %q: want a key, one of = != < <= > >=, and a value, such as model=deepfm", text))
	}
	c := condition{key, op, strings.TrimSpace(text[at+len(op):])}
	if _, err := strconv.ParseFloat(c.value, 64); strings.ContainsAny(op, "<>") && err != nil {
		return c, run.BadInput(fmt.Errorf("runs: --where %q: %s wants a number, have %q", text, op, c.value))
	}
	if _, err := path.Match(c.value, ""); err != nil {
		return c, run.BadInput(fmt.Errorf("runs: --where %q: %q is no pattern: %w", text, c.value, err))
	}
	return c, nil
}

// holds reports whether a run has it. Numbers are compared as numbers. Texts are equal if they match, where * stands for any characters
// but a slash. What a run lacks is equal to nothing.
func (c condition) holds(r *found) bool {
	text, number, isNumber := r.value(c.key)
	want, err := strconv.ParseFloat(c.value, 64)
	if isNumber && err == nil {
		switch c.op {
		case "=":
			return number == want
		case "!=":
			return number != want
		case "<":
			return number < want
		case "<=":
			return number <= want
		case ">":
			return number > want
		}
		return number >= want
	}
	matches, _ := path.Match(c.value, text) // a good pattern: parseCondition
	switch c.op {
	case "=":
		return matches
	case "!=":
		return !matches
	}
	return false
}
