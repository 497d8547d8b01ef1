// Package embed looks embeddings up outside of the graph. Before a run it gathers a batch's rows into leaves, and after it it
// merges the leaves' gradients by id into row gradients. Gorgonia has no sparse gradients: tables inside the graph were measured
// to be 7 to 20 times slower.
package embed

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
)

// chunks is the fixed number of pieces that a batch's rows are split into: results do not depend on the number of threads.
const chunks = 16

// Pool says how the embeddings of a multi-valued feature become one.
type Pool uint8

const (
	Sum  Pool = iota // sum over the values
	Mean             // mean over the values that are there
)

// Field is one feature of a lookup and the parameter that embeds it.
type Field struct {
	Feature *data.Feature
	Param   *nn.Param // [vocabulary, dim], or [1, dim] for a numeric feature: a vector that its value scales
	Pool    Pool
	Frozen  bool        // Param takes no gradient
	Derived *nn.Derived // how Param is computed, or nil if it is trained as it is
	index   *index
	lane    int // the index's lane that holds this feature's slots
}

// Lookup fills one leaf of the graph for each batch. The leaf is [B, F·dim], with the fields side by side, or with Reduce their
// sum, [B, dim].
type Lookup struct {
	Dim int
	// IDs, if not nil, are what the only field is looked up by in place of the batch's ids, one for each row of the leaf, [len(IDs), dim].
	// They are read at each run. PadID gives zeros.
	IDs         []int32
	Count       int  // of IDs
	Used        *int // if not nil, how many of IDs are looked up in this run; the rows of the leaf behind them stay as they are, and have no gradient
	Fields      []Field
	Reduce      bool
	Bias        *nn.Param   // [dim], added to each row of a Reduce lookup; may be nil
	BiasFrozen  bool        // Bias takes no gradient
	BiasDerived *nn.Derived // how Bias is computed, or nil if it is trained as it is
	Node        *G.Node
	leaf        []float32
	gather      func(chunk int)
	numDense    int
	leafGrad    []float32 // of the last run
	fail        [chunks]error
}

// Trains reports whether a parameter of the lookup takes a gradient.
func (l *Lookup) Trains() bool {
	if l.Bias != nil && !l.BiasFrozen {
		return true
	}
	for i := range l.Fields {
		if !l.Fields[i].Frozen {
			return true
		}
	}
	return false
}

// RowGrad is the gradient of the rows of a table that a batch touched.
type RowGrad struct {
	Param *nn.Param
	IDs   []int32   // distinct and ascending
	Grad  []float32 // [len(IDs), dim]
}

// Grad is the gradient of a whole parameter.
type Grad struct {
	Param *nn.Param
	Grad  []float32
}

// Plan holds the lookups of one program.
type Plan struct {
	Needs      *ops.Plan // adds up what the lookups need, in the place of their buffers; may be nil
	batch      int
	schema     *data.Schema
	lookups    []*Lookup
	numbers    []numbers
	indexes    []*index
	derived    []*derived
	early      []*index // of the derived tables
	byIDs      map[string]*index
	tables     []*tableGrad
	dense      []*denseGrad
	tasks      []func()    // backward work, one independent piece each
	current    *data.Batch // that is gathered or scattered
	rows       []RowGrad
	grads      []Grad
	prepared   bool
	runTask    func(int)
	buildIndex func(int)
}

// NewPlan returns an empty plan for batches of at most batch rows.
func NewPlan(schema *data.Schema, batch int) *Plan {
	return &Plan{batch: batch, schema: schema, byIDs: map[string]*index{}}
}

// Add adds a lookup that fills node, whose values are leaf.
func (p *Plan) Add(l *Lookup, node *G.Node, leaf []float32) {
	l.Node, l.leaf, l.numDense = node, leaf, p.schema.NumDense
	for i := range l.Fields {
		f := &l.Fields[i]
		if f.Feature.Kind != data.Numeric {
			f.index, f.lane = p.indexFor(f.Feature, l)
		}
		p.addDerived(f.Param, f.Derived, f)
	}
	if l.Bias != nil {
		p.addDerived(l.Bias, l.BiasDerived, nil)
	}
	l.gather = func(c int) { l.fail[c] = l.gatherRows(p.current, l.rows(p)*c/chunks, l.rows(p)*(c+1)/chunks) }
	p.lookups = append(p.lookups, l)
}

// numbers are the values of a numeric column, which enter the graph as they are.
type numbers struct {
	feature *data.Feature
	leaf    []float32 // [batch, numbers of a row]
}

// AddNumbers has the numbers of a numeric column written into a leaf before each run.
func (p *Plan) AddNumbers(f *data.Feature, leaf []float32) {
	p.numbers = append(p.numbers, numbers{f, leaf})
}

// NumbersOf returns the numeric column whose numbers a leaf holds.
func (p *Plan) NumbersOf(leaf []float32) (*data.Feature, bool) {
	for _, v := range p.numbers {
		if len(leaf) > 0 && &v.leaf[0] == &leaf[0] {
			return v.feature, true
		}
	}
	return nil, false
}

// Lookups returns the plan's lookups in the order in which they were added.
func (p *Plan) Lookups() []*Lookup { return p.lookups }

func (p *Plan) indexFor(f *data.Feature, l *Lookup) (*index, int) {
	key := f.Table
	if key == "" {
		key = f.Name
	}
	x := p.byIDs[key]
	if x == nil {
		x = &index{batch: p.batch, plan: p.Needs}
		p.byIDs[key] = x
		p.indexes = append(p.indexes, x)
	}
	return x, x.lane(f, l)
}

func width(f *data.Feature) int {
	if f.Kind.Lists() {
		return f.MaxLen
	}
	return 1
}

// rows returns the rows of the batch, or the IDs in use.
func (l *Lookup) rows(p *Plan) int {
	switch {
	case l.Used != nil:
		return *l.Used
	case l.Count > 0:
		return l.Count
	}
	return p.batch
}

// stride returns the columns of the leaf.
func (l *Lookup) stride() int {
	if l.Reduce {
		return l.Dim
	}
	return l.Dim * len(l.Fields)
}

// offset returns the first column of a field in the leaf.
func (l *Lookup) offset(field int) int {
	if l.Reduce {
		return 0
	}
	return field * l.Dim
}

// ids returns the batch's ids of a feature, checked for length.
func ids(b *data.Batch, f *data.Feature, batch int) ([]int32, error) {
	v := b.IDs[f.Name]
	if len(v) < batch*width(f) {
		return nil, fmt.Errorf("embed: feature %s: batch has %d ids, want %d", f.Name, len(v), batch*width(f))
	}
	return v, nil
}
