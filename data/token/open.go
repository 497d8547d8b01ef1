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

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
)

const (
	fileJSON   = "tokenizer.json"
	fileText   = "vocab.txt"
	fileVocab  = "vocab.json"
	fileMerges = "merges.txt"
	fileConfig = "tokenizer_config.json"
)

// file is one file that a tokenizer was made of.
type file struct {
	name string // its usual name
	text []byte
}

// Open reads a tokenizer from a folder or from one file. A folder has tokenizer.json, or vocab.txt, or vocab.json and merges.txt;
// the first of these that is there is read. What tokenizer_config.json, special_tokens_map.json and added_tokens.json beside it say
// counts as AutoTokenizer of transformers takes it: for BertTokenizer and RobertaTokenizer the keys do_lower_case, strip_accents,
// tokenize_chinese_chars and add_prefix_space stand above the sections normalizer, pre_tokenizer and post_processor of a tokenizer.json.
//
// Of the section truncation of a tokenizer.json only the side counts, of padding only the token.
func Open(path string) (Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("token: %w", err)
	} else if err != nil {
		return nil, fmt.Errorf("token: %w: want a folder or a file with %s, %s, or %s and %s",
			err, fileJSON, fileText, fileVocab, fileMerges)
	}
	if info.IsDir() {
		names := []string{fileJSON, fileText, fileVocab}
		i := slices.IndexFunc(names, func(name string) bool { return bound.Exists(filepath.Join(path, name)) })
		if i < 0 {
			return nil, fmt.Errorf("token: %s: no tokenizer in the folder: want %s, %s, or %s and %s",
				path, fileJSON, fileText, fileVocab, fileMerges)
		}
		path = filepath.Join(path, names[i])
	}
	switch filepath.Ext(path) {
	case ".txt":
		if filepath.Base(path) == fileMerges {
			return openBytes(filepath.Join(filepath.Dir(path), fileVocab))
		}
		return openText(path)
	case ".json":
		if filepath.Base(path) == fileVocab {
			return openBytes(path)
		}
		return openJSON(path)
	}
	return nil, fmt.Errorf("token: %s: unknown kind of file: want %s, %s, or %s beside %s", path, fileJSON, fileText, fileVocab, fileMerges)
}

// read returns the text of a file without a byte order mark.
func read(path string) ([]byte, error) {
	text, err := bound.ReadFile(path, bound.Vocabulary)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	if filepath.Ext(path) == ".json" {
		if err := bound.Values(text, maxValues); err != nil {
			return nil, fmt.Errorf("token: %s: %w", path, err)
		}
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil
}

// config is the part of tokenizer_config.json that is used.
type config struct {
	Class       string `json:"tokenizer_class"`
	Lower       *bool  `json:"do_lower_case"`
	Strip       *bool  `json:"strip_accents"`
	Chinese     *bool  `json:"tokenize_chinese_chars"`
	PrefixSpace *bool  `json:"add_prefix_space"`
	Side        string `json:"truncation_side"`
	Split       bool   `json:"split_special_tokens"`
}

// normalizer returns BERT's normalizer.
func (c *config) normalizer() normalizer {
	lower := value(c.Lower, true)
	return normalizer{clean: true, chinese: value(c.Chinese, true), strip: value(c.Strip, lower), lower: lower}
}

// readConfig reads the tokenizer_config.json beside a file, if there is one.
func readConfig(path string) (config, []file, error) {
	path = filepath.Join(filepath.Dir(path), fileConfig)
	text, err := read(path)
	if errors.Is(err, os.ErrNotExist) {
		return config{}, nil, nil
	} else if err != nil {
		return config{}, nil, err
	}
	var c config
	if err := unmarshal(path, text, &c); err != nil {
		return config{}, nil, err
	}
	return c, []file{{fileConfig, text}}, nil
}

// unmarshal decodes a JSON file; errors say the line.
func unmarshal(path string, text []byte, value any) error {
	err := json.Unmarshal(text, value)
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		path = place(path, text, int(syntax.Offset))
	case errors.As(err, &kind):
		path = place(path, text, int(kind.Offset))
	}
	return fmt.Errorf("token: %s: %w: is the file whole? fetch it again", path, err)
}

func value(b *bool, otherwise bool) bool {
	if b == nil {
		return otherwise
	}
	return *b
}

func openText(path string) (Tokenizer, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	b, err := readBeside(path)
	if err != nil {
		return nil, err
	}
	return told(func(b *beside) (*encoder, error) { return fromText(path, text, b) }, b)
}

// told makes the encoder that the files beside a vocabulary ask for. Where it is another than without their lists of tokens, their side of
// truncation and their class, its settings say so: fingerprints of those that ask for nothing else stay what they were.
func told(make func(b *beside) (*encoder, error), b *beside) (Tokenizer, error) {
	e, err := make(b)
	if err != nil {
		return nil, err
	}
	c := b.config
	c.Class, c.Side, c.Split = "", "", false
	plain, err := make(&beside{config: c})
	if err != nil || plain.identity() != e.identity() {
		e.settings += e.identity()
		e.told = true
	}
	return e, nil
}

// identity tells encoders of one vocabulary apart.
func (e *encoder) identity() string {
	added := slices.Clone(e.added)
	for i := range added {
		added[i].special = false
	}
	slices.SortStableFunc(added, func(a, b addedToken) int { return cmp.Compare(a.id, b.id) })
	return fmt.Sprintf("%s %+v %+v %v %v %v", e.how, added, e.special, e.single, e.pair, e.left)
}

// fromText makes the tokenizer of a vocab.txt.
func fromText(path string, text []byte, b *beside) (*encoder, error) {
	v, err := parseText(path, text)
	if err != nil {
		return nil, err
	}
	family := b.tokens(bertNames)
	n := b.normalizer()
	e := &encoder{vocabulary: v, prepare: n.append, left: b.Side == "left", files: append([]file{{fileText, text}}, b.files...)}
	e.settings = fmt.Sprintf("%+v", n)
	e.how = e.settings
	if v.find(family[3]) != None { // without added tokens, which are no pieces
		e.pieces = newWordPieces(v, words, family[3], "##", 100)
	}
	added, err := b.assign(v, nil, &bertNames)
	if err == nil {
		err = e.addTokens(added)
	}
	if err != nil {
		return nil, fmt.Errorf("token: %s: %w", path, err)
	}
	e.special = v.special(family)
	for i, id := range []int32{e.special.CLS, e.special.SEP, e.special.Pad, e.special.Unk} {
		if id == None {
			return nil, fmt.Errorf("token: %s: no token %s: want the vocab.txt of a BERT, or make one with token.Train", path, family[i])
		}
	}
	if e.pieces == nil {
		return nil, fmt.Errorf("token: %s: the unknown token %s is no line of the file: want the vocab.txt that it is in", path, family[3])
	}
	if e.single, e.pair, err = bertLayout.slots(e.special); err != nil {
		return nil, fmt.Errorf("token: %s: %w", path, err)
	}
	return e, nil
}

// openBytes makes the tokenizer of a vocab.json and the merges.txt beside it.
func openBytes(path string) (Tokenizer, error) {
	text, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s and %s have to be in one folder", err, fileVocab, fileMerges)
	}
	pathMerges := filepath.Join(filepath.Dir(path), fileMerges)
	lines, err := read(pathMerges)
	if err != nil {
		return nil, fmt.Errorf("%w: %s and %s have to be in one folder", err, fileVocab, fileMerges)
	}
	b, err := readBeside(path)
	if err != nil {
		return nil, err
	}
	files := []file{{fileVocab, text}, {fileMerges, lines}}
	return told(func(b *beside) (*encoder, error) {
		b.mask = true
		return fromBytes(path, files, b)
	}, b)
}

// fromBytes makes the tokenizer of a vocab.json and a merges.txt.
func fromBytes(path string, files []file, b *beside) (*encoder, error) {
	text := files[0].text
	var object json.RawMessage
	if err := unmarshal(path, text, &object); err != nil {
		return nil, err
	}
	v, err := parseMap(path, text, object)
	if err != nil {
		return nil, err
	}
	merges, err := parseMerges(filepath.Join(filepath.Dir(path), fileMerges), files[1].text, v)
	if err != nil {
		return nil, err
	}
	p := newBytePieces(v, merges, None)
	p.prefixSpace = value(b.PrefixSpace, false)
	family := b.tokens(robertaNames)
	e := &encoder{vocabulary: v, pieces: p, left: b.Side == "left", files: append(slices.Clone(files), b.files...)}
	e.settings = fmt.Sprintf("prefix space %v", p.prefixSpace)
	e.how = e.settings
	added, err := b.assign(v, nil, &robertaNames)
	if err == nil {
		err = e.addTokens(added)
	}
	if err != nil {
		return nil, fmt.Errorf("token: %s: %w", path, err)
	}
	e.special = v.special(family)
	for i, id := range []int32{e.special.CLS, e.special.SEP, e.special.Pad, e.special.Unk} {
		if id == None {
			return nil, fmt.Errorf("token: %s: no token %s: want the vocab.json of a RoBERTa", path, family[i])
		}
	}
	if e.single, e.pair, err = robertaLayout.slots(e.special); err != nil {
		return nil, fmt.Errorf("token: %s: %w", path, err)
	}
	return e, nil
}

func newBytePieces(v *vocabulary, merges map[[2]int32]merge, unk int32) *bytePieces {
	p := &bytePieces{merges: merges, unk: unk}
	for b, text := range byteTexts {
		p.bytes[b] = v.find(text)
	}
	return p
}

func (e *encoder) Fingerprint() uint64 {
	h := xxhash.New()
	fmt.Fprintln(h, e.settings)
	for _, f := range e.files {
		switch f.name {
		case fileConfig, fileSpecial, fileAdded:
			continue // what counts of them are the settings
		}
		fmt.Fprintf(h, "%s %d\n", f.name, len(f.text))
		h.Write(f.text)
	}
	return h.Sum64()
}

// Save writes each file to a temporary one beside it, which then gets its name.
func (e *encoder) Save(dir string) error {
	for _, f := range e.files {
		if err := save(filepath.Join(dir, f.name), f.text); err != nil {
			return fmt.Errorf("token: %w", err)
		}
	}
	return nil
}

// save writes a file that others may read.
func save(path string, text []byte) error {
	return atomicfile.Replace(path, func(f *atomicfile.File) error {
		if err := f.Chmod(0o644); err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
		_, err := f.Write(text)
		return err
	})
}
