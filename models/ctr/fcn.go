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

// FCN is a cross network whose interactions grow exponentially with its depth beside one where they grow linearly, without a tower: Li et al.,
// "FCN: Fusing Exponential and Linear Cross Network for Click-Through Rate Prediction", arXiv:2407.13349, section 4, at first called DCNv3.
// The mean of both networks' logits is what scores.
type FCN struct {
	EmbeddingDim          int     `yaml:"embedding_dim"`            // width of each feature's embedding in each head, an even number
	NumDeepCrossLayers    int     `yaml:"num_deep_cross_layers"`    // layers of the exponential cross network
	NumShallowCrossLayers int     `yaml:"num_shallow_cross_layers"` // layers of the linear cross network
	DeepNetDropout        float64 `yaml:"deep_net_dropout"`         // dropped share of the outputs of the exponential network's layers, in [0, 1)
	ShallowNetDropout     float64 `yaml:"shallow_net_dropout"`      // the same of the linear network
	LayerNorm             bool    `yaml:"layer_norm"`               // normalise what a mask is made of
	BatchNorm             bool    `yaml:"batch_norm"`               // normalise the layers' linear maps, all values of a head together
	NumHeads              int     `yaml:"num_heads"`                // embeddings of each feature, each read by the same networks; logits are their mean
	TriBCE                bool    `yaml:"tri_bce"`                  // in training, add the losses of both networks; labels must be clicks
}

func init() {
	models.Register("fcn", FCN{
		EmbeddingDim: 16, NumDeepCrossLayers: 3, NumShallowCrossLayers: 3, DeepNetDropout: 0.1, ShallowNetDropout: 0.1, LayerNorm: true, BatchNorm: true,
		NumHeads: 1, TriBCE: true,
	})
}

// Validate reports every option out of range.
func (m FCN) Validate() error {
	errs := []error{
		registry.AtLeast("embedding_dim", m.EmbeddingDim, 2), registry.AtLeast("num_deep_cross_layers", m.NumDeepCrossLayers, 1),
		registry.AtLeast("num_shallow_cross_layers", m.NumShallowCrossLayers, 1), registry.InBelow("deep_net_dropout", m.DeepNetDropout, 0, 1),
		registry.InBelow("shallow_net_dropout", m.ShallowNetDropout, 0, 1), registry.In("num_heads", m.NumHeads, 1, 64),
	}
	if m.EmbeddingDim%2 != 0 {
		errs = append(errs, registry.Field("embedding_dim", "must be even, since a mask multiplies one half of it, have %d", m.EmbeddingDim))
	}
	return errors.Join(errs...)
}

// Build returns the logits, [B, 1].
func (m FCN) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	x := m.views(s, in.EqualEmbeddings(s, "embedding", m.EmbeddingDim*m.NumHeads))
	deep := m.logit(s.Sub("deep"), m.cross(s.Sub("deep"), x, m.NumDeepCrossLayers, m.DeepNetDropout, true))
	shallow := m.logit(s.Sub("shallow"), m.cross(s.Sub("shallow"), x, m.NumShallowCrossLayers, m.ShallowNetDropout, false))
	z := mean(s, deep, shallow)
	if s.Train && m.TriBCE && s.Err() == nil {
		in.AddLoss(triBCE(s, in.Target(s), z, deep, shallow))
	}
	return z
}

// triBCE returns what Tri-BCE adds to the cross-entropy L of the logits z, a scalar (eq. 11):
//
//	w_d·L_d + w_s·L_s,  w_d = max(0, L_d − L), w_s = max(0, L_s − L)
//
// with L_d and L_s those of both networks: the worse one is alone, the more it learns from the labels directly. Gradients flow through the
// weights, as in the authors' code.
func triBCE(s *nn.Scope, t ops.Target, z *G.Node, networks ...*G.Node) *G.Node {
	loss := s.Check(ops.BCE(z, t))
	if s.Err() != nil {
		return nil
	}
	less := s.Check(ops.Scale(loss, -1))
	var terms G.Nodes
	for _, n := range networks {
		own := s.Check(ops.BCE(n, t))
		if s.Err() != nil {
			return nil
		}
		worse := s.Check(ops.Add(own, less))
		if s.Err() != nil {
			return nil
		}
		weight := s.Check(ops.Activate(worse, kernel.ReLU))
		if s.Err() != nil {
			return nil
		}
		terms = append(terms, s.Check(ops.Mul(weight, own)))
	}
	if s.Err() != nil {
		return nil
	}
	return s.Check(ops.Add(terms...))
}

// views returns the embeddings e, [B, F·D·H], as the rows of H heads, each with the first halves of all features and then the second
// ones, [B·H, F·D].
func (m FCN) views(s *nn.Scope, e *G.Node) *G.Node {
	if s.Err() != nil {
		return nil
	}
	width, half := m.EmbeddingDim*m.NumHeads, m.EmbeddingDim/2
	fields := e.Shape()[1] / width
	var order []int
	var all, one []nn.Space // of the embeddings, and of the halves of all features
	for f := range fields {
		u := s.Sub("views").Sub(strconv.Itoa(f)).Units(half)
		one = append(one, u)
		for range 2 * m.NumHeads {
			all = append(all, u)
		}
	}
	for h := range m.NumHeads {
		for v := range 2 {
			for f := range fields {
				for k := range half {
					order = append(order, f*width+(2*h+v)*half+k)
				}
			}
		}
	}
	s.Tie(s.SpaceOf(e), nn.Join(all...))
	sp := nn.Join(append(one, one...)...)
	s.Rigid(sp)
	return s.Columns(s.Check(ops.Arrange(e, order, fields*m.EmbeddingDim)), sp)
}

// cross returns the output of n cross layers over x_1, [R, D] → [R, D] (eqs. 5 and 8): with h = W_l·x_l, normalised or not, [R, D/2],
//
//	x_{l+1} = x_l ⊙ ([h, h ⊙ max(0, LN(h))] + b_l) + x_l    exponential
//	x_{l+1} = x_1 ⊙ ([h, h ⊙ max(0, LN(h))] + b_l) + x_l    linear
//
// The parameters of layer l are l.weight, [D/2, D], l.bias, which starts in [0, 1) as in the authors' code, and those of l.norm
// and l.bn.
func (m FCN) cross(s *nn.Scope, first *G.Node, n int, dropout float64, exponential bool) *G.Node {
	x := first
	for i := range n {
		if s.Err() != nil {
			return nil
		}
		l, d, sp := s.Sub(strconv.Itoa(i)), first.Shape()[1], s.SpaceOf(first)
		h := nn.Project(l, x, d/2)
		if s.Err() != nil {
			return nil
		}
		l.Tie(nn.Join(l.SpaceOf(h), l.SpaceOf(h)), sp)
		if m.BatchNorm {
			h = nn.HeadNorm(l.Sub("bn"), h, m.NumHeads)
		}
		mask := h
		if m.LayerNorm {
			mask = nn.LayerNorm(l.Sub("norm"), h, layerNormEps)
		}
		b := l.Param("bias", nn.Unit, d)
		if s.Err() != nil {
			return nil
		}
		l.Along("bias", 0, sp)
		by := first
		if exponential {
			by = x
		}
		x = nn.Dropout(l, l.Columns(l.Check(ops.MaskedCross(by, x, h, mask, b)), sp), dropout)
	}
	return x
}

// logit returns the mean logit of the heads, [B·H, D] → [B, 1].
func (m FCN) logit(s *nn.Scope, x *G.Node) *G.Node {
	z := nn.Linear(s.Sub("fc"), x, 1, kernel.None)
	if m.NumHeads == 1 || s.Err() != nil {
		return z
	}
	heads := s.Columns(s.Check(ops.Arrange(z, headsOf(1, m.NumHeads, 1), m.NumHeads)), s.Fixed(m.NumHeads)) // [B, H]
	if s.Err() != nil {
		return nil
	}
	sum := s.Columns(s.Check(ops.SumCols(heads)), s.Fixed(1))
	if s.Err() != nil {
		return nil
	}
	return s.Columns(s.Check(ops.Scale(sum, 1/float64(m.NumHeads))), s.Fixed(1))
}
