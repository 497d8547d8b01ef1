package start

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

// IsHuggingFace reports whether a directory is a Hugging Face directory and not a run.
func IsHuggingFace(dir string) bool {
	return exists(filepath.Join(dir, run.ModelConfigFile)) && !exists(filepath.Join(dir, run.ConfigFile)) &&
		!exists(filepath.Join(dir, run.FeatureFile))
}

// open opens the file of the tensors, or its shards.
func (w *Weights) open() (*ckpt.File, error) {
	if filepath.Base(w.file) == ckpt.IndexFile {
		return ckpt.OpenDir(filepath.Dir(w.file))
	}
	return ckpt.Open(w.file)
}

// imported reports whether the tensors are another model's, as the training's model knows: those of a Hugging Face directory, or
// of a run of the same encoder with a head for something else. It may lack the head.
func (w *Weights) imported() bool {
	if _, ok := w.Model.(models.Importer); !ok {
		return false
	}
	if w.hf {
		return true
	}
	if w.model == nil {
		return false
	}
	_, ok := w.model.(models.Importer)
	have, _ := models.Registry.NameOf(w.model)
	want, _ := models.Registry.NameOf(w.Model)
	return ok && have != want
}

// mayBeFresh reports whether a parameter belongs to a head.
func (w *Weights) mayBeFresh(name string) bool {
	m, ok := w.Model.(models.Importer)
	return ok && m.Fresh(name)
}

// tensors returns the name in the file of each parameter that the file has. What the model does not have is noted in rec, but
// for what it is known not to need.
func (w *Weights) tensors(f *ckpt.File, p *nn.Params, rec *Record) (map[string]string, error) {
	names := map[string]string{}
	imported := w.imported()
	for _, t := range f.Tensors {
		name := t.Name
		if imported {
			var ok bool
			if name, ok = w.Model.(models.Importer).Import(t.Name); !ok {
				continue
			}
		}
		if p.Get(name) == nil {
			rec.Unexpected = append(rec.Unexpected, t.Name)
			continue
		}
		if other, twice := names[name]; twice {
			return nil, fmt.Errorf("init.from: %s: tensors %s and %s are both %s of the model", w.file, other, t.Name, name)
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
	return "run.Metrics to regress on"
}

// compareText reports starting weights whose token ids, or classes, are others than the data's. If init.strict is false, the
// head of other classes is taken out of names, so that it stays fresh.
func (w *Weights) compareText(d *data.Splits, f *ckpt.File, p *nn.Params, names map[string]string) error {
	t := d.Schema.Text
	if t == nil || d.Map == nil || d.Map.Text == nil {
		return nil
	}
	var was []string // classes
	switch {
	case w.hf:
		w.compareTokenizer(d)
		was = w.publishedLabels()
	case w.fmap != nil && w.fmap.Text != nil:
		was = w.fmap.Text.Labels
		if have, want := w.fmap.Text.Fingerprint, d.Map.Text.Fingerprint; have != want && w.Options.Strict {
			return fmt.Errorf("%s: its tokenizer is not the data's, so that ids mean other tokens to it: "+
				"set data.tokenizer to %s (or init.strict to false if you know that the ids are the same)",
				w.Options.From, w.dir)
		}
	}
	if was == nil || t.Labels == nil || slices.EqualFunc(was, t.Labels, strings.EqualFold) {
		return nil
	}
	var head []string // outputs of equal number, which no shape would tell
	for _, q := range p.All() {
		if name, ok := names[q.Name]; ok && w.mayBeFresh(q.Name) && isHead(d, q.Shape) && slices.Equal(f.Info(name).Shape, q.Shape) {
			head = append(head, q.Name)
		}
	}
	switch {
	case len(head) == 0:
	case w.hf && !sameNames(was, t.Labels): // other names may mean the same
		w.Log.Warn("the classes of the starting weights' head have other names than the data's", "from", w.Options.From, "have", was, "data",
			t.Labels)
	case !w.Options.Strict:
		for _, name := range head {
			delete(names, name)
		}
	default:
		return fmt.Errorf("%s: its head is for the classes %s, the data has %s: take weights of the same task, "+
			"or set init.strict to false to take the encoder and start the head fresh",
			w.Options.From, strings.Join(was, ", "), strings.Join(t.Labels, ", "))
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
func (w *Weights) compareTokenizer(d *data.Splits) {
	tok, err := token.Open(w.dir)
	if err != nil {
		w.Log.Warn("no tokenizer can be read beside the starting weights: whether the data's is theirs is not checked", "from", w.Options.From,
			"error", err)
		return
	}
	if fmt.Sprintf("%016x", tok.Fingerprint()) != d.Map.Text.Fingerprint {
		w.Log.Warn("the tokenizer beside the starting weights is not the data's: if ids mean other tokens to it, set data.tokenizer", "from",
			w.Options.From)
	}
}

// publishedLabels returns the names of the classes that a Hugging Face directory's head is for, nil if it does not say: LABEL_0 is
// no name.
func (w *Weights) publishedLabels() []string {
	b, err := os.ReadFile(filepath.Join(w.dir, run.ModelConfigFile))
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
