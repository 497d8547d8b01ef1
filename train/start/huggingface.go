package start

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/token"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// IsHuggingFace reports whether a directory is a Hugging Face directory and not a run.
func IsHuggingFace(dir string) bool {
	return bound.Exists(filepath.Join(dir, run.ModelConfigFile)) && !bound.Exists(filepath.Join(dir, run.ConfigFile)) &&
		!bound.Exists(filepath.Join(dir, run.FeatureFile))
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
	if !imported {
		return names, nil
	}
	for _, q := range p.All() { // what a file has under its other name alone
		if _, ok := names[q.Name]; ok {
			continue
		}
		for _, t := range f.Tensors {
			if models.Tied(t.Name, q.Name) {
				names[q.Name] = t.Name
				break
			}
		}
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
		return fmt.Sprintf("%d classes (%s)", len(t.Labels), bound.Names(t.Labels))
	}
	return "run.Metrics to regress on"
}

// compareText reports starting weights whose token ids, or classes, are others than the data's. It returns where the rows of a head
// are whose classes stand in another order, by the head's parameters. If init.strict is false, the head of other classes is taken out
// of names, so that it stays fresh.
func (w *Weights) compareText(d *data.Splits, f *ckpt.File, p *nn.Params, names map[string]string) (map[string][]int32, error) {
	t := d.Schema.Text
	if t == nil || d.Map == nil || d.Map.Text == nil {
		return nil, nil
	}
	var head []string // parameters with as many outputs as the data wants, which no shape would tell from its own
	for _, q := range p.All() {
		if name, ok := names[q.Name]; ok && models.IsOutput(q.Name) && isHead(d, q.Shape) && slices.Equal(f.Info(name).Shape, q.Shape) {
			head = append(head, q.Name)
		}
	}
	var was []string // classes
	switch {
	case w.hf:
		w.compareTokenizer(d)
		about, err := ReadPublished(w.dir)
		if err != nil {
			return nil, fmt.Errorf("init.from: %w", err)
		}
		was = about.Classes
		if want := problemType(t); len(head) > 0 && about.Problem != "" && about.Problem != want {
			w.Log.Warn("the head of the starting weights was trained for another kind of task: its logits mean something else until it is trained",
				"from", w.Options.From, "problem_type", about.Problem, "data", want)
		}
	case w.fmap != nil && w.fmap.Text != nil:
		was = w.fmap.Text.Labels
		if have, want := w.fmap.Text.Fingerprint, d.Map.Text.Fingerprint; have != want && w.Options.Strict {
			return nil, fmt.Errorf("%s: its tokenizer is not the data's, so that ids mean other tokens to it: "+
				"set data.tokenizer to %s (or init.strict to false if you know that the ids are the same)",
				w.Options.From, w.dir)
		}
	}
	if was == nil || t.Labels == nil || len(head) == 0 {
		return nil, nil
	}
	if rows := MatchClasses(was, t.Labels); rows != nil {
		if slices.IsSorted(rows) {
			return nil, nil
		}
		w.Log.Info("rows of the starting weights' head are matched by the name of the class", "from", w.Options.From, "have", was, "data",
			t.Labels)
		turned := map[string][]int32{}
		for _, name := range head {
			turned[name] = rows
		}
		return turned, nil
	}
	switch {
	case w.hf: // other names may mean the same
		w.Log.Warn("the classes of the starting weights' head have other names than the data's", "from", w.Options.From, "have", was, "data",
			t.Labels)
	case !w.Options.Strict:
		for _, name := range head {
			delete(names, name)
		}
	default:
		return nil, fmt.Errorf("%s: its head is for the classes %s, the data has %s: take weights of the same task, "+
			"or set init.strict to false to take the encoder and start the head fresh",
			w.Options.From, bound.Names(was), bound.Names(t.Labels))
	}
	return nil, nil
}

// problemType returns what config.json calls the task of the data.
func problemType(t *data.Text) string {
	if len(t.Labels) > 0 {
		return "single_label_classification"
	}
	return "regression"
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
