// Package assess merges models by gates that are learned. It holds Compatibility-aware Knowledge Integration (Lv et al. 2025) as
// published, and beyond it gates for units, tensors and rows of tables. It registers itself in cki.Registry.
package assess

import (
	"context"
	"errors"
	"math"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train/schedule"
)

// CKI is Compatibility-aware Knowledge Integration (Lv et al., AAAI 2025, section 3). Every weight of the result is a mean of the
// parents' weights by factors w that sum to 1. For the tensors W_k [out, in] of K parents, the first of which is the base,
//
//	D_k = |W_k - mean of the others|                     how far parent k is from the others
//	L_k = sigmoid(scale·(D_k·P_kᵀ + b_k))                local: an assessor P_k [in, in], learned on the task's loss
//	H_k = entropy of the histogram of W_k                global: in closed form (Meng et al. 2020)
//	g_k = 1/K + 2a/(π·K·(K-1)) · sum_{j != k} atan(c·(H_k - H_j))
//
// and, with l_k = L_k / sum_j L_j,
//
//	perspective: local                        w_k = l_k
//	perspective: global                       w_k = g_k
//	perspective: dual, form: recommendation   w = softmax(v), v_k = g_k·(1 - exp(-g_k·L_k))
//	perspective: dual, form: language         w_k = g_1·l_k, and the base 1 - g_1 more
//
// Two parents share one assessor: D_1 = D_2 = |W_A - W_B|, P_2 = -P_1 and b_2 = -b_1, so that L_2 = 1 - L_1. With g_2 = 1 - g_1 these
// are the published forms, v_B = (1-g)·(1 - exp(-(1-g)·(1-L))) and w_A = g·L + (1 - g). A temperature T raises the weights w to 1/T and
// normalises them, which is softmax(v/T) in the recommendation form.
//
// In the recommendation form the v differ so little that w always lies in [.413, .587], for two parents with the published a and
// T = 1. It is an average give or take 9 points, whatever an assessor learns. Entropy enters the two dual forms with opposite signs:
// the base's weight grows with g in the recommendation form and falls with it in the language form. Both are as published.
//
// Biases, gains and other vectors are matrices of one row. Rows of embedding tables have a gate each, or one for the table, in place
// of an assessor. Running statistics of batch norms are averaged. One graph trains, is evaluated and makes the result.
type CKI struct {
	// what weighs the parents: local (learned gates), global (entropies of whole tensors) or dual (both)
	Perspective string `yaml:"perspective"`
	Form        string `yaml:"form"` // of the dual perspective: recommendation or language
	// soft: weighted mean; hard: the parent of the largest weight, whose gates cannot learn; straight_through: hard, with
	// the gradient of soft
	Splice      string  `yaml:"splice"`
	Scale       float64 `yaml:"scale"`       // of gate logits, before the sigmoid
	Bias        bool    `yaml:"bias"`        // assessors with a bias
	Temperature float64 `yaml:"temperature"` // below 1 sharpens the weights: they are raised to 1/temperature and normalised
	A           float64 `yaml:"a"`           // global: amplitude of the gate
	C           float64 `yaml:"c"`           // global: steepness of the gate; 500 makes it almost a sign function
	Bins        int     `yaml:"bins"`        // global: bins of the entropy's histogram
	// gates of weights: weight (an assessor, as published), unit (one gate an output unit) or layer (one a tensor)
	Granularity string `yaml:"granularity"`
	Tables      string `yaml:"tables"`   // gates of embedding tables: row, table, or base for the base's tables
	Assessor    string `yaml:"assessor"` // start of assessors: random (uniform in ±1/√in), or zero, where all parents weigh alike
	// start of the gates of tables' rows: zero, where all parents weigh alike, or counts: by how often each parent trained
	// the row
	Start     string  `yaml:"start"`
	Smoothing float64 `yaml:"smoothing"` // start: counts: added to each count
	// pull of gates towards their start, of assessors towards 0: adds prior/(2·rows)·|change|² to the loss; 1 is a normal
	// prior of variance 1
	Prior   float64 `yaml:"prior"`
	Encoder bool    `yaml:"encoder"` // train all other parameters, too
	Train   Train   `yaml:"train"`   // how gates learn
}

// Train says how gates learn. What it leaves out is as in the run's `train:` section.
type Train struct {
	Epochs       int              `yaml:"epochs"`        // passes over the rows, at most; 0: gates stay at their start
	LearningRate float64          `yaml:"learning_rate"` // of Adam
	Schedule     schedule.Options `yaml:"schedule"`      // constant, linear, cosine, step or plateau
	BatchSize    int              `yaml:"batch_size"`    // rows a step; 0: as the run's training
	MaxSteps     int64            `yaml:"max_steps"`     // stop after this many steps; 0: no such limit
	EvalSteps    int64            `yaml:"eval_steps"`    // evaluate every so many steps; 0: after each epoch
	Patience     int              `yaml:"patience"`      // stop after this many evaluations in a row without improvement; 0: never
	// gates of rows: dense: all of them move at each step, the prior's pull among it; lazy: those of the batch
	Embeddings string  `yaml:"embeddings"`
	Rows       string  `yaml:"rows"`  // what gates learn on: train, or valid: a part of the validation rows, the others select
	Share      float64 `yaml:"share"` // rows: valid: share of the validation rows that gates learn on
}

func init() {
	constant, _ := schedule.Types.Default("constant")
	cki.Register("cki", CKI{
		Perspective: "dual", Form: "recommendation", Splice: "soft", Scale: 1, Temperature: 1, A: 0.4, C: 500, Bins: 10,
		Granularity: "weight", Tables: "row", Assessor: "random", Start: "zero", Smoothing: 1,
		Train: Train{Epochs: 10, LearningRate: 1e-3, Schedule: constant, Patience: 2, Embeddings: "dense", Rows: "train", Share: 0.5},
	})
}

// Validate reports every option out of range.
func (m CKI) Validate() error {
	var counts error
	if m.Start == "counts" && m.Tables != "row" {
		counts = registry.Field("start", "counts are of rows: want tables: row")
	}
	return errors.Join(
		registry.OneOf("perspective", m.Perspective, "local", "global", "dual"),
		registry.OneOf("form", m.Form, "recommendation", "language"),
		registry.OneOf("splice", m.Splice, "soft", "hard", "straight_through"),
		registry.In("scale", m.Scale, 1e-6, 1e6),
		registry.In("temperature", m.Temperature, 1e-6, 1e6),
		registry.In("a", m.A, 0, 1),
		registry.AtLeast("c", m.C, 0),
		registry.From("bins", m.Bins, 1, 1<<16),
		registry.OneOf("granularity", m.Granularity, "weight", "unit", "layer"),
		registry.OneOf("tables", m.Tables, "row", "table", "base"),
		registry.OneOf("assessor", m.Assessor, "random", "zero"),
		registry.OneOf("start", m.Start, "zero", "counts"),
		counts,
		registry.Above("smoothing", m.Smoothing, 0),
		registry.AtLeast("prior", m.Prior, 0),
	)
}

// Validate reports every option out of range.
func (t Train) Validate() error {
	return errors.Join(
		registry.AtLeast("epochs", t.Epochs, 0),
		registry.Above("learning_rate", t.LearningRate, 0),
		registry.AtLeast("batch_size", t.BatchSize, 0),
		registry.AtLeast("max_steps", t.MaxSteps, 0),
		registry.AtLeast("eval_steps", t.EvalSteps, 0),
		registry.AtLeast("patience", t.Patience, 0),
		registry.OneOf("embeddings", t.Embeddings, "lazy", "dense"),
		registry.OneOf("rows", t.Rows, "train", "valid"),
		registry.InOpen("share", t.Share, 0, 1),
	)
}

var forms = map[string]ops.SpliceForm{"recommendation": ops.SpliceRecommendation, "language": ops.SpliceLanguage}

var choices = map[string]ops.SpliceChoice{"soft": ops.SpliceSoft, "hard": ops.SpliceHard, "straight_through": ops.SpliceStraightThrough}

// form returns the formula of the weights.
func (m CKI) form() ops.SpliceForm {
	switch m.Perspective {
	case "local":
		return ops.SpliceLocal
	case "global":
		return ops.SpliceGlobal
	}
	return forms[m.Form]
}

// splicing returns what turns logits into weights, given the global ones.
func (m CKI) splicing(g []float64) ops.Splicing {
	return ops.Splicing{Form: m.form(), Choice: choices[m.Splice], Global: g, Scale: m.Scale, Temperature: m.Temperature}
}

// still reports whether no gate can learn.
func (m CKI) still() bool { return m.form() == ops.SpliceGlobal || m.Splice == "hard" }

// learns reports whether anything is trained.
func (m CKI) learns() bool { return m.Train.Epochs > 0 && (m.Encoder || !m.still()) }

// Range returns the least and the largest weight that the base can get from n parents.
func (m CKI) Range(n int) (lo, hi float64) {
	k := float64(n)
	top := (1 + m.A) / k // of g
	switch m.form() {
	case ops.SpliceGlobal:
		lo, hi = (1-m.A)/k, top
	case ops.SpliceLanguage:
		lo, hi = 1-top, 1
	case ops.SpliceLocal:
		lo, hi = 0, 1
	case ops.SpliceRecommendation:
		r := math.Exp(top * (1 - math.Exp(-top)) / m.Temperature)
		return 1 / (1 + (k-1)*r), r / (r + k - 1)
	}
	sharpened := func(w float64) float64 { // the others share what is left
		a, b := math.Pow(w, 1/m.Temperature), math.Pow((1-w)/(k-1), 1/m.Temperature)
		return a / (a + (k-1)*b)
	}
	return sharpened(lo), sharpened(hi)
}

// Merge learns the gates and prepares the merge.
func (m CKI) Merge(ctx context.Context, in *cki.Input) (cki.Merged, error) {
	a, err := m.prepare(ctx, in)
	if err != nil {
		return cki.Merged{}, err
	}
	if m.learns() {
		if err := a.learn(ctx); err != nil {
			return cki.Merged{}, err
		}
	}
	out := cki.Merged{Whole: true, Tensor: a.tensor, Stats: func() any { return a.report() }}
	if a.learned != nil && m.Encoder {
		out.Also = func(string) bool { return true }
	}
	return out, nil
}
