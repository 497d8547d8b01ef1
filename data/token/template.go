package token

import (
	"encoding/json"
	"errors"
	"fmt"
)

// jsonPost is the section post_processor: the special tokens round one text and round two.
type jsonPost struct {
	Type   string               `json:"type"`
	CLS    *jsonNamed           `json:"cls"`
	SEP    *jsonNamed           `json:"sep"`
	Single []jsonSlot           `json:"single"`
	Pair   []jsonSlot           `json:"pair"`
	Tokens map[string]jsonToken `json:"special_tokens"`
}

type jsonToken struct {
	IDs []int32 `json:"ids"`
}

// jsonSlot has one of the two.
type jsonSlot struct {
	Special  *jsonPlace `json:"SpecialToken"`
	Sequence *jsonPlace `json:"Sequence"`
}

type jsonPlace struct {
	ID   string `json:"id"`
	Type int32  `json:"type_id"`
}

// jsonNamed is a list of a token and its id.
type jsonNamed struct {
	token string
	id    int32
}

func (n *jsonNamed) UnmarshalJSON(text []byte) error {
	var list []json.RawMessage
	if json.Unmarshal(text, &list) != nil || len(list) != 2 || json.Unmarshal(list[0], &n.token) != nil || json.Unmarshal(list[1], &n.id) != nil {
		return fmt.Errorf("%s: want [\"token\", id]", text)
	}
	return nil
}

// slots returns the templates of one text and of two, and sets CLS and SEP where the section names them.
func (p *jsonPost) slots(v *vocabulary, special *Special) (single, pair []slot, err error) {
	if p == nil || p.Type == "ByteLevel" {
		return template(*special, "A"), template(*special, "A B:1"), nil
	}
	switch p.Type {
	case "BertProcessing", "RobertaProcessing":
		if p.CLS == nil || p.SEP == nil {
			return nil, nil, fmt.Errorf("%s without cls and sep: want [\"token\", id] of both", p.Type)
		}
		for _, n := range []*jsonNamed{p.CLS, p.SEP} {
			if v.find(n.token) != n.id {
				return nil, nil, fmt.Errorf("token %q has id %d, but %d in the vocabulary: fetch the file again", n.token, n.id, v.find(n.token))
			}
		}
		special.CLS, special.SEP = p.CLS.id, p.SEP.id
		if p.Type == "BertProcessing" {
			return template(*special, "CLS A SEP"), template(*special, "CLS A SEP B:1 SEP:1"), nil
		}
		return template(*special, "CLS A SEP"), template(*special, "CLS A SEP SEP B SEP"), nil
	case "TemplateProcessing":
		if single, err = p.template(v, p.Single, 1); err != nil {
			return nil, nil, fmt.Errorf("single: %w", err)
		}
		if pair, err = p.template(v, p.Pair, 2); err != nil {
			return nil, nil, fmt.Errorf("pair: %w", err)
		}
		return single, pair, nil
	}
	return nil, nil, fmt.Errorf("type %q: want BertProcessing, RobertaProcessing, TemplateProcessing, ByteLevel or null", p.Type)
}

// template turns a template with so many texts into slots.
func (p *jsonPost) template(v *vocabulary, list []jsonSlot, texts int) (slots []slot, err error) {
	var seen [3]int
	for _, s := range list {
		switch {
		case s.Sequence != nil && s.Special == nil:
			text := map[string]int{"A": 1, "B": 2}[s.Sequence.ID]
			if text == 0 || text > texts {
				return nil, fmt.Errorf("sequence %q: want A, and B for a pair", s.Sequence.ID)
			}
			seen[text]++
			slots = append(slots, slot{text: text, segment: s.Sequence.Type})
		case s.Special != nil && s.Sequence == nil:
			t, ok := p.Tokens[s.Special.ID]
			if !ok {
				return nil, fmt.Errorf("token %q is not among special_tokens", s.Special.ID)
			}
			for _, id := range t.IDs {
				if v.Token(id) == "" {
					return nil, fmt.Errorf("token %q: id %d is not in the vocabulary: fetch the file again", s.Special.ID, id)
				}
				slots = append(slots, slot{id: id, segment: s.Special.Type})
			}
		default:
			return nil, errors.New("want a SpecialToken or a Sequence in each place")
		}
	}
	for text := 1; text <= texts; text++ {
		if seen[text] != 1 {
			return nil, fmt.Errorf("sequence %c is there %d times: want once", "?AB"[text], seen[text])
		}
	}
	for _, s := range slots {
		if s.segment < 0 || s.segment > 1 {
			return nil, fmt.Errorf("type_id %d: want 0 or 1", s.segment)
		}
	}
	return slots, nil
}
