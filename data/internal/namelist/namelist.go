// Package namelist sorts names and lists them in messages.
package namelist

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Sorted returns the keys of m in order.
func Sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Show lists names, shortened.
func Show(names []string) string {
	if len(names) > 50 {
		return fmt.Sprintf("%s ... (%d)", strings.Join(names[:50], ", "), len(names))
	}
	return strings.Join(names, ", ")
}

// ShowOrNone lists labels in a message.
func ShowOrNone(labels []string) string {
	if len(labels) == 0 {
		return "none"
	}
	return Show(labels)
}
