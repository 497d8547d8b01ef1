package ctr

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// ESMM is the entire space multi-task model: the probability of a click, and that of a click with a conversion, which is the former times
// that of a conversion after a click (Ma et al., "Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click Conversion
// Rate", SIGIR 2018, eq. 2 to 4). Both parts are towers over the same embeddings. The labels are two, in this order: whether the row was
// clicked, and whether it was clicked and converted. Their ratio is the conversion rate after a click.
type ESMM struct {
	TaskTowers `yaml:",inline"`
}

func init() {
	t := towers
	t.TowerHiddenUnits = []int{360, 200, 80} // section 3.1
	models.Register("esmm", ESMM{TaskTowers: t})
}

// Validate reports every option out of range.
func (m ESMM) Validate() error { return m.validate() }

// Build returns the logits of a click, and of a click with a conversion, [B, 2].
func (m ESMM) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	if outputs := outputsOf(in); !slices.Equal(outputs, []int{1, 1}) {
		s.Fail(fmt.Errorf("model esmm: wants two labels that are 0 or 1, that of a click and that of a click with a conversion: data.label: [click, conversion]"))
		return nil
	}
	e := in.Embeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	z := m.logits(s, in, func(int) *G.Node { return e })
	if s.Err() != nil {
		return nil
	}
	s.Rigid(s.SpaceOf(z))
	click, after := s.Check(ops.Columns(z, 0, 1)), s.Check(ops.Columns(z, 1, 1))
	if s.Err() != nil {
		return nil
	}
	both := s.Check(ops.Both(click, after))
	if s.Err() != nil {
		return nil
	}
	return s.Check(ops.Concat(click, both))
}
