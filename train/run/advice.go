package run

import "strings"

// Remedy is something that a user can do about an error. What that is called depends on who asked: a command with the flag, a command
// without it, or a program that uses the packages.
type Remedy struct {
	Plain   string // in words that name no flag
	Flag    string // that a command may have, such as resume; "" if there is none for it
	With    string // by that flag
	Without string // in a command that lacks the flag; "" if the command can do nothing of the kind
}

// Remedies that several errors share.
var (
	GoOn      = Remedy{"go on with it", "resume", "go on with --resume", "give the same command again to go on"}
	Continue  = Remedy{"go on with it", "resume", "go on with --resume", ""}
	Replace   = Remedy{"replace it", "overwrite", "replace it with --overwrite", "move it away"}
	Anew      = Remedy{"start anew", "overwrite", "start anew with --overwrite", "move it away to start anew"}
	Elsewhere = Remedy{"choose another directory", "run", "choose another --run", "choose another directory"}
)

// Do returns a remedy that is called the same everywhere.
func Do(what string) Remedy { return Remedy{Plain: what} }

// AdviceError is an error with what can be done about it. Its text names no flags. A command prints [AdviceError.For] instead.
type AdviceError struct {
	Err      error
	Remedies []Remedy
}

// Advise adds remedies to an error.
func Advise(err error, remedies ...Remedy) error { return &AdviceError{err, remedies} }

// Error says what is wrong and what to do.
func (e *AdviceError) Error() string { return e.text(func(r Remedy) string { return r.Plain }) }

// Unwrap returns the error without its remedies.
func (e *AdviceError) Unwrap() error { return e.Err }

// For returns the text for a command, which names no flag but those that the command has.
func (e *AdviceError) For(has func(flag string) bool) string {
	return e.text(func(r Remedy) string {
		switch {
		case r.Flag == "":
			return r.Plain
		case has(r.Flag):
			return r.With
		}
		return r.Without
	})
}

func (e *AdviceError) text(word func(Remedy) string) string {
	var list []string
	for _, r := range e.Remedies {
		if s := word(r); s != "" {
			list = append(list, s)
		}
	}
	if n := len(list); n > 1 {
		list[n-1] = "or " + list[n-1]
	}
	if len(list) == 0 {
		return e.Err.Error()
	}
	return e.Err.Error() + ": " + strings.Join(list, ", ")
}

// ForCommand returns the text of an error for a command, in which all remedies of the errors that it wraps name flags that the command
// has.
func ForCommand(err error, has func(flag string) bool) string {
	text := err.Error()
	visit(err, func(e *AdviceError) { text = strings.ReplaceAll(text, e.Error(), e.For(has)) })
	return text
}

func visit(err error, do func(*AdviceError)) {
	if e, ok := err.(*AdviceError); ok {
		do(e)
		return
	}
	switch e := err.(type) {
	case interface{ Advice() *AdviceError }:
		do(e.Advice())
	case interface{ Unwrap() error }:
		visit(e.Unwrap(), do)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			visit(one, do)
		}
	}
}
