package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestPeer(t *testing.T) {
	var o outcome
	err := o.peer("some log\n{\"auc\": 0.75, \"logloss\": 0.5, \"ids\": 9, \"train\": 3.5}\n", "train", "auc", "logloss")
	if want := (outcome{Training: 3.5, Scores: map[string]float64{"auc": .75, "logloss": .5}}); err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, %v", o, err)
	}
	for text, want := range map[string]string{
		"":                                 `"" instead of a line of JSON`,
		"{\"auc\": 1}\ntraining failed":    `"training failed" instead of`,
		`{"train": 1}`:                     "no number auc",
		`{"auc": "high", "train": 1}`:      "no number auc",
		`{"auc": 1, "seconds": 1}`:         "no number train",
		`{"auc": NaN, "train": 1}`:         "instead of a line of JSON",
		`{"auc": null, "train": 1}`:        "no number auc",
		"{\"auc\": 1, \"train\": 1}\n{\"a": "instead of a line of JSON",
	} {
		if err := o.peer(text, "train", "auc"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
}

func TestOurResult(t *testing.T) {
	var o outcome
	const text = `{"Train": {"Seconds": 2.5}, "Valid": {"auc": 0.8}, "Test": {"auc": 0.7, "logloss": 0.4}}`
	if err := o.read(strings.ToLower(text), "test"); err != nil || o.Training != 2.5 || !reflect.DeepEqual(o.Scores, map[string]float64{"auc": .7, "logloss": .4}) {
		t.Errorf("%+v, %v", o, err)
	}
	if err := o.read(text, "valid"); err != nil || o.Scores["auc"] != .8 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, c := range []string{"{", "{}", `{"valid": {"auc": 1}}`} {
		if err := o.read(c, "test"); err == nil {
			t.Errorf("%s is a result", c)
		}
	}
}

func TestJobTurns(t *testing.T) {
	b := &bench{bin: t.TempDir(), pairs: 2}
	var order []string
	p := func(name string) program {
		return program{name, func(_ context.Context, dir string) (outcome, error) {
			if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 0 || dir == b.bin {
				t.Errorf("%s is no folder of its own", dir)
			}
			order = append(order, name)
			return outcome{Seconds: float64(len(order)), Scores: map[string]float64{"auc": .5}}, nil
		}}
	}
	var log bytes.Buffer
	got, err := b.run(t.Context(), whole{name: "x", programs: func(*bench) []program { return []program{p("ours"), p("theirs")} }}, &log)
	if err != nil {
		t.Fatal(err)
	}
	if want := "ours theirs ours theirs"; strings.Join(order, " ") != want {
		t.Errorf("order %v, want %s", order, want)
	}
	if o := got.Programs[1].Outcomes; len(o) != 2 || o[0].Seconds != 2 || o[1].Seconds != 4 {
		t.Errorf("outcomes %+v", o)
	}
	if want := "x, turn 2: theirs: 4.0 s, 0.0 s of training, auc 0.5000\n"; !strings.Contains(log.String(), want) {
		t.Errorf("log %s without %s", log.String(), want)
	}
	fails := whole{programs: func(*bench) []program {
		return []program{{"theirs", func(context.Context, string) (outcome, error) { return outcome{}, errors.New("no rows") }}}
	}}
	if _, err := b.run(t.Context(), fails, &log); err == nil || err.Error() != "theirs: no rows" {
		t.Errorf("error %v", err)
	}
}

func TestCommand(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh")
	}
	b := &bench{threads: 3}
	dir := t.TempDir()
	o, text, err := b.command(exec.Command("sh", "-c", "pwd; echo $THREADS"), dir)
	if err != nil || !strings.HasSuffix(strings.TrimSpace(text), "3") || !strings.Contains(text, filepath.Base(dir)) || o.Seconds <= 0 {
		t.Errorf("%q, %+v, %v", text, o, err)
	}
	if _, _, err := b.command(exec.Command("sh", "-c", "echo why >&2; exit 3"), dir); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("error %v", err)
	}
	if _, _, err := b.command(exec.Command(filepath.Join(dir, "none")), dir); err == nil {
		t.Error("no program, and no error")
	}
}
