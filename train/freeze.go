package train

import (
	"errors"
	"fmt"
	"strings"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// frozen returns the predicate of the parameters that take no gradient: those of the option and of Compile.
func (f *fit) frozen() (func(string) bool, error) {
	if len(f.Freeze) == 0 {
		return f.Compile.Freeze, nil
	}
	m, err := nn.Match(f.Freeze)
	if err != nil {
		return nil, fmt.Errorf("train: freeze: %w", err)
	}
	if other := f.Compile.Freeze; other != nil {
		return func(name string) bool { return m(name) || other(name) }, nil
	}
	return m, nil
}

// CheckFreeze reports patterns of Options.Freeze that freeze none of p's parameters, and patterns that leave nothing to train.
func CheckFreeze(patterns []string, p *nn.Params) error {
	if len(patterns) == 0 {
		return nil
	}
	match, err := nn.Match(patterns)
	if err != nil {
		return fmt.Errorf("train: freeze: %w", err)
	}
	var names []string
	left := false
	for _, q := range p.All() {
		if q.Kind != nn.Buffer {
			names = append(names, q.Name)
			left = left || !match(q.Name)
		}
	}
	errs := unmatched("freeze", patterns, names)
	if len(errs) == 0 && !left {
		errs = append(errs, errNothingLeft)
	}
	return bound.Join(errs...)
}

var errNothingLeft = errors.New("train: freeze: no parameter is left to train")

// checkFrozen is CheckFreeze of a program's parameters, of which its weights' replacements may leave none to train either.
func checkFrozen(patterns []string, p *nn.Params, prog *models.Program) error {
	if err := CheckFreeze(patterns, p); err != nil {
		return err
	}
	if len(prog.Trained()) == 0 {
		return errNothingLeft
	}
	return nil
}

// nearest says which name a pattern is most likely meant for: the nearest one, or the first that begins as the pattern does.
func nearest(pattern string, names []string) string {
	q := strings.TrimPrefix(pattern, "!")
	if n, ok := registry.Nearest(q, names); ok {
		return fmt.Sprintf("; nearest is %q", n)
	}
	if at := strings.IndexAny(q, "*?"); at >= 0 {
		q = q[:at]
	}
	parts := strings.Split(strings.TrimSuffix(q, "."), ".")
	for k := len(parts); k > 0; k-- {
		var heads []string
		first := map[string]string{}
		for _, n := range names {
			have := strings.Split(n, ".")
			head := strings.Join(have[:min(k, len(have))], ".")
			if first[head] == "" {
				first[head] = n
				heads = append(heads, head)
			}
		}
		if h, ok := registry.Nearest(strings.Join(parts[:k], "."), heads); ok {
			return fmt.Sprintf("; nearest is %q", first[h])
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; the parameters are " + bound.Names(names)
}
