package data

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data/token"
)

// TextMap is all that turns texts and their labels into ids and numbers. The tokenizer's files lie beside the file of the
// feature map.
type TextMap struct {
	Fingerprint string   `json:"tokenizer"` // of the tokenizer
	Vocab       int      `json:"vocab"`     // its ids
	Pad         int32    `json:"pad"`       // its id of padding
	Lengths     []int    `json:"lengths"`   // buckets, ascending; the last one is the longest row
	Labels      []string `json:"labels,omitempty"`
	Regression  bool     `json:"regression,omitempty"` // labels are numbers
	MaskRate    float64  `json:"mask_rate,omitempty"`  // above 0: rows of a masked language model

	tokenizer token.Tokenizer
}

// newTextMap returns a map that uses a tokenizer.
func newTextMap(tok token.Tokenizer, lengths []int) (*TextMap, error) {
	t := &TextMap{Fingerprint: fingerprint(tok), Vocab: tok.Vocab(), Pad: tok.Special().Pad, Lengths: lengths, tokenizer: tok}
	if t.Pad == token.None {
		return nil, fmt.Errorf("data: the tokenizer has no token for padding ([PAD] or <pad>); batches need one")
	}
	return t, nil
}

func fingerprint(tok token.Tokenizer) string { return fmt.Sprintf("%016x", tok.Fingerprint()) }

// Tokenizer returns the tokenizer of a map that was fitted or loaded, nil otherwise.
func (t *TextMap) Tokenizer() token.Tokenizer { return t.tokenizer }

// schema returns what a model sees of the texts.
func (t *TextMap) schema() *Text {
	return &Text{Vocab: t.Vocab, Pad: t.Pad, Lengths: t.Lengths, Labels: t.Labels, MaskRate: t.MaskRate}
}

// check returns what makes t unusable.
func (t *TextMap) check() error {
	switch {
	case t.Vocab < 1 || t.Pad < 0 || int(t.Pad) >= t.Vocab:
		return fmt.Errorf("text: padding %d of %d ids", t.Pad, t.Vocab)
	case len(t.Lengths) == 0 || t.Lengths[0] < 1 || t.Lengths[len(t.Lengths)-1] > maxTextLength || !rising(t.Lengths):
		return fmt.Errorf("text: lengths %v", t.Lengths)
	case !(t.MaskRate >= 0 && t.MaskRate < 1):
		return fmt.Errorf("text: mask rate %g", t.MaskRate)
	case t.MaskRate > 0 && (t.Regression || t.Labels != nil) || t.Regression && t.Labels != nil:
		return fmt.Errorf("text: labels %q, regression %v, mask rate %g do not go together", t.Labels, t.Regression, t.MaskRate)
	}
	for i, name := range t.Labels {
		if name == "" || slices.Contains(t.Labels[:i], name) {
			return fmt.Errorf("text: label %d is %q, which is blank or there twice", i, name)
		}
	}
	return nil
}

func rising(list []int) bool {
	for i := 1; i < len(list); i++ {
		if list[i] <= list[i-1] {
			return false
		}
	}
	return true
}

// differences returns how o reads texts differently.
func (t *TextMap) differences(o *TextMap) []string {
	switch {
	case t == nil && o == nil:
		return nil
	case t == nil:
		return []string{"there is text too"}
	case o == nil:
		return []string{"there is no text"}
	}
	var out []string
	differ := func(what string, have, want any) {
		if fmt.Sprint(have) != fmt.Sprint(want) {
			out = append(out, fmt.Sprintf("text: %s is %v, not %v", what, have, want))
		}
	}
	differ("tokenizer", o.Fingerprint, t.Fingerprint)
	differ("list of lengths", o.Lengths, t.Lengths)
	differ("label set", labelNames(o.Labels), labelNames(t.Labels))
	differ("regression", o.Regression, t.Regression)
	differ("mask_rate", o.MaskRate, t.MaskRate)
	return out
}

// labelNames lists labels in a message.
func labelNames(labels []string) string {
	if len(labels) == 0 {
		return "none"
	}
	return someNames(labels)
}

// save writes the tokenizer's files into a folder, and what Hugging Face's AutoTokenizer needs beside them.
func (t *TextMap) save(dir string) error {
	if t.tokenizer == nil {
		return fmt.Errorf("data: the feature map has no tokenizer: load it with LoadFeatureMap")
	}
	if err := t.tokenizer.Save(dir); err != nil {
		return err
	}
	if err := token.WriteConfig(dir, t.tokenizer, t.Lengths[len(t.Lengths)-1]); err != nil {
		return err
	}
	_, err := t.open(dir)
	return err
}

// open opens the tokenizer in a folder, which must be the one that the map was made with.
func (t *TextMap) open(dir string) (token.Tokenizer, error) {
	tok, err := token.Open(dir)
	if err != nil {
		return nil, err
	}
	if have := fingerprint(tok); have != t.Fingerprint {
		return nil, fmt.Errorf("the tokenizer in %s is another one (%s, want %s): the folder holds files of several tokenizers, or they were changed; put the right ones there", dir, have, t.Fingerprint)
	}
	return tok, nil
}

// saveText writes the files of the text map beside the feature map's.
func (m *FeatureMap) saveText(path string) error {
	if m.Text == nil {
		return nil
	}
	if err := m.Text.save(filepath.Dir(path)); err != nil {
		return fmt.Errorf("data: save feature map: %w", err)
	}
	return nil
}

// loadText opens the tokenizer beside the feature map's file.
func (m *FeatureMap) loadText(path string) error {
	if m.Text == nil {
		return nil
	}
	tok, err := m.Text.open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("data: feature map %s: %w", path, err)
	}
	m.Text.tokenizer = tok
	return nil
}

// usable returns why the map cannot be used for texts that the section describes.
func (t *TextMap) usable(s *textSpec) error {
	switch {
	case t == nil:
		return fmt.Errorf("data: the feature map has no text; was it made for other data?")
	case t.tokenizer == nil:
		return fmt.Errorf("data: the feature map has no tokenizer: load it with LoadFeatureMap")
	case s.maskRate > 0 != (t.MaskRate > 0):
		return fmt.Errorf("data: the checkpoint's rows have mask rate %g, the data section's %g: one is a masked language model, the other is not", t.MaskRate, s.maskRate)
	case s.regression != t.Regression:
		return fmt.Errorf("data: the label set differs from the checkpoint's: one has numbers to regress on (regression), the other classes %s", labelNames(t.Labels))
	case s.labels != nil && !slices.Equal(s.labels, t.Labels):
		return fmt.Errorf("data: the label set differs from the checkpoint's: the data has %s, the checkpoint %s; take a checkpoint of the same task, or train a new head", labelNames(s.labels), labelNames(t.Labels))
	}
	return nil
}

// labelIndex returns the number of each text that a label can have: its name, or its number where no name is one.
func labelIndex(labels []string) map[string]float32 {
	index := map[string]float32{}
	numbers := false
	for i, name := range labels {
		index[name] = float32(i)
		numbers = numbers || isWhole(name)
	}
	if !numbers {
		for i := range labels {
			index[fmt.Sprint(i)] = float32(i)
		}
	}
	return index
}

// isWhole reports whether a text is a whole number in decimal digits.
func isWhole(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && len(digits) < 16 && strings.Trim(digits, "0123456789") == ""
}

// textDir makes the folder of a map with a tokenizer in the cache.
func (d *cacheDir) textDir(key string) (string, error) {
	dir := d.path(key, "-text")
	return dir, d.wrap(os.MkdirAll(dir, 0o755))
}
