package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train/run"
)

// FinetuneOptions say what is trained on.
type FinetuneOptions struct {
	Config        // of the experiment; without a file, the run's that From is of
	From   string // what to start from; empty: the config's init.from
	Run    string // directory of the new run; empty: a default
}

// Finetune returns the session that trains on from a run or a Hugging Face directory. It fails if there is nothing to start from,
// but for a config whose fallback holds: that may train from scratch.
func Finetune(ctx context.Context, c *cli.Command, o FinetuneOptions) (*Session, error) {
	if o.File == "" && o.From == "" {
		return nil, cli.BadInput(errors.New("finetune: nothing to start from: give the directory of a run, such as --from runs/criteo_deepfm, or a config with init.from"))
	}
	if o.File != "" {
		return o.withConfig(ctx, c)
	}
	info, err := os.Stat(o.From)
	if err != nil {
		return nil, cli.BadInput(fmt.Errorf("finetune: --from %s: no such file or directory; give the directory of a run", o.From))
	}
	dir := filepath.Clean(o.From)
	if !info.IsDir() {
		dir = run.Of(dir)
	}
	if !exists(filepath.Join(dir, run.ConfigFile)) {
		return nil, cli.BadInput(fmt.Errorf("finetune: %s has no %s, so that data and model are not known: give them with --config", dir, run.ConfigFile))
	}
	e, err := configs.LoadFinetune(dir, o.Set)
	if err != nil {
		return nil, cli.BadInput(err)
	}
	e.Init.From = o.From
	run := o.Run
	if run == "" {
		if run = e.Run; run == "" {
			run = dir + "-finetuned"
		}
	}
	return New(c, e, run), nil
}

// withConfig returns the session of a config.
func (o FinetuneOptions) withConfig(ctx context.Context, c *cli.Command) (*Session, error) {
	if o.From != "" {
		own, err := from(o.File, o.From, o.Set)
		if err != nil {
			return nil, cli.BadInput(err)
		}
		o.Set = own
	}
	e, err := o.Load(ctx, c)
	if err != nil {
		return nil, err
	}
	switch {
	case e.Init.From != "":
	case e.Fallback == configs.FallbackAlways:
		c.Log().Warn("there is nothing to start from: the model is trained from scratch")
	default:
		return nil, cli.BadInput(fmt.Errorf("finetune: nothing to start from: give --from with the directory of a run, or init.from in %s", o.File))
	}
	return New(c, e, RunDir(o.Run, e.Run, o.File)), nil
}

// from returns overrides that start from a directory or file: of a Hugging Face directory, or of the run of a text model, and a
// config of a model that such a directory describes, sizes and tokenizer are its, too, unless the user's overrides say otherwise.
func from(file, dir string, set []string) ([]string, error) {
	path, err := json.Marshal(dir) // a YAML text
	if err != nil {
		return nil, err
	}
	own := []string{"init.from=" + string(path)}
	if exists(filepath.Join(dir, run.ModelConfigFile)) {
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

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
