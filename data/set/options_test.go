package set_test

import (
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	"github.com/splice-ml/splice/data/set"
)

// csvOf is a section with such a column.
func csvOf(column string) string {
	return "{type: csv, path: a, label: y, columns: {a: " + column + "}}"
}

func TestBadOptions(t *testing.T) {
	for _, c := range []struct{ name, section, want string }{
		{"no path", "{type: criteo}", "data.path: is missing; want a file, a list of files or a glob"},
		{"blank path", "{type: criteo, path: [a, '']}", "data.path.1: is blank; want a file or a glob"},
		{"unknown key", "{type: criteo, path: a, labels: y}", `data.labels: unknown key`},
		{"unknown type", "{type: critio, path: a}", `data.type: unknown data "critio"; did you mean "criteo"?`},
		{"bad rows", "{type: criteo, path: a, bad_rows: ignore}", `data.bad_rows: must be error or skip, have "ignore"`},
		{"bad limit", "{type: criteo, path: a, max_bad_rows: -1}", "data.max_bad_rows: must not be negative, have -1"},
		{"line", "{type: criteo, path: a, max_line: 10}", "data.max_line: must be in [1024, 268435456] bytes, have 10"},
		{"buffer", "{type: criteo, path: a, shuffle_buffer: 0}", "data.shuffle_buffer: must be in [1, 2147483647] rows, have 0"},
		{"ratio sum", "{type: criteo, path: a, split: {ratio: [0.8, 0.1]}}", "data.split.ratio: must sum to 1, have 0.9"},
		{
			"one ratio", "{type: criteo, path: a, split: {ratio: [1]}}",
			"data.split.ratio: want two or three numbers (train, validation, test), have 1",
		},
		{
			"negative ratio", "{type: criteo, path: a, split: {ratio: [1.5, -0.5]}}",
			"data.split.ratio.0: must be in [0, 1], of train above 0, have 1.5",
		},
		{
			"both sizes", "{type: criteo, path: a, split: {ratio: [0.5, 0.5], counts: [1, 1]}}",
			"data.split.counts: ratio is given too; remove one of them",
		},
		{"counts", "{type: criteo, path: a, split: {counts: [0, 1]}}", "data.split.counts.0: must not be negative, of train above 0, have 0"},
		{"split by", "{type: criteo, path: a, split: {by: date}}", `data.split.by: must be random, order or time, have "date"`},
		{
			"criteo by time", "{type: criteo, path: a, split: {by: time}}",
			"data.split.by: the criteo layout has no time column; its rows are in order of time, use order",
		},
		{
			"libfm by time", "{type: libfm, path: a, split: {by: time}}",
			"data.split.by: the libfm layout has no time column; split by order or random",
		},
		{
			"csv by time", "{type: csv, path: a, label: y, split: {by: time}}",
			"data.split.by: there is no time column; set time, or split by order",
		},
		{"no label", "{type: csv, path: a}", "data.label: is missing; want the name of the column of the label"},
		{"label twice", "{type: csv, path: a, label: [y, y]}", `data.label.1: "y" is blank or there twice; give every label a column of its own`},
		{
			"label feature", "{type: csv, path: a, label: [x, y], columns: {y: numeric}}",
			"data.columns.y: is the label, which cannot be a feature; remove it here",
		},
		{"weight label", "{type: csv, path: a, label: [x, y], weight: y}", "data.weight: y is a label"},
		{
			"weight feature", "{type: csv, path: a, label: y, weight: w, columns: {w: numeric}}",
			"data.columns.w: is the weight, which cannot be a feature; remove it here",
		},
		{
			"positive of several", "{type: csv, path: a, label: [x, y], positive: yes}",
			"data.positive: is of one label; several are 0 or 1, number_labels or class_labels",
		},
		{"no such number", "{type: csv, path: a, label: y, number_labels: z}", "data.number_labels.0: z is not among the columns of label"},
		{
			"number that is positive", "{type: csv, path: a, label: y, number_labels: y, positive: yes}",
			"data.positive: is of a label that is 0 or 1, and y is a number",
		},
		{"no such class", "{type: csv, path: a, label: y, class_labels: {z: [a, b]}}", "data.class_labels.z: z is not among the columns of label"},
		{"one class", "{type: csv, path: a, label: y, class_labels: {y: [a]}}", "data.class_labels.y: want the names of two classes or more, have 1"},
		{
			"class twice", "{type: csv, path: a, label: y, class_labels: {y: [a, b, a]}}",
			`data.class_labels.y.2: "a" is blank or there twice`,
		},
		{
			"class and number", "{type: csv, path: a, label: y, number_labels: y, class_labels: {y: [a, b]}}",
			"data.class_labels.y: y is among number_labels; remove it from one of them",
		},
		{
			"two validations", "{type: criteo, path: a, valid_path: b, split: {ratio: [0.5, 0.5]}}",
			"data.valid_path: the split makes a validation part too; remove one of them",
		},
		{
			"two tests", "{type: criteo, path: a, test_path: b, split: {counts: [5, 0, 5]}}",
			"data.test_path: the split makes a test part too; remove one of them",
		},
		{"min_count", "{type: criteo, path: a, categorical: {min_count: -1}}", "data.categorical.min_count: must be 1 or more, have -1"},
		{"hash", "{type: criteo, path: a, categorical: {hash: -1}}", "data.categorical.hash: must be in [0, 1073741824], have -1"},
		{
			"transform", "{type: criteo, path: a, numeric: {transform: log}}",
			`data.numeric.transform: unknown transform "log"; valid: raw, log1p, standardize, min_max, log_square_bucket, bucket, quantile_bucket`,
		},
		{"fill", "{type: criteo, path: a, numeric: {fill: .inf}}", "data.numeric.fill: "},
		{"no such column", "{type: criteo, path: a, columns: {I14: ignore}}", "data.columns.I14: no such column; there are I1, I2, I3"},
		{
			"numeric category", "{type: criteo, path: a, columns: {C1: numeric}}",
			"data.columns.C1: the categories C1..C26 are tokens; use categorical or ignore",
		},
		{
			"multi", "{type: criteo, path: a, columns: {C1: multi}}",
			"data.columns.C1: the criteo layout has no columns of several tokens; use categorical, numeric or ignore",
		},
		{
			"two patterns", "{type: criteo, path: a, columns: {C1*: ignore, C*: categorical}}",
			"data.columns.C1*: column C1 matches C* too; name the column itself",
		},
		{"pattern", "{type: criteo, path: a, columns: {'C[': ignore}}", "data.columns.C[: is no valid pattern; write [ and ] in pairs"},
		{"column type", "{type: criteo, path: a, columns: {C1: text}}", `data.columns.C1: unknown column "text"`},
		{"column option", "{type: criteo, path: a, columns: {C1: {type: categorical, max_len: 3}}}", "data.columns.C1.max_len: unknown key"},
		{
			"separator", "{type: csv, path: a, label: y, columns: {t: {type: multi, separator: ''}}}",
			"data.columns.t.separator: must not be empty",
		},
		{
			"max_len", "{type: csv, path: a, label: y, columns: {t: {type: multi, max_len: 0}}}",
			"data.columns.t.max_len: must be in [1, 65536], have 0",
		},
		{"csv label", "{type: csv, path: a}", "data.label: is missing; want the name of the column of the label"},
		{
			"label as feature", "{type: csv, path: a, label: y, columns: {y: numeric}}",
			"data.columns.y: is the label, which cannot be a feature; remove it here",
		},
		{"label as group", "{type: csv, path: a, label: y, group: y}", "data.label: y is the group or time column too"},
		{"delimiter", "{type: csv, path: a, label: y, delimiter: '::'}", `data.delimiter: want one ASCII character or tab, have "::"`},
		{
			"names", "{type: csv, path: a, label: y, names: [y, a, a], columns: {a: numeric}}",
			`data.names.2: "a" is blank or there twice; give every column a name of its own`,
		},
		{"names lack the label", "{type: csv, path: a, label: y, names: [a], columns: {a: numeric}}", "data.label: no column y; there are a"},
		{
			"names undeclared", "{type: csv, path: a, label: y, names: [y, a]}",
			"data.columns: nothing says what to do with a; give each a type (categorical, numeric, multi) or ignore",
		},
		{"no edges", csvOf("{type: numeric, transform: bucket}"), "data.columns.a.edges: are missing; want where a bucket begins"},
		{"edges", csvOf("{type: numeric, transform: bucket, edges: [1, 1]}"), "data.columns.a.edges: must be ascending, finite numbers, each once"},
		{"edges of none", csvOf("{type: numeric, edges: [1]}"), "data.columns.a.edges: are of transform: bucket; remove them, or set that"},
		{"buckets", csvOf("{type: numeric, transform: quantile_bucket}"), "data.columns.a.buckets: must be in [2, 65536]"},
		{"buckets of none", csvOf("{type: numeric, buckets: 3}"), "data.columns.a.buckets: is of transform: quantile_bucket"},
		{"derive", csvOf("{type: categorical, derive: month}"), `data.columns.a.derive: unknown "month"; valid: hour, weekday, weekend, prefix`},
		{"prefix", csvOf("{type: categorical, derive: prefix}"), "data.columns.a.length: must be in [1, 65536]"},
		{"length", csvOf("{type: categorical, length: 3}"), "data.columns.a.length: is of derive: prefix; remove it, or set that"},
		{"time format", csvOf("{type: categorical, derive: hour, time_format: ms}"), `data.columns.a.time_format: unknown "ms"; want seconds, milliseconds`},
		{"time of none", csvOf("{type: categorical, time_format: seconds}"), "data.columns.a.time_format: is of derive: hour, weekday, weekend"},
		{"vector", csvOf("{type: vector}"), "data.columns.a.dim: must be in [1, 65536]"},
		{"vector separator", csvOf("{type: vector, dim: 2, separator: '-'}"), `data.columns.a.separator: "-" is blank or part of a number`},
		{"vector width", csvOf("{type: vector, dim: 2, project: false, embedding_dim: 3}"), "data.columns.a.embedding_dim: is the width after project"},
		{"init_std", csvOf("{type: numeric, init_std: -1}"), "data.columns.a.init_std: must not be negative"},
		{"embedding_dim", csvOf("{type: categorical, embedding_dim: -1}"), "data.columns.a.embedding_dim: must be in [0, 65536]"},
		{"given of none", csvOf("{type: categorical, pretrained: {dim: 3}}"), "data.columns.a.pretrained.file: is missing; want a file of embeddings by token"},
		{"given of buckets", csvOf("{type: categorical, hash: 9, pretrained: {file: x.npy}}"), "data.columns.a.pretrained: is by token, and hash buckets have none"},
		{"given width", csvOf("{type: categorical, pretrained: {file: x.npy, project: true}}"), "data.columns.a.pretrained.dim: is missing"},
		{"vector criteo", "{type: criteo, path: a, columns: {I1: {type: vector, dim: 2}}}", "data.columns.I1: the criteo layout has no columns of vectors"},
		{"derived list", csvOf("{type: multi, derive: hour}"), "data.columns.a.derive: makes one token of a cell; want type: categorical"},
		{"of the label", csvOf("{type: categorical, from: y}"), "data.columns.a.from: y is the label or the weight, of which no feature can be made"},
		{"derive of all", "{type: csv, path: a, label: y, categorical: {derive: hour}}", "data.categorical.derive: is of one column; set it under columns"},
		{"derived criteo", "{type: criteo, path: a, columns: {C1: {type: categorical, derive: prefix, length: 2}}}", "data.columns.C1: the criteo layout has no derived columns"},
		{"libfm names", "{type: libfm, path: a, names: [a, a]}", `data.names.1: "a" is blank or there twice; give every field a name of its own`},
		{"libfm column", "{type: libfm, path: a, names: [a], columns: {b: numeric}}", "data.columns.b: no such column; there are a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := datatest.TrySection(c.section)
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); !strings.Contains(got, "x.yaml:1: "+c.want) {
				t.Errorf("error:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

// All mistakes are reported together.
func TestAllMistakes(t *testing.T) {
	_, err := datatest.TrySection("type: csv\nbad_rows: no\nmax_line: 1\nsplit:\n  by: x\n  ratio: [2, 3]\n")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"x.yaml:2: data.bad_rows", "x.yaml:3: data.max_line", "x.yaml:5: data.split.by", "data.split.ratio",
		"data.path", "data.label",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

// Options written in Go need not repeat the defaults.
func TestZeroOptions(t *testing.T) {
	o, _ := datatest.Options(t)
	row := datatest.CriteoRow("1", "1", "2") + "\n"
	s := datatest.Open(t, set.Criteo{Common: data.Common{Path: []string{datatest.WriteFile(t, "t.txt", row)}}}, o)
	if s.Train.Rows() != 1 || s.Valid != nil || s.Test != nil || s.Schema.NumDense != 13 {
		t.Errorf("%d rows, schema %v", s.Train.Rows(), s.Schema)
	}
	_, err := set.Criteo{Common: data.Common{
		Path: []string{"a"}, Split: data.Split{By: "x", Ratio: []float64{.5}},
		Columns: map[string]data.Column{"C1": data.CategoricalColumn{Hash: -1}},
	}}.Open(t.Context(), o)
	for _, want := range []string{"by: must be random, order or time", "ratio: ", "columns.C1.hash: must be"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
}
