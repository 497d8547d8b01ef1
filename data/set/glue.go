package set

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/text"
)

// Glue is a task of the GLUE benchmark (Wang et al. 2019, https://gluebenchmark.com) in its own files: tab separated, quotes are
// characters like others. Labels are numbered as in the benchmark. The files test.tsv have no labels, so that there is a test part
// only if test_path names one, if dev is test, or for MRPC, whose msr_paraphrase_test.txt has labels.
type Glue struct {
	Task      string `yaml:"task,required"` // sst2, cola, rte, mrpc, qnli, qqp, mnli, stsb or wnli
	Path      string `yaml:"path"`          // folder of the task's files: train.tsv and dev.tsv
	ValidPath string `yaml:"valid_path"`    // file of the validation part, in place of dev.tsv
	TestPath  string `yaml:"test_path"`     // file of the test part, with labels
	// what dev.tsv is: valid, or test, while split makes the validation part from the train file
	Dev              string     `yaml:"dev"`
	Split            data.Split `yaml:"split"` // how the rows of the train file become parts; all are train rows without it
	data.TextOptions `yaml:",inline"`
	Fallback         string `yaml:"fallback"` // if path does not exist: none, which is an error, or synthetic: generated reviews
}

func init() {
	data.Register("glue", Glue{
		Dev: data.ValidPart.String(), Split: data.Split{By: data.SplitRandom}, TextOptions: data.DefaultTextOptions(),
		Fallback: fallbackNone,
	})
}

// glueTask is how the files of a task are read.
type glueTask struct {
	text, pair, label string
	names             []string // of columns, where there is no header
	labels            []string // nil if labels are numbers
	train, dev, test  []string // files, the first that exists; test: with labels
}

var (
	glueTrain = []string{"train.tsv"}
	glueDev   = []string{"dev.tsv"}

	entails  = []string{"entailment", "not_entailment"}
	glueList = map[string]glueTask{
		"sst2": {text: "sentence", label: "label", labels: []string{"negative", "positive"}, train: []string{"train.tsv", "train_full.tsv"}},
		"cola": {
			text: "sentence", label: "label", labels: []string{"unacceptable", "acceptable"},
			names: []string{"source", "label", "star", "sentence"},
		},
		"rte": {text: "sentence1", pair: "sentence2", label: "label", labels: entails},
		"mrpc": {
			text: "#1 String", pair: "#2 String", label: "Quality", labels: []string{"not_equivalent", "equivalent"},
			train: []string{"train.tsv", "msr_paraphrase_train.txt"}, test: []string{"msr_paraphrase_test.txt"},
		},
		"qnli": {text: "question", pair: "sentence", label: "label", labels: entails},
		"qqp":  {text: "question1", pair: "question2", label: "is_duplicate", labels: []string{"not_duplicate", "duplicate"}},
		"mnli": {
			text: "sentence1", pair: "sentence2", label: "gold_label", labels: []string{"entailment", "neutral", "contradiction"},
			dev: []string{"dev_matched.tsv"},
		},
		"stsb": {text: "sentence1", pair: "sentence2", label: "score"},
		"wnli": {text: "sentence1", pair: "sentence2", label: "label", labels: []string{"not_entailment", "entailment"}},
	}
)

// glueTasks returns the tasks' names.
func glueTasks() string { return strings.Join(namelist.Sorted(glueList), ", ") }

// Validate returns what is wrong with the options.
func (d Glue) Validate() error {
	errs := []error{d.TextOptions.Validate(), checkTextSplit(d.Split), checkFallback(d.Fallback)}
	bad := func(key, format string, args ...any) { errs = append(errs, registry.Field(key, format, args...)) }
	task, ok := glueList[d.Task]
	if !ok {
		bad("task", "want one of %s, have %q", glueTasks(), d.Task)
	}
	if d.Path == "" {
		bad("path", "is missing; want the folder of the task's files")
	}
	devTest := d.Dev == data.TestPart.String()
	switch {
	case d.Dev != data.ValidPart.String() && !devTest:
		bad("dev", "want valid or test, have %q", d.Dev)
	case devTest && d.TestPath != "":
		bad("test_path", "dev is the test part too; remove one of them")
	case devTest && d.ValidPath != "" && d.Split.Has(data.ValidPart), !devTest && d.Split.Has(data.ValidPart):
		bad("split", "there is another validation part; set dev: test, and no valid_path")
	case d.Split.Has(data.TestPart) && (devTest || d.TestPath != ""):
		bad("split", "there is another test part; let the split make train and validation rows only")
	}
	if d.Fallback == fallbackSynthetic && ok && task.labels == nil {
		bad("fallback", "generated reviews have classes, %s has numbers; want none", d.Task)
	}
	return errors.Join(errs...)
}

// Open reads the files of the task.
func (d Glue) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
	d = d.filled()
	if err := errors.Join(d.Validate(), d.Split.Validate()); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if d.Fallback == fallbackSynthetic && !bound.Exists(d.Path) {
		return openFallback(ctx, d.spec(), o, d.Path)
	}
	c, err := d.files()
	if err != nil {
		return nil, err
	}
	return d.spec().Data(c).Open(ctx, o)
}

// Stream reads one file in order, such as test.tsv.
func (d Glue) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	d = d.filled()
	return d.spec().Data(d.Common()).Stream(ctx, path, m, o)
}

// Encoder encodes rows in memory.
func (d Glue) Encoder(m *data.FeatureMap) (data.RowEncoder, error) {
	d = d.filled()
	return d.spec().Data(d.Common()).Encoder(m)
}

func (d Glue) filled() Glue {
	d.TextOptions = d.WithDefaults()
	if d.Dev == "" {
		d.Dev = data.ValidPart.String()
	}
	if d.Split.By == "" {
		d.Split.By = data.SplitRandom
	}
	return d
}

func (d Glue) spec() *text.Spec {
	t := glueList[d.Task]
	return &text.Spec{
		Options: d.TextOptions, Format: text.TSV, Text: t.text, Pair: t.pair, Label: t.label, Names: t.names,
		Labels: t.labels, Regression: t.labels == nil,
	}
}

// files returns the files of the parts.
func (d Glue) files() (data.Common, error) {
	c, t := d.Common(), glueList[d.Task]
	c.Split = d.Split
	if d.Task == "mrpc" {
		if err := splitMRPC(d.Path); err != nil {
			return c, err
		}
	}
	train, err := d.find("train", slices.Concat(t.train, glueTrain))
	if err != nil {
		return c, err
	}
	c.Path = []string{train}
	if d.ValidPath != "" {
		c.ValidPath = []string{d.ValidPath}
	}
	if d.TestPath != "" {
		c.TestPath = []string{d.TestPath}
	}
	if d.ValidPath == "" || d.Dev == data.TestPart.String() {
		dev, err := d.find("dev", slices.Concat(t.dev, glueDev))
		switch {
		case err != nil:
			return c, err
		case d.Dev == data.TestPart.String():
			c.TestPath = []string{dev}
		default:
			c.ValidPath = []string{dev}
		}
	}
	if len(c.TestPath) == 0 && len(t.test) > 0 && !d.Split.Has(data.TestPart) {
		if test, err := d.find("test", t.test); err == nil {
			c.TestPath = []string{test}
		}
	}
	return c, nil
}

// find returns the first file of the folder that exists.
func (d Glue) find(part string, names []string) (string, error) {
	for _, name := range names {
		if path := filepath.Join(d.Path, name); bound.Exists(path) {
			return path, nil
		}
	}
	if _, err := os.Stat(d.Path); err != nil {
		return "", fmt.Errorf("data: %w; want the folder of %s's files (%s), or fallback: synthetic", err, d.Task, names[0])
	}
	return "", fmt.Errorf("data: %s: no %s file of %s; want %s", d.Path, part, d.Task, strings.Join(names, " or "))
}
