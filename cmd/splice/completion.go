package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/splice-ml/splice/cmd/internal/app"
)

// shells are those for which there is a completion.
var shells = []string{"bash", "zsh", "fish"}

// complete prints the completion for a shell.
func complete(args []string, out, log io.Writer) int {
	if len(args) != 1 || !slices.Contains(shells, args[0]) {
		fmt.Fprintf(log, "splice: completion: give one shell: %s\n", strings.Join(shells, ", "))
		return app.ExitBadInput
	}
	var text strings.Builder
	map[string]func(*strings.Builder){"bash": bash, "zsh": zsh, "fish": fish}[args[0]](&text)
	if _, err := io.WriteString(out, text.String()); err != nil {
		fmt.Fprintln(log, "splice:", err)
		return app.ExitFailed
	}
	return app.ExitOK
}

// option is a flag of a command.
type option struct {
	name, about string
	value       string // what it wants; empty of a switch
}

// options returns the flags of a command.
func options(c *app.Command) (list []option) {
	c.Flags.VisitAll(func(f *flag.Flag) {
		value, about := flag.UnquoteUsage(f)
		list = append(list, option{f.Name, strings.ReplaceAll(about, "\n", " "), value})
	})
	return list
}

// bash completes the command, its flags, and files.
func bash(b *strings.Builder) {
	fmt.Fprintf(b, `_splice() {
    local word=${COMP_WORDS[COMP_CWORD]} words=
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=%q
    else
        case ${COMP_WORDS[1]} in
`, strings.Join(names(), " "))
	for _, c := range commands {
		var flags []string
		for _, o := range options(c.make()) {
			flags = append(flags, "--"+o.name)
		}
		fmt.Fprintf(b, "        %s) words=%q ;;\n", c.name, strings.Join(flags, " "))
	}
	fmt.Fprintf(b, "        completion) words=%q ;;\n        help) words=%q ;;\n", strings.Join(shells, " "), strings.Join(names(), " "))
	b.WriteString(`        esac
        case ${COMP_WORDS[1]} in
        completion|help) ;;
        *) case $word in -*) ;; *) words= ;; esac ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _splice splice
`)
}

// zsh completes the command and its flags with what they mean, and files.
func zsh(b *strings.Builder) {
	quote := strings.NewReplacer(`'`, `'\''`, `[`, `(`, `]`, `)`, `:`, ` -`, `\`, `\\`)
	b.WriteString("#compdef splice\n_splice() {\n    if (( CURRENT == 2 )); then\n        local -a list=(\n")
	for _, c := range commands {
		fmt.Fprintf(b, "            '%s:%s'\n", c.name, quote.Replace(c.make().Summary))
	}
	b.WriteString("            'completion:prints what completes commands in a shell'\n            'help:lists commands and flags'\n        )\n")
	b.WriteString("        _describe command list\n        return\n    fi\n    case $words[2] in\n")
	for _, c := range commands {
		fmt.Fprintf(b, "    %s)\n        _arguments -S '1:command:' \\\n", c.name)
		for _, o := range options(c.make()) {
			value := ""
			if o.value != "" {
				value = ":" + quote.Replace(o.value) + ":_files"
			}
			fmt.Fprintf(b, "            '*--%s[%s]%s' \\\n", o.name, quote.Replace(o.about), value)
		}
		b.WriteString("            '*:file:_files' ;;\n")
	}
	fmt.Fprintf(b, "    completion) _values shell %s ;;\n    help) _values command %s ;;\n    esac\n}\ncompdef _splice splice\n", strings.Join(shells, " "), strings.Join(names(), " "))
}

// fish completes the command and its flags with what they mean, and files.
func fish(b *strings.Builder) {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	for _, c := range commands {
		fmt.Fprintf(b, "complete -c splice -n __fish_use_subcommand -f -a %s -d '%s'\n", c.name, quote.Replace(c.make().Summary))
	}
	fmt.Fprintf(b, "complete -c splice -n __fish_use_subcommand -f -a completion -d 'prints what completes commands in a shell'\n")
	fmt.Fprintf(b, "complete -c splice -n __fish_use_subcommand -f -a help -d 'lists commands and flags'\n")
	for _, c := range commands {
		for _, o := range options(c.make()) {
			wants := ""
			if o.value != "" {
				wants = " -r"
			}
			fmt.Fprintf(b, "complete -c splice -n '__fish_seen_subcommand_from %s' -l %s%s -d '%s'\n", c.name, o.name, wants, quote.Replace(o.about))
		}
	}
	fmt.Fprintf(b, "complete -c splice -n '__fish_seen_subcommand_from completion' -f -a '%s'\n", strings.Join(shells, " "))
	fmt.Fprintf(b, "complete -c splice -n '__fish_seen_subcommand_from help' -f -a '%s'\n", strings.Join(names(), " "))
}
