package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train/run"
)

// Finetune returns the experiment that trains on from a run, a Hugging Face directory or a file of weights. It also returns the
// directory of the new run, which is to, or a default if to is empty. Without a config file, data, model, task and training are those
// of the run that from belongs to. Without from, the config says what to start from. Nothing to start from is an error, except for a
// config that has taken its fallback: that one may train from scratch.
func (o Config) Finetune(ctx context.Context, from, to string) (*configs.Experiment, string, error) {
	if o.File == "" && from == "" {
		return nil, "", run.BadInput(errors.New("finetune: nothing to start from: " +
			"give the directory of a run, such as --from runs/criteo_deepfm, or a config with init.from"))
	}
	if o.File != "" {
		return o.finetune(ctx, from, to)
	}
	info, err := os.Stat(from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", run.BadInput(fmt.Errorf("finetune: --from: %w", err))
	} else if err != nil {
		return nil, "", run.BadInput(fmt.Errorf("finetune: --from %s: no such file or directory; give the directory of a run", from))
	}
	dir := filepath.Clean(from)
	if !info.IsDir() {
		dir = run.Of(dir)
	}
	if !bound.Exists(filepath.Join(dir, run.ConfigFile)) {
		return nil, "", run.BadInput(fmt.Errorf("finetune: %s has no %s, so that data and model are not known: give them with --config", dir,
			run.ConfigFile))
	}
	e, err := configs.LoadFinetune(dir, o.Set)
	if err != nil {
		return nil, "", run.BadInput(err)
	}
	e.Init.From = from
	switch {
	case to != "":
	case e.Run != "":
		to = e.Run
	default:
		to = dir + "-finetuned"
	}
	return e, to, nil
}

// finetune is Finetune with a config's file.
func (o Config) finetune(ctx context.Context, from, to string) (*configs.Experiment, string, error) {
	if from != "" {
		set, err := startingFrom(o.File, from, o.Set)
		if err != nil {
			return nil, "", run.BadInput(err)
		}
		o.Set = set
	}
	e, err := o.Load(ctx)
	if err != nil {
		return nil, "", err
	}
	switch {
	case e.Init.From != "":
	case e.Fallback == configs.FallbackAlways:
		o.log().Warn("there is nothing to start from: the model is trained from scratch")
	default:
		return nil, "", run.BadInput(fmt.Errorf("finetune: nothing to start from: give --from with the directory of a run, or init.from in %s",
			o.File))
	}
	return e, RunDir(to, e.Run, o.File), nil
}

// startingFrom returns overrides that start from a directory or file. A directory may describe a text model, as those of Hugging Face
// do. If the config's model is one, its sizes and tokenizer come from there too, unless the user's overrides say otherwise.
func startingFrom(file, dir string, set []string) ([]string, error) {
	path, err := json.Marshal(dir) // a YAML text
	if err != nil {
		return nil, err
	}
	own := []string{"init.from=" + string(path)}
	if bound.Exists(filepath.Join(dir, run.ModelConfigFile)) {
		e, err := configs.Load(file, set)
		if err != nil {
			return nil, err
		}
		if _, ok := e.Model.(models.Resolver); ok {
			own = append(own, "model.config="+string(path), "data.tokenizer="+string(path))
		}
	}
	return append(own, set...), nil
}
