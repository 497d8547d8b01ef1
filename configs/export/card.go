package export

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// Card writes a model card, README.md, into the directory of a run. With again it reads and scores the test rows again, for intervals of
// metrics and for how many tokens of the rows are unknown.
func Card(ctx context.Context, r *job.Run, again bool) error {
	c := &card{Run: r}
	c.model, _ = models.Registry.NameOf(r.Model)
	c.dataset, _ = data.Datasets.NameOf(r.Data)
	c.task, _ = task.Registry.NameOf(r.Task)
	abs, err := filepath.Abs(r.Dir)
	if err != nil {
		return err
	}
	c.name = filepath.Base(abs)
	b, err := bound.ReadFile(filepath.Join(r.Dir, run.ResultFile), bound.JSON)
	if err == nil {
		err = json.Unmarshal(b, &c.result)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return run.BadInput(fmt.Errorf("%s: %w", filepath.Join(r.Dir, run.ResultFile), err))
	}
	if again {
		if c.measured, err = measure(ctx, r, c.result.Test); err != nil {
			return err
		}
	}
	text, err := c.text()
	if err != nil {
		return err
	}
	l, err := run.Acquire(r.Dir, "export")
	if err != nil && !errors.Is(err, run.ErrUnsupported) {
		return run.BadInput(err)
	}
	err = run.WriteCard(r.Dir, text)
	if l != nil {
		err = errors.Join(err, l.Release())
	}
	return err
}

// card is what a model card says of a run.
type card struct {
	*job.Run
	name, model, dataset, task string
	result                     job.Result
	measured                   *measured // nil without a second look at the test rows
}

// front is the front matter of a card, as Hugging Face's hub reads it: https://huggingface.co/docs/hub/model-cards
type front struct {
	Library  string     `yaml:"library_name"`
	Pipeline string     `yaml:"pipeline_tag,omitempty"`
	Tags     []string   `yaml:"tags"`
	Metrics  []string   `yaml:"metrics,omitempty"`
	Index    []frontRun `yaml:"model-index,omitempty"`
}

type frontRun struct {
	Name    string        `yaml:"name"`
	Results []frontResult `yaml:"results"`
}

type frontResult struct {
	Task    frontTask     `yaml:"task"`
	Dataset frontData     `yaml:"dataset"`
	Metrics []frontMetric `yaml:"metrics"`
}

type frontTask struct {
	Type string `yaml:"type"`
}

type frontData struct {
	Name  string `yaml:"name"`
	Type  string `yaml:"type"`
	Split string `yaml:"split"`
}

type frontMetric struct {
	Type  string  `yaml:"type"`
	Name  string  `yaml:"name"`
	Value float64 `yaml:"value"`
}

// pipeline is the hub's name of what the model does; empty if it has none.
func (c *card) pipeline() string {
	texts := c.Map.Text != nil
	switch c.Task.(type) {
	case task.MaskedLM:
		return "fill-mask"
	case task.Binary, task.Classification:
		if texts {
			return "text-classification"
		}
		return "tabular-classification"
	case task.Regression:
		if texts {
			return "text-classification"
		}
		return "tabular-regression"
	}
	return ""
}

// front returns the front matter.
func (c *card) front() ([]byte, error) {
	f := front{Library: run.CardLibrary, Pipeline: c.pipeline(), Tags: []string{"splice", c.model}}
	for _, part := range []struct {
		name   string
		values run.Metrics
	}{{"test", c.result.Test}, {"validation", c.result.Valid}} {
		r := frontResult{Task: frontTask{cmp.Or(c.pipeline(), "other")}, Dataset: frontData{c.dataset, c.dataset, part.name}}
		for _, name := range c.order(part.values) {
			if v := part.values[name]; !math.IsNaN(v) {
				r.Metrics = append(r.Metrics, frontMetric{name, name, v})
			}
			if !slices.Contains(f.Metrics, name) {
				f.Metrics = append(f.Metrics, name)
			}
		}
		if len(r.Metrics) > 0 {
			if f.Index == nil {
				f.Index = []frontRun{{Name: c.name}}
			}
			f.Index[0].Results = append(f.Index[0].Results, r)
		}
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(f), e.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// order returns the names of metrics, in the order of the task.
func (c *card) order(values run.Metrics) (names []string) {
	all, err := c.Metrics()
	if err == nil {
		for _, name := range all {
			if _, ok := values[name]; ok {
				names = append(names, name)
			}
		}
	}
	var others []string
	for name := range values {
		if !slices.Contains(names, name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return append(names, others...)
}

// text returns the card.
func (c *card) text() ([]byte, error) {
	head, err := c.front()
	if err != nil {
		return nil, err
	}
	config, err := c.YAML()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "---\n%s---\n\n# %s\n\n", head, c.name)
	fmt.Fprintf(&b, "A model of type `%s` for the task `%s`, made by Splice from data of type `%s`.\n\n", c.model, c.task, c.dataset)
	c.writeData(&b)
	c.writeMetrics(&b)
	c.writeLimits(&b)
	fmt.Fprintf(&b, "## Settings\n\nAll of them are in `%s`. Seed %d, digest `%s`.\n\n```yaml\n%s```\n\n", run.ConfigFile, c.Seed, c.result.Digest, sections(config, "model", "task", "train"))
	c.writeOrigin(&b)
	return []byte(b.String()), nil
}

// sections returns sections of a config, with their keys.
func sections(config []byte, names ...string) string {
	var b strings.Builder
	keep := false
	for line := range strings.Lines(string(config)) {
		if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "#") {
			key, _, _ := strings.Cut(line, ":")
			keep = slices.Contains(names, key)
		}
		if keep {
			b.WriteString(line)
		}
	}
	return b.String()
}

// writeOrigin says how the model was made, and how it is used.
func (c *card) writeOrigin(b *strings.Builder) {
	made := "go run ./cmd/train --config config.yaml --run runs/NAME"
	if _, err := os.Stat(filepath.Join(c.Dir, run.MergeFile)); err == nil {
		made = "go run ./cmd/cki --config config.yaml --run runs/NAME"
		fmt.Fprintf(b, "## Origin\n\nThe model is a merge: `%s` says of which parents.\n\n", run.MergeFile)
	} else {
		fmt.Fprintf(b, "## Origin\n\n")
	}
	fmt.Fprintf(b, "The config of this directory makes it again, on the same files:\n\n    %s\n\nThis scores rows:\n\n"+
		"    go run ./cmd/predict --run DIRECTORY --in rows --out scores.txt\n", made)
}
