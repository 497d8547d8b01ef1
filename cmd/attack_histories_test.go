//go:build unix

package cmd_test

import "strings"

func attacksOnHistories() []attack {
	good, h := logHeader+actionsOf(12), logHeader
	files := []file{
		{name: "empty"},
		{name: "a line end", text: "\n"},
		{name: "a header alone", text: h},
		{name: "no header", text: actionsOf(12)},
		{name: "a column twice", text: "user,user,item,time,rating\nu,u,a,1,1\n", want: ":1"},
		{name: "tabs", text: strings.ReplaceAll(good, ",", "\t")},
		{name: "CR", text: strings.ReplaceAll(good, "\n", "\r")},
		{name: "CRLF", text: strings.ReplaceAll(good, "\n", "\r\n"), takes: true},
		{name: "a byte order mark", text: "\ufeff" + good, takes: true},
		{name: "no end of the last line", text: strings.TrimSuffix(good, "\n"), takes: true},
		{name: "UTF-16", text: "\xff\xfeu\x00s\x00e\x00r\x00"},
		{name: "a NUL", text: good + "u1,i\x00,5,3\n", want: ":62"},
		{name: "no UTF-8", text: good + "u1,\xff,5,3\n", want: ":62"},
		{name: "an escape sequence", text: good + "u1,\x1b[2Ji,5,3\n", want: ":62"},
		{name: "a text that is turned round", text: good + "u1,\u202ei,5,3\n", takes: true},
		{name: "a cell more", text: good + "u1,i1,5,3,9\n", want: ":62"},
		{name: "a cell less", text: good + "u1,i1,5\n", want: ":62"},
		{name: "a delimiter in quotes", text: good + "u1,\"a,b\",5,3\n", want: ":62"},
		{name: "quotes", text: good + "\"\"\"\"\",i1,5,3\n", want: ":62"},
		{name: "a blank user", text: good + " ,i1,5,3\n", want: ":62"},
		{name: "a blank item", text: good + "u1,,5,3\n", want: ":62"},
		{name: "a time that is a word", text: good + "u1,i1,soon,3\n", want: ":62"},
		{name: "a blank time", text: good + "u1,i1,,3\n", want: ":62"},
		{name: "a time that is NaN", text: good + "u1,i1,NaN,3\n", want: ":62"},
		{name: "an endless time", text: good + "u1,i1,1e999999999,3\n", want: ":62"},
		{name: "a date among numbers", text: good + "u1,i1,2020-01-01,3\n", want: ":62"},
		{name: "milliseconds among seconds", text: h + "u,a,1767225600,1\nu,b,1767225601000,1\nu,c,1767225602,1\n", want: "milliseconds"},
		{name: "a rating that is NaN", text: good + "u1,i1,5,nan\n", want: ":62"},
		{name: "a rating that is endless", text: good + "u1,i1,5,1e999\n", want: ":62"},
		{name: "a blank rating", text: good + "u1,i1,5,\n", want: ":62"},
		{name: "negative ratings", text: h + strings.ReplaceAll(actionsOf(12)[:200], ",1\n", ",-1\n") + "u1,i1,5,-3\n", fine: true},
		{name: "an item of 900 KB", text: good + "u1," + strings.Repeat("x", 900<<10) + ",5,3\n", takes: true},
		{name: "an item of 2 MB", text: good + "u1," + strings.Repeat("x", 2<<20) + ",5,3\n", want: ":62"},
		{name: "a line of 50 MB", text: "x", times: 50 << 20},
		{name: "half a million commas", text: strings.Repeat(",", 500000) + "\n"},
		{name: "gzip by another name", text: gzipped(good)},
		{name: "zstd by another name", text: zstandard(good)},
		{name: "HTML", text: "<!DOCTYPE html>\n<html></html>\n"},
		{name: "random bytes", text: h + noise(1<<16)},
	}
	run := []string{"train", "--config", "log.yaml", "--run", "n"}
	all := attacksWith("log", "rows", "log.csv", run, append(files[:len(files):len(files)],
		file{name: "one action each", text: h + "u,a,1,1\nv,b,1,1\nw,c,1,1\n"},
		file{name: "one user", text: h + actionsOf(1), takes: true},
		file{name: "one time", text: h + strings.Repeat("u,a,7,1\nu,b,7,1\nv,c,7,1\nv,a,7,1\n", 5), takes: true},
		file{name: "one item", text: h + strings.Repeat("u,a,7,1\nv,a,7,1\n", 5), takes: true},
		file{name: "a history of 50,000", text: h + strings.Repeat("u,a,7,1\nu,b,7,1\n", 25000), takes: true}))
	candidates := append([]string{"train", "--config", "candidates.yaml", "--run", "n"}, "--set", "data.path=log.csv")
	all = append(all, attacksWith("candidates", "rows", "log.csv", candidates, []file{
		{name: "one user", text: h + actionsOf(1), want: "leaves no 3 negatives"},
		{name: "a user who had everything", text: good + "u1,i0,1,1\nu1,i1,2,1\nu1,i2,3,1\nu1,i3,3,1\nu1,i4,3,1\nu1,i5,3,1\nu1,i6,3,1\nu1,i7,3,1\nu1,i8,3,1\n", want: `"u1"`},
		{name: "one action each", text: h + "u,a,1,1\nv,b,1,1\nw,c,1,1\nx,d,1,1\ny,e,1,1\n", want: "min_history"},
		{name: "a core of nothing", text: h + "u,a,1,1\nu,b,1,1\n", want: "leaves no"},
	})...)
	for _, k := range []struct {
		kind, layout string
		files        []file
	}{
		{"sequences", "sequences", []file{
			{name: "empty"},
			{name: "a user alone", text: "u a b c\nv\n", want: ":2"},
			{name: "a NUL", text: "u a b c\nv \x00 a b\n", want: ":2"},
			{name: "an escape sequence", text: "u a b c\nv \x1b[2J a b\n", want: ":2"},
			{name: "HTML", text: "<!DOCTYPE html>\n<html>\n", want: ":2"},
			{name: "a sequence of 200,000", text: "u" + strings.Repeat(" a b", 100000) + "\n", takes: true},
		}},
		{"pairs", "pairs", []file{
			{name: "three words", text: "u a\nu a b\n", want: ":2"},
			{name: "one word", text: "u a\nu\n", want: ":2"},
		}},
		{"reviews", "amazon_reviews", []file{
			{name: "a list", text: "[1, 2]\n", want: ":1"},
			{name: "open lists", text: strings.Repeat("[", 100000) + "\n", want: ":1"},
			{name: "null", text: "null\n", want: ":1"},
			{name: "two objects a line", text: "{\"reviewerID\": \"u\", \"asin\": \"a\", \"unixReviewTime\": 1}{}\n", want: ":1"},
			{name: "a line end in an id", text: "{\"reviewerID\": \"u\\n\", \"asin\": \"a\", \"unixReviewTime\": 1}\n", want: ":1"},
			{name: "an item that is an object", text: "{\"reviewerID\": \"u\", \"asin\": {\"a\": 1}, \"unixReviewTime\": 1}\n", want: ":1"},
			{name: "a time of 400 digits", text: "{\"reviewerID\": \"u\", \"asin\": \"a\", \"unixReviewTime\": " + strings.Repeat("9", 400) + "}\n", want: ":1"},
		}},
	} {
		all = append(all, attacksWith(k.kind, "rows", "bad.txt", []string{
			"train", "--config", "log.yaml", "--run", "n",
			"--set", "data={type: interactions, path: bad.txt, rows: sequences, max_len: 4, layout: " + k.layout + "}",
		}, k.files)...)
	}
	predict := []string{"predict", "--run", "h", "--in", "in.csv", "--out", "out.txt", "--top-k", "3"}
	all = append(all, attacksWith("top items", "rows", "in.csv", predict, files)...)
	all = append(all, attacksWith("log to evaluate", "rows", "in.csv", []string{"evaluate", "--run", "h", "--data", "in.csv"}, files)...)
	rows := "user,item,history,label\n"
	all = append(all, attacksWith("predict candidates", "rows", "in.csv", []string{"predict", "--run", "d", "--in", "in.csv", "--out", "out.txt"}, []file{
		{name: "no history", text: rows + "u,i1,,1\n", takes: true},
		{name: "unknown items", text: rows + "u,zz,yy|xx,1\n", takes: true},
		{name: "blank items", text: rows + "u,,||i1||,1\n", takes: true},
		{name: "a history of 100,000", text: rows + "u,i1," + strings.Repeat("i2|", 100000) + "i3,1\n", takes: true},
		{name: "a log", text: good, want: "history"},
		{name: "a cell less", text: rows + "u,i1,i2\n", want: ":2"},
	})...)
	known := "item,kind\ni0,a\ni1,b|a\ni2,\n"
	all = append(all, attacksWith("items", "rows", "items.csv", []string{
		"train", "--config", "candidates.yaml", "--run", "n",
		"--set", "data.items={path: items.csv, columns: {kind: {separator: '|'}}}", "--set", "model.side=[kind]",
	}, []file{
		{name: "good", text: known, takes: true},
		{name: "empty"},
		{name: "a header alone", text: "item,kind\n"},
		{name: "no header", text: "i0,a\ni1,b\n"},
		{name: "a column twice", text: "item,kind,kind\ni0,a,b\n", want: ":1"},
		{name: "a cell more", text: known + "i3,a,b\n", want: ":5"},
		{name: "a cell less", text: known + "i3\n", want: ":5"},
		{name: "an item twice", text: known + known[10:], takes: true},
		{name: "no item of the log", text: "item,kind\nA,a\nB,b\n"},
		{name: "a NUL", text: known + "i3,\x00\n", want: ":5"},
		{name: "no UTF-8", text: known + "i3,\xff\n", want: ":5"},
		{name: "an escape sequence", text: known + "i3,\x1b[2J\n", takes: true},
		{name: "100,000 values", text: known + "i3," + strings.Repeat("x|", 100000) + "y\n", takes: true},
		{name: "a value of 900 KB", text: known + "i3," + strings.Repeat("x", 900<<10) + "\n", takes: true},
		{name: "a line of 50 MB", text: "x", times: 50 << 20},
		{name: "gzip by another name", text: gzipped(known)},
		{name: "CR", text: strings.ReplaceAll(known, "\n", "\r")},
		{name: "CRLF", text: strings.ReplaceAll(known, "\n", "\r\n"), takes: true},
	})...)
	return append(all, attacksInPlaceOf("log", "rows", "log.csv", run)...)
}
