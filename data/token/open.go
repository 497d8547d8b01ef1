package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/data/atomicfile"
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
// the first of these that is there is read. For a vocab.txt or vocab.json, the keys do_lower_case, strip_accents,
// tokenize_chinese_chars and add_prefix_space of a tokenizer_config.json beside it count.
//
// The sections truncation and padding of a tokenizer.json are ignored.
func Open(path string) (Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("token: %w: want a folder or a file with %s, %s, or %s and %s",
			err, fileJSON, fileText, fileVocab, fileMerges)
	}
	if info.IsDir() {
		names := []string{fileJSON, fileText, fileVocab}
		i := slices.IndexFunc(names, func(name string) bool {
			_, err := os.Stat(filepath.Join(path, name))
			return err == nil
		})
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
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("token: %s: more than %d MiB: this is no tokenizer", path, maxFile>>20)
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil
}

// config is the part of tokenizer_config.json that is used.
type config struct {
	Lower       *bool `json:"do_lower_case"`
	Strip       *bool `json:"strip_accents"`
	Chinese     *bool `json:"tokenize_chinese_chars"`
	PrefixSpace *bool `json:"add_prefix_space"`
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
	c, files, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	e, err := fromText(path, text, c, files)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// fromText makes the tokenizer of a vocab.txt.
func fromText(path string, text []byte, c config, files []file) (*encoder, error) {
	v, err := parseText(path, text)
	if err != nil {
		return nil, err
	}
	e := &encoder{vocabulary: v, special: v.special(bertNames), files: append([]file{{fileText, text}}, files...)}
	for i, id := range []int32{e.special.CLS, e.special.SEP, e.special.Pad, e.special.Unk} {
		if id == None {
			return nil, fmt.Errorf("token: %s: no token %s: want the vocab.txt of a BERT, or make one with token.Train", path, bertNames[i])
		}
	}
	lower := value(c.Lower, true)
	n := normalizer{clean: true, chinese: value(c.Chinese, true), strip: value(c.Strip, lower), lower: lower}
	e.settings = fmt.Sprintf("%+v", n)
	e.pieces = newWordPieces(v, n, bertNames[3], "##", 100)
	e.addTokens(v.addedOf(bertNames))
	if e.single, e.pair, err = bertLayout.slots(e.special); err != nil {
		return nil, fmt.Errorf("token: %s: %w", path, err)
	}
	return e, nil
}

// addedOf returns the special tokens of a family that the vocabulary has.
func (v *vocabulary) addedOf(n names) (added []addedToken) {
	for _, name := range n {
		if id := v.find(name); id != None {
			added = append(added, addedToken{text: name, id: id, lstrip: name == robertaNames[4]})
		}
	}
	return added
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
	c, files, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	var object json.RawMessage
	if err := unmarshal(path, text, &object); err != nil {
		return nil, err
	}
	v, err := parseMap(path, text, object)
	if err != nil {
		return nil, err
	}
	merges, err := parseMerges(pathMerges, lines, v)
	if err != nil {
		return nil, err
	}
	e := &encoder{vocabulary: v, special: v.special(robertaNames), files: append([]file{{fileVocab, text}, {fileMerges, lines}}, files...)}
	for i, id := range []int32{e.special.CLS, e.special.SEP, e.special.Pad, e.special.Unk} {
		if id == None {
			return nil, fmt.Errorf("token: %s: no token %s: want the vocab.json of a RoBERTa", path, robertaNames[i])
		}
	}
	p := newBytePieces(v, merges, None)
	p.prefixSpace = value(c.PrefixSpace, false)
	e.settings = fmt.Sprintf("prefix space %v", p.prefixSpace)
	e.pieces = p
	e.addTokens(v.addedOf(robertaNames))
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
		if f.name == fileConfig {
			continue // what counts of it are the settings
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
