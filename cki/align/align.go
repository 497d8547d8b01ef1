// Package align moves the hidden units of one trained model to where those of another are, without changing what the model
// computes. Layers declare which units may be exchanged (nn.Symmetry). Which units correspond is found by their weights or by their
// activations.
package align

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// Options says how models are aligned: the `align:` section.
type Options struct {
	Match string `yaml:"match"` // none, weights (units by similar weights) or activations (by correlated values on training rows)
	// dimensions of embeddings: orthogonal (rotated where the model allows it, and so other linear units; else permuted),
	// permutation, or none
	Embeddings string `yaml:"embeddings"`
	Iterations int    `yaml:"iterations"` // match: weights: at most this many sweeps over the layers
	// match: weights: in units of each tensor's root mean square, so that large tensors do not decide alone; false: as they
	// are (Git Re-Basin)
	Scaled bool  `yaml:"scaled"`
	Rows   int64 `yaml:"rows"` // match: activations: how many training rows are looked at
}

// None is the match that aligns nothing.
const None = "none"

// Defaults returns the options of a config without an `align:` section.
func Defaults() Options {
	return Options{Match: None, Embeddings: "orthogonal", Scaled: true, Iterations: 100, Rows: 20000}
}

// Validate reports every option out of range.
func (o Options) Validate() error {
	var errs []error
	if !slices.Contains([]string{None, "weights", "activations"}, o.Match) {
		errs = append(errs, registry.Field("match", "must be none, weights or activations"))
	}
	if !slices.Contains([]string{"permutation", "orthogonal", "none"}, o.Embeddings) {
		errs = append(errs, registry.Field("embeddings", "must be orthogonal, permutation or none"))
	}
	if o.Iterations < 1 {
		errs = append(errs, registry.Field("iterations", "must be at least 1"))
	}
	if o.Rows < 2 {
		errs = append(errs, registry.Field("rows", "must be at least 2"))
	}
	return bound.Join(errs...)
}

// Report says what an alignment did.
type Report struct {
	Match  string        `json:"match"`
	Before float64       `json:"before"` // cosine of the two models over all parameters that units lie in
	After  float64       `json:"after"`
	Groups []GroupReport `json:"groups"`
}

// GroupReport says what became of the units of a group.
type GroupReport struct {
	Name    string  `json:"name"`
	Size    int     `json:"size"`              // units
	Moved   int     `json:"moved"`             // units that are not where they were
	Rotated bool    `json:"rotated,omitempty"` // turned, not permuted
	Before  float64 `json:"before"`            // cosine of the two models along the group's weights
	After   float64 `json:"after"`
}

// Align moves the units of other to where those of base are, in place. All that belongs to them moves along: biases, running
// statistics, and the columns of the next layer. What other computes stays the same. src is read for `match: activations` only.
func Align(ctx context.Context, m models.Model, sc *data.Schema, base, other *nn.Params, src data.Source, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("align: %w", err)
	}
	r := &Report{Match: o.Match}
	if o.Match == None {
		return r, nil
	}
	groups, err := symmetry(m, sc, base)
	if err != nil {
		return nil, err
	}
	if err := comparable(base, other); err != nil {
		return nil, err
	}
	w := WeightsOptions{
		Iterations: o.Iterations, Unscaled: !o.Scaled,
		Free:   func(g nn.Group) bool { return o.Embeddings != "none" || !embeds(base, g) },
		Rotate: func(nn.Group) bool { return o.Embeddings == "orthogonal" },
	}
	var maps []Map
	if o.Match == "weights" {
		maps, err = Weights(ctx, base, other, groups, w)
	} else {
		if src == nil {
			return nil, errors.New("align: match: activations needs rows, and there are none; use match: weights")
		}
		maps, err = Activations(ctx, m, base, other, src, ActivationsOptions{Rows: o.Rows, Weights: w})
	}
	if err != nil {
		return nil, err
	}
	r.Before = whole(base, other, groups).cosine()
	for i, g := range groups {
		r.Groups = append(r.Groups, GroupReport{
			Name: g.Name, Size: g.Size, Moved: max(0, maps[i].moved()), Rotated: maps[i].Rotation != nil,
			Before: along(base, other, g).cosine(),
		})
	}
	for i, g := range groups {
		if err := move(other, g, maps[i]); err != nil {
			return nil, err
		}
	}
	r.After = whole(base, other, groups).cosine()
	for i, g := range groups {
		r.Groups[i].After = along(base, other, g).cosine()
	}
	return r, nil
}

// Shuffle permutes the hidden units of p at random, in place, with numbers from the stream of that key. What the model computes stays
// the same. Dimensions of embeddings stay where they are.
func Shuffle(m models.Model, sc *data.Schema, p *nn.Params, key uint64) error {
	groups, err := symmetry(m, sc, p)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if embeds(p, g) {
			continue
		}
		if err := Apply(p, g, rng.New(rng.Key(key, "align", "shuffle", g.Name)).Perm(g.Size)); err != nil {
			return err
		}
	}
	return nil
}

// symmetry returns the groups of a model over p.
func symmetry(m models.Model, sc *data.Schema, p *nn.Params) ([]nn.Group, error) {
	had := len(p.All())
	prog, err := models.Compile(m, p, sc, models.CompileOptions{Batch: 1})
	if err != nil {
		return nil, fmt.Errorf("align: %w", err)
	}
	defer prog.Close()
	if all := p.All(); len(all) > had {
		return nil, fmt.Errorf("align: the parameters lack %s of the model", all[had].Name)
	}
	s := prog.Symmetry()
	if missing := s.Uncovered(p); missing != nil {
		return nil, fmt.Errorf("align: the model's layers do not say what may be exchanged in %s", bound.Names(missing))
	}
	return s.Groups, nil
}

// comparable reports every parameter that keeps two models from being aligned.
func comparable(a, b *nn.Params) error {
	var errs []error
	for _, q := range a.All() {
		if err := same(a, b, q.Name); err != nil {
			errs = append(errs, err)
			continue
		}
		for i, p := range []*nn.Params{a, b} {
			if nn.NotFinite(p.Get(q.Name).Data) >= 0 {
				model := []string{"base", "other model"}[i]
				errs = append(errs, fmt.Errorf("align: %s of the %s has a value that is not a finite number", q.Name, model))
			}
		}
	}
	return bound.Join(errs...)
}

// embeds reports whether a group has dimensions of embeddings.
func embeds(p *nn.Params, g nn.Group) bool {
	return slices.ContainsFunc(g.Uses, func(u nn.Use) bool {
		q := p.Get(u.Param)
		return q != nil && (q.Embedding || q.Kind == nn.Table)
	})
}

// whole returns the products over all parameters that groups move, each once, but for running statistics.
func whole(a, b *nn.Params, groups []nn.Group) (p products) {
	seen := map[string]bool{}
	for _, g := range groups {
		for _, u := range g.Uses {
			if !seen[u.Param] && a.Get(u.Param).Kind != nn.Buffer {
				seen[u.Param] = true
				x, y := a.Get(u.Param).Data, b.Get(u.Param).Data
				p.add(products{dot(x, y), dot(x, x), dot(y, y)})
			}
		}
	}
	return p
}
