package models

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// Scoring is the graph that computes a model's logits, with what fills its leaves and lists, for whoever writes it in another form. It is the
// graph of a [Program] that scores, for a batch of one row; what is said of rows holds for any number of them.
type Scoring struct {
	Logits  *G.Node // [rows, outputs]
	Lookups []*embed.Lookup
	Text    *data.Text // nil unless the model reads text

	in    *Inputs
	plan  *embed.Plan
	lists map[*[]int32]List
}

// List says what the numbers of a list are that ops read at each run. A list of positions has one for each.
type List struct {
	Of      ListKind
	Feature *data.Feature // of histories: the column of sequences; of PositionIDs, the one whose ids they are
	Offset  int           // of TextPlaces and TextCounted: the number of the first place
}

// ListKind is a kind of list.
type ListKind uint8

// Kinds of lists. Those of histories are over the positions of the column Feature, those of texts over tokens.
const (
	PositionIDs    ListKind = iota // ids of the column
	PositionPlaces                 // places in the history, from 0; -1 for padding
	PositionsBack                  // the same, counted from the last position
	LastPositions                  // for each row, the last position of its history
	AppendedBack                   // how many positions each stands before the row's item, which stands behind the history; -1 for padding
	AppendedLast                   // for each row, the position of its item
	TextIDs                        // ids of tokens
	TextSegments                   // segments of tokens
	TextZeros                      // 0 for each token
	TextPlaces                     // places in the text, from Offset
	TextCounted                    // places among the tokens that are not padding, from Offset
)

// LayoutKind tells which rows of a matrix over positions belong to which sequence.
type LayoutKind uint8

// Kinds of layouts.
const (
	OfHistory  LayoutKind = iota // the positions of a history; a row without one has one position, of padding
	OfItems                      // the same, but a row without a history has no live position
	OfAppended                   // the positions of a history and of the row's item behind it
	OfText                       // the tokens of a text
)

// Layout describes an [ops.Tokens].
type Layout struct {
	Of      LayoutKind
	Feature *data.Feature // the column of the history
}

// NewScoring builds the graph of m over the parameters of p, which it must have all.
func NewScoring(m Model, p *nn.Params, sc *data.Schema) (*Scoring, error) {
	lengths, err := lengthsOf(sc, 1, 0)
	if err != nil {
		return nil, fmt.Errorf("models: scoring: %w", err)
	}
	plan := embed.NewPlan(sc, 1)
	in := &Inputs{Schema: sc, plan: plan, length: lengths[len(lengths)-1]}
	s := nn.NewScope(&nn.Graph{Params: p, Graph: G.NewGraph(), Batch: 1, Rows: &ops.Rows{N: 1}, Step: &ops.Step{}})
	logits := build(m, s, in)
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("models: scoring: %w", err)
	}
	g := &Scoring{Logits: logits, Lookups: plan.Lookups(), in: in, plan: plan, lists: map[*[]int32]List{}}
	if in.seq != nil {
		g.Text = sc.Text
	}
	g.name()
	return g, nil
}

// name notes what each list is.
func (g *Scoring) name() {
	for _, h := range g.in.histories {
		for list, of := range map[*[]int32]ListKind{&h.IDs: PositionIDs, &h.places: PositionPlaces, &h.back: PositionsBack, &h.last: LastPositions} {
			g.lists[list] = List{Of: of, Feature: h.feature}
		}
		for i := range h.others {
			g.lists[&h.others[i].ids] = List{Of: PositionIDs, Feature: h.others[i].feature}
		}
		if a := h.appended; a != nil {
			g.lists[&a.back], g.lists[&a.last] = List{Of: AppendedBack, Feature: h.feature}, List{Of: AppendedLast, Feature: h.feature}
		}
	}
	q := g.in.seq
	if q == nil {
		return
	}
	g.lists[&q.ids], g.lists[&q.segments], g.lists[&q.zeros] = List{Of: TextIDs}, List{Of: TextSegments}, List{Of: TextZeros}
	for _, p := range q.placed {
		l := List{Of: TextPlaces, Offset: p.offset}
		if p.counted {
			l.Of = TextCounted
		}
		g.lists[p.list] = l
	}
}

// List returns what a list of an op is; ok is false for one that is filled in training alone, or by what no row has.
func (g *Scoring) List(list *[]int32) (l List, ok bool) {
	l, ok = g.lists[list]
	return l, ok
}

// IDs returns what a lookup by ids of its own, [embed.Lookup].IDs, is looked up by.
func (g *Scoring) IDs(l *embed.Lookup) (List, bool) {
	for list, of := range g.lists {
		if len(*list) > 0 && len(l.IDs) > 0 && &(*list)[0] == &l.IDs[0] {
			return of, true
		}
	}
	return List{}, false
}

// Layout returns which sequences tokens are of.
func (g *Scoring) Layout(t *ops.Tokens) (Layout, bool) {
	for _, h := range g.in.histories {
		switch {
		case t == h.Live:
			return Layout{OfHistory, h.feature}, true
		case t == h.items:
			return Layout{OfItems, h.feature}, true
		case h.appended != nil && t == h.appended.Live:
			return Layout{OfAppended, h.feature}, true
		}
	}
	return Layout{Of: OfText}, g.in.seq != nil && t == g.in.seq.Live
}

// Numbers returns the numeric column whose numbers a leaf holds, [rows, numbers].
func (g *Scoring) Numbers(leaf *G.Node) (*data.Feature, bool) {
	v, ok := leaf.Value().(*tensor.Dense)
	if !ok {
		return nil, false
	}
	return g.plan.NumbersOf(v.Float32s())
}
