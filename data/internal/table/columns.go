package table

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/internal/namelist"
)

// ColumnOf returns the options of a column: those of its name, or of the first pattern (in order of text) that it
// matches.
func ColumnOf(columns map[string]data.Column, name string) (data.Column, bool) {
	return Finder(columns)(name)
}

// Finder returns [ColumnOf] of the columns, for many names.
func Finder(columns map[string]data.Column) func(name string) (data.Column, bool) {
	patterns := slices.DeleteFunc(namelist.Sorted(columns), isName)
	return func(name string) (data.Column, bool) {
		if c, ok := columns[name]; ok {
			return c, true
		}
		for _, p := range patterns {
			if ok, err := path.Match(p, name); ok && err == nil {
				return columns[p], true
			}
		}
		return nil, false
	}
}

// isName reports whether a pattern matches itself alone.
func isName(pattern string) bool { return !strings.ContainsAny(pattern, `*?[\`) }

// CheckColumns returns an error for each entry of columns that is no pattern, matches none of names, or matches a name
// that another pattern matches too.
func CheckColumns(columns map[string]data.Column, names []string) error {
	var errs []error
	claimed, there := map[string]string{}, map[string]bool{}
	for _, n := range names {
		there[n] = true
	}
	for _, p := range namelist.Sorted(columns) {
		if _, err := path.Match(p, ""); err != nil {
			errs = append(errs, registry.Field("columns."+p, "is no valid pattern; write [ and ] in pairs"))
			continue
		}
		if columns[p] == nil {
			errs = append(errs, registry.Field("columns."+p, "has no type; want categorical, numeric, multi or ignore"))
			continue
		}
		if from := data.From(columns[p], ""); from != "" {
			if err := checkFrom(p, from, there, names); err != nil {
				errs = append(errs, err)
			}
			continue
		}
		if there[p] {
			continue
		}
		found, candidates := false, names
		if isName(p) {
			candidates = nil
		}
		for _, n := range candidates {
			if ok, _ := path.Match(p, n); !ok {
				continue
			}
			found = true
			if _, exact := columns[n]; exact {
				continue
			}
			if other, ok := claimed[n]; ok {
				errs = append(errs, registry.Field("columns."+p, "column %s matches %s too; name the column itself", n, other))
				break
			}
			claimed[n] = p
		}
		if !found {
			errs = append(errs, registry.Field("columns."+p, "no such column; there are %s", namelist.Show(names)))
		}
	}
	return bound.Join(errs...)
}

// checkFrom returns what is wrong with a column of that name which is made of another one.
func checkFrom(name, from string, there map[string]bool, names []string) error {
	switch {
	case !isName(name):
		return registry.Field("columns."+name+".from", "makes one column of another one; give it a name without * and ?")
	case !there[from]:
		return registry.Field("columns."+name+".from", "no such column; there are %s", namelist.Show(names))
	case there[name] && from != name:
		return registry.Field("columns."+name, "the file has a column of this name; give the one that is made of %s another one", from)
	}
	return nil
}

// ReadFrom returns the columns of which others are made.
func ReadFrom(columns map[string]data.Column) map[string]bool {
	read := map[string]bool{}
	for _, c := range columns {
		if from := data.From(c, ""); from != "" {
			read[from] = true
		}
	}
	return read
}

// Derived returns the columns that are made of others, in the order of their names: those that are not among names, which the file has.
func Derived(columns map[string]data.Column, names []string) (list []Declared) {
	for _, name := range namelist.Sorted(columns) {
		if data.From(columns[name], "") != "" && !slices.Contains(names, name) {
			list = append(list, Declared{Name: name, Column: columns[name]})
		}
	}
	return list
}

// RefuseDerived returns an error for each column of which something is derived, for formats that have no such columns.
func RefuseDerived(columns map[string]data.Column, layout string) error {
	var errs []error
	for _, name := range namelist.Sorted(columns) {
		c, _ := columns[name].(data.CategoricalColumn)
		if data.IsVector(columns[name]) {
			errs = append(errs, registry.Field("columns."+name, "the %s layout has no columns of vectors; use type csv", layout))
		}
		if c.Derive != "" || data.From(columns[name], "") != "" {
			errs = append(errs, registry.Field("columns."+name, "the %s layout has no derived columns; use type csv, or leave from and derive out", layout))
		}
	}
	return errors.Join(errs...)
}

// Validate checks options that were not decoded from a file: those of the section and of what is nested in it.
func Validate(d registry.Validator, c data.Common) error {
	errs := []error{d.Validate(), c.Split.Validate(), c.Categorical.Validate(), c.Numeric.Validate()}
	for _, name := range namelist.Sorted(c.Columns) {
		if v, ok := c.Columns[name].(registry.Validator); ok {
			if err := v.Validate(); err != nil {
				errs = append(errs, fmt.Errorf("columns.%s.%w", name, err))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return nil
}
