package onnx

import (
	"fmt"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
)

// embed writes what a lookup outside of the graph gathers.
func (b *builder) embed(l *embed.Lookup) (string, error) {
	for i := range l.Fields {
		if l.Fields[i].Derived != nil {
			return "", fmt.Errorf("table %s is made anew for each batch, which has no translation to ONNX", l.Fields[i].Param.Name)
		}
	}
	if l.Count > 0 {
		list, ok := b.scoring.IDs(l)
		if !ok {
			return "", fmt.Errorf("table %s is looked up by ids that no row has", l.Fields[0].Param.Name)
		}
		return b.do("Gather", b.param(l.Fields[0].Param), b.list(list)), nil
	}
	var parts []string
	for i := range l.Fields {
		parts = append(parts, b.field(&l.Fields[i]))
	}
	if l.Reduce {
		y := parts[0]
		if l.Bias != nil {
			y = b.do("Add", b.param(l.Bias), y)
		}
		for _, x := range parts[1:] {
			y = b.do("Add", y, x)
		}
		return y, nil
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return b.add("Concat", parts, attr{"axis", 1}), nil
}

// param returns the tensor of a parameter.
func (b *builder) param(p *nn.Param) string { return b.tensor(p.Name, p.Data, p.Shape...) }

// field returns the embeddings of a feature, [batch, dim].
func (b *builder) field(f *embed.Field) string {
	x, w := b.column(f.Feature), b.param(f.Param)
	switch f.Feature.Kind {
	case data.Numeric:
		return b.do("Mul", b.numbers(f.Feature), w)
	case data.Categorical:
		return b.do("Gather", w, x)
	}
	live := b.made("live "+x, func() string { return b.cast(b.do("Not", b.do("Equal", x, b.whole(data.PadID))), floatElem) }) // [batch, length]
	y := b.do("MatMul", b.unsqueeze(live, 1), b.do("Gather", w, x))                                                           // [batch, 1, dim]
	y = b.squeeze(y, 1)
	if f.Pool == embed.Sum {
		return y
	}
	n := b.made("count "+x, func() string { return b.do("Max", b.sum(live, 1, true), b.number(1)) })
	return b.do("Div", y, n)
}

// numbers returns the numbers of a numeric feature, [batch, numbers].
func (b *builder) numbers(f *data.Feature) string {
	x := b.column(f)
	if f.Count > 0 {
		return x
	}
	return b.made("column "+x, func() string { return b.unsqueeze(x, 1) })
}

// list returns the whole numbers of a list, one for each position or row.
func (b *builder) list(l models.List) string {
	name := ""
	if l.Feature != nil {
		name = l.Feature.Name
	}
	return b.made(fmt.Sprint("list ", l.Of, l.Offset, name), func() string { return b.listOf(l) })
}

func (b *builder) listOf(l models.List) string {
	all := b.vector(-1)
	flat := func(x string) string { return b.do("Reshape", x, all) }
	switch l.Of {
	case models.PositionIDs:
		return flat(b.column(l.Feature))
	case models.PositionPlaces:
		h := b.layout(models.Layout{Of: models.OfHistory, Feature: l.Feature})
		return flat(b.do("Where", h.mask, h.place, b.whole(0)))
	case models.PositionsBack:
		return flat(b.back(models.OfHistory, l.Feature))
	case models.AppendedBack:
		return flat(b.back(models.OfAppended, l.Feature))
	case models.LastPositions:
		return b.last(models.OfHistory, l.Feature)
	case models.AppendedLast:
		return b.last(models.OfAppended, l.Feature)
	case models.TextIDs:
		return flat(b.text(InputIDs))
	case models.TextSegments:
		return flat(b.text(TokenTypeIDs))
	}
	ids := b.text(InputIDs)
	switch l.Of {
	case models.TextZeros:
		return flat(b.do("Mul", ids, b.whole(0)))
	case models.TextCounted: // as Hugging Face counts them: padding has the place before the first
		words := b.do("Not", b.do("Equal", ids, b.whole(int(b.scoring.Text.Pad))))
		words = b.cast(words, intElem)
		count := b.do("Mul", b.do("CumSum", words, b.whole(1)), words)
		return flat(b.do("Add", count, b.whole(l.Offset-1)))
	}
	t := b.layout(models.Layout{Of: models.OfText}) // TextPlaces
	return flat(b.do("Add", b.do("Mul", ids, b.whole(0)), b.do("Add", t.place, b.whole(l.Offset))))
}

// back returns how many live positions come after each, [batch, length]; 0 for padding.
func (b *builder) back(of models.LayoutKind, f *data.Feature) string {
	h := b.layout(models.Layout{Of: of, Feature: f})
	after := b.do("Sub", b.do("Sub", b.unsqueeze(h.lens, 1), b.whole(1)), h.place)
	return b.do("Where", h.mask, after, b.whole(0))
}

// last returns the rows of the last live positions, [batch].
func (b *builder) last(of models.LayoutKind, f *data.Feature) string {
	h := b.layout(models.Layout{Of: of, Feature: f})
	return b.do("Add", b.starts(h), b.do("Sub", h.lens, b.whole(1)))
}

// text returns an input of a text, [batch, length].
func (b *builder) text(name string) string { return b.input(name, intElem, batchDim, "length") }
