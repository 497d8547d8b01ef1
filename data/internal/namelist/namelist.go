// Package namelist sorts names and lists them in messages.
package namelist

import (
	"maps"
	"slices"

	"github.com/splice-ml/splice/data/bound"
)

// Sorted returns the keys of m in order.
func Sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Show lists names, shortened.
func Show(names []string) string {
	return bound.Names(names)
}

// ShowOrNone lists labels in a message.
func ShowOrNone(labels []string) string {
	if len(labels) == 0 {
		return "none"
	}
	return Show(labels)
}
