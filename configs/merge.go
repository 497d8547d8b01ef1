package configs

import (
	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/registry"
)

// merge returns the child laid over the parent: sections are merged key by key, at any depth; everything else, lists
// too, is replaced. A section whose `type` the child gives and changes is replaced as a whole, since its other keys
// belong to another type. `optimizer: adam` counts as a section with that type.
func merge(parent, child *yaml.Node, path string, p *registry.Problems) *yaml.Node {
	switch {
	case child == nil:
		return parent
	case parent == nil:
		return child
	}
	childType, parentType := typeOf(child), typeOf(parent)
	switch {
	case isText(child) && parent.Kind == yaml.MappingNode && parentType == child.Value:
		return parent // `optimizer: adam` over a section of that type says nothing new
	case child.Kind != yaml.MappingNode, IsVaried(child):
		return child
	case childType != "" && childType != parentType:
		return child
	case isText(parent):
		parent = section(parent)
	case parent.Kind != yaml.MappingNode:
		return child
	}
	out := *child
	out.Content = nil
	at := map[string]int{} // key -> index of its value in out.Content
	add := func(n *yaml.Node, over bool) {
		here := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			if k.Kind != yaml.ScalarNode {
				out.Content = append(out.Content, k, v)
				continue
			}
			keyPath := k.Value
			if path != "" {
				keyPath = path + "." + k.Value
			}
			if line, dup := here[k.Value]; dup {
				p.Add(k, keyPath, "duplicate key; it is on line %d already, keep one", line)
				continue
			}
			here[k.Value] = k.Line
			if j, ok := at[k.Value]; ok && over {
				out.Content[j-1] = k
				out.Content[j] = merge(out.Content[j], v, keyPath, p)
				continue
			}
			out.Content = append(out.Content, k, v)
			at[k.Value] = len(out.Content) - 1
		}
	}
	add(parent, false)
	add(child, true)
	return &out
}

func isText(n *yaml.Node) bool { return n != nil && n.Kind == yaml.ScalarNode && n.Tag == "!!str" }

// typeOf returns the `type` of a section, "" if it has none.
func typeOf(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "type" && isText(n.Content[i+1]) {
			return n.Content[i+1].Value
		}
	}
	return ""
}

// section returns {type: name} for the shorthand name.
func section(name *yaml.Node) *yaml.Node {
	key := *name
	key.Value, key.Style = "type", 0
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: name.Line, Content: []*yaml.Node{&key, name}}
}
