package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

func splice(args ...string) (code int, stdout, stderr string) {
	var out, log bytes.Buffer
	code = run(args, &out, &log)
	return code, out.String(), log.String()
}

func TestCommands(t *testing.T) {
	for _, c := range commands {
		for _, args := range [][]string{{c.name, "--help"}, {"help", c.name}} {
			code, _, text := splice(args...)
			if code != 0 || !strings.HasPrefix(text, c.name+": ") || !strings.Contains(text, "\nusage: splice "+c.name+" [flags]\n") || !strings.Contains(text, "\nexamples:\n  splice "+c.name+" ") {
				t.Errorf("%q: exit %d\n%s", args, code, text)
			}
		}
		if _, _, text := splice("help"); !strings.Contains(text, "\n  "+c.name+" ") {
			t.Errorf("help lacks %s:\n%s", c.name, text)
		}
	}
	if code, out, log := splice("train", "--defaults", "deepfm"); code != 0 || !strings.Contains(out, "embedding_dim: 16") {
		t.Errorf("train --defaults: exit %d\n%s%s", code, out, log)
	}
}

func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"trian"}, "splice: there is no command \"trian\": did you mean train?\n"},
		{[]string{"--run"}, "splice: there is no command \"--run\": splice help lists the commands\n"},
		{[]string{"help", "x"}, "splice: there is no command \"x\": splice help lists the commands\n"},
		{[]string{"completion"}, "splice: completion: give one shell: bash, zsh, fish\n"},
		{[]string{"completion", "csh"}, "splice: completion: give one shell: bash, zsh, fish\n"},
		{[]string{"evaluate"}, "evaluate: --run is missing: give the directory of a run, such as --run runs/criteo_deepfm\n"},
	} {
		if code, out, log := splice(tc.args...); code != 2 || out != "" || log != tc.want {
			t.Errorf("%q: exit %d, %q, %q, want %q", tc.args, code, out, log, tc.want)
		}
	}
	if code, _, log := splice(); code != 2 || !strings.Contains(log, "usage: splice COMMAND [flags]") {
		t.Errorf("without a command: exit %d, %q", code, log)
	}
}

// TestCompletion: bash completes commands and flags, and the other shells, where they are installed, take what is printed.
func TestCompletion(t *testing.T) {
	for _, shell := range shells {
		code, text, log := splice("completion", shell)
		if code != 0 || log != "" {
			t.Fatalf("%s: exit %d, %s", shell, code, log)
		}
		for _, want := range []string{"evaluate", "calibrate", "importance", "data-only", "serve"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %s", shell, want)
			}
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		check := exec.Command(path, "-n")
		check.Stdin = strings.NewReader(text)
		if b, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s does not read it: %v\n%s", shell, err, b)
		}
		if shell != "bash" {
			continue
		}
		for line, want := range map[string]string{
			"splice ev":                    "evaluate",
			"splice evaluate --cal":        "--calibrate --calibrated",
			"splice evaluate runs/":        "",
			"splice train --config x --re": "--resume",
			"splice completion z":          "zsh",
			"splice help fi":               "finetune figures",
		} {
			words := strings.Fields(line)
			script := text + "\nCOMP_WORDS=(" + line + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _splice; echo ${COMPREPLY[@]}\n"
			c := exec.Command(path, "-c", script)
			b, err := c.Output()
			if got := strings.TrimSpace(string(b)); err != nil || got != want {
				t.Errorf("%q is completed by %q, %v, want %q", strings.Join(words, " "), got, err, want)
			}
		}
	}
}
