// Command cki merges runs of one model into one run: go run ./cmd/cki --config configs/cki_criteo.yaml
package main

import (
	"context"
	"errors"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/cmd/internal/session"
)

func main() {
	var config session.Config
	var run string
	var o session.CKIOptions
	c := cli.New("cki", "merges runs of one model into one run of the same size", func(ctx context.Context, c *cli.Command) error {
		if config.File == "" {
			return cli.BadInput(errors.New("cki: --config is missing: give a file with a merge section, such as --config configs/cki_criteo.yaml"))
		}
		return session.CKI(ctx, c, config, run, o)
	})
	c.Flags.StringVar(&config.File, "config", "", "YAML `file` with a merge section")
	config.Flags(c)
	c.Flags.StringVar(&run, "run", "", "`directory` of the resulting run (default: the config's run, or runs/ and the config's name)")
	c.Flags.BoolVar(&o.Check, "check", false, "only check whether the parents fit together, and say everything that does not")
	c.Flags.BoolVar(&o.Overwrite, "overwrite", false, "replace a run that is in the directory, its parents included")
	c.Main()
}
