package app

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/splice-ml/splice/train/run"
)

// Bounds of a message. What is beyond them is counted.
const (
	mostLines = 100
	mostBytes = 4000 // of a line
)

// message returns the text of an error as it is printed: with flags that the command has, escaped, and cut where a file's content would fill the screen.
func (c *Command) message(err error) string {
	text := run.ForCommand(err, func(flag string) bool { return c.Flags.Lookup(flag) != nil })
	lines := strings.Split(text, "\n")
	if n := len(lines) - mostLines; n > 0 {
		lines = append(lines[:mostLines], fmt.Sprintf("and %d more lines", n))
	}
	for i, line := range lines {
		if len(line) > mostBytes {
			cut := mostBytes
			for !utf8.RuneStart(line[cut]) && cut > mostBytes-utf8.UTFMax {
				cut--
			}
			line = fmt.Sprintf("%s... (%d bytes)", line[:cut], len(line))
		}
		lines[i] = escape(line)
	}
	return strings.Join(lines, "\n")
}

// escape returns a text with everything escaped that a terminal would not show but do: control characters other than the end of a line
// and a tab, and characters that change the direction of the text or show nothing.
func escape(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, acts) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1 || acts(r) && r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case acts(r) && r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		case acts(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

func acts(r rune) bool {
	return r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// escaped is a writer that escapes what is written. A write holds whole characters.
type escaped struct{ io.Writer }

// Write writes b, escaped.
func (e escaped) Write(b []byte) (int, error) {
	if _, err := io.WriteString(e.Writer, escape(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// results returns where results go: to w as they are, but escaped to a terminal.
func results(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return escaped{w}
	}
	return w
}
