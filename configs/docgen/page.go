package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/registry"
)

const intro = `<!-- Written by go generate ./configs from the comments in the source; do not edit. -->

# Config reference

One YAML file is one experiment. A section with a ` + "`type`" + ` picks what it configures, and its other keys are that type's options;
` + "`optimizer: adam`" + ` is short for ` + "`optimizer: {type: adam}`" + `. Every option has the default shown here, and
` + "`go run ./cmd/train --defaults deepfm`" + ` prints those of one type as YAML.

- **Strict.** Unknown and duplicate keys, wrong types and values out of range are errors; all of a file are reported at once,
  each with its line.
- **` + "`extends: other.yaml`" + `** (one level, relative to the file) lays the file over another one: sections are merged, lists and
  values replaced. A section whose ` + "`type`" + ` changes is replaced as a whole.
- **` + "`--set a.b=value`" + `** overrides one key; the value is YAML, ` + "`a.b.0`" + ` is a list's first item. A ` + "`type`" + ` is set first and, if it
  changes, drops the other keys of its section.
- **Numbers** may be written 1e6, 1_000_000 or 0x10. One text is accepted for a list of texts. Text that looks like a number
  needs quotes. Aliases (` + "`&a`, `*a`" + `) work, merge keys (` + "`<<`" + `) do not.
- **The digest** in a run's result.json names what decides its result: every resolved option except those marked †.

`

// renderPage returns docs/config.md.
func renderPage(docs map[string]configs.TypeDoc) (string, error) {
	p := &page{docs: docs}
	p.WriteString(intro)
	e := configs.Default()
	p.WriteString("## Sections\n\n")
	top, err := registry.Options(&e)
	if err != nil {
		return "", err
	}
	p.table(top)
	for _, k := range ordered(top) {
		fmt.Fprintf(p, "## %s\n\n", title(k.Name))
		if loc := configs.Location(k.Iface); loc != "" {
			fmt.Fprintf(p, "The section `%s`.\n\n", loc)
		}
		common, err := shared(k)
		if err != nil {
			return "", err
		}
		if len(common) > 0 {
			p.WriteString("Options of all types:\n\n")
			p.table(common)
		}
		for _, n := range k.Names {
			v := k.Default(n)
			fmt.Fprintf(p, "### `%s`\n\n", n)
			if d := docs[configs.TypeKey(configs.StructOf(v))].Doc; d != "" {
				fmt.Fprintf(p, "%s\n\n", strings.TrimSuffix(d, ":"))
			}
			opts, err := registry.Options(v)
			if err != nil {
				return "", err
			}
			p.table(slices.DeleteFunc(opts, func(o registry.Option) bool { return slices.Contains(common, o) }))
		}
	}
	return strings.TrimRight(p.String(), "\n") + "\n", nil
}

// ordered returns the kinds in the order in which the sections of an experiment use them, then the others.
func ordered(opts []registry.Option) []registry.Kind {
	kinds := registry.Kinds()
	rank := func(k registry.Kind) int {
		i := slices.IndexFunc(opts, func(o registry.Option) bool { return o.Kind == k.Name })
		if i < 0 {
			return len(opts)
		}
		return i
	}
	slices.SortStableFunc(kinds, func(a, b registry.Kind) int { return rank(a) - rank(b) })
	return slices.DeleteFunc(kinds, func(k registry.Kind) bool { return len(k.Names) == 0 })
}

type page struct {
	strings.Builder
	docs map[string]configs.TypeDoc
}

// shared returns the options that all types of a kind have, with the same default, if there are several types.
func shared(k registry.Kind) ([]registry.Option, error) {
	if len(k.Names) < 2 {
		return nil, nil
	}
	var common []registry.Option
	for i, n := range k.Names {
		opts, err := registry.Options(k.Default(n))
		if err != nil {
			return nil, err
		}
		if i == 0 {
			common = opts
			continue
		}
		common = slices.DeleteFunc(common, func(o registry.Option) bool { return !slices.Contains(opts, o) })
	}
	return common, nil
}

// table writes options.
func (p *page) table(opts []registry.Option) {
	if len(opts) == 0 {
		return
	}
	p.WriteString("| key | value | default | |\n|---|---|---|---|\n")
	for _, o := range opts {
		key := "`" + o.Path + "`"
		if o.NoDigest {
			key += " †"
		}
		value := o.Type
		if o.Kind != "" {
			value = strings.Replace(value, o.Kind, fmt.Sprintf("[%s](#%s)", o.Kind, o.Kind), 1)
		}
		def := ""
		switch {
		case o.Required:
			def = "required"
		case o.Default != "":
			def = "`" + o.Default + "`"
		}
		fmt.Fprintf(p, "| %s | %s | %s | %s |\n", key, cell(value), cell(def), cell(p.docs[configs.TypeKey(o.Owner)].Fields[o.Field]))
	}
	p.WriteString("\n")
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
