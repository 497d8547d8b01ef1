package session

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/configs"
)

// FinetuneOptions say what is trained on.
type FinetuneOptions struct {
	Config string   // file of the experiment; empty: the run's that From is of
	From   string   // what to start from; empty: the config's init.from
	Run    string   // directory of the new run; empty: a default
	Set    []string // overrides
}

// Finetune returns the session that trains on from a run. It fails if there is nothing to start from.
func Finetune(c *cli.Command, o FinetuneOptions) (*Session, error) {
	if o.Config == "" && o.From == "" {
		return nil, cli.BadInput(errors.New("finetune: nothing to start from: give the directory of a run, such as --from runs/criteo_deepfm, or a config with init.from"))
	}
	if o.Config != "" {
		e, err := configs.Load(o.Config, o.Set)
		if err != nil {
			return nil, cli.BadInput(err)
		}
		if o.From != "" {
			e.Init.From = o.From
		}
		if e.Init.From == "" {
			return nil, cli.BadInput(fmt.Errorf("finetune: nothing to start from: give --from with the directory of a run, or init.from in %s", o.Config))
		}
		return New(c, e, RunDir(o.Run, e.Run, o.Config)), nil
	}
	info, err := os.Stat(o.From)
	if err != nil {
		return nil, cli.BadInput(fmt.Errorf("finetune: --from %s: no such file or directory; give the directory of a run", o.From))
	}
	dir := filepath.Clean(o.From)
	if !info.IsDir() {
		dir = runOf(dir)
	}
	if !exists(filepath.Join(dir, ConfigFile)) {
		return nil, cli.BadInput(fmt.Errorf("finetune: %s has no %s, so that data and model are not known: give them with --config", dir, ConfigFile))
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
