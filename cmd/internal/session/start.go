package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// start is the weights that training starts from.
type start struct {
	from string              // as the user gave it
	file string              // of the tensors
	dir  string              // of the run that the file belongs to, as far as one can tell
	fmap *data.FeatureMap    // of dir; nil if it has none
	exp  *configs.Experiment // of dir; nil if it has none
	hf   bool                // dir is not a run but a Hugging Face directory
}

// findStart returns what an `init:` section names, nil if it names nothing.
func findStart(o configs.Init, log *slog.Logger) (*start, error) {
	if o.From == "" {
		return nil, nil
	}
	st, err := locate(o)
	if err != nil {
		return nil, fmt.Errorf("init.from: %s: %w", o.From, err)
	}
	if path := filepath.Join(st.dir, run.FeatureFile); exists(path) {
		if st.fmap, err = data.LoadFeatureMap(path); err != nil {
			return nil, fmt.Errorf("init.from: %s: %w", o.From, err)
		}
	}
	if path := filepath.Join(st.dir, run.ConfigFile); exists(path) {
		if st.exp, err = configs.Load(path, nil); err != nil {
			log.Warn("the config beside the starting weights cannot be read, so that its model is not compared", "file", path, "error", err)
		}
	}
	st.hf = isHuggingFace(st.dir)
	return st, nil
}

// locate finds the file.
func locate(o configs.Init) (*start, error) {
	info, err := os.Stat(o.From)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("no such file or directory; give a run's directory, a Hugging Face directory or a .safetensors file")
	} else if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if o.Checkpoint != configs.Best {
			return nil, fmt.Errorf("is a file, of which there is no checkpoint %s; give the run's directory, or leave init.checkpoint out", o.Checkpoint)
		}
		return &start{from: o.From, file: o.From, dir: run.Of(o.From)}, nil
	}
	st := &start{from: o.From, dir: o.From}
	switch n := o.Checkpoint.Epoch(); {
	case n > 0:
		st.file = filepath.Join(o.From, run.EpochFile(n))
		if !exists(st.file) {
			return nil, fmt.Errorf("the weights of epoch %d were not kept (no %s); %s", n, st.file, keptEpochs(o.From))
		}
	case o.Checkpoint == configs.Last:
		if st.file, err = lastFile(o.From); err != nil {
			return nil, err
		}
	case o.Checkpoint == configs.EMA:
		if st.file = filepath.Join(o.From, run.EMAFile); !exists(st.file) {
			return nil, fmt.Errorf("has no %s; train with train.ema to get it, or take best", run.EMAFile)
		}
	case o.Checkpoint == configs.SWA:
		if st.file = filepath.Join(o.From, run.SWAFile); !exists(st.file) {
			return nil, fmt.Errorf("has no %s; train with train.swa_start to get it, or take best", run.SWAFile)
		}
	case exists(filepath.Join(o.From, run.ConfigFile)):
		if st.file = filepath.Join(o.From, run.ModelFile); !exists(st.file) {
			return nil, fmt.Errorf("has no %s; a run gets it from its first evaluation on", run.ModelFile)
		}
	default:
		f, err := ckpt.OpenDir(o.From) // says what is missing
		if err != nil {
			return nil, err
		}
		st.file = f.Path
		return st, f.Close()
	}
	return st, nil
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
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("has no %s, so that there are no last weights; take best", path)
	} else if err != nil {
		return "", err
	}
	var state struct {
		Model string `json:"model"`
	}
	if err := json.Unmarshal(b, &state); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if state.Model == "" || filepath.Base(state.Model) != state.Model {
		return "", fmt.Errorf("%s names no file of its directory", path)
	}
	return filepath.Join(dir, run.LastDir, state.Model), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// sameDir reports whether two directories are one.
func sameDir(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// check reports a start that this session cannot have.
func (st *start) check(s *Session) error {
	if sameDir(st.dir, s.Dir) {
		return fmt.Errorf("init.from: %s: is the directory of this run; give the new run another one with --run", st.from)
	}
	if st.exp == nil || !s.Init.Strict {
		return nil
	}
	have, _ := models.Registry.NameOf(st.exp.Model)
	if want, _ := s.names(); have != want && !st.imported(s) {
		return fmt.Errorf("init.from: %s: is a run of %s, the config's model is %s; take the run's model, or set init.strict to false to take the tensors that fit",
			st.from, have, want)
	}
	return nil
}

// featureMap returns the map that the data is read with, nil to fit one.
func (st *start) featureMap(s *Session) (*data.FeatureMap, error) {
	switch {
	case st.imported(s): // its token ids are those of the tokenizer that data names
		return nil, nil
	case s.Init.Features == "run" && st.fmap == nil:
		s.Log.Warn("no feature map lies with the starting weights: one is fitted, and whether its ids are theirs cannot be checked", "from", st.from)
		return nil, nil
	case s.Init.Features == "run":
		return st.fmap, nil
	case st.fmap == nil:
		return nil, fmt.Errorf("init.from: %s: has no %s, so that rows cannot be matched by token; set init.features to run", st.from, run.FeatureFile)
	}
	return nil, nil
}
