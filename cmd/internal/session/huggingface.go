package session

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/token"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// isHuggingFace reports whether a directory is one of Hugging Face's, and no run.
func isHuggingFace(dir string) bool {
	return exists(filepath.Join(dir, run.ModelConfigFile)) && !exists(filepath.Join(dir, run.ConfigFile)) && !exists(filepath.Join(dir, run.FeatureFile))
}

// open opens the file of the tensors, or its shards.
func (st *start) open() (*ckpt.File, error) {
	if filepath.Base(st.file) == ckpt.IndexFile {
		return ckpt.OpenDir(filepath.Dir(st.file))
	}
	return ckpt.Open(st.file)
}

// imported reports whether the tensors are another model's, as the session's model knows: those of a Hugging Face directory, or
// of a run of the same encoder with a head for something else. It may lack the head.
func (st *start) imported(s *Session) bool {
	if _, ok := s.Model.(models.Importer); !ok {
		return false
	}
	if st.hf {
		return true
	}
	if st.exp == nil {
		return false
	}
	_, ok := st.exp.Model.(models.Importer)
	have, _ := models.Registry.NameOf(st.exp.Model)
	want, _ := s.names()
	return ok && have != want
}

// mayBeFresh reports whether a parameter belongs to a head.
func (st *start) mayBeFresh(s *Session, name string) bool {
	m, ok := s.Model.(models.Importer)
	return ok && m.Fresh(name)
}

// tensors returns the name in the file of each parameter that the file has. What the model does not have is noted in rec, but
// for what it is known not to need.
func (st *start) tensors(s *Session, f *ckpt.File, p *nn.Params, rec *startRecord) (map[string]string, error) {
	names := map[string]string{}
	imported := st.imported(s)
	for _, t := range f.Tensors {
		name := t.Name
		if imported {
			var ok bool
			if name, ok = s.Model.(models.Importer).Import(t.Name); !ok {
				continue
			}
		}
		if p.Get(name) == nil {
			rec.Unexpected = append(rec.Unexpected, t.Name)
			continue
		}
		if other, twice := names[name]; twice {
			return nil, fmt.Errorf("init.from: %s: tensors %s and %s are both %s of the model", st.file, other, t.Name, name)
		}
		names[name] = t.Name
	}
	return names, nil
}

// outputs returns the number of a head's outputs for the data, 0 if it has none of its own.
func outputs(d *data.Splits) int {
	switch t := d.Schema.Text; {
	case t == nil || t.MaskRate > 0:
		return 0
	default:
		return max(1, len(t.Labels))
	}
}

// isHead reports whether a shape is that of a weight or bias of a head's outputs.
func isHead(d *data.Splits, shape []int) bool { return len(shape) > 0 && shape[0] == outputs(d) }

// headHelp says what a head's outputs stand for.
func headHelp(d *data.Splits) string {
	if t := d.Schema.Text; len(t.Labels) > 0 {
		return fmt.Sprintf("%d classes (%s)", len(t.Labels), strings.Join(t.Labels, ", "))
	}
	return "numbers to regress on"
}

// compareText reports starting weights whose token ids, or classes, are others than the data's. If init.strict is false, the
// head of other classes is taken out of names, so that it stays fresh.
func (st *start) compareText(s *Session, d *data.Splits, f *ckpt.File, p *nn.Params, names map[string]string) error {
	t := d.Schema.Text
	if t == nil || d.Map == nil || d.Map.Text == nil {
		return nil
	}
	var was []string // classes
	switch {
	case st.hf:
		st.compareTokenizer(s, d)
		was = st.publishedLabels()
	case st.fmap != nil && st.fmap.Text != nil:
		was = st.fmap.Text.Labels
		if have, want := st.fmap.Text.Fingerprint, d.Map.Text.Fingerprint; have != want && s.Init.Strict {
			return fmt.Errorf("%s: its tokenizer is not the data's, so that ids mean other tokens to it: set data.tokenizer to %s (or init.strict to false if you know that the ids are the same)",
				st.from, st.dir)
		}
	}
	if was == nil || t.Labels == nil || slices.EqualFunc(was, t.Labels, strings.EqualFold) {
		return nil
	}
	var head []string // outputs of equal number, which no shape would tell
	for _, q := range p.All() {
		if name, ok := names[q.Name]; ok && st.mayBeFresh(s, q.Name) && isHead(d, q.Shape) && slices.Equal(f.Info(name).Shape, q.Shape) {
			head = append(head, q.Name)
		}
	}
	switch {
	case len(head) == 0:
	case st.hf && !sameNames(was, t.Labels): // other names may mean the same
		s.Log.Warn("the classes of the starting weights' head have other names than the data's", "from", st.from, "have", was, "data", t.Labels)
	case !s.Init.Strict:
		for _, name := range head {
			delete(names, name)
		}
	default:
		return fmt.Errorf("%s: its head is for the classes %s, the data has %s: take weights of the same task, or set init.strict to false to take the encoder and start the head fresh",
			st.from, strings.Join(was, ", "), strings.Join(t.Labels, ", "))
	}
	return nil
}

// sameNames reports whether two lists have the same names in any order.
func sameNames(a, b []string) bool {
	fold := func(x []string) []string {
		out := make([]string, len(x))
		for i, v := range x {
			out[i] = strings.ToLower(v)
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(fold(a), fold(b))
}

// compareTokenizer warns of a tokenizer beside the weights that is not the data's.
func (st *start) compareTokenizer(s *Session, d *data.Splits) {
	tok, err := token.Open(st.dir)
	if err != nil {
		s.Log.Warn("no tokenizer can be read beside the starting weights: whether the data's is theirs is not checked", "from", st.from, "error", err)
		return
	}
	if fmt.Sprintf("%016x", tok.Fingerprint()) != d.Map.Text.Fingerprint {
		s.Log.Warn("the tokenizer beside the starting weights is not the data's: if ids mean other tokens to it, set data.tokenizer", "from", st.from)
	}
}

// publishedLabels returns the names of the classes that a Hugging Face directory's head is for, nil if it does not say: LABEL_0 is
// no name.
func (st *start) publishedLabels() []string {
	b, err := os.ReadFile(filepath.Join(st.dir, run.ModelConfigFile))
	if err != nil {
		return nil
	}
	var c struct {
		Labels map[string]string `json:"id2label"`
	}
	if json.Unmarshal(b, &c) != nil || len(c.Labels) == 0 {
		return nil
	}
	out := make([]string, len(c.Labels))
	for id, name := range c.Labels {
		i, err := strconv.Atoi(id)
		if err != nil || i < 0 || i >= len(out) || strings.HasPrefix(name, "LABEL_") {
			return nil
		}
		out[i] = name
	}
	return out
}
