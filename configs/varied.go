package configs

import (
	"slices"

	"go.yaml.in/yaml/v4"
)

// variations are the names under which a config of a search gives several values of a key.
var variations = []string{"grid", "choice", "uniform", "log"}

// Variations returns the names under which a config of a search gives several values of a key, as in {uniform: [0, 0.5]}.
func Variations() []string { return slices.Clone(variations) }

// IsVaried reports whether a node of a config gives several values of a key, for a search: a section with one of the [Variations] alone,
// over a list.
func IsVaried(n *yaml.Node) bool {
	return n != nil && n.Kind == yaml.MappingNode && len(n.Content) == 2 && slices.Contains(variations, n.Content[0].Value) &&
		n.Content[1].Kind == yaml.SequenceNode
}
