// Command splice is all commands in one program: splice train --config configs/criteo_deepfm.yaml
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/cmd/internal/cki"
	"github.com/splice-ml/splice/cmd/internal/evaluate"
	"github.com/splice-ml/splice/cmd/internal/export"
	"github.com/splice-ml/splice/cmd/internal/figures"
	"github.com/splice-ml/splice/cmd/internal/finetune"
	"github.com/splice-ml/splice/cmd/internal/predict"
	"github.com/splice-ml/splice/cmd/internal/runs"
	"github.com/splice-ml/splice/cmd/internal/search"
	"github.com/splice-ml/splice/cmd/internal/serve"
	"github.com/splice-ml/splice/cmd/internal/table"
	"github.com/splice-ml/splice/cmd/internal/train"
	"github.com/splice-ml/splice/configs/registry"
)

// commands are the commands, each made when it is called.
var commands = []struct {
	name string
	make func() *app.Command
}{
	{"train", train.Command},
	{"finetune", finetune.Command},
	{"cki", cki.Command},
	{"evaluate", evaluate.Command},
	{"predict", predict.Command},
	{"serve", serve.Command},
	{"table", table.Command},
	{"search", search.Command},
	{"runs", runs.Command},
	{"export", export.Command},
	{"figures", figures.Command},
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run calls the command that the first argument names, and returns its exit code.
func run(args []string, out, log io.Writer) int {
	if len(args) == 0 {
		help(log)
		return app.ExitBadInput
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(args) == 0 {
			help(log)
			return app.ExitOK
		}
		name, args = args[0], []string{"--help"}
	case "completion":
		return complete(args, out, log)
	}
	if c := command(name); c != nil {
		c.Out, c.Err = out, log
		return c.Exec(args)
	}
	hint := "splice help lists the commands"
	if near, ok := registry.Nearest(name, names()); ok {
		hint = "did you mean " + near + "?"
	}
	fmt.Fprintf(log, "splice: there is no command %q: %s\n", name, hint)
	return app.ExitBadInput
}

// command returns the command of a name; nil if there is none.
func command(name string) *app.Command {
	for _, c := range commands {
		if c.name == name {
			made := c.make()
			made.Usage = "splice " + name
			return made
		}
	}
	return nil
}

// names returns what the first argument may be.
func names() []string {
	var list []string
	for _, c := range commands {
		list = append(list, c.name)
	}
	return append(list, "completion", "help")
}

func help(w io.Writer) {
	fmt.Fprint(w, "splice trains models, merges them, and serves them\n\nusage: splice COMMAND [flags]\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range commands {
		fmt.Fprintf(t, "  %s\t%s\n", c.name, c.make().Summary)
	}
	fmt.Fprintf(t, "  completion\tprints what completes commands and flags in a shell: %s\n", strings.Join(shells, ", "))
	_ = t.Flush()
	fmt.Fprint(w, "\nsplice help COMMAND lists the flags of a command, with examples\n")
}
