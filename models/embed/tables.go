package embed

import (
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
)

// TableUse is a trained table and the features that look its rows up.
type TableUse struct {
	Param    *nn.Param
	Features []*data.Feature // each once, in the order of the lookups
	Next     bool            // the rows of next items are used too: the ids after the first of a history, and the label
}

// Tables returns the tables that take a gradient. A table that is derived row by row is replaced by what it is derived from.
func (p *Plan) Tables() []TableUse {
	if !p.prepared {
		p.prepare()
	}
	var out []TableUse
	for _, t := range p.tables {
		if t.derived != nil && t.derived.shared() {
			continue
		}
		use, seen := TableUse{Param: t.trained()}, map[string]bool{}
		for _, u := range t.uses {
			if f := u.field.Feature; !seen[f.Name] {
				seen[f.Name] = true
				use.Features = append(use.Features, f)
			}
		}
		out = append(out, use)
	}
	return out
}

// Live returns the ids of a feature in the batch's live rows. A multi-valued feature has MaxLen ids a row, padding among them.
func Live(b *data.Batch, f *data.Feature) []int32 { return b.IDs[f.Name][:b.N*width(f)] }
