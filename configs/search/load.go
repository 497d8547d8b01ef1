package search

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/configs/registry"
)

// Spec is what a config of a search says: a config of an experiment some of whose keys have several values, and a section `search:`.
type Spec struct {
	Options
	Params []*Param
	First  *configs.Experiment // with the first, or lowest, value of each parameter

	root *yaml.Node // of the config, without its section `search:`
}

// key is the section of a config that says how settings are looked for.
const key = "search"

// Load reads a config of a search, and gets the files that it fetches.
func Load(ctx context.Context, c job.Config) (*Spec, error) {
	var s *Spec
	e, err := c.LoadBy(ctx, func(path string, overrides []string) (*configs.Experiment, error) {
		var read []*Spec
		e, err := configs.LoadEdited(path, overrides, func(root *yaml.Node, p *registry.Problems) *yaml.Node {
			spec, first := parse(root, p)
			read = append(read, spec)
			return first
		})
		if err == nil {
			s = read[0] // the second, if there is one, is of a fallback that is not needed
		}
		return e, err
	})
	if err != nil {
		return nil, err
	}
	s.First = e
	return s, nil
}

// parse takes the section `search:` off a config's tree and finds its parameters. It returns the tree with the first value of each.
func parse(root *yaml.Node, p *registry.Problems) (*Spec, *yaml.Node) {
	s := &Spec{Options: Defaults()}
	if root.Kind != yaml.MappingNode {
		return s, root // the decoder says so
	}
	if section := take(root, key); section != nil {
		for i := 0; section.Kind == yaml.MappingNode && i+1 < len(section.Content); i += 2 {
			if section.Content[i].Value == "asha" {
				a := ASHADefaults()
				s.ASHA = &a
			}
		}
		registry.DecodeStruct(section, &s.Options, p, key)
	}
	f := &finder{p: p, bad: map[*yaml.Node]bool{}}
	f.find(root, nil, nil, "")
	s.Params, s.root = f.params, root
	first := make([]float64, len(s.Params))
	for i, q := range s.Params {
		first[i] = q.low()
	}
	switch {
	case len(s.Params) == 0 && p.Len() == 0:
		p.Add(root, "", "no key has several values; give some as {%s: [...]}", strings.Join(configs.Variations(), ": [...]}, {"))
	case p.Len() == 0:
		s.check(first, p)
	}
	return s, without(s.with(first), f.bad)
}

// check decodes the config with each value of a list, and with both ends of each interval, and finds out which keys take whole numbers.
func (s *Spec) check(first []float64, p *registry.Problems) {
	decode := func(p *registry.Problems, i int, v float64) {
		e := configs.Default()
		values := append([]float64{}, first...)
		values[i] = v
		registry.DecodeStruct(s.with(values), &e, p, "")
	}
	combinations := 1
	for i, q := range s.Params {
		if q.listed() {
			combinations = min(combinations*len(q.Values), most+1)
			for k := 1; k < len(q.Values); k++ {
				decode(p, i, float64(k))
			}
			continue
		}
		if s.Method == Grid {
			p.Add(q.node, q.Path, "%s has no end of values, which a grid cannot have; give a list, as {grid: [...]}", q.Kind)
			continue
		}
		if q.Low == math.Trunc(q.Low) && q.High == math.Trunc(q.High) {
			scratch := &registry.Problems{}
			decode(scratch, i, q.Low)
			if before := scratch.Len(); before == 0 {
				decode(scratch, i, q.Low+.5)
				q.Int = scratch.Len() > before
			}
		}
		decode(p, i, q.High)
	}
	if s.Method != Grid {
		return
	}
	if combinations > most {
		p.Add(s.root, "", "the grid has more than %d combinations; give fewer values, or take search.method: random", most)
		return
	}
	s.Trials = combinations
}

// take removes a key of a mapping and returns its value, nil if there is none.
func take(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			v := n.Content[i+1]
			n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
			return v
		}
	}
	return nil
}

// with returns the tree with values of the parameters. It shares the nodes that do not change, so that problems keep their places.
func (s *Spec) with(values []float64) *yaml.Node {
	root := s.root
	for i, q := range s.Params {
		root = replaced(root, q.place, q.Node(values[i]))
	}
	return root
}

func replaced(n *yaml.Node, place []int, v *yaml.Node) *yaml.Node {
	if len(place) == 0 {
		return v
	}
	out := *n
	out.Content = append([]*yaml.Node{}, n.Content...)
	out.Content[place[0]] = replaced(n.Content[place[0]], place[1:], v)
	return &out
}

// Experiment returns the experiment of a trial.
func (s *Spec) Experiment(values []float64) (*configs.Experiment, error) {
	e := configs.Default()
	p := &registry.Problems{}
	registry.DecodeStruct(s.with(values), &e, p, "")
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Settings(values), err)
	}
	return &e, nil
}

// Settings returns the values of a trial with their keys: "train.learning_rate=0.01 model.net_dropout=0.2".
func (s *Spec) Settings(values []float64) string {
	var parts []string
	for i, q := range s.Params {
		parts = append(parts, q.Path+"="+q.Text(values[i]))
	}
	return strings.Join(parts, " ")
}

// Digest returns a text that identifies what decides the trials, but for their number: a hash of 16 hexadecimal digits.
func (s *Spec) Digest() (string, error) {
	d, err := s.First.Digest()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	o := s.Options
	fmt.Fprintln(h, d, o.Method, o.Seed, o.Seeds, o.Wave, o.Startup, o.Candidates) // a hash has no errors
	if o.ASHA != nil {
		fmt.Fprintln(h, "asha", o.ASHA.Min, o.ASHA.Factor)
	}
	for _, q := range s.Params {
		fmt.Fprintln(h, q.Path, q.Kind, q.Low, q.High, q.Int)
		for i := range q.Values {
			fmt.Fprintln(h, q.Text(float64(i)))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}
