package cki

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
)

// Check compares the parents before any work is done. It returns everything that does not fit: a run that is given twice, tensors
// that are missing, unexpected or of another shape, and feature maps that read rows differently. Embedding tables may have other
// rows if the parents have other vocabularies.
func Check(parents []*Parent) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("cki: "+format, args...)) }
	if len(parents) < 2 {
		bad("%d parents: a merge needs at least two", len(parents))
	}
	seen := map[string]string{}
	for _, p := range parents {
		at := p.Name
		if abs, err := filepath.EvalSymlinks(p.Name); err == nil {
			if abs, err = filepath.Abs(abs); err == nil {
				at = abs
			}
		}
		if other, ok := seen[at]; ok {
			bad("parent %s is the same run as parent %s: give each run once", p.Name, other)
		}
		seen[at] = p.Name
	}
	if len(parents) == 0 {
		return bound.Join(errs...)
	}
	base := parents[0]
	for _, p := range parents[1:] {
		if base.Map != nil && p.Map != nil {
			for _, d := range base.Map.Compatible(p.Map) {
				bad("parent %s reads its rows differently from %s: %s", p.Name, base.Name, d)
			}
		} else if (base.Map == nil) != (p.Map == nil) {
			with, without := base.Name, p.Name
			if base.Map == nil {
				with, without = without, with
			}
			bad("parent %s has a feature map and parent %s has none: merge two runs, or two plain checkpoints", with, without)
		}
		errs = append(errs, tensors(base, p)...)
	}
	return bound.Join(errs...)
}

// tensors returns how the tensors of p differ from the base's.
func tensors(base, p *Parent) []error {
	var errs []error
	want := map[string][]int{}
	kept := map[string]bool{} // what the result takes from the base
	for _, t := range base.Tensors() {
		want[t.Name], kept[t.Name] = t.Shape, !Mergeable(t)
	}
	have := map[string]bool{}
	for _, t := range p.Tensors() {
		have[t.Name] = true
		shape, ok := want[t.Name]
		switch {
		case !Mergeable(t) && (!ok || kept[t.Name]):
		case !ok:
			errs = append(errs, fmt.Errorf("cki: parent %s: tensor %s %v: parent %s has none of that name", p.Name, t.Name, t.Shape, base.Name))
		case Mergeable(t) == kept[t.Name]:
			errs = append(errs, fmt.Errorf("cki: parent %s: tensor %s is %s, that of parent %s is not of that kind: "+
				"integers cannot be merged with floating point numbers; dequantize the weights first", p.Name, t.Name, t.DType, base.Name))
		case slices.Equal(shape, t.Shape), tableRowsMatch(base, p, t.Name, shape, t.Shape):
		case base.Map == nil && strings.Contains(t.Name, "embedding") && sameWidth(shape, t.Shape):
			errs = append(errs, fmt.Errorf("cki: parent %s: tensor %s has %d rows, that of parent %s %d: other vocabularies, "+
				"and no feature maps to match them by; give the runs' directories", p.Name, t.Name, t.Shape[0], base.Name, shape[0]))
		default:
			errs = append(errs, fmt.Errorf("cki: parent %s: tensor %s is %v, that of parent %s is %v: the models differ", p.Name, t.Name, t.Shape,
				base.Name, shape))
		}
	}
	for _, t := range base.Tensors() {
		if !have[t.Name] && !kept[t.Name] {
			errs = append(errs, fmt.Errorf("cki: parent %s: tensor %s is missing, parent %s has it %v", p.Name, t.Name, base.Name, t.Shape))
		}
	}
	return errs
}

// tableRowsMatch reports whether the tensor of that name is an embedding table in both, with rows of one width, so that the
// vocabularies tell which row is which.
func tableRowsMatch(base, p *Parent, name string, baseShape, shape []int) bool {
	return vocabularyOf(base.Map, name, baseShape) != nil && vocabularyOf(p.Map, name, shape) != nil && sameWidth(baseShape, shape)
}

// sameWidth reports whether two shapes are those of tables with rows of one width.
func sameWidth(a, b []int) bool { return len(a) == 2 && len(b) == 2 && a[1] == b[1] }

// vocabularyOf returns the vocabulary of the embedding table called name, which is some lookup's name, the table's and
// "weight", or nil if the map has none of that size.
func vocabularyOf(m *data.FeatureMap, name string, shape []int) *data.Vocabulary {
	if m == nil || len(shape) != 2 {
		return nil
	}
	rest, ok := strings.CutSuffix(name, ".weight")
	if !ok {
		return nil
	}
	for i, c := range rest {
		if c != '.' {
			continue
		}
		if v := m.Table(rest[i+1:]); v != nil && v.Size() == shape[0] {
			return v
		}
	}
	return nil
}
