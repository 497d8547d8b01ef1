package token

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/data/bound"
)

const (
	fileSpecial = "special_tokens_map.json"
	fileAdded   = "added_tokens.json"
	fileModel   = "config.json"
)

// beside is what the files beside a vocabulary say of it, as AutoTokenizer of transformers 5.24 reads them: tokenizer_config.json, and where
// that has no added_tokens_decoder also special_tokens_map.json and added_tokens.json.
type beside struct {
	config
	class  string      // the tokenizer's class without Fast, "" where no file names one
	listed []listed    // tokens with ids; nil where no file lists any
	whole  bool        // listed is an added_tokens_decoder, which stands for the lists of all other files
	named  []namedSpec // special tokens by their part, in the order of their files
	extra  []tokenSpec // further special tokens
	former []tokenSpec // those under their former key, which count where the file before them says nothing of further ones
	said   bool        // whether extra was said
	files  []file      // that were read, for Save
	mask   bool        // whether <mask> takes the white space before it where no file says so
}

// listed is an added token with the id that a file gives it.
type listed struct {
	id   int32
	spec tokenSpec
}

// namedSpec is the special token of a part, such as cls_token. One that is null in the file has no content.
type namedSpec struct {
	key  string
	spec tokenSpec
}

// tokenSpec is an added token in a file: a text, or an object.
type tokenSpec struct {
	Content    string
	SingleWord bool // see addedToken
	LStrip     bool
	RStrip     bool
	Normalized bool
	Special    bool
	object     bool // whether the file says more than the text
}

func (s *tokenSpec) UnmarshalJSON(text []byte) error {
	*s = tokenSpec{Special: true}
	if json.Unmarshal(text, &s.Content) == nil {
		return nil
	}
	return s.decode(text, true)
}

// decode reads an object that is a special token where it does not say so itself.
func (s *tokenSpec) decode(text []byte, special bool) error {
	var o struct {
		Content    string
		SingleWord bool `json:"single_word"`
		LStrip     bool
		RStrip     bool
		Normalized *bool
		Special    *bool
	}
	if err := json.Unmarshal(text, &o); err != nil || o.Content == "" {
		return fmt.Errorf("token %s: want a text, or an object with content", bound.Name(string(text)))
	}
	special = value(o.Special, special)
	*s = tokenSpec{o.Content, o.SingleWord, o.LStrip, o.RStrip, value(o.Normalized, !special), special, true}
	return nil
}

// decoderSpec is a tokenSpec of an added_tokens_decoder, which is no special token unless it says so.
type decoderSpec tokenSpec

func (s *decoderSpec) UnmarshalJSON(text []byte) error { return (*tokenSpec)(s).decode(text, false) }

// special parts of a tokenizer, in transformers' order, with their places in names; -1 for those that Splice has no use for.
var specialParts = []struct {
	key   string
	place int
}{{"bos_token", -1}, {"eos_token", -1}, {"unk_token", 3}, {"sep_token", 1}, {"pad_token", 2}, {"cls_token", 0}, {"mask_token", 4}}

// partOf returns the place of a part in names, -1 if it has none.
func partOf(key string) int {
	for _, p := range specialParts {
		if p.key == key {
			return p.place
		}
	}
	return -1
}

// isPart says that a key is one of the parts that all tokenizers have.
func isPart(key string) bool { return partOf(key) >= 0 || key == "bos_token" || key == "eos_token" }

// readBeside reads the files beside a vocabulary.
func readBeside(path string) (*beside, error) {
	c, files, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	b := &beside{config: c, files: files}
	dir := filepath.Dir(path)
	if len(files) > 0 {
		if err := b.readTokens(filepath.Join(dir, fileConfig), files[0].text); err != nil {
			return nil, err
		}
	}
	if b.former != nil && len(b.extra) == 0 {
		b.extra, b.said = b.former, true
	}
	b.former = nil
	if s := b.Side; s != "" && s != "left" && s != "right" {
		return nil, fmt.Errorf("token: %s: truncation_side is %q: want left or right", filepath.Join(dir, fileConfig), s)
	}
	if !b.whole {
		if err := b.readLegacy(dir); err != nil {
			return nil, err
		}
	}
	if !b.said {
		b.extra = b.former
	}
	b.class = strings.TrimSuffix(b.Class, "Fast")
	if b.Class == "" {
		b.class = modelClass(dir)
	}
	return b, nil
}

// modelClass returns the class of the tokenizer that a config.json beside it asks for, "" if none.
func modelClass(dir string) string {
	text, err := read(filepath.Join(dir, fileModel))
	if err != nil {
		return ""
	}
	var c struct {
		Class string `json:"tokenizer_class"`
		Model string `json:"model_type"`
	}
	if json.Unmarshal(text, &c) != nil {
		return ""
	}
	ofModel := map[string]string{"bert": classBERT, "distilbert": classBERT, "electra": classBERT, "roberta": classRoBERTa}
	return cmp.Or(strings.TrimSuffix(c.Class, "Fast"), ofModel[c.Model])
}

const (
	classBERT    = "BertTokenizer"
	classRoBERTa = "RobertaTokenizer"
)

// family returns the class that transformers makes of the class: several are BERT's or RoBERTa's under another name.
func (b *beside) family() string {
	switch b.class {
	case classBERT, "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer", "SqueezeBertTokenizer", "LayoutLMTokenizer",
		"LxmertTokenizer", "ConvBertTokenizer":
		return classBERT
	case classRoBERTa, "LongformerTokenizer", "BartTokenizer", "LEDTokenizer":
		return classRoBERTa
	}
	return b.class
}

// readLegacy reads the lists of tokens of older versions.
func (b *beside) readLegacy(dir string) error {
	path := filepath.Join(dir, fileSpecial)
	text, err := read(path)
	switch {
	case err == nil:
		if err := b.readTokens(path, text); err != nil {
			return err
		}
		b.files = append(b.files, file{fileSpecial, text})
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	path = filepath.Join(dir, fileAdded)
	text, err = read(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	var ids map[string]int32
	if err := unmarshal(path, text, &ids); err != nil {
		return err
	}
	b.files = append(b.files, file{fileAdded, text})
	b.listed = []listed{}
	of := map[int32]string{}
	for content, id := range ids {
		if was, ok := of[id]; ok {
			return fmt.Errorf("token: %s: tokens %q and %q have the same id %d: save the tokenizer again", path, min(was, content),
				max(was, content), id)
		}
		of[id] = content
		spec := tokenSpec{Content: content, object: true}
		for _, n := range b.named {
			spec.Special = spec.Special || n.spec.Content == content && partOf(n.key) >= 0
		}
		spec.Special = spec.Special || slices.ContainsFunc(b.extra, func(s tokenSpec) bool { return s.Content == content })
		spec.Normalized = !spec.Special
		b.listed = append(b.listed, listed{id, spec})
	}
	slices.SortFunc(b.listed, func(x, y listed) int {
		return cmp.Or(cmp.Compare(x.id, y.id), strings.Compare(x.spec.Content, y.spec.Content))
	})
	return nil
}

// readTokens reads the keys of a tokenizer_config.json or special_tokens_map.json that hold special tokens.
func (b *beside) readTokens(path string, text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	wrong := func(key string, err error) error {
		return fmt.Errorf("token: %s: %s: %w", line(path, text, strconv.Quote(key)), key, err)
	}
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("token: %s: no object: want {\"key\": value, ...}: fetch the file again", path)
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("token: %s: %w: is the file whole? fetch it again", path, err)
		}
		key, raw := t.(string), json.RawMessage{}
		if err := d.Decode(&raw); err != nil {
			return fmt.Errorf("token: %s: %w: is the file whole? fetch it again", place(path, text, int(d.InputOffset())), err)
		}
		switch {
		case key == "added_tokens_decoder":
			if err := b.readDecoder(raw); err != nil {
				return wrong(key, err)
			}
		case key == "additional_special_tokens":
			if err := b.readExtra(raw, &b.former); err != nil {
				return wrong(key, err)
			}
		case key == "extra_special_tokens":
			if err := b.readExtra(raw, &b.extra); err != nil {
				return wrong(key, err)
			}
			b.said = true
		case strings.HasSuffix(key, "_token") && (raw[0] == '"' || raw[0] == '{' || raw[0] == 'n'):
			var spec tokenSpec
			if raw[0] != 'n' {
				if err := json.Unmarshal(raw, &spec); err != nil {
					return wrong(key, err)
				}
			}
			b.name(key, spec)
		}
	}
	if t, err := d.Token(); err != nil || t != json.Delim('}') {
		return fmt.Errorf("token: %s: the object has no end: is the file whole? fetch it again", place(path, text, int(d.InputOffset())))
	}
	if d.More() {
		return fmt.Errorf("token: %s: more follows after the object: is it the right file?", place(path, text, int(d.InputOffset())))
	}
	return nil
}

// name sets the special token of a part. The last file that says it counts.
func (b *beside) name(key string, spec tokenSpec) {
	spec.Special = true
	i := slices.IndexFunc(b.named, func(n namedSpec) bool { return n.key == key })
	if i < 0 {
		b.named = append(b.named, namedSpec{key, spec})
	} else {
		b.named[i].spec = spec
	}
}

func (b *beside) readDecoder(raw []byte) error {
	var specs map[string]decoderSpec
	if err := json.Unmarshal(raw, &specs); err != nil {
		return err
	}
	b.whole, b.listed = true, []listed{}
	for key, s := range specs {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 {
			return fmt.Errorf("id %q: want a whole number from 0", key)
		}
		b.listed = append(b.listed, listed{int32(id), tokenSpec(s)})
	}
	slices.SortFunc(b.listed, func(x, y listed) int { return cmp.Compare(x.id, y.id) })
	return nil
}

// readExtra reads a list of further special tokens, or an object of such by name.
func (b *beside) readExtra(raw []byte, to *[]tokenSpec) error {
	if raw[0] == 'n' {
		return nil
	}
	if raw[0] == '{' {
		d := json.NewDecoder(bytes.NewReader(raw))
		_, _ = d.Token() // {
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return err
			}
			var spec tokenSpec
			if err := d.Decode(&spec); err != nil {
				return err
			}
			b.name(key.(string), spec)
		}
		return nil
	}
	var list []tokenSpec
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	*to = append(*to, list...)
	return nil
}

// tokens returns the special tokens of a family, where the files do not name others.
func (b *beside) tokens(family names) names {
	for _, n := range b.named {
		if i := partOf(n.key); i >= 0 {
			family[i] = n.spec.Content
		}
	}
	return family
}

// isNamed says that a token is the special token of a part.
func (b *beside) isNamed(content string, family *names) bool {
	if family != nil {
		if f := b.tokens(*family); slices.Contains(f[:], content) {
			return true
		}
	}
	return slices.ContainsFunc(b.named, func(n namedSpec) bool { return n.spec.Content == content })
}

// assign gives added tokens their ids: that of the vocabulary, or the next one after all others. It returns base and the further tokens that
// the files beside the vocabulary ask for. The special tokens of the family are among them where family is not nil.
func (b *beside) assign(v *vocabulary, base []addedToken, family *names) ([]addedToken, error) {
	all, seen := slices.Clone(base), map[string]int{}
	next := int32(v.size)
	for i, a := range base {
		seen[a.text] = i
		next = max(next, a.id+1)
	}
	add := func(s tokenSpec, stated int32) error {
		at, known := seen[s.Content]
		if s.Content == "" || known && stated == None {
			return nil
		}
		id := v.find(s.Content)
		if id == None {
			id = next
			next++
		}
		if stated != None && stated != id {
			return fmt.Errorf("added token %q: id %d, but AutoTokenizer gives it %d, since ids follow on the vocabulary's %d tokens: "+
				"save the tokenizer again, so that the files agree", s.Content, stated, id, v.size)
		}
		if !known {
			at = len(all)
			all = append(all, addedToken{})
			seen[s.Content] = at
			v.add(s.Content, id)
		}
		all[at] = addedToken{
			text: s.Content, id: id, lstrip: s.LStrip, rstrip: s.RStrip, single: s.SingleWord, normalized: s.Normalized,
			special: s.Special, plain: s.Special && b.Split,
		}
		return nil
	}
	for _, l := range b.listed {
		l.spec.Special = l.spec.Special || b.isNamed(l.spec.Content, family)
		if err := add(l.spec, l.id); err != nil {
			return nil, err
		}
	}
	var absent, last []tokenSpec // special tokens that are not in the vocabulary get an id only where one follows them
	for _, p := range specialParts {
		var spec tokenSpec
		if family != nil && p.place >= 0 {
			spec = tokenSpec{Content: family[p.place], Special: true}
		}
		if i := slices.IndexFunc(b.named, func(n namedSpec) bool { return n.key == p.key }); i >= 0 {
			spec = b.named[i].spec
		}
		if b.mask && !spec.object && spec.Content == robertaNames[4] {
			spec.LStrip = true // as in the published tokenizer.json of RoBERTa
		}
		switch {
		case spec.Content != "" && v.find(spec.Content) == None:
			absent = append(absent, spec)
		default:
			if err := add(spec, None); err != nil {
				return nil, err
			}
		}
	}
	for _, n := range b.named {
		if !isPart(n.key) {
			last = append(last, n.spec)
		}
	}
	for _, s := range append(last, b.extra...) {
		s.Special = true
		if s.Content != "" && v.find(s.Content) == None {
			for _, before := range absent {
				if err := add(before, None); err != nil {
					return nil, err
				}
			}
			absent = nil
		}
		if err := add(s, None); err != nil {
			return nil, err
		}
	}
	of := map[int32]string{}
	for _, a := range all {
		if was, ok := of[a.id]; ok {
			return nil, fmt.Errorf("added tokens %q and %q both get the id %d, since ids follow on the vocabulary's %d tokens, of which lines are "+
				"blank or there twice: save the tokenizer again", was, a.text, a.id, v.size)
		}
		of[a.id] = a.text
	}
	return all, nil
}
