// Command table runs the merges of a table file over several seeds and prints what they come to: go run ./cmd/table scripts/table_users.yaml
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/cmd/internal/session"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/registry"
)

// file is a table file.
type file struct {
	Title     string    `yaml:"title"`             // what the table shows
	Seeds     int       `yaml:"seeds"`             // runs of each variant, with seeds 1, 2, ...
	Recipe    string    `yaml:"recipe"`            // the row that the others are compared with
	Runs      string    `yaml:"runs"`              // directory of the runs; a merge that is there with the same config is not made again
	Variants  []variant `yaml:"variants,required"` // what is run
	Out       string    `yaml:"out"`               // JSON file of the result; empty: none
	Overrides []string  `yaml:"set"`               // overrides of every variant
}

// variant is one merge, run with every seed.
type variant struct {
	Name   string   `yaml:"name,required"`   // in the table
	Config string   `yaml:"config,required"` // config of cmd/cki
	Set    []string `yaml:"set"`             // overrides, as of cmd/cki
	Recipe string   `yaml:"recipe"`          // the row that the others are compared with, if another than the file's
}

func main() {
	var set cli.List
	var out string
	var markdown bool
	c := cli.New("table", "runs merges over several seeds and prints what they come to", func(ctx context.Context, c *cli.Command) error {
		args := c.Flags.Args()
		if len(args) != 1 {
			return cli.BadInput(errors.New("table: give one table file, such as scripts/table_users.yaml, after the flags"))
		}
		f, err := load(args[0])
		if err != nil {
			return cli.BadInput(err)
		}
		if out != "" {
			f.Out = out
		}
		return table(ctx, c, f, command(args[0], set), set, markdown)
	})
	c.Args = 1
	c.Flags.Var(&set, "set", "override a key of every config, `a.b=value`; may be given several times")
	c.Flags.StringVar(&out, "out", "", "JSON `file` of the result (default: the table file's)")
	c.Flags.BoolVar(&markdown, "markdown", false, "print Markdown")
	c.Main()
}

// load reads a table file, strictly.
func load(path string) (*file, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	p := &registry.Problems{File: path}
	f := &file{Seeds: 5, Recipe: "merge", Runs: filepath.Join("runs", "tables")}
	var root *yaml.Node
	if root = registry.Parse(src, p); root == nil && p.Len() == 0 {
		p.Add(nil, "", "is empty")
	}
	if p.Len() == 0 {
		registry.DecodeStruct(root, f, p, "")
	}
	if p.Len() == 0 && f.Seeds < 1 {
		p.Add(nil, "seeds", "must be at least 1")
	}
	return f, p.Err()
}

// command is the command that makes the table again.
func command(path string, set []string) string {
	b := "go run ./cmd/table"
	for _, s := range set {
		if !strings.HasPrefix(s, "data.path=") && !strings.HasPrefix(s, "threads=") {
			b += " --set '" + s + "'"
		}
	}
	return b + " " + filepath.ToSlash(path)
}

// table runs what is missing, prints and writes the result.
func table(ctx context.Context, c *cli.Command, f *file, command string, set []string, markdown bool) error {
	r := result{Title: f.Title, Command: command, Seeds: f.Seeds}
	for _, v := range f.Variants {
		var tables []*session.Table
		for seed := 1; seed <= f.Seeds; seed++ {
			t, err := one(ctx, c, f, v, seed, set)
			if err != nil {
				return fmt.Errorf("table: %s, seed %d: %w", v.Name, seed, err)
			}
			tables = append(tables, t)
		}
		recipe := f.Recipe
		if v.Recipe != "" {
			recipe = v.Recipe
		}
		s, err := summarise(v.Name, recipe, tables)
		if err != nil {
			return err
		}
		s.Config, s.Set = v.Config, v.Set
		r.Variants = append(r.Variants, s)
		if err := s.print(c.Out, markdown); err != nil {
			return err
		}
	}
	if f.Out == "" {
		return nil
	}
	return r.write(f.Out)
}

// one makes one merge, or reads what it came to before.
func one(ctx context.Context, c *cli.Command, f *file, v variant, seed int, set []string) (*session.Table, error) {
	all := append(append(append([]string{}, f.Overrides...), v.Set...), set...)
	all = append(all, fmt.Sprintf("seed=%d", seed))
	e, err := configs.Load(v.Config, all)
	if err != nil {
		return nil, cli.BadInput(err)
	}
	dir := filepath.Join(f.Runs, strings.ReplaceAll(v.Name, " ", "_"), fmt.Sprint(seed))
	return session.New(c, e, dir).CKI(ctx, session.CKIOptions{})
}
