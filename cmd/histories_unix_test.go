//go:build unix

package cmd_test

import (
	"fmt"
	"strings"
	"testing"
)

// attackLog is a model of next items over log.csv.
const attackLog = `data: {type: interactions, path: log.csv, rows: sequences, max_len: 4, rating: rating, min_rating: 0}
model: {type: sasrec, output: catalogue, embedding_dim: 4}
task: next_item
train: {batch_size: 8, epochs: 1}
`

const logHeader = "user,item,time,rating\n"

// actionsOf returns n users' actions, which are the lines 2 to 1+5n of log.csv.
func actionsOf(n int) string {
	var b strings.Builder
	for u := range n {
		for i := range 5 {
			fmt.Fprintf(&b, "u%d,i%d,%d,%d\n", u, (u*i+u+i)%9, 1000+10*i+u, 1+(u+i)%5)
		}
	}
	return b.String()
}

// writeHistories writes a log, candidates in its layout, and a run of each.
func writeHistories(t *testing.T, dir string) {
	t.Helper()
	write(t, dir, "log.csv", logHeader+actionsOf(12))
	write(t, dir, "log.yaml", attackLog)
	write(t, dir, "candidates.yaml", `data: {type: interactions, path: log.csv, max_len: 4, negatives: 1, eval_negatives: 3}
model: {type: din, embedding_dim: 4}
train: {batch_size: 8, epochs: 1}
`)
	train2(t, dir, "train", "--config", "log.yaml", "--run", "h")
	train2(t, dir, "train", "--config", "candidates.yaml", "--run", "d")
}

// TestOddHistories holds what commands make of histories that are odd, and of no histories.
func TestOddHistories(t *testing.T) {
	dir := t.TempDir()
	writeHistories(t, dir)
	had := func(user string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%s,i%d,%d,1\n", user, i%9, 1000+i)
		}
		return b.String()
	}
	for _, c := range []struct {
		name, text string
		top        []int // how many items each line has
		rows       int   // that are measured
	}{
		{"a new user of items that nobody had", logHeader + "zz,new1,1,3\nzz,new2,2,3\n", []int{3}, 1},
		{"one action", logHeader + "zz,i1,1,3\n", []int{3}, 1},
		{"a history longer than max_len", logHeader + had("zz", 6), []int{3}, 1},
		{"a user who had all but one", logHeader + had("zz", 8), []int{1}, 1},
		{"a user who had everything", logHeader + had("zz", 300), []int{0}, 1},
		{"the same action again", logHeader + strings.Repeat("zz,i1,1,3\n", 5), []int{3}, 1},
		{"a low rating", logHeader + "zz,i1,1,3\ny,i2,1,-3\n", []int{3}, 1}, // min_rating holds for rows to predict too
		{"two users", logHeader + "zz,i1,1,3\ny,i2,1,3\nzz,i3,2,3\n", []int{3, 3}, 2},
	} {
		write(t, dir, "in.csv", c.text)
		o := execute(t, dir, "predict", "--run", "h", "--in", "in.csv", "--out", "out.txt", "--top-k", "3", "--quiet")
		if o.code != 0 {
			t.Errorf("%s: predict: exit %d, %s", c.name, o.code, o.stderr)
			continue
		}
		lines := strings.Split(strings.TrimSuffix(string(read(t, dir, "out.txt")), "\n"), "\n")
		if len(lines) != len(c.top) {
			t.Errorf("%s: %d lines, want %d: %q", c.name, len(lines), len(c.top), lines)
			continue
		}
		for i, line := range lines {
			items := strings.FieldsFunc(line, func(r rune) bool { return r == '\t' })
			if len(items) != c.top[i] {
				t.Errorf("%s: line %d has the items %q, want %d", c.name, i, items, c.top[i])
			}
			for _, item := range items {
				if !strings.HasPrefix(item, "i") || strings.Contains(c.text, fmt.Sprintf("zz,%s,", item)) && i == 0 {
					t.Errorf("%s: line %d recommends %q", c.name, i, item)
				}
			}
		}
		o = execute(t, dir, "evaluate", "--run", "h", "--data", "in.csv", "--quiet")
		if want := fmt.Sprintf("in.csv (%d rows", c.rows); o.code != 0 || !strings.Contains(o.stdout, want) {
			t.Errorf("%s: evaluate: exit %d, %s%s, want %q", c.name, o.code, o.stdout, o.stderr, want)
		}
	}
	rows := "user,item,history,label\n"
	scores := map[string]string{}
	for name, row := range map[string]string{
		"plain": "u,i1,i2|i3,1", "no history": "u,i1,,1", "unknown history": "u,i1,yy|xx,1", "unknown item": "u,zz,i2|i3,1",
		"the last four": "u,i1,i5|i6|i2|i3|i4|i5,1", "those four": "u,i1,i2|i3|i4|i5,1",
	} {
		write(t, dir, "in.csv", rows+row+"\n")
		o := execute(t, dir, "predict", "--run", "d", "--in", "in.csv", "--out", "out.txt", "--quiet")
		if scores[name] = string(read(t, dir, "out.txt")); o.code != 0 || strings.Count(scores[name], "\n") != 1 {
			t.Errorf("%s: exit %d, %s%q", name, o.code, o.stderr, scores[name])
		}
	}
	if scores["the last four"] != scores["those four"] || scores["plain"] == scores["no history"] || scores["plain"] == scores["unknown item"] {
		t.Errorf("scores %q", scores)
	}
}
