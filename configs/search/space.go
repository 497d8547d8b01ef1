package search

import (
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/registry"
)

// Kinds of parameters, as a config names them.
const (
	kindGrid    = "grid"
	kindChoice  = "choice"
	kindUniform = "uniform"
	kindLog     = "log"
)

// Param is a key of a config that has several values.
type Param struct {
	Path      string       // of the key, dotted
	Kind      string       // grid, choice, uniform or log
	Values    []*yaml.Node // of a grid or a choice
	Low, High float64      // of uniform and log, both included
	Int       bool         // of uniform and log: the key takes whole numbers

	place []int      // indices into the contents of the nodes that it lies in, from the root on
	node  *yaml.Node // where it stands in the config
}

// listed reports whether the parameter has a list of values, rather than an interval.
func (p *Param) listed() bool { return p.Kind == kindGrid || p.Kind == kindChoice }

// digits is how many digits a value that is drawn has.
const digits = 6

// round returns the value that the YAML text of v has: a whole number if the key takes those, else v in so many digits.
func (p *Param) round(v float64) float64 {
	if p.Int || p.listed() {
		return min(max(math.Round(v), p.low()), p.high())
	}
	short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		return v
	}
	return min(max(short, p.Low), p.High)
}

func (p *Param) low() float64 {
	if p.listed() {
		return 0
	}
	return p.Low
}

func (p *Param) high() float64 {
	if p.listed() {
		return float64(len(p.Values) - 1)
	}
	return p.High
}

// Node returns the YAML of a value: of a number, or of the value with that index.
func (p *Param) Node(v float64) *yaml.Node {
	if p.listed() {
		return p.Values[int(v)]
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: strconv.FormatFloat(v, 'g', -1, 64)}
	if p.Int {
		n.Tag, n.Value = "!!int", strconv.FormatInt(int64(v), 10)
	}
	if p.node != nil {
		n.Line, n.Column = p.node.Line, p.node.Column
	}
	return n
}

// Text returns a value as YAML on one line.
func (p *Param) Text(v float64) string {
	n := clone(p.Node(v))
	flow(n)
	b, err := registry.Marshal(n)
	if err != nil {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strings.TrimSpace(string(b))
}

func flow(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
	for _, c := range n.Content {
		flow(c)
	}
}

func clone(n *yaml.Node) *yaml.Node {
	out := *n
	out.Content = nil
	for _, c := range n.Content {
		out.Content = append(out.Content, clone(c))
	}
	return &out
}

// fixed are keys that a search may not vary, and why.
var fixed = map[string]string{
	"run":             "the study says where its trials are",
	"threads":         "threads change no result",
	"seed":            "search.seeds repeats trials with several seeds",
	"task":            "trials of different tasks cannot be compared",
	"data.split":      "trials must be measured on the same rows",
	"train.monitor":   "trials must be compared by the same metric",
	"train.log_steps": "it changes no result",
	"fetch":           "files are fetched before the first trial",
	"fallback":        "it is decided before the first trial",
	"merge":           "trials are trainings",
	"serve":           "it changes no training",
}

// finder collects the parameters of a config.
type finder struct {
	p      *registry.Problems
	params []*Param
	bad    map[*yaml.Node]bool // what has a problem and is no parameter
}

// refuse adds a problem of a node, about which nothing more is to be said.
func (f *finder) refuse(n *yaml.Node, path, format string, args ...any) {
	f.p.Add(n, path, format, args...)
	f.bad[n] = true
}

// find looks for parameters at a node and below it. inside is the kind of the parameter that the node is a value of, empty if it is of none.
func (f *finder) find(n *yaml.Node, path []string, place []int, inside string) {
	if configs.IsVaried(n) {
		if inside != "" {
			f.refuse(n, strings.Join(path, "."), "the values of a %s have no others in them; write out the combinations", inside)
			return
		}
		f.param(n, strings.Join(path, "."), place)
		return
	}
	for i, c := range n.Content {
		name := strconv.Itoa(i)
		if n.Kind == yaml.MappingNode {
			if i%2 == 0 {
				continue
			}
			name = n.Content[i-1].Value
		}
		f.find(c, append(path[:len(path):len(path)], name), append(place[:len(place):len(place)], i), inside)
	}
}

// param adds the parameter that a node gives.
func (f *finder) param(n *yaml.Node, path string, place []int) {
	q := &Param{Path: path, Kind: n.Content[0].Value, place: place, node: n}
	values := n.Content[1].Content
	for key, why := range fixed {
		if path == key || strings.HasPrefix(path, key+".") {
			f.refuse(n, path, "cannot be searched: %s", why)
			return
		}
	}
	if q.listed() {
		if len(values) == 0 {
			f.refuse(n, path, "%s has no values; want a list of them", q.Kind)
			return
		}
		for _, v := range values {
			f.find(v, []string{path}, nil, q.Kind)
		}
		q.Values = values
		f.params = append(f.params, q)
		return
	}
	if len(values) != 2 {
		f.refuse(n, path, "%s has %d values; want two, the lowest and the highest", q.Kind, len(values))
		return
	}
	var ok [2]bool
	q.Low, ok[0] = number(values[0])
	q.High, ok[1] = number(values[1])
	switch {
	case !ok[0] || !ok[1]:
		f.refuse(n, path, "the bounds of %s must be numbers", q.Kind)
	case q.Low >= q.High:
		f.refuse(n, path, "the lowest value, %s, must be below the highest, %s", values[0].Value, values[1].Value)
	case q.Kind == kindLog && q.Low <= 0:
		f.refuse(n, path, "the lowest value of log must be above 0, have %s", values[0].Value)
	default:
		f.params = append(f.params, q)
	}
}

func number(n *yaml.Node) (float64, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!float" {
		return 0, false
	}
	v, err := strconv.ParseFloat(n.Value, 64)
	return v, err == nil && v-v == 0
}

// without returns a tree without the nodes that are bad, nor their keys.
func without(n *yaml.Node, bad map[*yaml.Node]bool) *yaml.Node {
	if len(bad) == 0 {
		return n
	}
	out := *n
	out.Content = nil
	for i, c := range n.Content {
		if !bad[c] && (n.Kind != yaml.MappingNode || i%2 == 1 || !bad[n.Content[i+1]]) {
			out.Content = append(out.Content, without(c, bad))
		}
	}
	return &out
}
