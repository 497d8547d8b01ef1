package ctr

import (
	"errors"
	"math"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// AutoInt is a linear layer over fields that have attended to each other in layers (Song et al., "AutoInt: Automatic Feature Interaction Learning
// via Self-Attentive Neural Networks", CIKM 2019, arXiv:1810.11921, section 4, eqs. 5 to 9). In a layer and for each head
//
//	α = softmax over the fields k of ⟨W_q·e_m, W_k·e_k⟩,  y_m = Σ_k α_mk·W_v·e_k,  e_m ← relu([y_m of all heads] + W_res·e_m)
//
// where W_res is absent if the widths are equal. With hidden_units a tower over the embeddings adds its logit: AutoInt+.
type AutoInt struct {
	EmbeddingDim    int  `yaml:"embedding_dim"`    // width of each feature's embedding
	AttentionLayers int  `yaml:"attention_layers"` // layers of attention
	NumHeads        int  `yaml:"num_heads"`        // heads of attention, which divide attention_dim
	AttentionDim    int  `yaml:"attention_dim"`    // width of a layer's output, all heads together
	UseResidual     bool `yaml:"use_residual"`     // add a layer's input, times W_res if the widths differ
	UseScale        bool `yaml:"use_scale"`        // divide the scores by the square root of a head's width, as transformers do
	UseWide         bool `yaml:"use_wide"`         // add linear terms
	LayerNorm       bool `yaml:"layer_norm"`       // normalise each field before the relu of a layer
	// of AutoInt+; without hidden_units there is no tower. net_dropout is also that of the weights of attention
	Tower `yaml:",inline"`
}

func init() {
	models.Register("autoint", AutoInt{
		EmbeddingDim: 10, AttentionLayers: 2, NumHeads: 1, AttentionDim: 8, UseResidual: true, Tower: Tower{HiddenActivations: "relu"},
	})
}

// Validate reports every option out of range.
func (m AutoInt) Validate() error {
	errs := []error{
		registry.AtLeast("embedding_dim", m.EmbeddingDim, 1), registry.In("attention_layers", m.AttentionLayers, 1, 64),
		registry.AtLeast("num_heads", m.NumHeads, 1), registry.AtLeast("attention_dim", m.AttentionDim, 1), m.optional(),
	}
	if m.NumHeads > 0 && m.AttentionDim%m.NumHeads != 0 {
		errs = append(errs, registry.Field("num_heads", "%d heads do not divide the attention_dim of %d", m.NumHeads, m.AttentionDim))
	}
	return errors.Join(errs...)
}

// Build returns the logits, [B, outputs], or [B, 1] with use_wide.
func (m AutoInt) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	e := in.EqualEmbeddings(s, "embedding", m.EmbeddingDim) // [B, F·D]
	x, fields := nn.FieldRows(s, e, m.EmbeddingDim), len(in.Schema.Features)
	for i := range m.AttentionLayers {
		x = m.attend(s.Sub("attention").Sub(strconv.Itoa(i)), x, fields)
	}
	outputs := in.Schema.Outputs()
	if m.UseWide {
		outputs = 1
	}
	terms := []*G.Node{nn.Linear(s.Sub("fc"), nn.JoinRows(s, x, fields), outputs, kernel.None)}
	if len(m.HiddenUnits) > 0 {
		terms = append(terms, m.mlp(s.Sub("mlp"), e, outputs))
	}
	if m.UseWide {
		terms = append(terms, in.Linear(s, "linear"))
	}
	return nn.Add(s, terms...)
}

// attend is a layer of attention among the fields of each row, [B·F, in] → [B·F, attention_dim].
func (m AutoInt) attend(s *nn.Scope, x *G.Node, fields int) *G.Node {
	q, k, v := nn.Project(s.Sub("query"), x, m.AttentionDim), nn.Project(s.Sub("key"), x, m.AttentionDim), nn.Project(s.Sub("value"), x, m.AttentionDim)
	if s.Err() != nil {
		return nil
	}
	s.Heads(s.SpaceOf(q), s.SpaceOf(k), s.SpaceOf(v), m.NumHeads)
	if !m.UseScale { // the op scales
		q = s.Columns(s.Check(ops.Scale(q, math.Sqrt(float64(m.AttentionDim/m.NumHeads)))), s.SpaceOf(q))
	}
	o := ops.AttentionOptions{Heads: m.NumHeads, Tokens: &ops.Tokens{L: fields}, Name: s.Path("dropout"), Step: s.Step}
	if s.Train {
		o.Dropout = m.NetDropout
	}
	if s.Err() != nil {
		return nil
	}
	y := s.Columns(s.Check(ops.Attention(q, k, v, o)), s.SpaceOf(v))
	if m.UseResidual {
		if x.Shape()[1] != m.AttentionDim {
			x = nn.Project(s.Sub("residual"), x, m.AttentionDim)
		}
		y = nn.Add(s, y, x)
	}
	if m.LayerNorm {
		y = nn.LayerNorm(s.Sub("norm"), y, normEps)
	}
	return nn.Activate(s, y, kernel.ReLU)
}
