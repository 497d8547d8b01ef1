// Package registry maps the `type:` of a config section to the option struct that its other keys are decoded into,
// strictly and over that struct's defaults.
//
// A registry holds the types of one kind such as models, data sets or optimizers. The package that owns the kind makes the
// registry, and the file of each type registers its defaults:
//
//	var Models = registry.New[Model]("model")
//
//	// DeepFM is ... (its yaml keys are its options)
//	type DeepFM struct {
//		EmbedDim int `yaml:"embed_dim"` // width of each field's embedding
//	}
//
//	func init() { Models.Register("deepfm", DeepFM{EmbedDim: 16}) }
//
// A struct field whose type is the interface of a registry is decoded through that registry. Its section is
//
//	optimizer: {type: adam, lr: 0.01}   # or, with all defaults, just
//	optimizer: adam
//
// and without `type` the options go into the default that the field already holds, if there is one.
package registry

import (
	"fmt"
	"reflect"
	"slices"
	"sync"

	"go.yaml.in/yaml/v4"
)

// Registry holds the types of one kind by name. T is the interface that they implement.
type Registry[T any] struct{ e *entry }

// entry is what the package needs to know of a registry without its type parameter.
type entry struct {
	kind  string
	iface reflect.Type

	mu       sync.RWMutex
	defaults map[string]reflect.Value // struct, or pointer to struct
	names    map[reflect.Type]string
}

var (
	tableMu sync.RWMutex
	table   = map[reflect.Type]*entry{} // interface type -> its registry
)

// New makes the registry of a kind ("model", "optimizer"), used in messages and in the reference. It panics if T is not
// an interface or has a registry already.
func New[T any](kind string) *Registry[T] {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Interface {
		panic(fmt.Sprintf("registry: New[%v]: not an interface", t))
	}
	tableMu.Lock()
	defer tableMu.Unlock()
	if table[t] != nil {
		panic(fmt.Sprintf("registry: %v has a registry already (%s)", t, table[t].kind))
	}
	e := &entry{kind: kind, iface: t, defaults: map[string]reflect.Value{}, names: map[reflect.Type]string{}}
	table[t] = e
	return &Registry[T]{e}
}

func lookup(t reflect.Type) *entry {
	tableMu.RLock()
	defer tableMu.RUnlock()
	return table[t]
}

// Register adds a type: a struct (or a pointer to one) that holds the defaults. It panics on a name or a Go type that
// is registered already and on a field that a config cannot hold: mistakes of the programmer.
func (r *Registry[T]) Register(name string, defaults T) {
	v := reflect.ValueOf(defaults)
	t := v.Type()
	st := t
	if t.Kind() == reflect.Pointer && !v.IsNil() {
		st = t.Elem()
	}
	if st.Kind() != reflect.Struct {
		panic(fmt.Sprintf("registry: %s %q: defaults are %v, want a struct or a pointer to one", r.e.kind, name, t))
	}
	if err := checkType(st, map[reflect.Type]bool{}); err != nil {
		panic(fmt.Sprintf("registry: %s %q: %v", r.e.kind, name, err))
	}
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	if name == "" || r.e.defaults[name].IsValid() {
		panic(fmt.Sprintf("registry: %s %q is registered already", r.e.kind, name))
	}
	if old, ok := r.e.names[st]; ok {
		panic(fmt.Sprintf("registry: %s %q: %v is registered as %q already; give it a type of its own", r.e.kind, name, st, old))
	}
	r.e.defaults[name] = deepCopy(v)
	r.e.names[st] = name
}

// Names returns the registered names, sorted.
func (r *Registry[T]) Names() []string { return r.e.sorted() }

func (e *entry) sorted() []string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	out := make([]string, 0, len(e.defaults))
	for n := range e.defaults {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Default returns a fresh copy of a type's defaults.
func (r *Registry[T]) Default(name string) (T, bool) {
	v := r.e.fresh(name)
	if !v.IsValid() {
		var zero T
		return zero, false
	}
	return v.Interface().(T), true
}

func (e *entry) fresh(name string) reflect.Value {
	e.mu.RLock()
	defer e.mu.RUnlock()
	v := e.defaults[name]
	if !v.IsValid() {
		return v
	}
	return deepCopy(v)
}

// NameOf returns the name under which v's type is registered.
func (r *Registry[T]) NameOf(v T) (string, bool) { return r.e.nameOf(reflect.ValueOf(v)) }

func (e *entry) nameOf(v reflect.Value) (string, bool) {
	for v.IsValid() && (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) {
		v = v.Elem()
	}
	if !v.IsValid() {
		return "", false
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	n, ok := e.names[v.Type()]
	return n, ok
}

// Decode reads a section: `type` picks the registered struct, the other keys are decoded strictly into a copy of its
// defaults. All mistakes go to p; the result is then the zero T or partly filled.
func (r *Registry[T]) Decode(n *yaml.Node, p *Problems, path string) T {
	var out T
	d := &decoder{p: p}
	d.section(r.e, n, reflect.ValueOf(&out).Elem(), path, 0)
	return out
}

// Kind describes one registry to the code that documents them all.
type Kind struct {
	Name  string       // such as "model" or "optimizer"
	Iface reflect.Type // the interface of the kind
	Names []string     // registered names, sorted
}

// Kinds returns all registries of the program, sorted by name.
func Kinds() []Kind {
	tableMu.RLock()
	defer tableMu.RUnlock()
	out := make([]Kind, 0, len(table))
	for _, e := range table {
		out = append(out, Kind{Name: e.kind, Iface: e.iface, Names: e.sorted()})
	}
	slices.SortFunc(out, func(a, b Kind) int {
		if a.Name != b.Name {
			if a.Name < b.Name {
				return -1
			}
			return 1
		}
		if a.Iface.String() < b.Iface.String() {
			return -1
		}
		return 1
	})
	return out
}

// Default returns a fresh copy of the defaults of a registered name, nil if there is none.
func (k Kind) Default(name string) any {
	e := lookup(k.Iface)
	if e == nil {
		return nil
	}
	if v := e.fresh(name); v.IsValid() {
		return v.Interface()
	}
	return nil
}
