package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// jsonFile is the part of a tokenizer.json that is used. The pointers are sections that may be null.
type jsonFile struct {
	Added         []jsonAdded  `json:"added_tokens"`
	Normalizer    *jsonPart    `json:"normalizer"`
	PreTokenizer  *jsonPart    `json:"pre_tokenizer"`
	PostProcessor *jsonPost    `json:"post_processor"`
	Model         *jsonModel   `json:"model"`
	Padding       *jsonPadding `json:"padding"`
}

type jsonAdded struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
}

type jsonPart struct {
	Type        string `json:"type"`
	Clean       *bool  `json:"clean_text"`
	Chinese     *bool  `json:"handle_chinese_chars"`
	Strip       *bool  `json:"strip_accents"`
	Lower       *bool  `json:"lowercase"`
	PrefixSpace *bool  `json:"add_prefix_space"`
	UseRegex    *bool  `json:"use_regex"`
}

type jsonPadding struct {
	Token string `json:"pad_token"`
}

type jsonModel struct {
	Type         string          `json:"type"`
	Unk          string          `json:"unk_token"`
	Prefix       *string         `json:"continuing_subword_prefix"`
	Suffix       string          `json:"end_of_word_suffix"`
	MaxRunes     *int            `json:"max_input_chars_per_word"`
	Dropout      float64         `json:"dropout"`
	FuseUnk      bool            `json:"fuse_unk"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
	Vocab        json.RawMessage `json:"vocab"`
	Merges       []jsonMerge     `json:"merges"`
}

// jsonMerge is a pair, as a list or as one text.
type jsonMerge []string

func (m *jsonMerge) UnmarshalJSON(text []byte) error {
	var list []string
	if err := json.Unmarshal(text, &list); err == nil {
		*m = list
		return nil
	}
	var one string
	if err := json.Unmarshal(text, &one); err != nil {
		return fmt.Errorf("merge %s: want \"a b\" or [\"a\", \"b\"]", text)
	}
	*m = strings.Split(one, " ")
	return nil
}

func openJSON(path string) (Tokenizer, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	var f jsonFile
	if err := unmarshal(path, text, &f); err != nil {
		return nil, err
	}
	e, err := f.encoder(path, text)
	if err != nil {
		return nil, err
	}
	_, config, err := readConfig(path) // only kept, for Save
	if err != nil {
		return nil, err
	}
	e.files = append([]file{{fileJSON, text}}, config...)
	return e, nil
}

func (f *jsonFile) encoder(path string, text []byte) (*encoder, error) {
	m := f.Model
	if m == nil || len(m.Vocab) == 0 {
		return nil, fmt.Errorf("token: %s: no section model with a vocab: want the %s of a BERT or RoBERTa", path, fileJSON)
	}
	if m.Type == "" { // as old files have it
		m.Type = "WordPiece"
		if m.Merges != nil {
			m.Type = "BPE"
		}
	}
	if m.Type != "WordPiece" && m.Type != "BPE" {
		return nil, fmt.Errorf("token: %s: model of type %q: want WordPiece or BPE", line(path, text, `"model"`), m.Type)
	}
	v, err := parseMap(path, text, m.Vocab)
	if err != nil {
		return nil, err
	}
	e := &encoder{vocabulary: v}
	var added []addedToken
	for _, a := range f.Added {
		if err := a.check(v, f.Normalizer != nil); err != nil {
			return nil, fmt.Errorf("token: %s: added token %q: %w", line(path, text, `"added_tokens"`), a.Content, err)
		}
		v.add(a.Content, a.ID)
		added = append(added, addedToken{a.Content, a.ID, a.LStrip, a.RStrip})
	}
	e.addTokens(added)
	family := robertaNames
	if m.Type == "WordPiece" {
		family = bertNames
		err = f.wordPiece(e)
	} else {
		err = f.bpe(e)
	}
	if err != nil {
		return nil, fmt.Errorf("token: %s: %w", path, err)
	}
	e.special = v.special(family)
	if m.Unk != "" {
		e.special.Unk = v.find(m.Unk)
	}
	if f.Padding != nil && v.find(f.Padding.Token) != None {
		e.special.Pad = v.find(f.Padding.Token)
	}
	if e.single, e.pair, err = f.PostProcessor.slots(v, &e.special); err != nil {
		return nil, fmt.Errorf("token: %s: post_processor: %w", line(path, text, `"post_processor"`), err)
	}
	return e, nil
}

// line is path:line of the first place where a key stands.
func line(path string, text []byte, key string) string {
	return place(path, text, bytes.Index(text, []byte(key)))
}

func (a jsonAdded) check(v *vocabulary, normalizes bool) error {
	id, known := v.index[a.Content]
	switch {
	case a.Content == "":
		return errors.New("empty: want a text")
	case known && id != a.ID:
		return fmt.Errorf("id %d, but %d in the vocabulary: fetch the file again", a.ID, id)
	case a.ID < 0 || int(a.ID) > 2*len(v.tokens)+1024:
		return fmt.Errorf("id %d: want one from 0 without large gaps", a.ID)
	case v.Token(a.ID) != "" && !known:
		return fmt.Errorf("id %d belongs to token %q: fetch the file again", a.ID, v.Token(a.ID))
	case a.SingleWord:
		return errors.New("single_word is not supported: want false")
	case a.Normalized && normalizes:
		return errors.New("normalized is not supported with a normalizer: want false")
	}
	return nil
}

func (f *jsonFile) wordPiece(e *encoder) error {
	m := f.Model
	if m.Unk == "" {
		m.Unk = bertNames[3]
	}
	if e.find(m.Unk) == None {
		return fmt.Errorf("unk_token %q is not in the vocabulary: fetch the file again", m.Unk)
	}
	var n normalizer
	if p := f.Normalizer; p != nil {
		if p.Type != "BertNormalizer" {
			return fmt.Errorf("normalizer of type %q: want BertNormalizer or null", p.Type)
		}
		lower := value(p.Lower, true)
		n = normalizer{clean: value(p.Clean, true), chinese: value(p.Chinese, true), strip: value(p.Strip, lower), lower: lower}
	}
	if p := f.PreTokenizer; p == nil || p.Type != "BertPreTokenizer" {
		return fmt.Errorf("pre_tokenizer of type %q: want BertPreTokenizer", p.kind())
	}
	prefix, maxRunes := "##", 100
	if m.Prefix != nil {
		prefix = *m.Prefix
	}
	if m.MaxRunes != nil {
		maxRunes = *m.MaxRunes
	}
	if maxRunes < 1 {
		return fmt.Errorf("max_input_chars_per_word is %d: want 1 or more, usually 100", maxRunes)
	}
	e.pieces = newWordPieces(e.vocabulary, n, m.Unk, prefix, maxRunes)
	return nil
}

func (p *jsonPart) kind() string {
	if p == nil {
		return "null"
	}
	return p.Type
}

func (f *jsonFile) bpe(e *encoder) error {
	m := f.Model
	switch {
	case f.Normalizer != nil:
		return fmt.Errorf("normalizer of type %q: want null for BPE", f.Normalizer.Type)
	case f.PreTokenizer.kind() != "ByteLevel":
		return fmt.Errorf("pre_tokenizer of type %q: want ByteLevel for BPE", f.PreTokenizer.kind())
	case !value(f.PreTokenizer.UseRegex, true):
		return errors.New("pre_tokenizer without use_regex is not supported: want true")
	case m.Prefix != nil && *m.Prefix != "" || m.Suffix != "" || m.Dropout != 0 || m.FuseUnk || m.ByteFallback:
		return errors.New("model with continuing_subword_prefix, end_of_word_suffix, dropout, fuse_unk or byte_fallback " +
			"is not supported: want none of them")
	case m.Unk != "" && e.find(m.Unk) == None:
		return fmt.Errorf("unk_token %q is not in the vocabulary: fetch the file again", m.Unk)
	}
	merges := make(map[[2]int32]merge, len(m.Merges))
	for i, pair := range m.Merges {
		if err := addMerge(merges, e.vocabulary, pair); err != nil {
			return fmt.Errorf("merges: number %d: %w", i+1, err)
		}
	}
	p := newBytePieces(e.vocabulary, merges, None)
	if m.Unk != "" {
		p.unk = e.find(m.Unk)
	}
	if m.IgnoreMerges {
		p.whole = e.index
	}
	p.prefixSpace = value(f.PreTokenizer.PrefixSpace, true)
	e.pieces = p
	return nil
}
