// Package actions reads logs of users' actions from files: their layouts, what is wrong with a line, and what is known of items beside.
package actions

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// layout is how a file has the actions. Another one is an entry of layouts.
type layout struct {
	// delimited: cells between delimiters. names are the columns if the file has no header.
	delimiter                string
	names                    []string
	user, item, time, rating string
	typed                    bool // names in the header have their type behind a colon

	line func(text []byte, add func(user, item []byte)) (bad string) // or of a line: without times
	json bool                                                        // or a line is a JSON object
}

// Log is the layout whose columns are named by the options.
const Log = "log"

// layouts by their names. The sources of the names are in docs/data.md.
var layouts = map[string]layout{
	Log:              {},
	"movielens_100k": {delimiter: "\t", names: []string{"user", "item", "rating", "time"}, user: "user", item: "item", time: "time", rating: "rating"},
	"movielens_1m":   {delimiter: "::", names: []string{"user", "item", "rating", "time"}, user: "user", item: "item", time: "time", rating: "rating"},
	"movielens":      {delimiter: ",", user: "userId", item: "movieId", time: "timestamp", rating: "rating"},
	"amazon":         {delimiter: ",", names: []string{"user", "item", "rating", "time"}, user: "user", item: "item", time: "time", rating: "rating"},
	"amazon_reviews": {json: true, user: "reviewerID", item: "asin", time: "unixReviewTime", rating: "overall"},
	"recbole":        {delimiter: "\t", typed: true, user: "user_id", item: "item_id", time: "timestamp", rating: "rating"},
	"sequences":      {line: sequenceLine},
	"pairs":          {line: pairLine},
}

// Layouts returns the names of the layouts.
func Layouts() []string { return slices.Sorted(maps.Keys(layouts)) }

// layout returns the layout of the options.
func (o Options) layout() layout {
	l := layouts[o.Layout]
	if o.Layout == Log {
		l = layout{delimiter: o.Delimiter, names: o.Names, user: o.User, item: o.Item, time: o.Time, rating: o.Rating}
		if l.delimiter == "tab" {
			l.delimiter = "\t"
		}
	}
	return l
}

// Timed reports whether actions have times.
func (o Options) Timed() bool { return o.layout().time != "" }

// Rated reports whether actions have ratings.
func (o Options) Rated() bool { return o.layout().rating != "" }

// sequenceLine reads "user item item ...".
func sequenceLine(text []byte, add func(user, item []byte)) string {
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return "a user without items; want user item item ..."
	}
	for _, f := range fields[1:] {
		add(fields[0], f)
	}
	return ""
}

// pairLine reads "user item".
func pairLine(text []byte, add func(user, item []byte)) string {
	fields := bytes.Fields(text)
	if len(fields) != 2 {
		return fmt.Sprintf("%d words, want two: user item", len(fields))
	}
	add(fields[0], fields[1])
	return ""
}
