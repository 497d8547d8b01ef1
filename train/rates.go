package train

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// RateOptions gives some parameters a learning rate of their own.
type RateOptions struct {
	Match  []string `yaml:"match"`  // patterns of parameters' names, as in train.freeze
	Factor float64  `yaml:"factor"` // of the learning rate, such as 10
}

// Validate reports every option out of range.
func (o RateOptions) Validate() error {
	err := patterns("match", o.Match)
	if len(o.Match) == 0 {
		err = registry.Field("match", `give patterns, such as ["classifier.*"]`)
	}
	return errors.Join(err, registry.AtLeast("factor", o.Factor, 0))
}

// rates returns the factors of the learning rate by parameter: decay^(layers − layer) for a parameter of a layer (Clark et al.
// 2020, appendix A; Howard and Ruder 2018, section 3.2), times the factor of the last of learning_rates that matches it. Patterns
// without a parameter are errors.
func (f *fit) rates(whole models.Model) (map[string]float64, error) {
	factors := map[string]float64{}
	if len(f.LearningRates) == 0 && f.LayerDecay == 1 {
		return factors, nil
	}
	var groups []func(string) bool
	for i, g := range f.LearningRates {
		match, err := f.pattern(fmt.Sprintf("learning_rates.%d.match", i), g.Match)
		if err != nil {
			return nil, err
		}
		groups = append(groups, match)
	}
	layered, ok := whole.(models.Layered)
	if !ok && f.LayerDecay != 1 {
		return nil, fmt.Errorf("train: layer_decay: the parameters of model %T lie in no layers: leave it at 1", whole)
	}
	for _, q := range f.prog.Trained() {
		r := 1.0
		if f.LayerDecay != 1 {
			layer, layers := layered.Layer(q.Name)
			r = math.Pow(f.LayerDecay, float64(layers-layer))
		}
		for i := len(groups) - 1; i >= 0; i-- {
			if groups[i](q.Name) {
				r *= f.LearningRates[i].Factor
				break
			}
		}
		factors[q.Name] = r
	}
	return factors, nil
}

// decays returns whether a parameter's weights decay: those of more than one dimension do, which leaves out biases and norms, unless
// no_decay matches.
func (f *fit) decays() (func(name string) bool, error) {
	no, err := f.pattern("no_decay", f.NoDecay)
	if err != nil {
		return nil, err
	}
	return func(name string) bool { return len(f.Params.Get(name).Shape) > 1 && !no(name) }, nil
}

// pattern returns the predicate of an option's patterns, each of which must match a parameter.
func (f *fit) pattern(option string, patterns []string) (func(string) bool, error) {
	match, err := nn.Match(patterns)
	if err != nil {
		return nil, fmt.Errorf("train: %s: %w", option, err)
	}
	var names []string
	for _, q := range f.Params.All() {
		if q.Kind != nn.Buffer {
			names = append(names, q.Name)
		}
	}
	return match, errors.Join(unmatched(option, patterns, names)...)
}

// unmatched are the errors of patterns that match none of the names.
func unmatched(option string, patterns, names []string) []error {
	var errs []error
	for _, p := range nn.Unmatched(patterns, names) {
		errs = append(errs, fmt.Errorf("train: %s: %q matches no parameter%s", option, p, nearest(p, names)))
	}
	return errs
}

// rate returns the learning rate of a parameter in this step.
func (f *fit) rate(name string) float64 {
	if r, ok := f.factors[name]; ok {
		return f.lr * r
	}
	return f.lr
}

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
