package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
)

// WriteConfig writes a tokenizer_config.json into a folder where Save put the files of t, so that Hugging Face's AutoTokenizer opens
// them. What the file said when t was opened stays. The class, the inputs, the special tokens, the settings of a vocab.txt and the
// longest row are added, and the added tokens where several files list them, where it said nothing of them. A maxLength of 0 leaves the
// longest row out.
func WriteConfig(dir string, t Tokenizer, maxLength int) error {
	config := map[string]any{}
	class := "PreTrainedTokenizerFast"
	if e, ok := t.(*encoder); ok {
		for _, f := range e.files {
			switch f.name {
			case fileConfig:
				if err := unmarshal(fileConfig, f.text, &config); err != nil {
					return err
				}
			case fileText:
				class = "BertTokenizer"
			case fileVocab:
				class = "RobertaTokenizer"
			}
		}
	}
	missing := func(key string, value any) {
		if _, ok := config[key]; !ok {
			config[key] = value
		}
	}
	if e, ok := t.(*encoder); ok {
		if class == "PreTrainedTokenizerFast" && e.class != "" {
			class = e.class
		}
		if list := e.decoder(); list != nil {
			missing("added_tokens_decoder", list)
		}
	}
	missing("tokenizer_class", class)
	if class == "BertTokenizer" {
		missing("do_lower_case", true)
	}
	if config["tokenizer_class"] == "PreTrainedTokenizerFast" { // it gives no segments unless it is told to
		inputs := []string{"input_ids", "attention_mask"}
		if e, ok := t.(*encoder); ok && slices.ContainsFunc(e.pair, func(s slot) bool { return s.segment > 0 }) {
			inputs = []string{"input_ids", "token_type_ids", "attention_mask"}
		}
		missing("model_input_names", inputs)
	}
	if maxLength > 0 {
		missing("model_max_length", maxLength)
	}
	// A name makes AutoTokenizer find the token in texts. Where a tokenizer.json alone says which tokens are found, it stays so.
	found := func(id int32) bool {
		e, ok := t.(*encoder)
		return !ok || e.files[0].name != fileJSON || slices.ContainsFunc(e.added, func(a addedToken) bool { return a.id == id })
	}
	s := t.Special()
	for _, k := range []struct {
		key string
		id  int32
	}{{"cls_token", s.CLS}, {"sep_token", s.SEP}, {"pad_token", s.Pad}, {"unk_token", s.Unk}, {"mask_token", s.Mask}} {
		if k.id != None && found(k.id) {
			missing(k.key, t.Token(k.id))
		}
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(config); err != nil {
		return fmt.Errorf("token: %s: %w", fileConfig, err)
	}
	if err := save(filepath.Join(dir, fileConfig), text.Bytes()); err != nil {
		return fmt.Errorf("token: %w", err)
	}
	return nil
}

// decoder returns the added tokens as an added_tokens_decoder has them, nil where the vocabulary's own file tells them all.
func (e *encoder) decoder() map[string]any {
	list := map[string]any{}
	for _, a := range e.added {
		list[strconv.Itoa(int(a.id))] = map[string]any{
			"content": a.text, "single_word": a.single, "lstrip": a.lstrip, "rstrip": a.rstrip, "normalized": a.normalized, "special": a.special,
		}
	}
	if !e.told {
		return nil
	}
	return list
}
