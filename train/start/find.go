package start

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// Target is a training that needs weights to start from.
type Target struct {
	Options Options
	Dir     string // of its run
	Model   models.Model
	Seed    uint64 // of what starts fresh
	// ModelOf returns the model that the config of another run names: only a caller can read one.
	ModelOf func(config string) (models.Model, error)
	Log     *slog.Logger // never nil
}

// Weights are the weights that a training starts from.
type Weights struct {
	Target
	file  string           // of the tensors
	dir   string           // of the run that the file belongs to, as far as one can tell
	fmap  *data.FeatureMap // of dir; nil if it has none
	model models.Model     // of dir; nil if it has no config
	hf    bool             // dir is not a run but a Hugging Face directory
}

// Find returns the weights that the options name, or nil if they name none. Weights that the training cannot start from are an error.
func (t Target) Find() (*Weights, error) {
	if t.Options.From == "" {
		return nil, nil
	}
	w := &Weights{Target: t}
	bad := func(err error) error { return fmt.Errorf("init.from: %s: %w", t.Options.From, err) }
	var err error
	if w.file, w.dir, err = locate(t.Options); err != nil {
		return nil, bad(err)
	}
	if path := filepath.Join(w.dir, run.FeatureFile); bound.Exists(path) {
		if w.fmap, err = data.LoadFeatureMap(path); err != nil {
			return nil, bad(err)
		}
	}
	if path := filepath.Join(w.dir, run.ConfigFile); bound.Exists(path) {
		if w.model, err = t.ModelOf(path); err != nil {
			t.Log.Warn("the config beside the starting weights cannot be read, so that its model is not compared", "file", path, "error", err)
			w.model = nil
		}
	}
	w.hf = IsHuggingFace(w.dir)
	if err := w.check(); err != nil {
		return nil, bad(err)
	}
	return w, nil
}

// locate finds the file of the tensors, and the directory of the run that it belongs to.
func locate(o Options) (file, dir string, err error) {
	info, err := os.Stat(o.From)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", errors.New("no such file or directory; give a run's directory, a Hugging Face directory or a .safetensors file")
	} else if err != nil {
		return "", "", err
	}
	if !info.IsDir() {
		if o.Checkpoint != Best {
			return "", "", fmt.Errorf("is a file, of which there is no checkpoint %s; give the run's directory, or leave init.checkpoint out",
				o.Checkpoint)
		}
		return o.From, run.Of(o.From), nil
	}
	switch n := o.Checkpoint.Epoch(); {
	case n > 0:
		file = filepath.Join(o.From, run.EpochFile(n))
		if !bound.Exists(file) {
			return "", "", fmt.Errorf("the weights of epoch %d were not kept (no %s); %s", n, file, keptEpochs(o.From))
		}
	case o.Checkpoint == Last:
		if file, err = lastFile(o.From); err != nil {
			return "", "", err
		}
	case o.Checkpoint == EMA:
		if file = filepath.Join(o.From, run.EMAFile); !bound.Exists(file) {
			return "", "", fmt.Errorf("has no %s; train with train.ema to get it, or take best", run.EMAFile)
		}
	case o.Checkpoint == SWA:
		if file = filepath.Join(o.From, run.SWAFile); !bound.Exists(file) {
			return "", "", fmt.Errorf("has no %s; train with train.swa_start to get it, or take best", run.SWAFile)
		}
	case bound.Exists(filepath.Join(o.From, run.ConfigFile)):
		if file = filepath.Join(o.From, run.ModelFile); !bound.Exists(file) {
			return "", "", fmt.Errorf("has no %s; a run gets it from its first evaluation on", run.ModelFile)
		}
	default:
		f, err := ckpt.OpenDir(o.From) // says what is missing
		if err != nil {
			return "", "", err
		}
		return f.Path, o.From, f.Close()
	}
	return file, o.From, nil
}

// keptEpochs says which epochs' weights a run has.
func keptEpochs(dir string) string {
	kept := run.KeptEpochs(dir)
	if len(kept) == 0 {
		return "train with train.keep_epochs to keep them, or take best or last"
	}
	return "there are those of " + strings.Trim(fmt.Sprint(kept), "[]")
}

// lastFile returns the file of the last weights that a run saved.
func lastFile(dir string) (string, error) {
	path := filepath.Join(dir, run.LastDir, run.StateFile)
	if !bound.Exists(path) {
		return "", fmt.Errorf("has no %s, so that there are no last weights; take best", path)
	}
	return train.LastModel(dir)
}

// check reports weights that the training cannot start from.
func (w *Weights) check() error {
	if run.Same(w.dir, w.Dir) {
		return run.Advise(errors.New("is the directory of this run"), run.Elsewhere)
	}
	if w.model == nil || !w.Options.Strict {
		return nil
	}
	have, _ := models.Registry.NameOf(w.model)
	if want, _ := models.Registry.NameOf(w.Model); have != want && !w.imported() {
		return fmt.Errorf("is a run of %s, the config's model is %s; take the run's model, "+
			"or set init.strict to false to take the tensors that fit", have, want)
	}
	return nil
}

// FeatureMap returns the map that the data is read with. It returns nil if a map is to be fitted to the data.
func (w *Weights) FeatureMap() (*data.FeatureMap, error) {
	from := w.Options.From
	switch {
	case w.imported(): // its token ids are those of the tokenizer that data names
		return nil, nil
	case w.Options.Features == "run" && w.fmap == nil:
		w.Log.Warn("no feature map lies with the starting weights: one is fitted, and whether its ids are theirs cannot be checked", "from", from)
		return nil, nil
	case w.Options.Features == "run":
		return w.fmap, nil
	case w.fmap == nil:
		return nil, fmt.Errorf("init.from: %s: has no %s, so that rows cannot be matched by token; set init.features to run", from,
			run.FeatureFile)
	}
	return nil, nil
}
