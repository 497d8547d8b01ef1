package start

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models/nn"
)

// covered returns a function that reports whether a parameter comes from elsewhere than Options.From.
func (o Options) covered() func(name string) bool {
	if len(o.Parts) == 0 {
		return func(string) bool { return false }
	}
	match, err := nn.Match(slices.Sorted(maps.Keys(o.Parts)))
	if err != nil {
		return func(string) bool { return false } // Validate says so
	}
	return match
}

// parts reads the parameters of Options.Parts into p.
func (w *Weights) parts(d *data.Splits, p *nn.Params, rec *Record) error {
	var errs []error
	for _, pattern := range slices.Sorted(maps.Keys(w.Options.Parts)) {
		if err := w.part(d, p, rec, pattern, w.Options.Parts[pattern]); err != nil {
			errs = append(errs, fmt.Errorf("init.parts: %s: %s: %w", pattern, w.Options.Parts[pattern], err))
		}
	}
	return bound.Join(errs...)
}

// part reads the parameters that match a pattern from a run or a file.
func (w *Weights) part(d *data.Splits, p *nn.Params, rec *Record, pattern, from string) error {
	match, err := nn.Match([]string{pattern})
	if err != nil {
		return err
	}
	t := w.Target
	t.Options = Options{From: from, Checkpoint: Best, Features: w.Options.Features}
	t.Log = slog.New(slog.DiscardHandler) // of what it lacks, what is wanted is an error
	other, err := t.Find()
	if err != nil {
		return err
	}
	q, lacks, err := other.Load(d)
	if err != nil {
		return err
	}
	found := 0
	for _, x := range p.All() {
		switch {
		case !match(x.Name):
		case slices.Contains(lacks.Missing, x.Name):
			return fmt.Errorf("it has no tensor %s %v", x.Name, x.Shape)
		case x.Kind == nn.Table && w.Options.Features == "run":
			return fmt.Errorf("%s is a table, whose rows may be those of other ids: take it by init.from, or set init.features to data", x.Name)
		default:
			found++
			copy(x.Data, q.Get(x.Name).Data)
			rec.Missing = slices.DeleteFunc(rec.Missing, func(name string) bool { return name == x.Name })
		}
	}
	if found == 0 {
		return fmt.Errorf("the pattern matches none of the model's parameters")
	}
	return nil
}
