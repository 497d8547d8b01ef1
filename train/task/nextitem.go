package task

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/train/metric"
)

func init() {
	Register("next_item", NextItem{
		Objective: fullLoss, Negatives: 256, NegativesBy: models.Uniform, Exponent: 1, Calibration: 0.75, Seen: "exclude", MetricNames: []string{"ndcg@10", "hr@10", "item_cross_entropy"},
	})
}

// Losses of NextItem.
const (
	fullLoss    = "full"
	sampledLoss = "sampled_softmax"
	gbceLoss    = "gbce"
	bceLoss     = "bce"
	bprLoss     = "bpr"
)

// NextItem predicts the item that follows each position of a history, among all items of the catalogue. Labels are the ids of items.
type NextItem struct {
	// full: cross-entropy over all items; sampled_softmax: over the next item and some that are drawn at each step; bce: binary
	// cross-entropy of the next item and of those; gbce: the same, calibrated for how few are drawn; bpr: each against the next item
	Objective string `yaml:"loss"`
	Negatives int    `yaml:"negatives"` // items that are drawn, with replacement, of every loss but full
	Shared    bool   `yaml:"shared"`    // the items drawn are the same for the whole batch, not others for each position
	// how items are drawn: uniform; popularity, by their counts in the train rows to the power of popularity_exponent; batch, from the
	// next items of the batch
	NegativesBy string  `yaml:"negatives_by"`
	Exponent    float64 `yaml:"popularity_exponent"` // of negatives_by: popularity; 0 is uniform among the items that train rows have
	LogQ        bool    `yaml:"logq"`                // sampled_softmax: scores are corrected for how likely items are drawn, unless uniformly
	Calibration float64 `yaml:"calibration"`         // of gbce, in [0, 1]: 0 is bce, and with 1 scores are calibrated as those of full
	// whether items that the user has had already are ranked in evaluation: exclude or include
	Seen string `yaml:"seen"`
	// what evaluation prints, of the ranking of all items: hr@k, ndcg@k, recall@k, mrr@k, coverage@k, item_cross_entropy. With
	// _pessimistic behind the k, items of equal scores come before the one to predict
	MetricNames []string `yaml:"metrics"`
}

// Validate reports every option out of range.
func (t NextItem) Validate() error {
	var logq error
	if t.LogQ && (t.Objective != sampledLoss || t.NegativesBy == models.Uniform) {
		logq = registry.Field("logq", "corrects a sampled_softmax whose items are drawn by popularity or from the batch; remove it")
	}
	return checkMetrics(t.MetricNames, metric.Ranks, "[ndcg@10, hr@10]", logq,
		registry.OneOf("negatives_by", t.NegativesBy, models.Uniform, models.Popularity, models.InBatch),
		registry.In("popularity_exponent", t.Exponent, 0, 10),
		registry.OneOf("loss", t.Objective, fullLoss, sampledLoss, gbceLoss, bceLoss, bprLoss), registry.In("negatives", t.Negatives, 1, 1<<20),
		registry.In("calibration", t.Calibration, 0, 1),
		registry.OneOf("seen", t.Seen, "exclude", "include"))
}

// WholeCatalogue implements [Ranking].
func (t NextItem) WholeCatalogue() bool { return t.Objective == fullLoss }

// Loss returns the mean over the positions with a next item y of
//
//	full:             log Σ_v exp(x·e_v) − x·e_y, over all items v (Klenitskiy and Vasilev 2023)
//	sampled_softmax:  the same over y and the items drawn
//	bce:              −log σ(x·e_y) − Σ_k log(1 − σ(x·e_k)), over 1 + negatives (Kang and McAuley 2018)
//	gbce:             −β·log σ(x·e_y) − Σ_k log(1 − σ(x·e_k)), the same (Petrov and Macdonald 2023)
//	bpr:              −Σ_k log σ(x·e_y − x·e_k), over negatives (Rendle et al. 2009)
//
// An item drawn that is y, an accidental hit, takes no part in any of them. One that is drawn twice counts twice. Items drawn for a position
// alone are none that its history has, unless it has nearly all; those that are shared may be.
//
// With logq the scores of a sampled_softmax are those minus log q, where an item is drawn with probability q (Bengio and Senécal 2008;
// Yi et al. 2019, whose batch is negatives_by: batch): that of y too. The number of items drawn would change all scores alike, and so
// does not matter.
func (t NextItem) Loss(s *nn.Scope, states *G.Node, in *models.Inputs) *G.Node {
	if s.Err() != nil {
		return nil
	}
	c := in.Catalogue()
	if c == nil {
		s.Fail(fmt.Errorf("task next_item: the model ranks no catalogue: give one that does, such as sasrec with output: catalogue"))
		return nil
	}
	if t.Objective == fullLoss {
		if c.Items == nil {
			s.Fail(fmt.Errorf("task next_item: the loss over all items needs the items as a weight of the graph"))
			return nil
		}
		return s.Check(ops.CatalogueCE(states, c.Items, c.Next(), ops.CatalogueOptions{From: data.FirstID}))
	}
	positives := c.Positives(s, in)
	n := c.Negatives(s, in, models.Negatives{N: t.Negatives, Shared: t.Shared, By: t.NegativesBy, Exponent: t.Exponent, LogQ: t.LogQ})
	if s.Err() != nil {
		return nil
	}
	o := ops.SampledOptions{Target: c.Next(), From: data.FirstID, Own: !t.Shared, Packed: !t.Shared, Negative: n.IDs}
	switch t.Objective {
	case sampledLoss:
		return s.Check(ops.SampledSoftmax(states, positives, n.Embeddings, o, n.LogQ))
	case bprLoss:
		return s.Check(ops.BPR(states, positives, n.Embeddings, o))
	case gbceLoss:
		return s.Check(ops.GBCE(states, positives, n.Embeddings, o, ops.GBCEBeta(t.Calibration, t.Negatives, c.Size-data.FirstID)))
	}
	return s.Check(ops.GBCE(states, positives, n.Embeddings, o, 1))
}

// Metrics returns fresh metrics in the order of MetricNames.
func (t NextItem) Metrics() ([]metric.Metric, error) { return metrics(t.MetricNames) }

// Predict returns the id of the item of the highest score.
func (t NextItem) Predict(logits []float32) float32 {
	best := data.FirstID
	for i := best; i < len(logits); i++ {
		if logits[i] > logits[best] {
			best = i
		}
	}
	return float32(best)
}

// Recommend implements [Ranking]. With seen: exclude, items that the user had are left out.
func (t NextItem) Recommend(dst []int32, logits []float32, seen []int32, k int) []int32 {
	for id := range min(data.FirstID, len(logits)) {
		logits[id] = never
	}
	if t.Seen == "exclude" {
		for _, id := range seen {
			logits[id] = never
		}
	}
	return Top(dst, logits, k)
}

// Protocol implements [Ranking].
func (t NextItem) Protocol(items, candidates int) string {
	switch {
	case candidates > 0:
		return Candidates(candidates)
	case t.Seen == "exclude":
		return AllItems(items)
	}
	return fmt.Sprintf("all %s items", grouped(items))
}

// Ranker implements [Ranking]. It leaves out what is no item and, with seen: exclude, what the row's user has had, but for the label's
// item. Candidates are none that the user has had. They are drawn uniformly, each once, by the number of the row, and so are the same in
// each evaluation.
func (t NextItem) Ranker(candidates int) Ranker {
	r := &ranker{candidates: candidates, seen: t.Seen == "exclude", entropy: slices.Contains(t.MetricNames, "item_cross_entropy")}
	for _, name := range t.MetricNames {
		var k int
		if n, _ := fmt.Sscanf(name, "coverage@%d", &k); n == 1 {
			r.top = max(r.top, k)
		}
	}
	r.row = r.rankRow
	return r
}
