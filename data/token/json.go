package token

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data/bound"
)

// jsonFile is the part of a tokenizer.json that is used. The pointers are sections that may be null.
type jsonFile struct {
	Added         []jsonAdded  `json:"added_tokens"`
	Normalizer    *jsonPart    `json:"normalizer"`
	PreTokenizer  *jsonPart    `json:"pre_tokenizer"`
	PostProcessor *jsonPost    `json:"post_processor"`
	Model         *jsonModel   `json:"model"`
	Padding       *jsonPadding `json:"padding"`
	Truncation    *jsonCut     `json:"truncation"`
}

type jsonAdded struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

type jsonPart struct {
	Type        string `json:"type"`
	Clean       *bool  `json:"clean_text"`
	Chinese     *bool  `json:"handle_chinese_chars"`
	Strip       *bool  `json:"strip_accents"`
	Lower       *bool  `json:"lowercase"`
	PrefixSpace *bool  `json:"add_prefix_space"`
	UseRegex    *bool  `json:"use_regex"`
	StripLeft   *bool  `json:"strip_left"`
	StripRight  *bool  `json:"strip_right"`
	Behavior    string `json:"behavior"`
	Individual  *bool  `json:"individual_digits"`

	Normalizers   []jsonPart `json:"normalizers"`   // of a Sequence
	PreTokenizers []jsonPart `json:"pretokenizers"` // of a Sequence
}

type jsonPadding struct {
	Token string `json:"pad_token"`
}

type jsonCut struct {
	Side string `json:"direction"`
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
		return fmt.Errorf("merge %s: want \"a b\" or [\"a\", \"b\"]", bound.Name(string(text)))
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
	b, err := readBeside(path)
	if err != nil {
		return nil, err
	}
	if f.Truncation != nil && b.Side == "" {
		b.Side = strings.ToLower(f.Truncation.Side)
	}
	return told(func(b *beside) (*encoder, error) {
		how := f
		if f.Model != nil {
			model := *f.Model // which is filled in
			how.Model = &model
		}
		return how.encoder(path, text, b)
	}, b)
}

func (f *jsonFile) encoder(path string, text []byte, b *beside) (*encoder, error) {
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
	family := robertaNames
	switch m.Type {
	case "WordPiece":
		family = bertNames
	case "BPE":
	default:
		return nil, fmt.Errorf("token: %s: model of type %q: want WordPiece or BPE", line(path, text, `"model"`), m.Type)
	}
	v, err := parseMap(path, text, m.Vocab)
	if err != nil {
		return nil, err
	}
	again, err := f.again(b)
	if err != nil {
		return nil, fmt.Errorf("token: %s: %w", path, err)
	}
	e := &encoder{vocabulary: v, left: b.Side == "left", class: b.class, files: append([]file{{fileJSON, text}}, b.files...)}
	if m.Type == "WordPiece" {
		err = f.wordPiece(e)
	} else {
		err = f.bpe(e)
	}
	if err != nil {
		return nil, fmt.Errorf("token: %s: %w", path, err)
	}
	var added []addedToken
	if !again {
		for _, a := range f.Added {
			if err := a.check(v); err != nil {
				return nil, fmt.Errorf("token: %s: added token %q: %w", line(path, text, `"added_tokens"`), a.Content, err)
			}
			v.add(a.Content, a.ID)
			added = append(added, addedToken{
				text: a.Content, id: a.ID, lstrip: a.LStrip, rstrip: a.RStrip, single: a.SingleWord, normalized: a.Normalized,
				special: a.Special, plain: a.Special && b.Split,
			})
		}
		added, err = f.withAdded(b).assign(v, added, nil)
	} else {
		added, err = f.withAdded(b).assign(v, nil, &family)
	}
	if err == nil {
		err = e.addTokens(added)
	}
	if err != nil {
		return nil, fmt.Errorf("token: %s: %w", path, err)
	}
	e.special = v.special(b.tokens(family))
	if m.Unk != "" {
		e.special.Unk = v.find(m.Unk)
	}
	named := slices.ContainsFunc(b.named, func(n namedSpec) bool { return n.key == "pad_token" })
	if f.Padding != nil && v.find(f.Padding.Token) != None && !named {
		e.special.Pad = v.find(f.Padding.Token)
	}
	if again {
		e.single, e.pair, err = f.layout(b.tokens(family), e.special)
	} else {
		e.single, e.pair, err = f.PostProcessor.slots(v, &e.special)
	}
	if err != nil {
		return nil, fmt.Errorf("token: %s: post_processor: %w", line(path, text, `"post_processor"`), err)
	}
	return e, nil
}

// again says that AutoTokenizer makes the tokenizer anew: those of the classes BertTokenizer and RobertaTokenizer take only the vocabulary,
// the merges and the added tokens of a tokenizer.json, and the rest from tokenizer_config.json. The sections are set so.
func (f *jsonFile) again(b *beside) (bool, error) {
	m, class := f.Model, b.family()
	want := map[string]string{"WordPiece": classBERT, "BPE": classRoBERTa}[m.Type]
	if class != classBERT && class != classRoBERTa {
		return false, nil
	}
	if class != want {
		if b.Class == "" {
			return false, nil
		}
		return false, fmt.Errorf("model of type %s, but %s says the class %s: set tokenizer_class there to %s, or to "+
			"PreTrainedTokenizerFast to read %s as it is", m.Type, fileConfig, b.Class, want, fileJSON)
	}
	off := false
	if class == classRoBERTa {
		space := value(b.PrefixSpace, false)
		f.Normalizer, f.PreTokenizer = nil, &jsonPart{Type: "ByteLevel", PrefixSpace: &space}
		m.Unk, m.Prefix, m.Suffix, m.Dropout, m.FuseUnk, m.ByteFallback, m.IgnoreMerges = "", nil, "", 0, off, off, off
		return true, nil
	}
	n := b.normalizer()
	f.Normalizer = &jsonPart{Type: "BertNormalizer", Clean: &n.clean, Chinese: &n.chinese, Strip: &n.strip, Lower: &n.lower}
	f.PreTokenizer = &jsonPart{Type: "BertPreTokenizer"}
	m.Unk, m.Prefix, m.MaxRunes = b.tokens(bertNames)[3], nil, nil
	return true, nil
}

// withAdded returns b with the added tokens of the file, where b does not list all.
func (f *jsonFile) withAdded(b *beside) *beside {
	if b.whole {
		return b
	}
	with := *b
	with.listed = nil
	for _, l := range b.listed {
		if !slices.ContainsFunc(f.Added, func(a jsonAdded) bool { return a.ID == l.id }) {
			with.listed = append(with.listed, l)
		}
	}
	for _, a := range f.Added {
		with.listed = append(with.listed, listed{a.ID, tokenSpec{a.Content, a.SingleWord, a.LStrip, a.RStrip, a.Normalized, a.Special, true}})
	}
	slices.SortStableFunc(with.listed, func(x, y listed) int { return cmp.Compare(x.id, y.id) })
	return &with
}

// layout returns the layouts of a tokenizer that is made anew.
func (f *jsonFile) layout(family names, special Special) (single, pair []slot, err error) {
	for i, id := range []int32{special.CLS, special.SEP} {
		if id == None {
			return nil, nil, fmt.Errorf("no token %q in the vocabulary: fetch the file again", family[i])
		}
	}
	if f.Model.Type == "BPE" {
		return robertaLayout.slots(special)
	}
	return bertLayout.slots(special)
}

// line is path:line of the first place where a key stands.
func line(path string, text []byte, key string) string {
	return place(path, text, bytes.Index(text, []byte(key)))
}

func (a jsonAdded) check(v *vocabulary) error {
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
	if err := f.normalize(e); err != nil {
		return err
	}
	split, err := f.PreTokenizer.splitter()
	if err != nil {
		return err
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
	e.how += fmt.Sprintf(" %q %q %d", m.Unk, prefix, maxRunes)
	e.pieces = newWordPieces(e.vocabulary, split, m.Unk, prefix, maxRunes)
	return nil
}

// normalize sets the normalizer.
func (f *jsonFile) normalize(e *encoder) error {
	sections, err := json.Marshal([]*jsonPart{f.Normalizer.resolved(), f.PreTokenizer})
	if err != nil {
		return err
	}
	e.how = string(sections)
	if p := f.Normalizer; p != nil && p.Type == "BertNormalizer" {
		e.prepare = p.bert().append
		return nil
	}
	all, err := f.Normalizer.steps()
	if err != nil {
		return err
	}
	if len(all) > 0 {
		e.prepare = func(dst []byte, text string) []byte { return append(dst, prepare(all, text)...) }
	}
	return nil
}

// resolved returns the section with its defaults filled in.
func (p *jsonPart) resolved() *jsonPart {
	if p == nil || p.Type != "BertNormalizer" {
		return p
	}
	n := p.bert()
	return &jsonPart{Type: p.Type, Clean: &n.clean, Chinese: &n.chinese, Strip: &n.strip, Lower: &n.lower}
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
	if err := f.normalize(e); err != nil {
		return err
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
		p.whole = maps.Clone(e.index) // without added tokens
	}
	p.prefixSpace = value(f.PreTokenizer.PrefixSpace, true)
	e.how = fmt.Sprint(value(f.PreTokenizer.PrefixSpace, true), m.Unk, m.IgnoreMerges, f.Normalizer != nil)
	e.pieces = p
	return nil
}
