package data

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/data/internal/namelist"
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

// NewTextMap returns a map that uses a tokenizer.
func NewTextMap(tok token.Tokenizer, lengths []int) (*TextMap, error) {
	t := &TextMap{Fingerprint: Fingerprint(tok), Vocab: tok.Vocab(), Pad: tok.Special().Pad, Lengths: lengths, tokenizer: tok}
	if t.Pad == token.None {
		return nil, fmt.Errorf("data: the tokenizer has no token for padding ([PAD] or <pad>); batches need one")
	}
	return t, nil
}

// Fingerprint identifies a tokenizer, as TextMap has it.
func Fingerprint(tok token.Tokenizer) string { return fmt.Sprintf("%016x", tok.Fingerprint()) }

// Tokenizer returns the tokenizer of a map that was fitted or loaded, nil otherwise.
func (t *TextMap) Tokenizer() token.Tokenizer { return t.tokenizer }

// Schema returns what a model sees of the texts.
func (t *TextMap) Schema() *Text {
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
	differ("label set", namelist.ShowOrNone(o.Labels), namelist.ShowOrNone(t.Labels))
	differ("regression", o.Regression, t.Regression)
	differ("mask_rate", o.MaskRate, t.MaskRate)
	return out
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
	if have := Fingerprint(tok); have != t.Fingerprint {
		return nil, fmt.Errorf("the tokenizer in %s is another one (%s, want %s): the folder holds files of several tokenizers, "+
			"or they were changed; put the right ones there", dir, have, t.Fingerprint)
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
