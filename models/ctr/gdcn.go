package ctr

import (
	"errors"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// GDCN is a gated cross network beside a tower (GDCN-P) or below it (GDCN-S): Wang et al., "Towards Deeper, Lighter and Interpretable Cross
// Network for CTR Prediction", CIKM 2023, arXiv:2311.04635, sections 3.2 and 3.3. A gate on each layer decides which crossings of the next
// order are passed on.
type GDCN struct {
	EmbeddingDim   int    `yaml:"embedding_dim"`    // width of each feature's embedding
	NumCrossLayers int    `yaml:"num_cross_layers"` // layers of the gated cross network
	ModelStructure string `yaml:"model_structure"`  // parallel (GDCN-P) or stacked (GDCN-S)
	Tower          `yaml:",inline"`
}

func init() {
	models.Register("gdcn", GDCN{EmbeddingDim: 16, NumCrossLayers: 3, ModelStructure: "parallel", Tower: tower})
}

// Validate reports every option out of range.
func (m GDCN) Validate() error {
	return errors.Join(registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), registry.AtLeast("num_cross_layers", m.NumCrossLayers, 1),
		m.Tower.Validate(), registry.OneOf("model_structure", m.ModelStructure, "parallel", "stacked"))
}

// Build returns the logits, [B, outputs].
func (m GDCN) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	e := in.Embeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	x := gatedCross(s.Sub("cross"), e, m.NumCrossLayers)
	if m.ModelStructure == "stacked" {
		x = m.mlp(s.Sub("mlp"), x, 0)
	} else {
		x = nn.Concat(s, x, m.mlp(s.Sub("mlp"), e, 0))
	}
	return nn.Linear(s.Sub("fc"), x, in.Schema.Outputs(), kernel.None)
}

// gatedCross returns the output of n gated cross layers over x0, [B, D] → [B, D] (eq. 3):
//
//	x_{l+1} = x_0 ⊙ (W_l·x_l + b_l) ⊙ σ(V_l·x_l) + x_l
//
// The parameters of layer l are l.weight, [D, D], l.bias, which starts in [0, 1) as in FuxiCTR, and l.gate.weight, [D, D].
func gatedCross(s *nn.Scope, x0 *G.Node, n int) *G.Node {
	x, sp := x0, s.SpaceOf(x0)
	s.Rigid(sp)
	for i := range n {
		if s.Err() != nil {
			return nil
		}
		l, d := s.Sub(strconv.Itoa(i)), x0.Shape()[1]
		gate := l.Sub("gate")
		w, b := l.Param("weight", nn.XavierNormal, d, d), l.Param("bias", nn.Unit, d)
		v := gate.Param("weight", nn.XavierNormal, d, d)
		if s.Err() != nil {
			return nil
		}
		l.Mapped("weight", "bias", x, nil)
		gate.Mapped("weight", "", x, nil)
		l.Along("bias", 0, sp)
		for _, p := range []*nn.Scope{l, gate} {
			p.Along("weight", 0, sp)
			p.Along("weight", 1, sp)
		}
		g := gate.Columns(gate.Check(ops.Linear(x, v, nil, kernel.Sigmoid)), sp)
		gated := nn.Mul(l, x0, g)
		if s.Err() != nil {
			return nil
		}
		x = l.Columns(l.Check(ops.CrossV2(gated, x, w, b)), sp)
	}
	return x
}
